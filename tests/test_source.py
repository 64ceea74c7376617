"""Copies of own source files: whole, byte for byte, mended, and all that a run ever imports."""

from __future__ import annotations

import importlib.util
import py_compile
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from harness.data.own_code import OwnCode, imported
from harness.design.own_parts import OwnSource, read_own_source
from harness.errors import OwnPartError, StoreError
from harness.store.rundir import ExperimentDirectory
from harness.store.source import keep_sources

NETS = "import layers.norms\n\n\ndef epsilon():\n    return layers.norms.EPSILON  # a copy keeps its comments\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentDirectory:
    """A user's folder `parts` with a file, and a package that it imports, in the current folder."""
    package = tmp_path / "parts" / "layers"
    package.mkdir(parents=True)
    (tmp_path / "parts" / "nets.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "parts" / "unrelated.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "norms.py").write_text("EPSILON = 1e-5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return ExperimentDirectory(tmp_path / "runs" / "own")


def kept(directory: ExperimentDirectory) -> tuple[OwnSource, Path]:
    source = read_own_source("parts/nets.py")
    return source, keep_sources(directory, {"parts/nets.py": source})["parts/nets.py"]


def test_a_file_and_what_it_imports_are_copied_under_their_hash(directory: ExperimentDirectory) -> None:
    source, path = kept(directory)
    assert path == directory.root / "source" / source.sha256[:8] / "nets.py"
    copies = {str(file.relative_to(path.parent)): file.read_bytes() for file in path.parent.rglob("*.*")}
    assert copies == {
        name: Path("parts", name).read_bytes() for name in ("nets.py", "layers/__init__.py", "layers/norms.py")
    }
    assert OwnCode({"parts/nets.py": path}).call("parts/nets.py:epsilon") == 1e-5


def test_copies_that_are_whole_are_left_alone(directory: ExperimentDirectory) -> None:
    _, path = kept(directory)
    before = {file: file.stat().st_mtime_ns for file in path.parent.rglob("*")}
    assert kept(directory)[1] == path
    assert {file: file.stat().st_mtime_ns for file in path.parent.rglob("*")} == before


def test_a_damaged_or_lost_copy_is_mended(directory: ExperimentDirectory) -> None:
    _, path = kept(directory)
    path.write_text(NETS.replace("EPSILON", "epsilon"), encoding="utf-8")
    (path.parent / "layers" / "norms.py").unlink()
    kept(directory)
    assert OwnCode({"parts/nets.py": path}).call("parts/nets.py:epsilon") == 1e-5


def test_another_comment_stays_one_source_and_its_lines_are_the_users(directory: ExperimentDirectory) -> None:
    source, path = kept(directory)
    Path("parts/nets.py").write_text(
        "# New above all.\n" + NETS.replace("layers.norms.EPS", "1 / 0 + layers.norms.EPS")
    )
    broken, _ = kept(directory)
    Path("parts/nets.py").write_text("# New above all.\n" + NETS, encoding="utf-8")
    commented, again = kept(directory)
    assert commented.sha256 == source.sha256 != broken.sha256
    assert again == path
    assert again.read_text(encoding="utf-8").startswith("# New above all.")


def test_an_edit_of_what_is_imported_gets_a_copy_of_its_own(directory: ExperimentDirectory) -> None:
    _, old = kept(directory)
    Path("parts/layers/norms.py").write_text("EPSILON = 1.0\n", encoding="utf-8")
    _, new = kept(directory)
    assert new != old
    codes = [OwnCode({"parts/nets.py": path}) for path in (old, new)]
    assert [code.call("parts/nets.py:epsilon") for code in codes] == [1e-5, 1.0]


def test_something_else_in_a_copys_place_is_told(directory: ExperimentDirectory) -> None:
    _, path = kept(directory)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="a folder is where a file must be"):
        kept(directory)


def test_code_without_an_experiment_leaves_no_copies(
    directory: ExperimentDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    code = imported({"parts/nets.py": read_own_source("parts/nets.py")})
    assert not list((tmp_path / "temporary").iterdir())
    assert code.call("parts/nets.py:epsilon") == 1e-5
    assert not directory.root.exists()
    Path("parts/nets.py").write_text("def epsilon():\n    return 1 / 0\n", encoding="utf-8")
    code = imported({"parts/nets.py": read_own_source("parts/nets.py")})
    with pytest.raises(OwnPartError, match="ZeroDivisionError") as caught:
        code.call("parts/nets.py:epsilon")
    assert caught.value.where == "parts/nets.py:2"


@pytest.mark.parametrize("name", ["json.py", "layers/more.py", "torch/x.py", "layers/norms/x.py", "Json.PY"])
def test_a_module_that_was_put_beside_a_copy_is_refused(directory: ExperimentDirectory, name: str) -> None:
    _, path = kept(directory)
    planted = path.parent / name
    planted.parent.mkdir(exist_ok=True)
    planted.write_text("raise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(StoreError, match="is not of the own source that was copied here") as caught:
        kept(directory)
    assert str(planted).startswith(caught.value.where)


def test_files_that_are_no_modules_and_bytecode_beside_a_copy_do_not_matter(directory: ExperimentDirectory) -> None:
    _, path = kept(directory)
    (path.parent / ".nets.py.1.tmp").write_text("half", encoding="utf-8")
    cached = Path(importlib.util.cache_from_source(str(path)))
    cached.parent.mkdir()
    planted = directory.root / "planted.py"
    planted.write_text("def epsilon():\n    return 'planted'\n", encoding="utf-8")
    py_compile.compile(str(planted), str(cached), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    assert OwnCode({"parts/nets.py": kept(directory)[1]}).call("parts/nets.py:epsilon") == 1e-5
