"""Which calls of a Python file take place on every run of it, as far as reading can tell.

Nothing is run. Whatever stands in an `if`, an `except`, a lambda or after an early return is left out; only
the usual `if __name__ == "__main__"` counts as always true.
"""

import ast
from collections.abc import Iterator, Sequence

from dltdoctor.snapshot.source import Reached
from dltdoctor.world.source_scopes import Definition

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_CONDITIONAL = (ast.Lambda, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_EXITS = frozenset({"exit", "quit", "_exit"})


class Flow:
    """The calls of a file that are reached, told apart by the identity of their nodes."""

    def __init__(self, tree: ast.Module) -> None:
        everything = [node for node in ast.walk(tree) if isinstance(node, _DEFINITIONS)]
        self._defined: dict[str, Definition | None] = {}
        for node in everything:
            self._defined[node.name] = None if node.name in self._defined else node
        self._always: set[int] = set()
        self._follow(tree.body)
        called = {
            name for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute) for name in _names(node)
        }
        self._if_called: set[int] = set()
        for node in everything:
            if node.name not in called:
                self._if_called.update(id(call) for call in _calls(node.body))

    def of(self, call: ast.Call) -> Reached:
        """How sure it is that this call takes place."""
        if id(call) in self._always:
            return "always"
        return "if-called" if id(call) in self._if_called else "perhaps"

    def _follow(self, body: Sequence[ast.stmt]) -> None:
        """Note the calls of a block, and those of the functions that it calls."""
        waiting, entered = [body], set[str]()
        while waiting:
            for call in _calls(waiting.pop()):
                self._always.add(id(call))
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                found = self._defined.get(name)
                if found is not None and name not in entered:
                    entered.add(name)
                    waiting.append(found.body)


def _names(node: ast.Name | ast.Attribute) -> Iterator[str]:
    if isinstance(node.ctx, ast.Load):
        yield node.id if isinstance(node, ast.Name) else node.attr


def _calls(body: Sequence[ast.stmt]) -> Iterator[ast.Call]:
    """The calls of a block that take place whenever it is entered."""
    for statement in body:
        if isinstance(statement, (*_DEFINITIONS, ast.ClassDef)):
            continue
        if isinstance(statement, ast.If | ast.Match):
            if isinstance(statement, ast.If) and _is_main(statement.test):
                yield from _calls(statement.body)
        elif isinstance(statement, (*_LOOPS, ast.With, ast.AsyncWith)):
            yield from _calls(statement.body)
        elif isinstance(statement, ast.Try):
            yield from _calls([*statement.body, *statement.orelse, *statement.finalbody])
        else:
            yield from _in_expressions(statement)
        if _may_leave(statement):
            return


def _in_expressions(node: ast.AST) -> Iterator[ast.Call]:
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, _CONDITIONAL):
            continue
        if isinstance(found, ast.Call):
            yield found
        waiting.extend(ast.iter_child_nodes(found))


def _is_main(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
    return False


def _may_leave(statement: ast.stmt) -> bool:
    """True when the statements after this one may be skipped by something in it."""
    if isinstance(statement, (*_DEFINITIONS, ast.ClassDef)):
        return False
    leaving = ast.Return if isinstance(statement, _LOOPS) else (ast.Return, ast.Continue, ast.Break)
    for node in ast.walk(statement):
        if isinstance(node, leaving):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _EXITS:
                return True
    return False
