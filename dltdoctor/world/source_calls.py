"""The dlt calls of one Python file: pipelines, their runs, and destination factories."""

import ast
import re
from collections.abc import Iterable, Mapping

import msgspec

from dltdoctor.snapshot import Argument, Call
from dltdoctor.snapshot.source import Reached
from dltdoctor.world.source_flow import Flow
from dltdoctor.world.source_scopes import Scope
from dltdoctor.world.source_secrets import RawCredentials, Scalar, masked, masked_mapping
from dltdoctor.world.source_values import Entry, Place, Values

# dlt 1.31.0, dlt/pipeline/__init__.py; what 0.4.12 has differently comes after `full_refresh`.
PIPELINE_ORDER = (
    "pipeline_name",
    "pipelines_dir",
    "pipeline_salt",
    "destination",
    "staging",
    "dataset_name",
    "import_schema_path",
    "export_schema_path",
    "full_refresh",
    "dev_mode",
    "refresh",
    "progress",
    "_impl_cls",
)
ATTACH_ORDER = (*PIPELINE_ORDER[:5], "progress", "dataset_name")
RUN_ORDER = ("data",)
FACTORY_ORDER = ("credentials",)
OTHER_FACTORY_ORDERS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("credentials", "create_indexes", "csv_format", "destination_name", "environment"),
    "filesystem": ("bucket_url", "credentials", "layout"),
    "athena": ("query_result_bucket", "credentials"),
    "destination": ("destination_callable", "destination_name"),
    "lance": ("catalog_type", "credentials"),
}
REFERENCE_ORDER = ("ref", "credentials", "destination_name", "environment")

PIPELINE_FUNCTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "dlt.pipeline": ("pipeline", PIPELINE_ORDER),
    "dlt.pipeline.pipeline": ("pipeline", PIPELINE_ORDER),
    "dlt.attach": ("attach", ATTACH_ORDER),
    "dlt.pipeline.attach": ("attach", ATTACH_ORDER),
    "dlt.run": ("run", RUN_ORDER),
    "dlt.pipeline.run": ("run", RUN_ORDER),
}
NAMED_DESTINATION = frozenset({"dlt.destination", "dlt.destinations.decorators.destination"})
REFERENCE = re.compile(r"dlt\.(?:common\.)?destination\.(?:reference\.)?Destination\.from_reference")
_FACTORY = re.compile(r"dlt\.destinations\.(?:impl\.[a-z_0-9.]+\.factory\.)?(?P<name>[a-z][a-z0-9_]*)(?<!_adapter)")
_NOT_FACTORIES = frozenset({"adapters", "impl", "decorators", "exceptions", "utils"})
# With one of these a `.run(…)` on something unknown is a pipeline's.
RUN_ARGUMENTS = frozenset({"dataset_name", "write_disposition", "table_name", "loader_file_format", "refresh"})
RUNS = ("run", "extract")
_NO_DESTINATION = frozenset({"pipeline", "attach", "dataset", *RUNS})


