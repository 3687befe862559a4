"""The resources of a project's source, with the hints that count for their rows.

A hint may stand at the resource, in `apply_hints` or at the run; where it cannot be told which resource a
later hint is for, it makes that hint unknown for all of them.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from dltdoctor.snapshot import Call, Resource
from dltdoctor.world.source_calls import CallReader
from dltdoctor.world.source_hints import HintReader
from dltdoctor.world.source_scopes import Definition, Scope
from dltdoctor.world.source_values import Entry, Place

_ORDER = ("data", "name", "table_name", "max_table_nesting", "write_disposition", "columns", "primary_key", "merge_key")
_TRANSFORMER_ORDER = ("f", "data_from", *_ORDER[1:])
_SOURCE_ORDER = ("func", "name")
_APPLY_ORDER = ("table_name", "parent_table_name", "write_disposition", "columns", "primary_key", "merge_key")
_DECORATORS = "dlt.", "dlt.extract.", "dlt.extract.decorators."
RESOURCES = {f"{p}{n}": o for p in _DECORATORS for n, o in (("resource", _ORDER), ("transformer", _TRANSFORMER_ORDER))}
SOURCES = frozenset(f"{p}source" for p in _DECORATORS)
_SAME_ROWS = frozenset({"add_map", "add_filter", "add_limit", "add_yield_map", "bind", "parallelize"})
_RUN_HINTS = frozenset({"write_disposition", "primary_key", "columns", "schema_contract"})


class Hints(NamedTuple):
    """Hints that come later; `names` are the resources that they are for, None when that cannot be told."""

    names: frozenset[str] | None
    hints: Resource


class FileResources(NamedTuple):
    """What one file says; the pieces of a project are put together by `joined`."""

    resources: tuple[Resource, ...]
    later: tuple[Hints, ...]


class ResourceReader:
    """Turns the resources, sources and runs of one file into values."""

    def __init__(self, calls: CallReader) -> None:
        self.calls = calls
        self.values = calls.values
        self.hints = HintReader(self.values)
        self._definitions = {
            id(decorator): node
            for node in ast.walk(self.values.scopes.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for decorator in node.decorator_list
        }

    def read(self) -> FileResources:
        """Every resource that the file makes, and every hint that it gives later."""
        resources: list[Resource] = []
        later: list[Hints] = []
        for node, scope in self.values.scopes.calls:
            path = self.values.path(Place(node.func, scope)) or ""
            if path in RESOURCES:
                resources.append(self._resource(node, scope, path))
            elif path in SOURCES:
                resources.append(self._source(node, scope))
                later += _by_its_schema(resources[-1], node)
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "apply_hints":
                later.append(self._applied(node, node.func, scope))
            elif (path in ("dlt.run", "dlt.pipeline.run") or _is_run(node)) and (found := self._run(node, scope)):
                (resources if isinstance(found, Resource) else later).append(found)  # type: ignore[arg-type]
        return FileResources(tuple(resources), tuple(later))

    def _resource(self, node: ast.Call, scope: Scope, path: str) -> Resource:
        given = self._given(node, scope, RESOURCES[path])
        definition = self._definitions.get(id(node)) or self._function(given.get("data") or given.get("f"))
        names = self._names(given, definition)
        made = Resource(origin="resource", file=self.calls.file, line=node.lineno, names=names)
        made = self.hints.read(made, given)
        return self.hints.read_definition(made, definition, Place(node, scope)) if definition else made

    def _source(self, node: ast.Call, scope: Scope) -> Resource:
        given = self._given(node, scope, _SOURCE_ORDER)
        names = self._names(given, self._definitions.get(id(node)))
        made = Resource(origin="source", file=self.calls.file, line=node.lineno, names=names)
        return self.hints.read(made, given)

    def _applied(self, node: ast.Call, func: ast.Attribute, scope: Scope) -> Hints:
        given = self._given(node, scope, _APPLY_ORDER)
        made = Resource(origin="resource", file=self.calls.file, line=node.lineno)
        return Hints(self._targets(Place(func.value, scope)), self.hints.read(made, given))

    def _run(self, node: ast.Call, scope: Scope) -> Resource | Hints | None:
        """A run that says how its rows are written; one of plain data is as good as a resource."""
        given = self._given(node, scope, ("data",))
        if not _RUN_HINTS & given.keys():
            return None
        pipeline = self.calls.pipeline_of(node.func, scope) if isinstance(node.func, ast.Attribute) else None
        name = pipeline.literal("pipeline_name") if pipeline else None
        made = Resource(
            origin="run", file=self.calls.file, line=node.lineno, pipeline=name if isinstance(name, str) else None
        )
        made = self.hints.read(made, given)
        data = given.get("data")
        definition = self._function(data, called=True)
        if data and data.place and (definition or _is_plain(self.values.follow(data.place).node)):
            return msgspec.structs.replace(made, names=self._names(given, definition))
        return Hints(self._targets(data.place) if data and data.place else None, made)

    # ---------------------------------------------------------------------------- what is meant

    def _given(self, node: ast.Call, scope: Scope, order: Sequence[str]) -> dict[str, Entry]:
        given: dict[str, Entry] = {}
        for name, argument in zip(order, node.args, strict=False):
            certain = not isinstance(argument, ast.Starred)
            given[name if certain else "*"] = Entry(name, Place(argument, scope), certain=certain)
        return given | self.values.keywords(node.keywords, scope)

    def _names(self, given: dict[str, Entry], definition: Definition | None) -> tuple[str, ...]:
        own = self._text(given.get("name")) or (definition.name if definition and "name" not in given else None)
        table = self._text(given.get("table_name"))
        return tuple(dict.fromkeys(name for name in (table, own) if name))

    def _text(self, entry: Entry | None) -> str | None:
        return self.values.text(entry.place) if entry and entry.place and entry.certain else None

    def _function(self, entry: Entry | None, *, called: bool = False) -> Definition | None:
        """The plain function of this file behind a name, or behind a call of it: a generator of rows."""
        if entry is None or entry.place is None:
            return None
        node, scope = entry.place
        if called:
            if not isinstance(node, ast.Call):
                return None
            node = node.func
        found = _definition(node, scope)
        is_generator = found and any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(found))
        return found if found and is_generator and not found.decorator_list else None

    def _targets(self, place: Place) -> frozenset[str] | None:
        """The names of the resources that an expression stands for."""
        node, scope = place
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                behind = self.values.follow(place)
                return self._targets(behind) if behind.node is not node else None
            case ast.Attribute(attr=name):
                return frozenset({name})
            case ast.Subscript(value=ast.Attribute(attr="resources" | "selected_resources"), slice=key):
                text = self.values.text(Place(key, scope))
                return frozenset({text}) if text else None
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                found = [self._targets(Place(part, scope)) for part in parts]
                known = [names for names in found if names is not None]
                return frozenset().union(*known) if len(known) == len(found) else None
            case ast.Call():
                return self._called(node, scope)
        definition = _definition(node, scope)
        if definition is not None:
            return self._decorated_names(definition, scope)
        behind = self.values.follow(place)
        return self._targets(behind) if behind.node is not node else None

    def _called(self, node: ast.Call, scope: Scope) -> frozenset[str] | None:
        path = self.values.path(Place(node.func, scope))
        if path in RESOURCES:
            return frozenset(self._resource(node, scope, path).names) or None
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_ROWS:
            return self._targets(Place(node.func.value, scope))
        definition = _definition(node.func, scope)
        return self._decorated_names(definition, scope) if definition is not None else None

    def _decorated_names(self, definition: Definition, scope: Scope) -> frozenset[str] | None:
        for decorator in definition.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            path = self.values.path(Place(call.func if call else decorator, scope))
            if path in RESOURCES:
                return frozenset(self._resource(call, scope, path).names if call else (definition.name,)) or None
        return None


def _by_its_schema(source: Resource, node: ast.Call) -> Iterator[Hints]:
    """A source that brings a schema may bring the keys of its resources with it."""
    if any(keyword.arg == "schema" for keyword in node.keywords):
        yield Hints(None, msgspec.structs.replace(source, unknown=frozenset({"key", "merge_key"})))


def _definition(node: ast.expr, scope: Scope) -> Definition | None:
    """The function of this file that a name stands for."""
    found = scope.lookup(node.id) if isinstance(node, ast.Name) else None
    bound = found[1][0].node if found and len(found[1]) == 1 else None
    return bound if isinstance(bound, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _is_run(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr in ("run", "extract")


def _is_plain(node: ast.expr) -> bool:
    """True for rows that stand in the source themselves."""
    match node:
        case ast.Dict() | ast.Constant():
            return True
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return bool(parts) and all(isinstance(part, ast.Dict | ast.Constant) for part in parts)
        case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part):
            return isinstance(part, ast.Dict | ast.Constant)
    return False


def joined(files: Iterable[FileResources], calls: Sequence[Call]) -> tuple[Resource, ...]:
    """The resources of a project, each as all its hints together make it."""
    everything = list(files)
    later = [hints for file in everything for hints in file.later]
    if any(call.argument("import_schema_path") for call in calls):
        later.append(Hints(None, Resource(origin="source", file="", line=0, unknown=frozenset({"key", "merge_key"}))))
    made = [found for file in everything for one in file.resources for found in _as_used(one, later)]
    return tuple(_with_pipeline(one, calls) for one in made)


def _as_used(resource: Resource, later: Iterable[Hints]) -> Iterator[Resource]:
    """The resource with the hints that come later; once for each way in which it is then written."""
    if resource.origin != "resource":
        yield resource
        return
    ways: list[Resource] = []
    for names, hints in later:
        if names is None:
            given = _given_hints(hints)
            resource = msgspec.structs.replace(resource, unknown=resource.unknown.union(given))
        elif names.intersection(resource.names):
            resource = msgspec.structs.replace(
                resource,
                has_key=resource.has_key or hints.has_key,
                has_merge_key=resource.has_merge_key or hints.has_merge_key,
                cursor=resource.cursor or hints.cursor,
                cursor_line=resource.cursor_line or hints.cursor_line,
                contract=hints.contract or resource.contract,
                contract_line=hints.contract_line or resource.contract_line,
                unknown=resource.unknown | hints.unknown,
            )
            if hints.disposition:
                ways.append(hints)
    if not ways:
        yield resource
    for way in ways:
        yield msgspec.structs.replace(
            resource,
            file=way.file,
            line=way.line,
            pipeline=way.pipeline or resource.pipeline,
            disposition=way.disposition,
            strategy=way.strategy,
            is_scoped=way.is_scoped,
        )


def _given_hints(hints: Resource) -> frozenset[str]:
    given = {
        "disposition": hints.disposition,
        "key": hints.has_key,
        "merge_key": hints.has_merge_key,
        "cursor": hints.cursor,
        "contract": hints.contract,
    }
    return hints.unknown | {name for name, value in given.items() if value}


def _with_pipeline(resource: Resource, calls: Sequence[Call]) -> Resource:
    """With the pipeline that loads it, when its file or else the project makes only one."""
    if resource.pipeline:
        return resource
    named = [(c.file, c.literal("pipeline_name")) for c in calls if c.function == "pipeline"]
    here = {name for file, name in named if file == resource.file}
    everywhere = {name for _, name in named}
    found = here if len(here) == 1 else everywhere if len(everywhere) == 1 and not here else set()
    name = next(iter(found), None)
    return msgspec.structs.replace(resource, pipeline=name) if isinstance(name, str) else resource
