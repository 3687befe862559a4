"""What an expression amounts to: a dotted path, a constant, or the entries of a dict."""

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

from dltdoctor.world.source_scopes import Bound, Change, Scope, Scopes
from dltdoctor.world.source_secrets import Scalar

MAX_DEPTH = 20
MAX_STEPS = 500_000  # In one file.
MAX_TEXT = 10_000
# Offered by `from dlt import *` and `from dlt.destinations import *`.
_FUNCTIONS = "pipeline attach run destination destinations resource transformer source sources dataset"
_FACTORIES = (
    "athena bigquery clickhouse databricks destination dremio duckdb ducklake dummy fabric filesystem "
    "lance lancedb motherduck mssql postgres qdrant redshift snowflake sqlalchemy synapse weaviate"
)
STARRED = {"dlt": frozenset(_FUNCTIONS.split()), "dlt.destinations": frozenset(_FACTORIES.split())}
# A width such as %999999999s would fill the memory.
_SIMPLE_FORMAT = re.compile(r"(?:[^%]|%[sd%])*")
UNKNOWN = "**"


class Place(NamedTuple):
    """An expression and the scope in which its names mean something."""

    node: ast.expr
    scope: Scope


class Constant(NamedTuple):
    """A value known without running anything, and the expression that a user would edit."""

    value: Scalar
    node: ast.expr


class Entry(NamedTuple):
    """An argument or a dict's entry; `certain` is false when another value may be there instead."""

    name: str
    place: Place | None
    certain: bool = True