class CallReader:
    """Turns the calls of one file into values.

    `credentials` holds the raw literals of `credentials=` by line, None where one line holds two: they
    go to the room that connects, nowhere else.
    """

    def __init__(self, file: str, lines: list[str], values: Values) -> None:
        self.file = file
        self.lines = lines
        self.values = values
        self.credentials: dict[int, RawCredentials | None] = {}
        self._known: dict[int, Call | None] = {}
        self._flow: Flow | None = None

    def calls(self) -> tuple[Call, ...]:
        """Every call that concerns where dlt loads to, in the order in which they stand."""
        found = (self._read(call, scope) for call, scope in self.values.scopes.calls)
        calls = {id(call): call for call in found if call is not None}
        return tuple(sorted(calls.values(), key=lambda call: call.line))

    def _read(self, node: ast.Call, scope: Scope) -> Call | None:
        if id(node) not in self._known:
            self._known[id(node)] = None  # A call that leads back to itself finds nothing here.
            self._known[id(node)] = self._interpret(node, scope)
        return self._known[id(node)]

    def _interpret(self, node: ast.Call, scope: Scope) -> Call | None:
        path = self.values.path(Place(node.func, scope)) or ""
        if path in PIPELINE_FUNCTIONS:
            function, order = PIPELINE_FUNCTIONS[path]
            return self._pipeline(function, node, self._given(node, scope, order))
        if path in NAMED_DESTINATION:
            return self._named_destination(node, self._given(node, scope, ("destination_name",)))
        if REFERENCE.fullmatch(path):
            return self._reference(node, self._given(node, scope, REFERENCE_ORDER))
        if factory := _factory(path):
            order = OTHER_FACTORY_ORDERS.get(factory, FACTORY_ORDER)
            return self._call(factory, node, self._given(node, scope, order))
        if path == "dlt.dataset":
            return self._call("dataset", node, {})
        if isinstance(node.func, ast.Attribute) and node.func.attr in RUNS:
            return self._run(node, node.func, scope)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "dataset" and self.pipeline_of(node.func, scope):
            return self._call("dataset", node, {})
        return None

    def _run(self, node: ast.Call, func: ast.Attribute, scope: Scope) -> Call | None:
        """`run` on a pipeline; its `pipeline_name` is that of the pipeline, when the source shows it."""
        given = self._given(node, scope, RUN_ORDER)
        pipeline = self.pipeline_of(func, scope)
        if pipeline is None:
            return self._pipeline(func.attr, node, given) if RUN_ARGUMENTS & given.keys() else None
        name = pipeline.argument("pipeline_name")
        call = self._pipeline(func.attr, node, given)
        return msgspec.structs.replace(call, arguments=(*((name,) if name else ()), *call.arguments))

    def pipeline_of(self, func: ast.Attribute, scope: Scope) -> Call | None:
        """The call that made the pipeline on which a method is called, when the source shows it."""
        receiver = self.values.follow(Place(func.value, scope))
        if not isinstance(receiver.node, ast.Call):
            return None
        found = self._read(receiver.node, receiver.scope)
        return found if found and found.function in ("pipeline", "attach") else None

    def _pipeline(self, function: str, node: ast.Call, given: Mapping[str, Entry]) -> Call:
        destination = given.get("destination")
        target = self._destination(destination.place) if destination and destination.place else None
        return self._call(function, node, given, target)

    def _named_destination(self, node: ast.Call, given: dict[str, Entry]) -> Call:
        """`dlt.destination(name)`, or with `destination_type` a name of its own for that type."""
        kind = self._text(given.get("destination_type"))
        if kind is None and "destination_type" not in given:
            kind = self._text(given.pop("destination_name", None))
        return self._call(short_name(kind) if kind else "destination", node, given)

    def _reference(self, node: ast.Call, given: Mapping[str, Entry]) -> Call:
        kind = self._text(given.get("ref"))
        return self._call(short_name(kind) if kind else "destination", node, given)

    def _destination(self, place: Place) -> Call | None:
        """The factory call behind an expression, or one made up for the name that stands for it."""
        found = self.values.follow(place)
        if isinstance(found.node, ast.Call):
            call = self._read(found.node, found.scope)
            return call if call and call.function not in _NO_DESTINATION else None
        text = self.values.text(found)
        name = short_name(text) if text else _factory(self.values.path(found))
        return Call(function=name, file=self.file, line=place.node.lineno) if name else None

    def _given(self, node: ast.Call, scope: Scope, order: Iterable[str]) -> dict[str, Entry]:
        """The arguments by name; a `*` argument hides the names of those after it."""
        given: dict[str, Entry] = {}
        names = iter(order)
        for index, argument in enumerate(node.args):
            value = Place(argument, scope)
            if isinstance(argument, ast.Starred):
                given["*"] = Entry("*", value, certain=False)
                break
            name = next(names, f"#{index + 1}")
            given[name] = Entry(name, value)
        return given | self.values.keywords(node.keywords, scope)

    def _call(self, function: str, node: ast.Call, given: Mapping[str, Entry], destination: Call | None = None) -> Call:
        arguments = tuple(self._argument(entry, node) for entry in given.values())
        call = Call(function=function, file=self.file, line=node.lineno, arguments=arguments, destination=destination)
        return msgspec.structs.replace(call, reached=self._reached(node)) if function in RUNS else call

    def _reached(self, node: ast.Call) -> Reached:
        if self._flow is None:
            self._flow = Flow(self.values.scopes.tree)
        return self._flow.of(node)

    def _argument(self, entry: Entry, call: ast.Call) -> Argument:
        name, place, certain = entry
        if place is None or not certain:
            return self._unknown(name, place.node if place else call)
        if name == "credentials" and (found := self._credentials(place)):
            raw, node = found
            if self.credentials.setdefault(node.lineno, raw) != raw:
                self.credentials[node.lineno] = None
            shown = masked(name, raw) if isinstance(raw, str) else masked_mapping(raw)
            return self._at(name, shown, node, literal=True)
        constant = self.values.constant(place)
        if constant is None:
            return self._unknown(name, place.node)
        return self._at(name, masked(name, constant.value), constant.node, literal=True)

    def _credentials(self, place: Place) -> tuple[RawCredentials, ast.expr] | None:
        """A DSN, a dict of constants, or either of them inside a `…Credentials(…)` call."""
        found = self.values.follow(place)
        if text := self.values.constant(found):
            return (text.value, text.node) if isinstance(text.value, str) else None
        if isinstance(found.node, ast.Call) and _is_credentials_class(found.node):
            if not found.node.args:
                entries = self.values.keywords(found.node.keywords, found.scope)
                return self._constants(entries, found.node)
            return self._credentials(Place(found.node.args[0], found.scope))
        if isinstance(place.node, (ast.Name, ast.Dict)) or isinstance(found.node, (ast.Dict, ast.Call)):
            return self._constants(self.values.entries(place), found.node)
        return None

    def _constants(self, entries: Mapping[str, Entry], node: ast.expr) -> tuple[RawCredentials, ast.expr] | None:
        constants = {e.name: self.values.constant(e.place) for e in entries.values() if e.place and e.certain}
        values: dict[str, Scalar] = {name: c.value for name, c in constants.items() if c is not None}
        return (values, node) if values and len(values) == len(entries) else None

    def _unknown(self, name: str, node: ast.expr) -> Argument:
        return self._at(name, None, node, literal=False)

    def _at(self, name: str, value: Scalar, node: ast.expr, *, literal: bool) -> Argument:
        return Argument(name=name, value=value, literal=literal, line=node.lineno, column=self._column(node))

    def _column(self, node: ast.expr) -> int:
        """1-based and in characters, as editors count; ast counts UTF-8 bytes."""
        line = self.lines[node.lineno - 1] if node.lineno <= len(self.lines) else ""
        if line.isascii():
            return node.col_offset + 1
        before = line.encode("utf-8", "replace")[: node.col_offset]
        return len(before.decode("utf-8", "replace")) + 1

    def _text(self, entry: Entry | None) -> str | None:
        return self.values.text(entry.place) if entry and entry.place else None


def short_name(reference: str) -> str:
    """The factory's name in a reference: "postgres" for "dlt.destinations.postgres"."""
    return reference.rsplit(".", 1)[-1]


def _factory(path: str | None) -> str | None:
    found = _FACTORY.fullmatch(path) if path else None
    return None if found is None or found["name"] in _NOT_FACTORIES else found["name"]


def _is_credentials_class(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return bool(name.endswith("Credentials"))
