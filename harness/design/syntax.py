"""Python files as syntax trees: one spelling of a tree, what a module imports, and what a class or function takes."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STANDARD = sys.stdlib_module_names
"""Names of the modules that come with Python."""

_NO_MEANING = frozenset({"type_comment", "type_ignores", "kind"})

Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Import:
    """An import statement. modules: dotted names as tuples, also those that may be mere names inside a module; None
    for a relative import that leads out of every package."""

    line: int
    modules: tuple[tuple[str, ...], ...] | None
    is_inside_function: bool


def spelled(tree: ast.AST) -> str:
    """A tree as text that says what the code says: without comments, layout, and fields that are empty.

    Empty fields are left out because later versions of Python add some; those that have no meaning likewise.
    """
    pieces: list[str] = []
    waiting: list[tuple[str, object]] = [("", tree)]
    while waiting:  # no recursion: a long sum is a deep tree
        text, item = waiting.pop()
        if text:
            pieces.append(text)
        elif isinstance(item, ast.AST):
            names = sorted(set(item._fields) - _NO_MEANING)
            waiting.append((")", None))
            for name in reversed(names):
                value = _pieces(item.values) if isinstance(item, ast.JoinedStr) else getattr(item, name, None)
                if value is not None and value != []:
                    waiting += [("", value), (f" {name}=", None)]
            waiting.append((f"{type(item).__name__}(", None))
        elif isinstance(item, list):
            waiting.append(("]", None))
            for value in reversed(item):
                waiting += [(",", None), ("", value)]
            waiting.append(("[", None))
        else:
            pieces.append(_constant(item))
    return "".join(pieces)


def _pieces(values: list[ast.expr]) -> list[ast.expr]:
    """The pieces of an f-string without empty ones, which some versions of Python add."""
    return [value for value in values if not (isinstance(value, ast.Constant) and value.value == "")]


def _constant(value: object) -> str:
    """Type and value; whole numbers in base 16, because Python refuses to spell very long ones in base 10."""
    text = hex(value) if isinstance(value, int) else ascii(value)
    return f"{type(value).__name__}:{text}"


def package_of(path: str) -> tuple[str, ...]:
    """The package of the module in a file: `a/b.py` and `a/__init__.py` are of `a`."""
    return tuple(path.split("/")[:-1])


def imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[Import]:
    """All import statements of a module that belongs to `package`."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, is_inside = waiting.pop()
        if isinstance(node, ast.Import):
            yield Import(node.lineno, tuple(tuple(alias.name.split(".")) for alias in node.names), is_inside)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.lineno, _imported_from(node, package), is_inside)
        is_inside = is_inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        waiting += [(child, is_inside) for child in reversed(list(ast.iter_child_nodes(node)))]


def _imported_from(node: ast.ImportFrom, package: tuple[str, ...]) -> tuple[tuple[str, ...], ...] | None:
    base = _base(node, package)
    if base is None:
        return None
    names = [(*base, alias.name) for alias in node.names if alias.name != "*"]
    return tuple([base, *names] if base else names)


def _base(node: ast.ImportFrom, package: tuple[str, ...]) -> tuple[str, ...] | None:
    """The module that names are imported from; None outside of every package."""
    if node.level > len(package):
        return None
    parts = tuple(node.module.split(".")) if node.module else ()
    return (*package[: len(package) - node.level + 1], *parts) if node.level else parts


def definition(
    modules: Mapping[str, ast.Module], path: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()
) -> tuple[str, Definition] | None:
    """The class or function that `name` means in the module `path`, followed through own imports and plain renaming."""
    if (path, name) in seen or path not in modules:
        return None
    seen |= {(path, name)}
    for statement in reversed(list(_statements(modules[path].body))):  # the last one counts
        match statement:
            case ast.ClassDef() | ast.FunctionDef() if statement.name == name:
                return path, statement
            case ast.ImportFrom():
                original = next((alias.name for alias in statement.names if (alias.asname or alias.name) == name), None)
                base = _base(statement, package_of(path))
                if original and base:
                    return definition(modules, _path_of(modules, base), original, seen)
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Name(id=other)) if target == name:
                return definition(modules, path, other, seen)
    return None


def defined_names(module: ast.Module) -> list[str]:
    """Classes and functions that a module defines, in its order."""
    found = [node.name for node in _statements(module.body) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return list(dict.fromkeys(found))


def class_parameters(
    modules: Mapping[str, ast.Module], path: str, node: ast.ClassDef, seen: frozenset[int] = frozenset()
) -> tuple[str, ...]:
    """What a class takes: by its `__init__`, its fields (a dataclass), or those of the first own base that has some."""
    if id(node) in seen:
        return ()
    seen |= {id(node)}
    init = definition({path: ast.Module(node.body, [])}, path, "__init__")
    if init and isinstance(init[1], ast.FunctionDef):
        return parameters(init[1].args)[1:]
    inherited: tuple[str, ...] = ()
    for base in node.bases:
        found = definition(modules, path, base.id) if isinstance(base, ast.Name) else None
        if found and isinstance(found[1], ast.ClassDef) and not inherited:
            inherited = class_parameters(modules, found[0], found[1], seen)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
        own = [ast.unparse(item.target) for item in fields if "ClassVar" not in ast.unparse(item.annotation)]
        return tuple(dict.fromkeys([*inherited, *own]))
    return inherited


def parameters(arguments: ast.arguments) -> tuple[str, ...]:
    """Names that may be given by name; `**kwargs` takes none."""
    return tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module or class, also those under `if`, `try` and `with`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _statements(_nested(statement))


def _nested(statement: ast.If | ast.Try | ast.With) -> list[ast.stmt]:
    handlers = [inner for handler in getattr(statement, "handlers", []) for inner in handler.body]
    return [*statement.body, *handlers, *getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]


def _path_of(modules: Mapping[str, ast.Module], module: tuple[str, ...]) -> str:
    stem = "/".join(module)
    return f"{stem}/__init__.py" if f"{stem}/__init__.py" in modules else f"{stem}.py"
