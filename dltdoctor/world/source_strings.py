"""Where a Python file names a staging dataset: in SQL, or where a library is told a schema."""

import ast
import re
from itertools import islice

from dltdoctor.snapshot import TextReference
from dltdoctor.world.source_scopes import Scope
from dltdoctor.world.source_text import HOLE, MAX_HITS, Hit, Names, reference
from dltdoctor.world.source_values import Place, Values

# What dlt is told is no reader: checks look at these arguments themselves.
_TOLD_TO_DLT = frozenset({"staging_dataset_name_layout", "dataset_name", "dataset_name_layout", "staging"})
_LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "echo"})
_TABLE_METHODS = frozenset({"table", "from_", "from"})
_TABLE_ARGUMENTS = frozenset({"table", "table_name", "name"})


class StringReader:
    """Finds the references of one Python file."""

    def __init__(self, file: str, lines: list[str], values: Values, names: Names) -> None:
        self.file = file
        self.lines = lines
        self.values = values
        self.names = names
        self._ignored: set[int] = set()
        self._found: dict[tuple[int, str, str | None], Hit] = {}

    def references(self) -> tuple[TextReference, ...]:
        """Every reference, in the order of lines."""
        scopes = self.values.scopes
        for node in ast.walk(scopes.tree):
            self._ignore(node)
        for call, scope in scopes.calls:
            if id(call) not in self._ignored:
                self._call(call, scope)
        for node, scope in scopes.texts:
            if isinstance(node, ast.Dict):
                self._dict(node, scope)
            elif id(node) not in self._ignored:
                self._string(node, scope)
        ordered = sorted(self._found, key=lambda found: found[0])
        hits = [(line, self._found[line, schema, table]) for line, schema, table in ordered]
        return tuple(reference(self.file, line, hit, self._line(line)) for line, hit in hits)

    def _ignore(self, node: ast.AST) -> None:
        """Docstrings and other bare texts, messages, and what is told to dlt."""
        match node:
            case ast.Expr(value=ast.Constant() | ast.JoinedStr() as text):
                self._ignored.add(id(text))
            case ast.Raise() | ast.Assert(msg=ast.expr()):
                self._ignore_all(node.msg if isinstance(node, ast.Assert) and node.msg else node)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _LOGGING:
                self._ignore_all(node)
            case ast.keyword(arg=str(name), value=value) if name in _TOLD_TO_DLT:
                self._ignore_all(value)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in _TOLD_TO_DLT:
                        self._ignore_all(value)
            case ast.JoinedStr(values=parts):
                self._ignored.update(id(part) for part in parts)

    def _ignore_all(self, node: ast.AST) -> None:
        self._ignored.update(id(inner) for inner in ast.walk(node))

    def _string(self, node: ast.Constant | ast.JoinedStr, scope: Scope) -> None:
        text = self._shown(node, scope)
        if self.names.may_be_in(text.encode("utf-8", "replace")):
            for hit in islice(self.names.in_string(text), MAX_HITS):
                self._add(node, hit)

    def _shown(self, node: ast.Constant | ast.JoinedStr, scope: Scope) -> str:
        """The text of a string; what an f-string computes is a hole that no name can span."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        inner = (part.value if isinstance(part, ast.FormattedValue) else part for part in node.values)
        texts = (self.values.text(Place(part, scope)) for part in inner)
        return "".join(HOLE if text is None else text for text in texts)

    def _call(self, call: ast.Call, scope: Scope) -> None:
        if (hit := self._schema_method(call, scope)) or (hit := self._schema_keyword(call, scope)):
            self._add(call, hit)
        if isinstance(call.func, (ast.Attribute, ast.Name)) and _name(call.func) == "Identifier":
            texts = [self.values.text(Place(argument, scope)) for argument in call.args]
            if len(texts) > 1 and texts[0] and self.names.is_staging(texts[0]):
                self._add(call, Hit(0, texts[0], texts[1]))

    def _schema_method(self, call: ast.Call, scope: Scope) -> Hit | None:
        """`client.schema("x_staging").table("t")`, or the first half alone."""
        match call.func:
            case ast.Attribute(attr="schema"):
                schema = self._first(call, scope)
                return Hit(0, schema, None) if schema and self.names.is_staging(schema) else None
            case ast.Attribute(attr=method, value=ast.Call(func=ast.Attribute(attr="schema")) as inner) if (
                method in _TABLE_METHODS
            ):
                half = self._schema_method(inner, scope)
                if half is not None:
                    self._ignored.add(id(inner))
                    return half._replace(table=self._first(call, scope))
        return None

    def _schema_keyword(self, call: ast.Call, scope: Scope) -> Hit | None:
        """`read_sql_table("t", connection, schema="x_staging")` and its like."""
        given = {k.arg: self.values.text(Place(k.value, scope)) for k in call.keywords if k.arg}
        schema = given.get("schema")
        if not schema or not self.names.is_staging(schema):
            return None
        named = next((given[name] for name in _TABLE_ARGUMENTS if given.get(name)), None)
        return Hit(0, schema, named or self._first(call, scope))

    def _dict(self, node: ast.Dict, scope: Scope) -> None:
        """`__table_args__ = {"schema": "x_staging"}`."""
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "schema" and id(value) not in self._ignored:
                schema = self.values.text(Place(value, scope))
                if schema and self.names.is_staging(schema):
                    self._add(value, Hit(0, schema, None))

    def _first(self, call: ast.Call, scope: Scope) -> str | None:
        text = self.values.text(Place(call.args[0], scope)) if call.args else None
        return text if text and re.fullmatch(r"[\w$]+", text) else None

    def _add(self, node: ast.expr, hit: Hit) -> None:
        if HOLE not in hit.schema and len(self._found) < MAX_HITS:
            self._found.setdefault((self._line_of(node, hit), hit.schema, hit.table), hit)

    def _line_of(self, node: ast.expr, hit: Hit) -> int:
        """The line within the expression on which the schema stands, else the first."""
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        wanted = [n for n in lines if hit.schema in self._line(n)]
        both = [n for n in wanted if hit.table and hit.table in self._line(n)]
        return next(iter(both or wanted), node.lineno)

    def _line(self, number: int) -> str:
        return self.lines[number - 1] if number <= len(self.lines) else ""


def _name(func: ast.Attribute | ast.Name) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id
