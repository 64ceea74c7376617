"""One's own files: what is in their hash, what they take, what is refused, and how a plan uses all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import cell_named, first_line, names, plan_of, read, refusal, write

from harness.design.own_parts import (
    OwnSourceError,
    is_own,
    one_spelling,
    read_own_source,
    split_reference,
)

NORMS = """
from torch import nn


class PowerNorm(nn.Module):
    def __init__(self, channels, alpha=0.5):
        super().__init__()


def no_norm(channels):
    return nn.Identity()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hash_of(text: str) -> str:
    write(a=text)
    return read_own_source("a.py").sha256


def test_references() -> None:
    assert is_own("nets.py:G") and is_own("parts/my nets.py:_g1")
    assert not any(map(is_own, ["cnn", "nets.py", "nets.py:", ":G", ".py:G:H", "nets.py:1", "nets.py:G\n", "a:b.py:G"]))
    assert split_reference("parts/nets.py:G") == ("parts/nets.py", "G")
    assert one_spelling("./parts/../nets.py:G") == "nets.py:G"


@pytest.mark.parametrize(
    "other",
    [
        "x = 1 # a comment\n\n\ndef f( a ):\n        return (a)\n",
        "# first\nx = 1\ndef f(a): return a\n",
        "\ufeffx = 1\r\ndef f(a):\r\n    return a\r\n",
    ],
)
def test_comments_and_layout_are_not_in_the_hash(other: str) -> None:
    assert hash_of(other) == hash_of("x = 1\ndef f(a):\n    return a\n")


@pytest.mark.parametrize(
    "other",
    ["x = 2", "x = 1.0", "x = True", "x = '1'", "x = b'1'", "y = 1", "x = None", "x = -1", "x += 1", "x = [1]",
     "x: int = 1", "x = 1\nx = 1", "x = ...", "x = 1,", "x = {**y}", "x = {None: y}", "del x", "", "x == 1"],
)  # fmt: skip
def test_whatever_the_code_says_is(other: str) -> None:
    assert hash_of(other) != hash_of("x = 1")


def test_the_hash_is_the_same_on_every_version_of_python() -> None:
    """If this fails on another version, everybody's runs with own parts would be trained again there."""
    text = "import os\n@d\nclass A(B, c=1):\n    '''Text.'''\n    def f[T](self, *a, b: int = 0x10, **k) -> None:\n"
    text = text.replace("[T]", "") + "        return f'{a!r:>{b}} {k}' if a else (lambda x, /: x[1:2, ...])(0.5j)\n"
    assert hash_of(text) == "75460bfd9cd10b361e2409be2a5b096e303af523f1a549ca49d056c9a2cd8627"


def test_a_long_sum_and_a_long_number_are_no_trouble() -> None:
    assert hash_of("x = " + " + ".join(["1"] * 400)) != hash_of("x = 1")
    assert hash_of("x = 0x" + "f" * 9000) != hash_of("x = 0x" + "f" * 9001)


def test_own_modules_are_followed_and_others_are_not(here: Path) -> None:
    write(
        nets="import os, json\nimport torch\nfrom harness.errors import HarnessError\nimport blocks\n"
        "from parts import layers\nfrom parts.more import thing as other\nif os:\n    import late\n",
        blocks="import nets\n",
        late="",
        parts_of___init__="",
        parts_of_layers="from . import deep\nfrom .deep import x\n",
        parts_of_deep="",
        parts_of_more="",
        parts_of_unused="",
        unused="",
        harness_of___init__="",
        harness_of_errors="",
    )
    source = read_own_source("nets.py")
    assert [path for path, _ in source.content] == [
        "nets.py", "blocks.py", "late.py", "parts/__init__.py", "parts/deep.py", "parts/layers.py", "parts/more.py",
    ]  # fmt: skip
    assert dict(source.content)["blocks.py"] == "import nets\n"
    write(unused="x = 1")
    assert read_own_source("nets.py") == source
    write(parts_of_deep="x = 1")
    assert read_own_source("nets.py").sha256 != source.sha256


