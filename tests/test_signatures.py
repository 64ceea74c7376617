"""What own parts take, as their text says it, and what is refused because the text does not say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import refusal, write

from harness.design.own_parts import OwnSourceError, parameters_of, read_own_source


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parameters(text: str, name: str = "Part") -> tuple[str, ...]:
    write(a=text)
    return parameters_of(read_own_source("a.py"), name)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("class Part:\n    def __init__(self, a, b=1, *args, c, d=2, **kwargs): ...", ("a", "b", "c", "d")),
        ("def Part(a, /, b, *, c): ...", ("a", "b", "c")),
        ("class Part: ...", ()),
        ("class Base:\n    def __init__(self, a): ...\nclass Part(Base): ...", ("a",)),
        ("class Base:\n    def __init__(self, a): ...\nclass Part(Base):\n    def __init__(self, b): ...", ("b",)),
        ("class Base:\n    def __init__(self, a): ...\nclass Part(nn.Module, Base): ...", ()),
        ("from torch import nn\nclass Part(nn.BatchNorm2d): ...", ()),
        ("class Part(Part): ...", ()),
        ("@dataclass\nclass Base:\n    a: float\n@dataclasses.dataclass(frozen=True)\nclass Part(Base):\n"
         "    b: int = 1\n    k: ClassVar[int] = 2", ("a", "b")),
        ("def Part(a): ...\ndef Part(b): ...", ("b",)),
        ("try:\n    import fast\nexcept ImportError:\n    def Part(a): ...", ("a",)),
        ("if x:\n    class Part:\n        def __init__(self, a): ...\nelse:\n    y = 1", ("a",)),
        ("from blocks import Block as Part", ("x",)),
        ("from blocks import Block\nclass Part(Block): ...", ("x",)),
        ("from pkg.inner import Inner as Part", ("y",)),
        ("def f(a): ...\nPart = f", ("a",)),
        ("class Base(ABC):\n    def __init__(self, a): ...\nclass Part(Generic[T], Base): ...", ("a",)),
        ("import blocks\nclass Part(blocks.Block): ...", ("x",)),
        ("import blocks as b\nclass Part(b.Block): ...", ("x",)),
        ("import blocks\nPart = blocks.Block", ("x",)),
        ("import blocks\nB: type = blocks.Block\nclass Part(B): ...", ("x",)),
        ("from blocks import *\nclass Part(Block): ...", ("x",)),
        ("from blocks import Block, Mixin\nclass Part(Mixin, Block): ...", ()),
        ("from blocks import Block, Mixin\nclass Part(Block, Mixin): ...", ("x",)),
        ("import pkg.deep.cells\nclass Part(pkg.deep.cells.Cell): ...", ("z",)),
        ("from pkg import deep\nclass Part(deep.cells.Cell): ...", ("z",)),
        ("from blocks import Block\nclass Block(Block): ...\nPart = Block", ("x",)),
        ("class A:\n    def __init__(self, a): ...\nclass B(A): ...\nclass C(A):\n    def __init__(self, c): ...\n"
         "class Part(B, C): ...", ("c",)),
        ("class Part:\n    def __init__(self, a): ...\n    def __new__(cls, b): ...", ("b",)),
        ("@dataclass\nclass Part:\n    a: int\n    _: KW_ONLY\n    b: int = field(init=False)\n    c: InitVar[int] = 1",
         ("a", "c")),
        ("class Base:\n    def __init__(self, a): ...\n@dataclass(init=False)\nclass Part(Base):\n    b: int", ("a",)),
        ("@torch.no_grad()\ndef Part(a): ...", ("a",)),
    ],
)  # fmt: skip
def test_what_a_part_takes(text: str, taken: tuple[str, ...]) -> None:
    write(
        blocks="class Block:\n    def __init__(self, x): ...\nclass Mixin:\n    def __init__(self): ...",
        pkg_of___init__="",
        pkg_of_inner="def Inner(y): ...",
        pkg_of_deep_of___init__="from . import cells",
        pkg_of_deep_of_cells="class Cell:\n    def __init__(self, z): ...",
    )
    assert parameters(text) == taken


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("if x:\n    def Part(a): ...\nelse:\n    def Part(): ...",
         "a.py:4: Part is defined in several places, by conditions"),
        ("try:\n    from fast import Part\nexcept ImportError:\n    def Part(): ...", "a.py:4: Part is defined in"),
        ("class Base:\n    def __init__(self, a): ...\nB = Base if x else object\nclass Part(B): ...",
         "a.py:4: what Part takes cannot be told from its base B"),
        ("def made(): ...\nclass Part(made()): ...", "a.py:2: what Part takes cannot be told from its base made()"),
        ("class Part(blocks): ...\nimport blocks", ""),
        ("import blocks\nclass Part(blocks): ...", "a.py:2: what Part takes cannot be told from its base blocks"),
        ("def given(f): ...\n@given\ndef Part(a): ...", "a.py:2: what Part takes cannot be told under @given"),
        ("import other\n@other.wrapped(1)\nclass Part:\n    def __init__(self, a): ...",
         "a.py:2: what Part takes cannot be told under @other.wrapped(1)"),
        ("def given(f): ...\nclass Part:\n    @given\n    def __init__(self, a): ...",
         "a.py:3: what __init__ takes cannot be told under @given"),
        ("def f(self, a): ...\nclass Part:\n    __init__ = make(f)",
         "a.py:2: what Part takes cannot be told, because its __init__ is no plain function"),
        ("def given(f): ...\ndef Part(a): ...\nPart = given(Part)", "a.py:3: given(Part) is settled only when"),
        ("class A:\n    Part = 1\nfor Part in []: ...", "a.py:3: Part is settled only when the file runs"),
        ("from blocks import Late as Part", "blocks.py:4: Late is defined in several places"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_from_the_text_is_refused_with_its_line(text: str, told: str) -> None:
    write(blocks="if x:\n    def Late(): ...\nelse:\n    def Late(a): ...")
    if not told:
        assert parameters(text) == ()
        return
    with pytest.raises(OwnSourceError) as caught:
        parameters(text)
    assert str(caught.value).startswith(told)
    assert "\n  " in str(caught.value)  # with what to do


def test_what_cannot_be_told_is_refused_by_the_plan_at_the_users_line(here: Path) -> None:
    write(losses="if 1:\n    def L(a): ...\nelse:\n    def L(): ...")
    told = refusal(here, 'name = "e"\n[[cell]]\nloss = "losses.py:L"')
    assert told.startswith("losses.py:4: L is defined in several places")


@pytest.mark.parametrize(
    "text", ["", "part = 1", "Part = 1", "from torch import Part", "Part = Part", "async def Part(): ..."]
)
def test_a_name_that_is_no_class_or_function_of_the_user_is_refused(text: str) -> None:
    with pytest.raises(OwnSourceError, match=r"a\.py defines no class or function 'Part'\n  Those it defines: none"):
        parameters(text)
