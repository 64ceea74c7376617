"""How a copied own file is imported: by its text alone, with what lies beside it and nothing else of the user's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_LIBRARIES = tuple(
    Path(folder).resolve()
    for folder in {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
)
"""Where Python's own modules and installed ones lie."""


class LiveModuleError(ImportError):
    """An own file imports a module of the user's that is not beside it: neither copied nor part of any key."""


class _TextLoader(SourceFileLoader):
    """Compiles the text itself: bytecode that may lie beside it is never read, nor written."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def import_copy(path: Path, original: Path) -> ModuleType:
    """The module of one copied file, under the name that its siblings know it by, fresh at each call.

    original: the folder that the user's own file lies in. sys.path and sys.modules are as before afterwards. Raises
    LiveModuleError, and whatever the file raises.
    """
    folder = path.parent
    foreign = (Path.cwd().resolve(), original.resolve())
    with _importing_from(folder, foreign):
        spec = importlib.util.spec_from_file_location(path.stem, path, loader=_TextLoader(path.stem, str(path)))
        if spec is None or spec.loader is None:
            raise ImportError(f"{path.name} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importing_from(folder: Path, foreign: tuple[Path, ...]) -> Iterator[None]:
    """A block in which what lies in `folder` is imported from there, before all else; nothing of it stays behind.

    foreign: folders of the user's, from which nothing is imported.
    """
    modules, paths, hooks, bytecode = dict(sys.modules), list(sys.path), list(sys.path_hooks), sys.dont_write_bytecode
    beside = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__pycache__"}
    for name in [name for name in modules if name.partition(".")[0] in beside]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(entry for entry in paths if Path(entry).resolve() not in foreign)]
    sys.path_hooks.insert(0, lambda entry: _finder(folder, entry))
    sys.dont_write_bytecode = True  # the copies are what was hashed, and nothing more
    _forget_finders(folder)
    importlib.invalidate_caches()
    live: dict[str, Path] = {}
    try:
        yield
        live = _live_modules(modules, folder, foreign)
        if live:
            name, path = next(iter(live.items()))
            raise LiveModuleError(f"{path} is not beside the file, so that no copy of it is made", name=name)
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path[:], sys.path_hooks[:] = paths, hooks
        _forget_finders(folder)
        for name in [name for name in sys.modules if name.partition(".")[0] in beside or name in live]:
            del sys.modules[name]
        sys.modules |= {name: module for name, module in modules.items() if name.partition(".")[0] in beside}


def _finder(folder: Path, entry: str) -> FileFinder:
    """A finder of the texts in `folder` and below it; ImportError, as Python asks for, elsewhere."""
    if not Path(entry).is_relative_to(folder):
        raise ImportError(entry)
    return FileFinder(entry, (_TextLoader, [".py"]))


def _forget_finders(folder: Path) -> None:
    for name in [name for name in sys.path_importer_cache if Path(name).is_relative_to(folder)]:
        del sys.path_importer_cache[name]


def _live_modules(before: dict[str, ModuleType], folder: Path, foreign: tuple[Path, ...]) -> dict[str, Path]:
    """Newly imported modules that lie in the user's folders, and are neither copies nor installed."""
    found: dict[str, Path] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in before or name.partition(".")[0] == "harness" or not isinstance(file, str):
            continue
        path = Path(file).resolve()
        if any(path.is_relative_to(other) for other in foreign) and not (
            path.is_relative_to(folder.resolve()) or _is_installed(path)
        ):
            found[name] = path
    return found


def _is_installed(path: Path) -> bool:
    if {"site-packages", "dist-packages"}.intersection(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _LIBRARIES)