def test_files_beside_a_file_in_another_folder(here: Path) -> None:
    write(lib_of_nets="import blocks", lib_of_blocks="", blocks="x = 1")
    assert [path for path, _ in read_own_source("lib/nets.py").content] == ["nets.py", "blocks.py"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\ndef f():\n    import blocks\n", "a.py:3: blocks is imported inside a function"),
        ("def f():\n    import os\n", ""),
        ("class A:\n    import blocks\n", ""),
        ("x = (\n", "a.py:1: no valid Python: "),
        ("x = 1\n  y = 2", "a.py:2: no valid Python: "),
        ("from . import blocks", "a.py:1: a relative import outside a package"),
        ("import random", "a.py:1: random.py has the name of a module of Python's own"),
        ("import broken", "broken.py:2: no valid Python"),
        ("x = '\x00'", "a.py:1: no"),
        ("# -*- coding: latin-1 -*-", "a.py:1: is iso-8859-1 text; write it as UTF-8"),
        ("x = " + "(" * 5000 + ")" * 5000, "a.py:1: no "),
        ("import pkg", "pkg/__init__.py:1: no valid Python"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_told_with_their_line(text: str, told: str) -> None:
    write(blocks="", random="", broken="\nx = ", pkg_of___init__="=")
    write(a=text)
    if told:
        with pytest.raises(OwnSourceError) as caught:
            read_own_source("a.py")
        assert str(caught.value).startswith(told)
    else:
        read_own_source("a.py")


def test_bytes_that_are_no_text_are_told(here: Path) -> None:
    (here / "a.py").write_bytes(b"x = '\xff'")
    with pytest.raises(OwnSourceError, match="not UTF-8 text"):
        read_own_source("a.py")
    (here / "a.py").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(OwnSourceError, match="larger than 1024 KiB"):
        read_own_source("a.py")


GRID = "[baseline.own]\nalpha = 0.5\n[[grid]]\nlevels.normalization = ['batch', 'norms.py:PowerNorm']\n"
GRID += "levels.own.alpha = [0.5, 1]\n"


def test_own_factors_vary_where_a_part_takes_them(here: Path) -> None:
    write(norms=NORMS)
    plan = plan_of(here, GRID)
    assert names(plan) == [
        "baseline",
        "normalization=norms.py:PowerNorm",
        "normalization=norms.py:PowerNorm,own.alpha=1.0",
    ]
    assert [cell.hyperparameters.own for cell in plan.cells] == [(), (("alpha", 0.5),), (("alpha", 1.0),)]
    assert plan.factors == ("normalization", "own.alpha")
    assert plan.folded == ("own.alpha does not matter in 1 cell (no own part) and is left out there",)
    assert plan.parameters == {"norms.py:PowerNorm": ("channels", "alpha")}
    assert list(plan.sources) == ["norms.py"]
    assert [cell.name for cell in plan.cells_at({"normalization": "norms.py:PowerNorm", "own.alpha": 1})] == [
        names(plan)[2]
    ]


def test_keys_change_with_a_file_only_where_it_is_used(here: Path) -> None:
    write(norms=NORMS)
    before = {run.name: run.key for run in plan_of(here, GRID).runs}
    write(norms=f"# a comment\n{NORMS}")
    assert {run.name: run.key for run in plan_of(here, GRID).runs} == before
    write(norms=f"{NORMS}\nX = 1")
    after = {run.name: run.key for run in plan_of(here, GRID).runs}
    assert [name for name in before if before[name] == after[name]] == ["baseline seed 0"]


def test_a_new_own_factor_orphans_no_run_that_does_not_take_it(here: Path) -> None:
    write(norms=NORMS, losses="class L:\n    def __init__(self, beta): ...")
    before = {run.name: run.key for run in plan_of(here, GRID).runs}
    more = GRID.replace("alpha = 0.5\n", "alpha = 0.5\nbeta = 1\n", 1) + "[[cell]]\nloss = 'losses.py:L'"
    after = {run.name: run.key for run in plan_of(here, more).runs}
    assert before.items() <= after.items()
    assert cell_named(plan_of(here, more), "loss=losses.py:L").hyperparameters.own == (("beta", 1),)


def test_parts_of_one_file_and_own_data(here: Path) -> None:
    write(parts="def G(latent_dim): ...\ndef D(channels): ...\ndef load(root, split): ...")
    text = "[data]\nsource = './parts.py:load'\ncolor = 'gray'\n"
    text += "[[cell]]\ngenerator='parts.py:G'\ndiscriminator='parts.py:D'"
    file = read(here, f'name = "e"\n{text}')
    assert (file.experiment.data.source, file.experiment.data.channels) == ("parts.py:load", 1)
    assert file.plan.parameters == {
        "parts.py:G": ("latent_dim",), "parts.py:D": ("channels",), "parts.py:load": ("root", "split"),
    }  # fmt: skip
    keys = [run.key for run in file.plan.runs]
    write(parts="def G(latent_dim): ...\ndef D(channels): ...\ndef load(root, split): return 1")
    assert not set(keys) & {run.key for run in read(here, f'name = "e"\n{text}').plan.runs}


@pytest.mark.parametrize(
    ("levels", "spelled"),
    [("alpha = 1\n", ["1", "2", "0.5"]), ("alpha = 1.0\n", ["1.0", "2.0", "0.5"])],
)
def test_1_and_1_point_0_are_one_level_as_the_baseline_has_it(here: Path, levels: str, spelled: list[str]) -> None:
    write(norms=NORMS)
    text = f"[baseline]\nnormalization = 'norms.py:PowerNorm'\n[baseline.own]\n{levels}"
    plan = plan_of(here, f'{text}[[grid]]\nlevels.own.alpha = [1, 1.0, 2, 2.0, 0.5]\n[labels]\n"own.alpha=2" = "two"')
    assert names(plan) == ["baseline", *(f"own.alpha={level}" for level in spelled[1:])]
    assert [cell.label for cell in plan.cells] == ["baseline", "two", f"own.alpha={spelled[2]}"]


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ("[baseline]\nnormalization = 'norm.py:PowerNorm'",
         "e.toml:3: baseline.normalization: there is no file norm.py"),
        ("[baseline]\nnormalization = 'norms.py:PowerNrm'",
         "e.toml:3: baseline.normalization: norms.py defines no class or function 'PowerNrm'"),
        ("[[grid]]\nlevels.normalization = ['batch',\n'norm.py:PowerNorm']",
         "e.toml:4: grid.0.levels.normalization.1: there"),
        ("[[cell]]\nloss = 'none.py:L'", "e.toml:3: cell.0.loss: there is no file none.py"),
        ("[data]\nsource = 'none.py:L'", "e.toml:3: data.source: there is no file none.py"),
        ("[[cell]]\nloss = 'broken.py:L'", "broken.py:1: no valid Python"),
        ("[[cell]]\nloss = 'losses.py'", "e.toml:3: cell.0.loss: 'losses.py' is not allowed; allowed: 'bce', "),
        ("[[cell]]\nloss = 'losses.py'",
         "or FILE.py:NAME of your own (a part of your own is named by its file and its name)"),
        ("[[cell]]\nloss = 'bec'", "(did you mean 'bce'?)"),
        ("[[cell]]\nloss = 5", "e.toml:3: cell.0.loss: 5 is not allowed; allowed: 'bce', 'least_squares', "),
        ("[[cell]]\narchitecture = 'norms.py:PowerNorm'", "PowerNorm' is not allowed; allowed: 'cnn' or 'mlp'"),
        (GRID.replace("[baseline.own]\nalpha = 0.5\n", ""),
         "e.toml:4: grid.0.levels.own.alpha.0: has no level in [baseline.own]; write its reference level there"),
        (f"{GRID}[[cell]]\n[cell.own]\nalfa = 1",
         "e.toml:9: cell.0.own.alfa: has no level in [baseline.own]; did you mean 'alpha'?"),
        (f"{GRID}[[exclude]]\nown.alfa = 1", "e.toml:8: exclude.0.own.alfa: has no level"),
        ("[baseline]\nnormalization = 'norms.py:PowerNorm'\n[baseline.own]\nalpah = 1",
         "e.toml:5: baseline.own.alpah: no own part of any cell takes a parameter 'alpah'\n  Did you mean 'alpha'?"),
        ("[baseline.own]\nalpha = 1", "e.toml:3: baseline.own.alpha: no own part of any cell takes"),
        (GRID.replace("[0.5, 1]", "[0.5, 'x']"),
         "e.toml:6: grid.0.levels.own.alpha.1: expected a number like the baseline's 0.5, got x"),
        (GRID.replace("[0.5, 1]", "[true]"),
         "grid.0.levels.own.alpha.0: expected a number like the baseline's 0.5, got true"),
        ("[baseline.own]\nhidden_dim = 1", "e.toml:3: baseline.own.hidden_dim: 'hidden_dim' is handed to own parts"),
        ("[baseline.own]\n'a-b' = 1", "e.toml:3: baseline.own.a-b: 'a-b' is no name of a parameter"),
        ("[baseline.own]\nalpha = [1]",
         "baseline.own.alpha: expected true or false or a whole number or a number or a text in quotes, got [1]"),
        ("[baseline.own]\nalpha = nan", "e.toml:3: baseline.own.alpha: nan is not a finite number"),
        ("[baseline]\nown = 3", "e.toml:3: baseline.own: expected a table, got 3"),
        ("[[grid]]\nlevels.own = 3", "e.toml:3: grid.0.levels.own: expected a table, got 3"),
        ("[[grid]]\nlevels.own.alpha = 3", "e.toml:3: grid.0.levels.own.alpha: expected a list, got 3"),
        ("[baseline]\n'own.alpha' = 3", "e.toml:3: baseline.own.alpha: unknown key"),
        ("[data]\nimages = 5", "e.toml:2: data: images is for source = \"folder\" and your own code; digits has 1,797"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_is(here: Path, addition: str, told: str) -> None:
    write(norms=NORMS, broken="=", losses="")
    assert told in refusal(here, f'name = "e"\n{addition}')


def test_an_override_is_told_as_such(here: Path) -> None:
    told = first_line(here, 'name = "e"', "baseline.loss=none.py:L")
    assert told.startswith("--set baseline.loss=none.py:L: baseline.loss: there is no file none.py")


def test_images_take_no_factors_and_it_is_said_so(here: Path) -> None:
    write(images="def load(root, alpha): ...", norms=NORMS)
    text = 'name = "e"\n[data]\nsource = "images.py:load"\n[baseline.own]\nalpha = 1\n'
    told = refusal(here, text)
    assert "no own part of any cell takes a parameter 'alpha'" in told
    assert "images.py:load names it, but images are the same for all cells and take no factors." in told
    read(here, f"{text}[[cell]]\nnormalization = 'norms.py:PowerNorm'")


def test_a_module_of_the_current_folder_is_not_imported_inside_a_function(here: Path) -> None:
    write(parts_of_nets="def f():\n    import blocks\n", blocks="")
    with pytest.raises(OwnSourceError) as caught:
        read_own_source("parts/nets.py")
    assert str(caught.value).startswith("parts/nets.py:2: blocks is imported from the current folder")
