"""The hints in the arguments of a dlt call: how rows are written, by which keys, behind which cursor.

A hint that only running would tell is unknown, and so is everything beside a `*` or `**` argument that cannot
be read.
"""

import ast
from collections.abc import Iterable, Mapping

import msgspec

from dltdoctor.snapshot import Resource
from dltdoctor.world.source_scopes import Definition
from dltdoctor.world.source_values import UNKNOWN, Entry, Place, Values

CONTRACT_ENTITIES = ("tables", "columns", "data_type")
HINTS = frozenset({"disposition", "key", "merge_key", "cursor", "contract"})
INCREMENTAL = frozenset(
    {
        "dlt.sources.incremental",
        "dlt.extract.incremental",
        "dlt.extract.Incremental",
        "dlt.extract.incremental.Incremental",
    }
)
# What gives hints to rows one by one, while a resource runs.
_DYNAMIC = frozenset({"with_hints", "make_hints"})


class HintReader:
    """Reads the hints of one file's calls."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def read(self, resource: Resource, given: Mapping[str, Entry]) -> Resource:
        """The resource with the hints of a call's arguments."""
        if UNKNOWN in given or "*" in given:
            resource = _without(resource, HINTS)
        resource = self._disposition(resource, given.get("write_disposition"))
        resource = self._keys(resource, given)
        resource = self._columns(resource, given.get("columns"))
        resource = self._incremental(resource, given.get("incremental"))
        return self._contract(resource, given.get("schema_contract"))

    def read_definition(self, resource: Resource, node: Definition, place: Place) -> Resource:
        """The resource with what its function says: a cursor among its defaults, hints given to rows."""
        defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        for default in defaults:
            resource = self._cursor(resource, Place(default, place.scope))
        dynamic = any(_last_name(n.func) in _DYNAMIC for n in ast.walk(node) if isinstance(n, ast.Call))
        return _without(resource, HINTS) if dynamic else resource

    def _disposition(self, resource: Resource, entry: Entry | None) -> Resource:
        if entry is None:
            return resource
        if entry.place is None or not entry.certain:
            return _without(resource, {"disposition"})
        if constant := self.values.constant(entry.place):
            word = constant.value if isinstance(constant.value, str) else None
            return msgspec.structs.replace(resource, disposition=word) if word else resource
        parts = self._texts(entry.place)
        if parts is None or "disposition" not in parts or None in (parts["disposition"], parts.get("strategy", "")):
            return _without(resource, {"disposition"})
        return msgspec.structs.replace(
            resource,
            disposition=parts["disposition"],
            strategy=parts.get("strategy"),
            is_scoped="destination_scope" in parts,
        )

    def _keys(self, resource: Resource, given: Mapping[str, Entry]) -> Resource:
        for argument, hints in (("primary_key", {"key"}), ("merge_key", {"key", "merge_key"})):
            entry = given.get(argument)
            if entry is None:
                continue
            names = self._names(entry)
            if names is None:
                resource = _without(resource, hints)
            elif names:
                resource = _with_keys(resource, hints)
        return resource

    def _names(self, entry: Entry) -> bool | None:
        """Whether there is a column name; None when only running would tell."""
        if entry.place is None or not entry.certain:
            return None
        found = self.values.follow(entry.place)
        if isinstance(found.node, ast.List | ast.Tuple | ast.Set):
            return bool(found.node.elts)
        constant = self.values.constant(entry.place)
        return bool(constant.value) if constant else None

    def _columns(self, resource: Resource, entry: Entry | None) -> Resource:
        """Keys that stand at columns."""
        if entry is None:
            return resource
        found = self.values.follow(entry.place) if entry.place and entry.certain else None
        columns = _literal(found.node) if found else None
        if columns is None and not (found and _is_none(found.node)):
            return _without(resource, {"key", "merge_key", "cursor"})
        hints = columns.values() if isinstance(columns, dict) else columns if isinstance(columns, list | tuple) else ()
        for column in hints:
            if isinstance(column, dict) and column.get("primary_key"):
                resource = _with_keys(resource, {"key"})
            if isinstance(column, dict) and column.get("merge_key"):
                resource = _with_keys(resource, {"key", "merge_key"})
        return resource

    def _incremental(self, resource: Resource, entry: Entry | None) -> Resource:
        if entry is None:
            return resource
        if entry.place is None or not entry.certain:
            return _without(resource, {"cursor"})
        return self._cursor(resource, entry.place)

    def _cursor(self, resource: Resource, place: Place) -> Resource:
        """The resource with a cursor, when the expression is a `dlt.sources.incremental(…)`."""
        found = self.values.follow(place)
        node = found.node
        if not isinstance(node, ast.Call):
            return resource
        func = node.func.value if isinstance(node.func, ast.Subscript) else node.func
        if self.values.path(Place(func, found.scope)) not in INCREMENTAL:
            return resource
        given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "cursor_path")]
        path = self.values.text(Place(given[0], found.scope)) if given else None
        return msgspec.structs.replace(resource, cursor=path or "an unknown column", cursor_line=node.lineno)

    def _contract(self, resource: Resource, entry: Entry | None) -> Resource:
        if entry is None:
            return resource
        if entry.place is None or not entry.certain:
            return _without(resource, {"contract"})
        line = entry.place.node.lineno
        if constant := self.values.constant(entry.place):
            if not isinstance(constant.value, str):
                return resource
            modes: Mapping[str, str | None] | None = dict.fromkeys(CONTRACT_ENTITIES, constant.value)
        else:
            modes = self._texts(entry.place)
        if modes is None:
            return _without(resource, {"contract"})
        known = {entity: mode for entity, mode in modes.items() if mode}
        return msgspec.structs.replace(resource, contract=known, contract_line=line)

    def _texts(self, place: Place) -> dict[str, str | None] | None:
        """The entries of a dict, None for one that is no text; None when there may be others."""
        entries = self.values.entries(place)
        if UNKNOWN in entries:
            return None
        return {n: self.values.text(e.place) if e.place and e.certain else None for n, e in entries.items()}


def _without(resource: Resource, hints: Iterable[str]) -> Resource:
    return msgspec.structs.replace(resource, unknown=resource.unknown.union(hints))


def _with_keys(resource: Resource, hints: Iterable[str]) -> Resource:
    return msgspec.structs.replace(
        resource,
        has_key=resource.has_key or "key" in hints,
        has_merge_key=resource.has_merge_key or "merge_key" in hints,
    )


def _literal(node: ast.expr) -> object | None:
    try:
        found: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
