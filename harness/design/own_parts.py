"""Parts of the user's own: `FILE.py:NAME` in an experiment file, the files that make one up, and what it takes.

All of it is read as text and syntax; nothing of the user's runs here.
"""

from __future__ import annotations

import ast
import hashlib
import io
import keyword
import posixpath
import re
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from harness.design import signatures, syntax
from harness.errors import ExperimentFileError

PATTERN = r"^[^:\x00-\x1f\x7f]+\.py:[A-Za-z_][A-Za-z0-9_]*$"
"""`FILE.py:NAME`."""

OFFERED: dict[str, tuple[str, ...]] = {
    "generator": ("latent_dim", "channels", "resolution", "hidden_dim", "kernel_size", "dropout", "output"),
    "discriminator": ("channels", "resolution", "hidden_dim", "kernel_size", "dropout"),
    "normalization": ("channels",),
    "loss": (),
    "data": ("root", "split"),
}
"""What the harness hands to each kind of part that asks for it by name, beside factors of the part's own."""

MAX_BYTES = 1024 * 1024
MAX_FILES = 200

_REFERENCE = re.compile(PATTERN)


class OwnSourceError(ExperimentFileError):
    """A file of the user's own that cannot be used; `where` is a place in it."""


class NoSuchPartError(OwnSourceError):
    """A file of the user's own does not define the class or function that is asked for."""


@dataclass(frozen=True)
class OwnSource:
    """A user's file and all of the user's modules that it imports, as read once.

    file: as the experiment file names it; sha256: of the syntax of all of them, whatever their comments and layout;
    content: text by path relative to the folder of `file`, that of `file` first.
    """

    file: str
    sha256: str
    content: tuple[tuple[str, str], ...]


def is_own(text: str) -> bool:
    """Whether a level or a data source is a part of the user's own."""
    return _REFERENCE.fullmatch(text) is not None


def split_reference(text: str) -> tuple[str, str]:
    """`nets.py:MyGenerator` -> file and name."""
    file, _, name = text.rpartition(":")
    return file, name


def one_spelling(reference: str) -> str:
    """One spelling of a reference, so that `./nets.py:G` and `nets.py:G` are the same level."""
    file, name = split_reference(reference)
    return f"{posixpath.normpath(file.replace(chr(92), '/'))}:{name}"


def own_name(name: str) -> str:
    """`name` where it can be a factor of an own part; ValueError if not."""
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is no name of a parameter; use letters, digits and underscores")
    taken = {offered for names in OFFERED.values() for offered in names} | {"self"}
    if name in taken:
        raise ValueError(f"{name!r} is handed to own parts by the harness already; take another name")
    return name


def read_own_source(file: str) -> OwnSource:
    """Reads `file` (relative to the current folder) and what it imports from beside it; OwnSourceError with a line."""
    folder, first = Path(file).parent, Path(file).name
    texts: dict[str, str] = {}
    spelled: dict[str, str] = {}
    waiting = [first]
    while waiting:
        path = waiting.pop()
        if path in texts:
            continue
        if len(texts) == MAX_FILES:
            raise OwnSourceError(f"imports more than {MAX_FILES} files from its folder", where=file)
        texts[path] = _read_text(folder / path)
        tree = _parsed(texts[path], folder / path)
        spelled[path] = syntax.spelled(tree)
        waiting += _imported(folder, path, tree)
    ordered = [first, *sorted(path for path in texts if path != first)]
    digest = hashlib.sha256("\x1e".join(f"{path}\x1f{spelled[path]}" for path in ordered).encode()).hexdigest()
    return OwnSource(file, digest, tuple((path, texts[path]) for path in ordered))


def parameters_of(source: OwnSource, name: str) -> tuple[str, ...]:
    """Names that the class `name` takes when it is made, or the function when it is called.

    Own base classes and own modules are followed; what a library's class takes is not known here. NoSuchPartError where
    the file defines no such class or function, OwnSourceError (where: a line) where what it takes cannot be told.
    """
    modules = {path: ast.parse(text) for path, text in source.content}
    first = source.content[0][0]
    try:
        taken = signatures.part_parameters(modules, first, name)
    except signatures.UntoldError as error:
        where = f"{Path(source.file).parent / error.path}:{error.line}"
        raise OwnSourceError(error.what, where=where, remedy=error.remedy) from None
    if taken is not None:
        return taken
    known = ", ".join(signatures.defined_names(modules[first])) or "none"
    raise NoSuchPartError(
        f"{source.file} defines no class or function {name!r}", where=source.file, remedy=f"Those it defines: {known}."
    )


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise OwnSourceError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(content) > MAX_BYTES:
        raise OwnSourceError(f"larger than {MAX_BYTES // 1024} KiB", where=str(path))
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if encoding not in ("utf-8", "utf-8-sig"):
            raise OwnSourceError(f"is {encoding} text; write it as UTF-8", where=f"{path}:1")
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (SyntaxError, UnicodeDecodeError):
        raise OwnSourceError("not UTF-8 text", where=f"{path}:1") from None


def _parsed(text: str, path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python tells them where the code is imported
            return ast.parse(text)
    except SyntaxError as error:
        raise OwnSourceError(f"no valid Python: {error.msg}", where=f"{path}:{error.lineno or 1}") from None
    except (ValueError, RecursionError, MemoryError):
        raise OwnSourceError("no Python text, or nested too deep", where=f"{path}:1") from None


def _imported(folder: Path, path: str, tree: ast.Module) -> list[str]:
    """Files beside FILE that the module `path` imports; OwnSourceError for an import that a copy would not follow."""
    found: list[str] = []
    for statement in syntax.imports(tree, syntax.package_of(path)):
        where = f"{folder / path}:{statement.line}"
        if statement.modules is None:
            raise OwnSourceError("a relative import outside a package", where=where, remedy="Write `import NAME`.")
        for module in statement.modules:
            files = _module_files(folder, module)
            if not files:
                _refuse_late_live(statement, folder, module, where)
                continue
            if module[0] in syntax.STANDARD:
                raise OwnSourceError(
                    f"{files[0]} has the name of a module of Python's own", where=where, remedy="Call it otherwise."
                )
            if statement.is_inside_function:
                raise OwnSourceError(
                    f"{'.'.join(module)} is imported inside a function, where the copy that runs use is not seen",
                    where=where,
                    remedy="Import it at the top of the file.",
                )
            found += files
    return found


def _refuse_late_live(statement: syntax.Import, folder: Path, module: tuple[str, ...], where: str) -> None:
    """OwnSourceError for an import inside a function of what lies in the current folder, where no copy is made."""
    if statement.is_inside_function and module[0] not in syntax.STANDARD and _module_files(Path(), module):
        raise OwnSourceError(
            f"{'.'.join(module)} is imported from the current folder, where no copy of it is made",
            where=where,
            remedy=f"Write it beside this file, in {folder}/, and import it at the top.",
        )


def _module_files(folder: Path, module: tuple[str, ...]) -> list[str]:
    """The files that `import a.b` reads, from beside FILE: a package's `__init__.py`, and the module's own."""
    if module[0] == "harness":
        return []
    files: list[str] = []
    for length in range(1, len(module) + 1):
        stem = "/".join(module[:length])
        if (folder / stem / "__init__.py").is_file():
            files.append(f"{stem}/__init__.py")
        elif (folder / f"{stem}.py").is_file():
            files.append(f"{stem}.py")
        elif not (folder / stem).is_dir():
            break
    return files
