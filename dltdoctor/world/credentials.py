"""How to reach a database: the one value that may hold a password, kept inside the world."""

import msgspec

from dltdoctor.snapshot import Target


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """libpq connection parameters and where they came from.

    `parameters` are libpq keywords ("host", "port", "dbname", "user", "password", "sslmode", …);
    what is missing libpq fills in from `PG*`, a service file and pgpass. `origin` names the winner
    among the candidates, e.g. "--dsn" or "secrets.toml:4 [destination.postgres.credentials]".
    """

    parameters: dict[str, str]
    origin: str

    def __repr__(self) -> str:
        return f"Credentials({self.display!r}, origin={self.origin!r})"

    @property
    def display(self) -> str:
        """The place without the secret, e.g. "postgresql://loader:***@db:5432/warehouse"."""
        p = self.parameters
        user = p.get("user", "")
        secret = ":***" if "password" in p else ""
        at = "@" if user else ""
        port = f":{p['port']}" if "port" in p else ""
        return f"postgresql://{user}{secret}{at}{p.get('host', '')}{port}/{p.get('dbname', '')}"

    def target(self, *, host: str, port: int, database: str, user: str) -> Target:
        """The target as the open connection knows it."""
        return Target(host=host, port=port, database=database, user=user, origin=self.origin)
