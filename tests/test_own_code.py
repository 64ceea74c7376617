"""One's own parts as objects: what is imported, what they are handed, and how their errors are told."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.data.own_code import OwnCode
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
