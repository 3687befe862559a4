"""Which role loads a pipeline: the one that its own credentials name, whoever examines."""

from collections.abc import Collection, Iterable, Mapping

from dltdoctor.snapshot import Route, Value
from dltdoctor.world.credentials import Credentials


class Login(Value):
    """The role and the database of a pipeline's own credentials; None where they are the session's."""

    role: str | None = None
    database: str | None = None

    def role_in(self, database: str, session_role: str) -> str | None:
        """The role that loads into this database, None when the pipeline loads elsewhere."""
        if self.role is None:
            return session_role
        return self.role if self.database == database else None


def login_of(way_in: Credentials) -> Login | None:
    """What the credentials say when another role examines; None when they leave it to libpq or to the server."""
    found = way_in.parameters
    works_as_another = "role" in found.get("options", "")
    if not found.get("user") or not found.get("dbname") or works_as_another:
        return None
    return Login(role=found["user"], database=found["dbname"])


def schemas_by_role(roles: Mapping[str, str], ways: Iterable[Route]) -> Mapping[str, Collection[str]]:
    """The schemas that each role loads into; `roles` are by pipeline."""
    found: dict[str, set[str]] = {role: set() for role in roles.values()}
    for way in ways:
        if way.pipeline in roles:
            found[roles[way.pipeline]].update(name for name in (way.final, way.staging) if name)
    return found
