"""Python files as syntax trees: one spelling of a tree, what a module imports, and what its statements name."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STANDARD = sys.stdlib_module_names
"""Names of the modules that come with Python."""

_NO_MEANING = frozenset({"type_comment", "type_ignores", "kind"})


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
    base = base_of(node, package)
    if base is None:
        return None
    names = [(*base, alias.name) for alias in node.names if alias.name != "*"]
    return tuple([base, *names] if base else names)


def base_of(node: ast.ImportFrom, package: tuple[str, ...]) -> tuple[str, ...] | None:
    """The module that names are imported from; None outside of every package."""
    if node.level > len(package):
        return None
    parts = tuple(node.module.split(".")) if node.module else ()
    return (*package[: len(package) - node.level + 1], *parts) if node.level else parts


def statements(body: Sequence[ast.stmt], is_conditional: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements of a module or class with what they contain, and whether they may be passed over."""
    for statement in body:
        yield statement, is_conditional
        if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = is_conditional or not isinstance(statement, ast.With)
            parts = [statement, *getattr(statement, "handlers", []), *getattr(statement, "cases", [])]
            for part in parts:
                for field in ("body", "orelse", "finalbody"):
                    yield from statements(getattr(part, field, []), inner)


def stored_names(statement: ast.stmt) -> set[str]:
    """Names that an assignment, a loop or a `with` gives a value."""
    targets = [*getattr(statement, "targets", []), getattr(statement, "target", None)]
    targets += [item.optional_vars for item in getattr(statement, "items", [])]
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return set()
    nodes = [node for target in targets if target is not None for node in ast.walk(target)]
    return {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
