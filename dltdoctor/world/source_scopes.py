"""Which expression each name of a Python file stands for, as far as reading can tell.

A name counts only where exactly one assignment in its scope gives it a value; parameters, loop
variables and everything assigned twice are unknown. Nothing is run.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

Definition = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNCONDITIONAL = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.With, ast.AsyncWith)
_MUTATORS = frozenset({"update", "setdefault", "pop", "popitem", "clear"})


class Bound(NamedTuple):
    """One binding of a name: an import (`path`), a definition or assignment (`node`), or unknown.

    `scope` is where the assignment stands, and so where the names in `node` mean something.
    """

    path: str | None = None
    node: ast.expr | Definition | ast.ClassDef | None = None
    scope: "Scope | None" = None


class Change(NamedTuple):
    """A change of what a name holds: `name[key] = node`. `key` is None when any key may change.

    `straight` is false when the change may be skipped, because it stands in an `if` or a loop.
    """

    scope: "Scope"
    key: str | None
    node: ast.expr | None
    line: int
    straight: bool


class Scope:
    """A module, class or function body, or a comprehension, with the names bound in it."""

    __slots__ = ("bound", "elsewhere", "kind", "parent", "stars")

    def __init__(self, kind: str, parent: "Scope | None") -> None:
        self.kind = kind
        self.parent = parent
        self.bound: dict[str, list[Bound]] = {}
        self.elsewhere: dict[str, Scope] = {}
        self.stars: list[str] = []

    def bind(self, name: str, bound: Bound) -> None:
        owner = self.elsewhere.get(name, self)
        owner.bound.setdefault(name, []).append(bound)

    def lookup(self, name: str) -> "tuple[Scope, list[Bound]] | None":
        """The scope that binds the name, as Python would find it, and its bindings there."""
        scope: Scope | None = self.elsewhere.get(name, self)
        first = True
        while scope is not None:
            if name in scope.bound and (first or scope.kind != "class"):
                return scope, scope.bound[name]
            scope, first = scope.parent, False
        return None

    @property
    def class_scope(self) -> "Scope | None":
        """The class around this code, where `self` leads."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "class":
            scope = scope.parent
        return scope

    @property
    def module(self) -> "Scope":
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


class Step(NamedTuple):
    node: ast.AST
    scope: Scope
    straight: bool


class Scopes:
    """The scopes of a file, and its calls, strings and dicts in the order in which they stand."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.module = Scope("module", None)
        self.calls: list[tuple[ast.Call, Scope]] = []
        self.texts: list[tuple[ast.Constant | ast.JoinedStr | ast.Dict, Scope]] = []
        self.changes: dict[str, list[Change]] = {}
        self.inner: dict[int, Scope] = {}
        # A stack of our own: a generated file may nest deeper than Python's.
        steps = [Step(tree, self.module, straight=True)]
        while steps:
            step = steps.pop()
            self._note(step)
            steps.extend(reversed(list(self._children(step))))

    def inside(self, node: ast.AST) -> Scope | None:
        """The scope that a function or class definition opens."""
        return self.inner.get(id(node))

    def _children(self, step: Step) -> Iterator[Step]:
        node, scope, straight = step
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield from self._definition(node, step)
            return
        if isinstance(node, _COMPREHENSIONS):
            scope = Scope("function", scope)
        if isinstance(node, ast.stmt) and not isinstance(node, _UNCONDITIONAL):
            # What a plain statement holds is as unconditional as itself; a block's is not.
            straight = straight and not hasattr(node, "body") and not hasattr(node, "cases")
        for child in ast.iter_child_nodes(node):
            yield Step(child, scope, straight)

    def _definition(self, node: Definition | ast.Lambda | ast.ClassDef, step: Step) -> Iterator[Step]:
        inner = Scope("class" if isinstance(node, ast.ClassDef) else "function", step.scope)
        self.inner[id(node)] = inner
        if isinstance(node, ast.ClassDef):
            outside: list[ast.AST] = [*node.decorator_list, *node.bases, *node.keywords]
        else:
            _bind_parameters(node.args, inner)
            outside = [node.args] if isinstance(node, ast.Lambda) else [*node.decorator_list, node.args]
        for child in outside:
            yield Step(child, step.scope, step.straight)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        for child in body:
            yield Step(child, inner, straight=True)

    def _note(self, step: Step) -> None:  # noqa: C901, PLR0912 - one arm per kind of binding
        node, scope, _ = step
        match node:
            case ast.Call():
                self.calls.append((node, scope))
                self._note_mutator(node, step)
            case ast.Constant(value=str()) | ast.JoinedStr() | ast.Dict():
                self.texts.append((node, scope))
            case ast.Import() | ast.ImportFrom():
                _bind_import(node, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                scope.bind(node.name, Bound(node=node))
            case ast.Assign():
                for target in node.targets:
                    self._assign(target, node.value, step)
            case ast.AnnAssign(value=ast.expr() as value):
                self._assign(node.target, value, step)
            case ast.NamedExpr():
                self._assign(node.target, node.value, step)
            case ast.AugAssign():
                # Twice unknown: whatever the name was before, it is not that any more.
                self._assign(node.target, None, step)
                self._assign(node.target, None, step)
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                self._assign(node.target, None, step)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._assign(target, None, step)
            case ast.Delete():
                for target in node.targets:
                    self._assign(target, None, step)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                scope.bind(name, Bound())
            case ast.MatchMapping(rest=str(name)):
                scope.bind(name, Bound())
            case ast.Global():
                scope.elsewhere.update(dict.fromkeys(node.names, scope.module))
            case ast.Nonlocal():
                _bind_nonlocal(node.names, scope)

    def _assign(self, target: ast.expr, value: ast.expr | None, step: Step) -> None:
        scope = step.scope
        match target:
            case ast.Name(id=name):
                scope.bind(name, Bound(node=value, scope=scope))
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attribute) if scope.class_scope:
                scope.class_scope.bind(f".{attribute}", Bound(node=value, scope=scope))
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                known = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
                change = Change(scope, known, value, target.lineno, step.straight)
                self.changes.setdefault(name, []).append(change)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value, step)
            case ast.Starred(value=inner):
                self._assign(inner, None, step)

    def _unpack(self, targets: list[ast.expr], value: ast.expr | None, step: Step) -> None:
        same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(targets)
        starred = any(isinstance(target, ast.Starred) for target in targets)
        values = value.elts if same and not starred and isinstance(value, (ast.Tuple, ast.List)) else None
        for index, target in enumerate(targets):
            self._assign(target, values[index] if values else None, step)

    def _note_mutator(self, node: ast.Call, step: Step) -> None:
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if method in _MUTATORS:
                change = Change(step.scope, None, None, node.lineno, step.straight)
                self.changes.setdefault(name, []).append(change)


def _bind_parameters(arguments: ast.arguments, scope: Scope) -> None:
    everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    everything += [a for a in (arguments.vararg, arguments.kwarg) if a]
    for argument in everything:
        scope.bind(argument.arg, Bound())


def _bind_import(node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            path = alias.name if alias.asname else top
            scope.bind(alias.asname or top, Bound(path=path))
        return
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name == "*":
            scope.stars.append(module)
        else:
            scope.bind(alias.asname or alias.name, Bound(path=f"{module}.{alias.name}"))


def _bind_nonlocal(names: list[str], scope: Scope) -> None:
    for name in names:
        found = scope.parent.lookup(name) if scope.parent else None
        if found:
            scope.elsewhere[name] = found[0]
