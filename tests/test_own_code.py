"""One's own parts as objects: what is imported, what they are handed, and how their errors are told."""

from __future__ import annotations

import importlib.util
import pickle
import py_compile
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest
from design_files import plan_of

from experiments import TINY, run_here, write_file
from harness.data.own_code import OwnCode, check_signatures, checked_code
from harness.errors import HarnessError, OwnPartError


def own(folder: Path, **files: str) -> OwnCode:
    """Copies of files in `folder`, the first of them the user's `parts/NAME.py`."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    name = next(iter(files))
    return OwnCode({f"parts/{name}.py": folder / f"{name}.py"})


def test_a_part_sees_what_lies_beside_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code = own(tmp_path, nets="import blocks\n\nclass Net:\n    size = blocks.SIZE\n", blocks="SIZE = 7\n")
    path, modules = list(sys.path), dict(sys.modules)
    assert code.load("parts/nets.py:Net").size == 7
    assert sys.path == path
    assert sys.modules == modules
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["blocks.py", "nets.py"]  # no __pycache__


def test_two_versions_of_files_of_one_name_live_in_one_process(tmp_path: Path) -> None:
    text = "import blocks\n\ndef size():\n    return blocks.SIZE\n"
    old = own(tmp_path / "a", nets=text, blocks="SIZE = 1\n")
    new = own(tmp_path / "b", nets=text, blocks="SIZE = 2\n")
    assert (old.call("parts/nets.py:size"), new.call("parts/nets.py:size")) == (1, 2)
    assert old.call("parts/nets.py:size") == 1


def test_a_module_that_the_process_has_already_is_back_afterwards(tmp_path: Path) -> None:
    import colorsys

    code = own(tmp_path, colorsys="import colorsys\nNAME = 'own'\n\ndef name():\n    return colorsys.NAME\n")
    assert code.call("parts/colorsys.py:name") == "own"
    assert sys.modules["colorsys"] is colorsys


def test_a_package_beside_the_file_is_imported_from_there(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "__init__.py").write_text("from layers.norms import EPSILON\n")
    (tmp_path / "layers" / "norms.py").write_text("EPSILON = 1e-5\n")
    code = own(tmp_path, nets="from layers import EPSILON\n")
    assert code.load("parts/nets.py:EPSILON") == 1e-5
    assert not {name for name in sys.modules if name.partition(".")[0] == "layers"}


def test_a_file_is_imported_once_until_it_crosses_a_process_border(tmp_path: Path) -> None:
    code = own(tmp_path, nets="calls = []\n\ndef count():\n    calls.append(1)\n    return len(calls)\n")
    assert [code.call("parts/nets.py:count") for _ in range(2)] == [1, 2]
    other = pickle.loads(pickle.dumps(code))
    assert other == code
    assert other.call("parts/nets.py:count") == 1


def test_dataclasses_and_annotations_work_in_an_own_file(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Margin:\n    margin: float = 1.0\n\n"
        "    def twice(self) -> float:\n        return 2 * self.margin\n"
    )
    assert own(tmp_path, losses=text).call("parts/losses.py:Margin", margin=3.0).twice() == 6.0


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("def part(channels, alpha):\n    return channels, alpha", (8, 0.5)),
        ("def part(*, alpha):\n    return alpha", 0.5),
        ("def part(alpha, beta=2):\n    return alpha, beta", (0.5, 2)),
        ("def part(alpha, beta=2, /, **rest):\n    return alpha, beta, rest", (0.5, 2, {})),
        ("def part(beta=2, *rest, alpha=1):\n    return alpha, beta, rest", (0.5, 2, ())),
        ("def part():\n    return 'nothing'", "nothing"),
        ("class part:\n    def __new__(cls, channels):\n        return channels", 8),
    ],
)
def test_a_part_gets_what_its_signature_names(tmp_path: Path, definition: str, expected: Any) -> None:
    code = own(tmp_path, parts=definition + "\n")
    assert code.call("parts/parts.py:part", channels=8, alpha=0.5, resolution=16) == expected


def test_an_inherited_signature_counts(tmp_path: Path) -> None:
    code = own(
        tmp_path,
        nets="class Base:\n    def __init__(self, alpha):\n        self.alpha = alpha\n\nclass Net(Base):\n    pass\n",
    )
    assert code.call("parts/nets.py:Net", alpha=0.1, channels=3).alpha == 0.1


def test_own_factors_may_have_any_name(tmp_path: Path) -> None:
    code = own(tmp_path, parts="def part(reference, self):\n    return reference, self\n")
    assert code.call("parts/parts.py:part", reference=2, self=3) == (2, 3)


def test_a_parameter_that_nobody_offers_is_named_with_its_line(tmp_path: Path) -> None:
    code = own(tmp_path, nets="\n\nclass Net:\n    def __init__(self, channels, depth):\n        pass\n")
    with pytest.raises(OwnPartError, match="needs 'depth', which nobody gives it") as caught:
        code.call("parts/nets.py:Net", channels=3)
    assert caught.value.where == "parts/nets.py:4"
    assert "Offered: channels" in caught.value.remedy
    assert caught.value.exit_code == 2


def message_of(code: OwnCode, reference: str, **offered: Any) -> str:
    with pytest.raises(OwnPartError) as caught:
        code.call(reference, **offered)
    return str(caught.value)


def test_errors_are_told_at_the_users_line(tmp_path: Path) -> None:
    code = own(
        tmp_path,
        nets="import blocks\n\ndef outer(alpha):\n    return blocks.inner(alpha)\n\n"
        "def stop():\n    raise SystemExit(3)\n",
        blocks="import json\n\n\ndef inner(alpha):\n    return json.loads('{')\n",
    )
    assert message_of(code, "parts/nets.py:outer", alpha=1).startswith(
        "parts/blocks.py:5: calling parts/nets.py:outer: JSONDecodeError: Expecting property name"
    )
    assert message_of(code, "parts/nets.py:stop") == "parts/nets.py:7: calling parts/nets.py:stop: SystemExit: 3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\nimport nowhere_at_all\n", "nets.py:2: importing parts/nets.py: ModuleNotFoundError: No module"),
        ("x = 1\n\ndef broken(:\n", "nets.py:3: importing parts/nets.py: SyntaxError: invalid syntax"),
        ("raise SystemExit\n", "nets.py:1: importing parts/nets.py: SystemExit"),
        ("class Nett:\n    pass\n", "nets.py: there is no Net\n  Did you mean Nett?"),
        ("Net = 3\n", "nets.py:Net: is neither a class nor a function\n  It is int."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, expected: str) -> None:
    assert message_of(own(tmp_path, nets=text), "parts/nets.py:Net").startswith(f"parts/{expected}")


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    code = own(tmp_path, nets="import blocks\nraise ValueError('no')\n", blocks="")
    path, modules = list(sys.path), dict(sys.modules)
    message_of(code, "parts/nets.py:Net")
    assert (sys.path, sys.modules) == (path, modules)


def test_later_errors_of_own_code_are_told_and_others_are_left_alone(tmp_path: Path) -> None:
    code = own(tmp_path, nets="def make():\n    return lambda: 1 / 0\n")
    later = code.call("parts/nets.py:make")
    with pytest.raises(OwnPartError) as caught, code.told():
        later()
    assert str(caught.value) == "parts/nets.py:2: ZeroDivisionError: division by zero"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(KeyError), code.told():
        {}["elsewhere"]
    with pytest.raises(HarnessError, match=r"^known$"), code.told():
        raise HarnessError("known")


def test_a_fresh_process_imports_the_same_copy(tmp_path: Path) -> None:
    code = own(tmp_path, nets="import blocks\n\ndef size(by):\n    return by * blocks.SIZE\n", blocks="SIZE = 7\n")
    program = (
        "import pickle, sys; code = pickle.load(sys.stdin.buffer);"
        "print(code.call('parts/nets.py:size', by=2)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(code), capture_output=True, check=True)
    assert done.stdout.split() == [b"14"]


def test_bytecode_beside_a_copy_is_never_run(tmp_path: Path) -> None:
    code = own(tmp_path, nets="import blocks\nfrom pkg import inner\n\ndef value():\n    return blocks.X + inner.X\n")
    (tmp_path / "pkg").mkdir()
    files = [tmp_path / name for name in ("nets.py", "blocks.py", "pkg/__init__.py", "pkg/inner.py")]
    for path in files[1:]:
        path.write_text("X = 2\n", encoding="utf-8")
    planted = tmp_path / "planted.py"
    planted.write_text("X = 1\ndef value():\n    return 'planted'\n", encoding="utf-8")
    for path in files:
        cached = Path(importlib.util.cache_from_source(str(path)))
        py_compile.compile(str(planted), str(cached), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    planted.rename(tmp_path / "later.txt")
    (tmp_path / "statistics.pyc").write_bytes(cached.read_bytes())  # would stand for Python's own
    assert code.call("parts/nets.py:value") == 4


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, current and on the path as `python -m harness` puts it there, with `parts/nets.py`."""
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path", ["", "parts", *sys.path])
    return tmp_path


