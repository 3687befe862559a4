"""One argument of a call in Python source removed or replaced; every other byte stays as it is.

The argument may stand in the call, in a `**` literal or in a dict that is only used through `**`. The new
text is parsed again: its syntax tree is the old one without that argument, and the reader of source
that the diagnosis uses sees the same calls without it.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Call
from dltdoctor.world.edit_brackets import Brackets, Span, Text
from dltdoctor.world.source_calls import CallReader
from dltdoctor.world.source_scopes import Scopes
from dltdoctor.world.source_values import Entry, Place, Values

RESOURCE = frozenset({"dlt.resource", "dlt.extract.resource", "dlt.extract.decorators.resource"})
_UNREADABLE = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, tokenize.TokenError)
_BREAK = re.compile(r"\r\n|\r|\n")


class Decoration(NamedTuple):
    """A `dlt.resource` call: names that it may give its table, and its write disposition as spelled."""

    ordinal: int
    line: int
    names: frozenset[str]
    disposition: str | None


class _Reader(CallReader):
    """A reader that remembers which node each call was made of."""

    def __init__(self, file: str, lines: list[str], values: Values) -> None:
        super().__init__(file, lines, values)
        self.nodes: list[tuple[ast.Call, int, str]] = []

    def _call(self, function: str, node: ast.Call, given: Mapping[str, Entry], destination: Call | None = None) -> Call:
        call = super()._call(function, node, given, destination)
        self.nodes.append((node, call.line, call.function))
        return call


class Program:
    """A Python file that can be edited. Raises `RefusedError` when it cannot be parsed.

    Calls are told apart by their ordinal among all calls of the file, which an edit does not change.
    """

    def __init__(self, content: bytes, file: str) -> None:
        self.content = content
        self.file = file
        try:
            self.encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
            self.text = content.decode(self.encoding)
            self.tree = _parsed(self.text)
            self.values = Values(Scopes(self.tree))
            self._positions = Text(self.text)
        except _UNREADABLE as error:
            line = getattr(error, "lineno", None)
            raise self._refused(f"cannot be read: {error}", line) from None
        if self.text.encode(self.encoding) != content:
            raise self._refused(f"cannot be written back byte for byte in {self.encoding}")

    # ------------------------------------------------------------------------------ what is in it

    def calls(self) -> tuple[Call, ...]:
        """The dlt calls, as the diagnosis sees them."""
        return self._reader().calls()

    def ordinals(self, call: Call) -> tuple[int, ...]:
        """Which calls of the file this one is; several when one line holds several of its kind."""
        reader = self._reader()
        reader.calls()
        nodes = {id(node) for node, line, function in reader.nodes if (line, function) == (call.line, call.function)}
        return tuple(i for i, (node, _) in enumerate(self.values.scopes.calls) if id(node) in nodes)

    def decorations(self) -> Iterator[Decoration]:
        """Every resource that the file makes with `dlt.resource`."""
        decorated = {
            id(decorator): node.name
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for decorator in node.decorator_list
        }
        for ordinal, (node, scope) in enumerate(self.values.scopes.calls):
            if self.values.path(Place(node.func, scope)) not in RESOURCE:
                continue
            entries = self.values.keywords(node.keywords, scope)
            own = self._text(entries.get("name")) if "name" in entries else decorated.get(id(node))
            names = {name for name in (own, self._text(entries.get("table_name"))) if name}
            yield Decoration(ordinal, node.lineno, frozenset(names), self.spelled(ordinal, "write_disposition"))

    def spelled(self, ordinal: int, argument: str) -> str | None:
        """The expression of an argument, as it stands in the text."""
        entry = self._entries(ordinal).get(argument)
        return ast.get_source_segment(self.text, entry.place.node) if entry and entry.place else None

    def text_of(self, ordinal: int, argument: str) -> str | None:
        """The value of an argument, when it is a text known without running anything."""
        return self._text(self._entries(ordinal).get(argument))

    def has(self, ordinal: int, argument: str) -> bool:
        return argument in self._entries(ordinal)

    # ---------------------------------------------------------------------------------- the edits

    def without(self, ordinal: int, argument: str) -> bytes:
        """The file without the argument. Raises `RefusedError` when that is not all that would change."""
        value = self._value(ordinal, argument)
        holder = self._holder(value)
        if isinstance(holder, ast.Assign):
            stretch = self._statement(holder)
        else:
            outer = self._unpacked_in(holder) if isinstance(holder, ast.Dict) and len(holder.keys) == 1 else None
            inner = value if outer is None else holder
            holder = outer or holder
            stretch = self._item(holder, inner)
        tree = _parsed(self.text)
        _drop(tree, _position(holder), _position(value))
        return self._checked(stretch, "", tree, argument)

    def with_value(self, ordinal: int, argument: str, source: str) -> bytes:
        """The file with another expression for the argument, where it is passed."""
        value = self._value(ordinal, argument)
        self._holder(value)
        tree = _parsed(self.text)
        _exchange(tree, _position(value), ast.parse(source, mode="eval").body)
        return self._checked(self._span(value), source, tree, argument)

    def _checked(self, stretch: Span, instead: str, tree: ast.AST, argument: str) -> bytes:
        text = self.text[: stretch.start] + instead + self.text[stretch.end :]
        try:
            new = Program(text.encode(self.encoding), self.file)
            same = ast.dump(new.tree) == ast.dump(tree)
        except (RefusedError, UnicodeEncodeError, RecursionError):
            same = False
        if not same:
            raise self._refused(f"{argument} cannot be changed without touching something else")
        return new.content

    def _value(self, ordinal: int, argument: str) -> ast.expr:
        entry = self._entries(ordinal).get(argument)
        line = self.values.scopes.calls[ordinal][0].lineno
        if entry is None or entry.place is None or not entry.certain:
            raise self._refused(f"{argument} is not passed by name, or something else may take its place", line)
        return entry.place.node

    def _entries(self, ordinal: int) -> dict[str, Entry]:
        node, scope = self.values.scopes.calls[ordinal]
        return self.values.keywords(node.keywords, scope)

    def _text(self, entry: Entry | None) -> str | None:
        return self.values.text(entry.place) if entry and entry.place and entry.certain else None

    def _reader(self) -> _Reader:
        return _Reader(self.file, _BREAK.split(self.text), self.values)

    def _holder(self, value: ast.expr) -> ast.Call | ast.Dict | ast.Assign:
        """What the value is an item of; a dict with a name must be used through `**` and nowhere else."""
        parents = {id(child): node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        holder = parents.get(id(value))
        if isinstance(holder, ast.keyword):
            holder = parents.get(id(holder))
        if not isinstance(holder, (ast.Call, ast.Dict, ast.Assign)):
            raise self._refused("the argument is put together in a way that cannot be edited", value.lineno)
        outer = parents.get(id(holder))
        named = outer if isinstance(outer, (ast.Assign, ast.AnnAssign)) else None
        if named is not None and _is_display(holder):
            self._refuse_other_uses(named.targets if isinstance(named, ast.Assign) else [named.target], parents)
        elif isinstance(holder, ast.Assign):
            self._refuse_other_uses([t.value for t in holder.targets if isinstance(t, ast.Subscript)], parents)
        elif _is_display(holder) and not isinstance(outer, ast.keyword):
            raise self._refused("the argument stands in a dict that may be used elsewhere, too", value.lineno)
        return holder

    def _refuse_other_uses(self, targets: list[ast.expr], parents: Mapping[int, ast.AST]) -> None:
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if len(names) != len(targets):
            raise self._refused("the argument stands in a dict that may be used elsewhere, too", targets[0].lineno)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
                outer = parents.get(id(node))
                is_unpacked = isinstance(outer, ast.keyword) and outer.arg is None
                is_changed = isinstance(outer, ast.Subscript) and isinstance(outer.ctx, ast.Store)
                if not (is_unpacked or is_changed):
                    raise self._refused(f"{node.id} is used for something else, too", node.lineno)

    def _unpacked_in(self, inner: ast.Dict) -> ast.Call | None:
        """The call to which this dict literal is given through `**`."""
        for call, _ in self.values.scopes.calls:
            if any(k.arg is None and k.value is inner for k in call.keywords):
                return call
        return None

    def _item(self, holder: ast.Call | ast.Dict, value: ast.expr) -> Span:
        within = self._positions.brackets_closing_at(self._span(holder).end)
        start = self._span(value).start
        index = next((i for i, item in enumerate(_items(within)) if item.start <= start < item.end), None)
        if within is None or index is None:
            raise self._refused("the argument was not found in the text", value.lineno)
        return self._positions.cut(within, index)

    def _statement(self, node: ast.Assign) -> Span:
        """The lines of a statement that stands alone on them, and not alone in its block."""
        span = self._span(node)
        lines = self._positions.own_lines(span.start, span.end)
        if lines is None:
            raise self._refused("the statement shares its line with another", node.lineno)
        return lines

    def _span(self, node: ast.expr | ast.stmt) -> Span:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        at = self._positions.at_byte
        return Span(at(node.lineno, node.col_offset), at(end_line, end_column))

    def _refused(self, message: str, line: int | None = None) -> RefusedError:
        where = f"{self.file}:{line}" if line else self.file
        return RefusedError(f"{where}: {message}", "Edit the file by hand; nothing was changed.")


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # An invalid escape in the user's code is not our news.
        return ast.parse(text)


def _items(within: Brackets | None) -> Iterator[Span]:
    return (item.span for item in within.items) if within else iter(())


def _is_display(node: ast.AST) -> bool:
    """True for a dict literal and for `dict(…)`."""
    is_dict_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
    return isinstance(node, ast.Dict) or is_dict_call


def _position(node: ast.expr | ast.stmt) -> tuple[str, int, int, int | None, int | None]:
    return type(node).__name__, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _is_at(node: ast.AST, position: tuple[object, ...]) -> bool:
    return isinstance(node, (ast.expr, ast.stmt)) and _position(node) == position


def _holds(node: ast.AST, position: tuple[object, ...]) -> bool:
    return any(_is_at(inner, position) for inner in ast.walk(node))


def _drop(tree: ast.AST, holder: tuple[object, ...], value: tuple[object, ...]) -> None:
    """Take the item that holds the value out of the syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_at(node, holder):
            node.keywords = [k for k in node.keywords if not _holds(k.value, value)]
        elif isinstance(node, ast.Dict) and _is_at(node, holder):
            kept = [(k, v) for k, v in zip(node.keys, node.values, strict=True) if not _is_at(v, value)]
            node.keys, node.values = [k for k, _ in kept], [v for _, v in kept]
        elif (body := getattr(node, "body", None)) and isinstance(body, list):
            node.body = [s for s in body if not _is_at(s, holder)]  # type: ignore[attr-defined]


def _exchange(tree: ast.AST, position: tuple[object, ...], value: ast.expr) -> None:
    class _Exchange(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return value if _is_at(node, position) else super().generic_visit(node)

    _Exchange().visit(tree)
