"""Who reads what: what a reader was promised, and what its role finds in a database."""

from collections.abc import Mapping
from typing import Literal

from dltdoctor.snapshot.value import Value


class Contract(Value):
    """What a declared reader relies on, and the place it is declared in.

    `tables` are names as the reader writes them, with or without a schema. `columns` maps a column to
    the least share of values that are not NULL, 0.0 to 1.0, or None when it only has to be there.
    `fresh_within` is in seconds. `role` and `search_path` are None when they were not declared.
    """

    name: str
    tables: tuple[str, ...]
    columns: Mapping[str, float | None] = {}
    role: str | None = None
    search_path: tuple[str, ...] | None = None
    fresh_within: float | None = None
    origin: str = ""


class Share(Value):
    """The share of values that are not NULL, None when there is no row or nobody looked; whether it was counted."""

    non_null: float | None
    exact: bool = True


class Copy(Value):
    """A relation of the declared name, as the reader's role finds it.

    `usage` and `select` are the role's privileges on the schema and on the relation; `denied` are
    declared columns that it may not read. `row_security` is "none" when every row is visible, "policy"
    when a policy for the role decides, "no-policy" when none lets a row through. `columns` are the
    declared columns that are there.
    """

    schema: str
    table: str
    usage: bool = True
    select: bool = True
    denied: tuple[str, ...] = ()
    row_security: Literal["none", "policy", "no-policy"] = "none"
    columns: Mapping[str, Share] = {}


class DeclaredTable(Value):
    """A table of a contract in one database.

    `schema` is given when the reader names it. `resolved` is the schema that the bare name leads to.
    `copies` are all relations of the name, whether or not the role may see them.
    """

    declared: str
    name: str
    schema: str | None = None
    resolved: str | None = None
    copies: tuple[Copy, ...] = ()

    def copy(self, schema: str | None) -> Copy | None:
        return next((c for c in self.copies if c.schema == schema), None)


class Reader(Value):
    """A declared reader in one database.

    `role_exists` is false when the declared role does not exist there. `search_path_origin` says where
    the search path comes from. `exposed` are the schemas that PostgREST serves to the role, and
    `exposed_by` the setting that says so; None when the database says nothing about it.
    """

    contract: Contract
    database: str
    role: str
    role_exists: bool = True
    search_path: tuple[str, ...] = ()
    search_path_origin: str = ""
    exposed: tuple[str, ...] | None = None
    exposed_by: str = ""
    tables: tuple[DeclaredTable, ...] = ()
