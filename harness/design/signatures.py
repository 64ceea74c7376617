"""What a class or function of the user's takes, told from syntax trees as Python tells it when it runs.

What cannot be told is refused, never guessed: a plan that thinks a part takes less than it does would give cells that
differ the same run. What a library's class takes is not known here; `data.own_code` compares it once it is imported.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.design.syntax import base_of, package_of, statements, stored_names

Definition = ast.ClassDef | ast.FunctionDef

_WITHOUT_INIT = frozenset({"object", "ABC", "Generic", "Protocol"})
"""Library bases that leave `__init__` to the others."""

_HARMLESS_DECORATORS = frozenset({
    "dataclass", "final", "override", "cache", "lru_cache", "total_ordering", "runtime_checkable", "no_grad",
    "inference_mode", "enable_grad", "staticmethod",
})  # fmt: skip
"""Library decorators after which a class or function takes what it says."""


class UntoldError(Exception):
    """What a part takes cannot be told from its text. path, line: where, path as in the modules."""

    def __init__(self, path: str, line: int, what: str, remedy: str) -> None:
        self.path, self.line, self.what, self.remedy = path, line, what, remedy
        super().__init__(what)


@dataclass(frozen=True)
class Own:
    """A class or function of the user's."""

    path: str
    node: Definition


@dataclass(frozen=True)
class _Module:
    """A module or package of the user's, by the parts of its name."""

    name: tuple[str, ...]


@dataclass(frozen=True)
class _Foreign:
    """Something that is neither: of a library, of Python's own, or a mere value."""

    name: str

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class _Unclear:
    """Something in the user's files whose meaning is settled only when they run."""

    path: str
    line: int
    what: str


_Meaning = Own | _Module | _Foreign | _Unclear
_Seen = frozenset[tuple[int, str, float]]


def part_parameters(modules: Mapping[str, ast.Module], path: str, name: str) -> tuple[str, ...] | None:
    """Names that may be given to the class or function `name` of the module `path`; None where it has no such.

    `**kwargs` takes none. Followed through own imports, renaming and base classes. Raises UntoldError.
    """
    names = _Names(modules)
    match names.last(path, modules[path].body, name):
        case Own(node=ast.ClassDef()) as own:
            return names.class_parameters(own)
        case Own(node=ast.FunctionDef() as node) as own:
            names.refuse_unknown_decorators(own)
            return parameters(node.args)
        case _Unclear() as unclear:
            raise UntoldError(unclear.path, unclear.line, unclear.what, f"Define {name} once, as a class or function.")
    return None