class Values:
    """Reads the expressions of one file."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self._left = MAX_STEPS

    def _is_spent(self, depth: int) -> bool:
        """True when an expression leads in a circle, or doubles itself at every name."""
        self._left -= 1
        return depth > MAX_DEPTH or self._left < 0

    def follow(self, place: Place) -> Place:
        """The expression behind names assigned once, `self.` attributes and one-line functions."""
        for _ in range(MAX_DEPTH):
            behind = self._behind(place)
            if behind is None:
                return place
            place = behind
        return place

    def path(self, place: Place, depth: int = 0) -> str | None:
        """The dotted path of an imported name, e.g. "dlt.destinations.postgres"."""
        node, scope = place
        if self._is_spent(depth):
            return None
        if isinstance(node, ast.Attribute):
            base = self.path(Place(node.value, scope), depth + 1)
            if base is not None:
                return f"{base}.{node.attr}"
        elif isinstance(node, ast.Name):
            found = scope.lookup(node.id)
            if found is None:
                return _starred(node.id, scope)
            paths = {bound.path for bound in found[1] if bound.path}
            if paths:  # The `except ImportError` arm that binds None does not count.
                return paths.pop() if len(paths) == 1 else None
        behind = None if isinstance(node, ast.Call) else self._behind(place)
        return self.path(behind, depth + 1) if behind else None

    def constant(self, place: Place, depth: int = 0) -> Constant | None:
        """The value of a constant, a name for one, or a text put together from such."""
        if self._is_spent(depth):
            return None
        node, scope = place
        match node:
            case ast.Constant(value=value):
                return _scalar(value, node)
            case ast.JoinedStr():
                text = self._joined(node, scope, depth)
                return _scalar(text, node) if text is not None else None
            case ast.BinOp(op=ast.Add() | ast.Mod()):
                return self._combined(node, scope, depth)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return _scalar(-number, node)
        behind = None if isinstance(node, ast.Call) else self._behind(place)
        return self.constant(behind, depth + 1) if behind else None

    def text(self, place: Place) -> str | None:
        found = self.constant(place)
        return found.value if found and isinstance(found.value, str) else None

    def entries(self, place: Place, depth: int = 0) -> dict[str, Entry]:
        """The entries of a `**` argument; one named "**" says that there may be more."""
        node, scope = place
        if self._is_spent(depth):
            return _unknown(place)
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = [(Place(k, scope) if k else None, Place(v, scope)) for k, v in zip(keys, values, strict=True)]
                return self._display(pairs, depth)
            case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
                given = [Place(argument, scope) for argument in args]
                found = _merged(self.entries(place, depth + 1) for place in given)
                return _merged([found, self.keywords(keywords, scope, depth)])
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return _merged(self.entries(Place(side, scope), depth + 1) for side in (left, right))
            case ast.Name(id=name):
                return self._named(name, place, depth)
        behind = self._behind(place)
        return self.entries(behind, depth + 1) if behind else _unknown(place)

    def keywords(self, keywords: Iterable[ast.keyword], scope: Scope, depth: int = 0) -> dict[str, Entry]:
        """The keyword arguments of a call, `**` arguments among them."""
        found: dict[str, Entry] = {}
        for keyword in keywords:
            value = Place(keyword.value, scope)
            if keyword.arg is None:
                found |= self.entries(value, depth + 1)
            else:
                found[keyword.arg] = Entry(keyword.arg, value)
        return found

    def _behind(self, place: Place) -> Place | None:
        node, scope = place
        match node:
            case ast.Name(id=name):
                return _single(scope.lookup(name))
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return Place(value, scope)
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                return self._attribute(owner, attribute, scope)
            case ast.Call(func=ast.Name(id=name)):
                return self._returned(scope.lookup(name))
        return None

    def _attribute(self, owner: str, attribute: str, scope: Scope) -> Place | None:
        inside = scope.class_scope
        if owner not in ("self", "cls"):
            found = scope.lookup(owner)
            definition = found[1][0].node if found and len(found[1]) == 1 else None
            inside = self.scopes.inside(definition) if isinstance(definition, ast.ClassDef) else None
        if inside is None:
            return None
        bound = [*inside.bound.get(f".{attribute}", []), *inside.bound.get(attribute, [])]
        return _single((inside, bound))

    def _returned(self, found: tuple[Scope, list[Bound]] | None) -> Place | None:
        definition = found[1][0].node if found and len(found[1]) == 1 else None
        if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)) or definition.decorator_list:
            return None
        returns = [n for n in ast.walk(definition) if isinstance(n, ast.Return)]
        inside = self.scopes.inside(definition)
        if len(returns) != 1 or returns[0].value is None or inside is None:
            return None
        return Place(returns[0].value, inside)

    def _joined(self, node: ast.JoinedStr, scope: Scope, depth: int) -> str | None:
        parts = []
        for part in node.values:
            inner = part
            if isinstance(part, ast.FormattedValue):
                if part.format_spec is not None or part.conversion not in (-1, ord("s")):
                    return None
                inner = part.value
            found = self.constant(Place(inner, scope), depth + 1)
            if found is None:
                return None
            parts.append(str(found.value))
        return "".join(parts)

    def _combined(self, node: ast.BinOp, scope: Scope, depth: int) -> Constant | None:
        left = self.constant(Place(node.left, scope), depth + 1)
        if left is None or not isinstance(left.value, str):
            return None
        elements = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        right = [self.constant(Place(element, scope), depth + 1) for element in elements]
        values = tuple(r.value for r in right if r is not None)
        if len(values) != len(right):
            return None
        if isinstance(node.op, ast.Add):
            return _scalar(left.value + values[0], node) if isinstance(values[0], str) else None
        return _formatted(left.value, values, node)

    def _display(self, pairs: list[tuple[Place | None, Place]], depth: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for key, value in pairs:
            name = self.text(key) if key else None
            more = self.entries(value, depth + 1) if key is None else _unknown(value)
            found = _merged([found, {name: Entry(name, value)} if name else more])
        return found

    def _named(self, name: str, place: Place, depth: int) -> dict[str, Entry]:
        owner = place.scope.lookup(name)
        behind = _single(owner)
        if owner is None or behind is None:
            return _unknown(place)
        found = self.entries(behind, depth + 1)
        mine = [c for c in self.scopes.changes.get(name, []) if c.scope.lookup(name) == owner]
        if any(change.key is None for change in mine):
            return _merged([found, _unknown(place)])
        for key in dict.fromkeys(change.key for change in mine if change.key):
            found[key] = _changed(key, found.get(key), [c for c in mine if c.key == key], place, owner[0])
        return found


def _changed(key: str, before: Entry | None, changes: list[Change], use: Place, owner: Scope) -> Entry:
    """The entry after `name[key] = …`: certain when one such line, always run, precedes the use."""
    last = changes[-1]
    value = Place(last.node, last.scope) if last.node else None
    precedes = last.scope is owner and last.straight and last.line < use.node.lineno
    certain = before is None and len(changes) == 1 and precedes and value is not None
    return Entry(key, value, certain=certain)


def _merged(parts: Iterable[dict[str, Entry]]) -> dict[str, Entry]:
    """Entries one after the other: a later one replaces, an unknown one makes the earlier uncertain."""
    merged: dict[str, Entry] = {}
    for part in parts:
        if UNKNOWN in part:
            merged = {name: entry._replace(certain=False) for name, entry in merged.items()}
        merged |= part
    return merged


def _unknown(place: Place) -> dict[str, Entry]:
    return {UNKNOWN: Entry(UNKNOWN, place, certain=False)}


def _single(found: tuple[Scope, list[Bound]] | None) -> Place | None:
    """The expression of a name that is bound exactly once, by an assignment."""
    if found is None or len(found[1]) != 1:
        return None
    bound = found[1][0]
    return Place(bound.node, bound.scope or found[0]) if isinstance(bound.node, ast.expr) else None


def _starred(name: str, scope: Scope) -> str | None:
    stars = scope.module.stars
    return next((f"{m}.{name}" for m in stars if name in STARRED.get(m, ())), None)


def _formatted(layout: str, values: tuple[Scalar, ...], node: ast.expr) -> Constant | None:
    if not _SIMPLE_FORMAT.fullmatch(layout):
        return None
    try:
        return _scalar(layout % values, node)
    except (TypeError, ValueError):
        return None


def _scalar(value: object, node: ast.expr) -> Constant | None:
    if isinstance(value, str):
        # A lone surrogate could not be written as JSON; a text built by doubling could fill the memory.
        text = value.encode("utf-8", "replace").decode("utf-8")
        return Constant(text, node) if len(text) <= MAX_TEXT else None
    if isinstance(value, int) and abs(value) >= 2**63:
        return None
    return Constant(value, node) if value is None or isinstance(value, (bool, int, float)) else None
