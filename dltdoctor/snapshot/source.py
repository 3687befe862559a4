"""What the project's source says."""

from collections.abc import Mapping
from typing import Literal

from dltdoctor.snapshot.value import Value

Reached = Literal["always", "if-called", "perhaps"]


class Argument(Value):
    """A keyword argument in source. `literal` is false when its value is computed at run time."""

    name: str
    value: str | bool | int | float | None
    literal: bool
    line: int
    column: int = 0


class Call(Value):
    """A call of `dlt.pipeline`, `dlt.attach`, `pipeline.run` or a destination factory.

    `function` is "pipeline", "attach", "run", "extract", "dataset" or the factory's name, e.g.
    "postgres". For a pipeline, `destination` is the factory call (or name) that was given to it, when the
    source shows it. `reached` says of a run whether it takes place whenever the file is run, whenever the
    function around it is called, or only under some condition.
    """

    function: str
    file: str
    line: int
    arguments: tuple[Argument, ...] = ()
    destination: "Call | None" = None
    reached: Reached = "perhaps"

    def argument(self, name: str) -> Argument | None:
        return next((a for a in self.arguments if a.name == name), None)

    def literal(self, name: str) -> str | bool | int | float | None:
        found = self.argument(name)
        return found.value if found and found.literal else None


class Resource(Value):
    """What the source says about the rows of a resource, or of all that a source or a run brings.

    `origin` is "resource" for `dlt.resource` and `dlt.transformer`, "source" for `dlt.source`, "run" for data
    given to a run. `names` are those that its table may have. A hint that is not given is None; `unknown` are
    hints ("disposition", "key", "merge_key", "cursor", "contract") that something computed may give. `has_key` is true with a primary key or a merge key. `contract` holds the modes by entity
    ("tables", "columns", "data_type"), and the lines are where each hint stands.
    """

    origin: Literal["resource", "source", "run"]
    file: str
    line: int
    names: tuple[str, ...] = ()
    pipeline: str | None = None
    disposition: str | None = None
    strategy: str | None = None
    has_key: bool = False
    has_merge_key: bool = False
    is_scoped: bool = False
    cursor: str | None = None
    cursor_line: int = 0
    contract: Mapping[str, str] | None = None
    contract_line: int = 0
    unknown: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.names[0] if self.names else "?"

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


class TextReference(Value):
    """A piece of project text that names a `<schema>.<table>`, and the line it stands on.

    `schema` is spelled as in the text; `table` is None when only the schema is named.
    """

    file: str
    line: int
    schema: str
    table: str | None
    text: str


class Source(Value):
    """The project's source, parsed and never run."""

    root: str = ""
    calls: tuple[Call, ...] = ()
    references: tuple[TextReference, ...] = ()
    files_read: int = 0
    dlt_version: str | None = None
    dlt_version_origin: str | None = None
    resources: tuple[Resource, ...] = ()
    sqlglot_version: str | None = None
    sqlglot_version_origin: str | None = None

    def pipeline_calls(self, name: str) -> tuple[Call, ...]:
        return tuple(c for c in self.calls if c.function == "pipeline" and c.literal("pipeline_name") == name)