def copied(user: Path, text: str) -> OwnCode:
    (user / "runs").mkdir()
    (user / "runs" / "nets.py").write_text(text, encoding="utf-8")
    return OwnCode({"parts/nets.py": user / "runs" / "nets.py"})


@pytest.mark.parametrize("folder", [".", "parts"])
def test_what_lies_elsewhere_is_not_imported_live(user: Path, folder: str) -> None:
    (user / folder / "live_helpers.py").write_text("WIDTH = 3\n", encoding="utf-8")
    code = copied(user, "X = 1\nfrom live_helpers import WIDTH\n")
    told = message_of(code, "parts/nets.py:WIDTH")
    assert told.startswith("parts/nets.py:2: importing parts/nets.py: ModuleNotFoundError: No module named")
    if folder == ".":
        assert "\n  Write live_helpers beside parts/nets.py: only what lies there is copied" in told
    assert sys.path[:2] == ["", "parts"]


def test_a_module_found_in_the_users_folders_by_another_path_is_refused(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user / "lib" / "site-packages").mkdir(parents=True)
    (user / "lib" / "live_blocks.py").write_text("WIDTH = 3\n", encoding="utf-8")
    (user / "lib" / "site-packages" / "installed_blocks.py").write_text("WIDTH = 4\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(user / "lib"), str(user / "lib" / "site-packages")])
    code = copied(user, "import live_blocks\n")
    for _ in range(2):  # the refused module is forgotten
        told = message_of(code, "parts/nets.py:WIDTH")
        assert "lib/live_blocks.py is not beside the file, so that no copy of it is made" in told
        assert "Write live_blocks beside parts/nets.py" in told
    (user / "runs" / "nets.py").write_text("from installed_blocks import WIDTH\n", encoding="utf-8")
    assert code.load("parts/nets.py:WIDTH") == 4
    del sys.modules["installed_blocks"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import typing\nclass Part(typing.NamedTuple):\n    hidden_dim: int = 1\n",
         "takes 'hidden_dim' when it runs, but its text does not say so"),
        ("from fractions import Fraction\nclass Part(Fraction):\n    pass\n", "takes 'numerator' when it runs"),
        ("class Part:\n    def __init__(self, dropout=0.0): ...\n\ndef init(self): ...\nPart.__init__ = init\n",
         "does not take 'dropout' when it runs, but its text says that it does"),
        ("class Part:\n    def __init__(self, width=1, **rest): ...\n", ""),
        ("class Part:\n    def __init__(self, numerator, channels, dropout=0.5): ...\n", ""),
        ("import functools\n@functools.cache\ndef Part(channels, numerator=1): ...\n", ""),
    ],
)  # fmt: skip
def test_a_part_takes_when_it_runs_what_its_text_says(user: Path, text: str, told: str) -> None:
    (user / "nets.py").write_text(text, encoding="utf-8")
    (user / "other.py").write_text("def L(numerator=1): ...\n", encoding="utf-8")
    cells = "[[cell]]\ndiscriminator = 'nets.py:Part'\n[[cell]]\nloss = 'other.py:L'\n[baseline.own]\nnumerator = 1"
    plan = plan_of(user, cells)
    if told:
        with pytest.raises(OwnPartError) as caught:
            checked_code(plan)
        assert f"nets.py:Part {told}" in str(caught.value)
        with pytest.raises(OwnPartError):
            check_signatures(OwnCode({"nets.py": user / "nets.py", "other.py": user / "other.py"}), plan)
    else:
        assert set(checked_code(plan).files) == {"nets.py", "other.py"}


def test_a_run_compares_parts_with_their_text_before_anything_trains(user: Path) -> None:
    (user / "norms.py").write_text("class Part:\n    def __init__(self, channels): ...\n\n\ndel Part.__init__\n")
    path = write_file(user, f"{TINY}levels.normalization = ['norms.py:Part']\n")
    with pytest.raises(OwnPartError, match=r"norms\.py:Part does not take 'channels' when it runs"):
        run_here(path)
