"""A root table with all that is nested in it, as one pipeline loads it, and as its packages' schemas tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from dltdoctor.snapshot import Database, Pipeline, Table, Value
from dltdoctor.world.documents import Document, mapping, text

ROW_KEY, LOAD_ID, PARENT_KEY, ROOT_KEY = "_dlt_id", "_dlt_load_id", "_dlt_parent_id", "_dlt_root_id"
LOADS = "_dlt_loads"


class Chain(Value):
    """`final` is the dataset's name in Postgres, `schema` dlt's name of the schema, `root` the root table."""

    database: Database
    pipeline: Pipeline
    schema: str
    final: str
    root: str

    @property
    def place(self) -> tuple[str, str]:
        return self.final, self.root

    def held(self, table: str) -> Table | None:
        """The final table as the catalog has it."""
        return self.database.table(self.final, table)

    def key(self, table: str) -> tuple[str, ...]:
        """What tells the rows of a final table apart."""
        held = self.held(table)
        if held is None or held.has(ROW_KEY):
            return (ROW_KEY,)
        declared = self.primary_key if table == self.root else ()
        return declared or tuple(c.name for c in held.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        schema = self.pipeline.schema(self.schema)
        table = schema.table(self.root) if schema else None
        return table.primary_key if table else ()

    @property
    def resource(self) -> str:
        schema = self.pipeline.schema(self.schema)
        table = schema.table(self.root) if schema else None
        return (table.resource if table else None) or self.root


def chain_tables(document: Document, root: str) -> tuple[str, ...]:
    """The root table and what nests in it, parents first, as a schema document has them."""
    tables = mapping(document.get("tables"))
    found = [root] if root in tables else []
    for parent in found:  # grows while it is walked: children follow their parents
        found += [n for n, table in tables.items() if mapping(table).get("parent") == parent and n not in found]
    return tuple(found)


def columns_of(document: Document, table: str) -> tuple[str, ...]:
    """The columns that dlt has created, in the order of the document."""
    columns = mapping(mapping(mapping(document.get("tables")).get(table)).get("columns"))
    return tuple(name for name, column in columns.items() if mapping(column).get("data_type"))


def hinted(document: Document, table: str, hint: str) -> tuple[str, ...]:
    """The columns that have a hint, e.g. "hard_delete"."""
    columns = mapping(mapping(mapping(document.get("tables")).get(table)).get("columns"))
    return tuple(name for name, column in columns.items() if mapping(column).get(hint))


def disposition(document: Document, root: str) -> str:
    """The write disposition of the root table."""
    return text(_root(document, root).get("write_disposition")) or "append"


def strategy(document: Document, root: str) -> str:
    """The merge strategy of the root table."""
    return text(_root(document, root).get("x-merge-strategy")) or "delete-insert"


def _root(document: Document, root: str) -> Mapping[str, Any]:
    return mapping(mapping(document.get("tables")).get(root))


def parents(document: Document, tables: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each nested table with its parent."""
    for name in tables:
        parent = text(mapping(mapping(document.get("tables")).get(name)).get("parent"))
        if parent:
            yield name, parent
