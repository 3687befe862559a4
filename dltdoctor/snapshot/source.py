"""What the project's source says."""

from dltdoctor.snapshot.value import Value


class Argument(Value):
    """A keyword argument in source. `literal` is false when its value is computed at run time."""

    name: str
    value: str | bool | int | float | None
    literal: bool
    line: int
    column: int = 0


class Call(Value):
    """A call of `dlt.pipeline`, `dlt.attach`, `pipeline.run` or a destination factory.

    `function` is "pipeline", "attach", "run" or the factory's name, e.g. "postgres". For a pipeline,
    `destination` is the factory call (or name) that was given to it, when the source shows it.
    """

    function: str
    file: str
    line: int
    arguments: tuple[Argument, ...] = ()
    destination: "Call | None" = None

    def argument(self, name: str) -> Argument | None:
        return next((a for a in self.arguments if a.name == name), None)

    def literal(self, name: str) -> str | bool | int | float | None:
        found = self.argument(name)
        return found.value if found and found.literal else None


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

    def pipeline_calls(self, name: str) -> tuple[Call, ...]:
        return tuple(c for c in self.calls if c.function == "pipeline" and c.literal("pipeline_name") == name)