def defined_names(module: ast.Module) -> list[str]:
    """Classes and functions that a module defines, in its order."""
    found = [node.name for node, _ in statements(module.body) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return list(dict.fromkeys(found))


def parameters(arguments: ast.arguments) -> tuple[str, ...]:
    """Names that may be given by name; `**kwargs` takes none."""
    return tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


class _Names:
    """What names mean in the user's modules. modules: trees by path relative to FILE's folder."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._modules = modules

    def last(
        self, path: str, body: Sequence[ast.stmt], name: str, before: float = math.inf, seen: _Seen = frozenset()
    ) -> _Meaning | None:
        """What `name` means at the end of a body, or above the line `before`; None where nothing gives it a meaning."""
        if (id(body), name, before) in seen:
            return None  # modules that import each other
        seen |= {(id(body), name, before)}
        found: dict[_Meaning, int] = {}
        for statement, is_conditional in statements(body):
            meaning = self._given(path, statement, name, seen) if statement.lineno < before else None
            if meaning is not None:
                found = {**(found if is_conditional else {}), meaning: statement.lineno}
        if len(found) > 1:
            return _Unclear(path, max(found.values()), f"{name} is defined in several places, by conditions")
        return next(iter(found), None)

    def class_parameters(self, own: Own) -> tuple[str, ...]:
        """What a class takes: by the first `__new__`, `__init__` or dataclass in the order of its bases."""
        taken = self._by_its_body(own)
        for base in self._order(own)[1:] if taken is None else ():
            if isinstance(base, Own):
                taken = self._by_its_body(base)
            elif base.last not in _WITHOUT_INIT:
                taken = ()
            if taken is not None:
                break
        return taken or ()

    def refuse_unknown_decorators(self, own: Own) -> None:
        """UntoldError for a decorator that may change what a class or function takes."""
        for decorator in own.node.decorator_list:
            meaning = self._of(own.path, _called(decorator), decorator.lineno)
            if not (isinstance(meaning, _Foreign) and meaning.last in _HARMLESS_DECORATORS):
                raise UntoldError(
                    own.path,
                    decorator.lineno,
                    f"what {own.node.name} takes cannot be told under @{ast.unparse(decorator)}",
                    "Write a class or function around it that names its parameters.",
                )

    def _by_its_body(self, own: Own) -> tuple[str, ...] | None:
        """What a class says itself of what it takes; None where it leaves that to its bases."""
        self.refuse_unknown_decorators(own)
        for name in ("__new__", "__init__"):
            match self.last(own.path, own.node.body, name):
                case Own(node=ast.FunctionDef() as node) as method:
                    self.refuse_unknown_decorators(method)
                    return parameters(node.args)[1:]
                case None:
                    continue
            what = f"what {own.node.name} takes cannot be told, because its {name} is no plain function"
            raise UntoldError(own.path, own.node.lineno, what, f"Write one {name} that names the parameters.")
        return self._fields(own) if _is_dataclass(own, makes_init=True) else None

    def _fields(self, own: Own) -> tuple[str, ...]:
        found: list[str] = []
        for base in reversed(self._order(own)):
            if isinstance(base, Own) and _is_dataclass(base):
                found += [item.target.id for item in base.node.body if _is_field(item)]  # type: ignore[attr-defined]
        return tuple(dict.fromkeys(found))

    def _order(self, own: Own, seen: frozenset[Own] = frozenset()) -> list[Own | _Foreign]:
        """A class and its bases in the order in which Python looks into them; a library's class without its own."""
        bases: list[Own | _Foreign] = []
        for base in own.node.bases if isinstance(own.node, ast.ClassDef) else ():
            meaning = self._of(own.path, base, own.node.lineno)
            if not (isinstance(meaning, _Foreign) or (isinstance(meaning, Own) and _is_class(meaning))):
                what = f"what {own.node.name} takes cannot be told from its base {ast.unparse(base)}"
                remedy = f"Write an __init__ in {own.node.name} that names the parameters."
                raise UntoldError(own.path, own.node.lineno, what, remedy)
            if meaning != _Foreign("object") and meaning not in seen:
                bases.append(meaning)
        orders = [self._order(base, seen | {own}) if isinstance(base, Own) else [base] for base in bases]
        return [own, *_merged([list(order) for order in (*orders, bases)])]

    def _of(self, path: str, node: ast.expr, line: float, seen: _Seen = frozenset()) -> _Meaning:
        """What an expression at a line of a module means."""
        match node:
            case ast.Name(id=name):
                found = self.last(path, self._modules[path].body, name, line, seen)
                return found or _Foreign(name)
            case ast.Attribute(value=value, attr=name):
                owner = self._of(path, value, line, seen)
                if isinstance(owner, _Module):
                    return self._member(owner.name, name, seen) or _Foreign(".".join((*owner.name, name)))
                if isinstance(owner, _Foreign):
                    return _Foreign(f"{owner.name}.{name}")
            case ast.Subscript(value=value):
                return self._of(path, value, line, seen)
            case ast.Constant():
                return _Foreign(type(node.value).__name__)
            case ast.Call(func=function) if isinstance(made := self._of(path, function, line, seen), _Foreign):
                return _Foreign(f"{made.name}()")
        return _Unclear(path, node.lineno, f"{ast.unparse(node)[:60]} is settled only when the file runs")

    def _given(self, path: str, statement: ast.stmt, name: str, seen: _Seen) -> _Meaning | None:
        """The meaning that a statement gives to a name, if any."""
        match statement:
            case ast.ClassDef() | ast.FunctionDef() if statement.name == name:
                return Own(path, statement)
            case ast.AsyncFunctionDef(name=other) if other == name:
                return _Foreign("coroutine")
            case ast.Import(names=aliases):
                for alias in aliases:
                    parts = tuple(alias.name.split("."))
                    if (alias.asname or parts[0]) == name:
                        return self._module(parts if alias.asname else parts[:1])
            case ast.ImportFrom():
                return self._imported(path, statement, name, seen)
            case ast.Assign(targets=targets, value=value) if any(_is_name(target, name) for target in targets):
                return self._of(path, value, statement.lineno, seen)
            case ast.AnnAssign(target=target, value=ast.expr() as value) if _is_name(target, name):
                return self._of(path, value, statement.lineno, seen)
            case _ if name in stored_names(statement):
                return _Unclear(path, statement.lineno, f"{name} is settled only when the file runs")
        return None

    def _imported(self, path: str, statement: ast.ImportFrom, name: str, seen: _Seen) -> _Meaning | None:
        base = base_of(statement, package_of(path)) or ()
        for alias in statement.names:
            if alias.name == "*" and not name.startswith("_") and (found := self._member(base, name, seen)):
                return found
            if (alias.asname or alias.name) == name:
                return self._member(base, alias.name, seen) or _Foreign(".".join((*base, alias.name)))
        return None

    def _member(self, module: tuple[str, ...], name: str, seen: _Seen) -> _Meaning | None:
        """What `module.name` means, where that is the user's."""
        path = next((path for path in _paths(module) if path in self._modules), None)
        found = self.last(path, self._modules[path].body, name, math.inf, seen) if path else None
        return found or (inner if isinstance(inner := self._module((*module, name)), _Module) else None)

    def _module(self, name: tuple[str, ...]) -> _Module | _Foreign:
        stem = "/".join(name)
        is_own = any(path == f"{stem}.py" or path.startswith(f"{stem}/") for path in self._modules)
        return _Module(name) if is_own else _Foreign(".".join(name))


def _paths(module: tuple[str, ...]) -> tuple[str, str]:
    stem = "/".join((*module, ""))
    return f"{stem}__init__.py", f"{stem[:-1]}.py"


def _merged(lines: list[list[Own | _Foreign]]) -> list[Own | _Foreign]:
    """Lines of bases as one, as Python merges them (C3); where Python would refuse, in the order of the lines."""
    merged: list[Own | _Foreign] = []
    while lines := [line for line in lines if line]:
        heads = [line[0] for line in lines]
        first = next((head for head in heads if not any(head in line[1:] for line in lines)), heads[0])
        merged.append(first)
        lines = [[entry for entry in line if entry != first] for line in lines]
    return merged


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_class(own: Own) -> bool:
    return isinstance(own.node, ast.ClassDef)


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _says_no(call: ast.expr | None, keyword: str) -> bool:
    """Whether a call has `keyword=False`."""
    given = call.keywords if isinstance(call, ast.Call) else []
    return any(entry.arg == keyword and ast.unparse(entry.value) == "False" for entry in given)


def _is_dataclass(own: Own, *, makes_init: bool = False) -> bool:
    found = [item for item in own.node.decorator_list if ast.unparse(_called(item)).endswith("dataclass")]
    return any(not (makes_init and _says_no(item, "init")) for item in found)


def _is_field(item: ast.stmt) -> bool:
    """Whether a statement in a dataclass is a field that its `__init__` takes."""
    if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
        return False
    annotation = ast.unparse(item.annotation)
    return not ("ClassVar" in annotation or annotation.endswith("KW_ONLY") or _says_no(item.value, "init"))
