"""What roles may do in a database: the loader's missing privileges, the readers' grants."""

from collections.abc import Mapping

from dltdoctor.snapshot.value import Value

OWNERSHIP = "OWNERSHIP"


class Lacking(Value):
    """What the role of a pipeline's credentials may not do in the schemas that its pipelines use.

    The words are Postgres' privileges, and OWNERSHIP where the role is no member of the owner. What is
    not listed it may do. A column privilege counts for its table: somebody has given it on purpose.
    """

    role: str
    database: frozenset[str] = frozenset()
    schemas: Mapping[str, frozenset[str]] = {}
    tables: Mapping[tuple[str, str], frozenset[str]] = {}


class Grant(Value):
    """A privilege on a relation that somebody else than its owner has; `grantee` may be "PUBLIC"."""

    grantee: str
    privilege: str


class Grants(Value):
    """The grants in the schemas that were asked for, by relation, and the defaults by schema.

    `defaults` are those for tables that `owner` will make, from ALTER DEFAULT PRIVILEGES, by schema and
    owner; the schema is "" where they hold for every schema.
    """

    tables: Mapping[tuple[str, str], frozenset[Grant]] = {}
    defaults: Mapping[tuple[str, str], frozenset[Grant]] = {}

    def default(self, schema: str, owner: str) -> frozenset[Grant]:
        """What others get on a table that the owner makes in the schema."""
        return self.defaults.get((schema, owner), frozenset()) | self.defaults.get(("", owner), frozenset())


class BarePath(Value):
    """Where a bare name leads an ordinary role: the schemas of its search path, without "$user"."""

    schemas: tuple[str, ...] = ()
    origin: str = ""
