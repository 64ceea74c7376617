"""`[labels]`: keys in any spelling of a level; a key that means nothing is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import cell_named, plan_of, refusal

GRID = "[[grid]]\nkind = 'one-at-a-time'\nlevels.lr = [1e-3]\nlevels.betas = [[0, 0.9]]\n"


@pytest.mark.parametrize(
    ("key", "cell"),
    [
        ("lr=1e-3", "lr=0.001"),
        ("lr = 0.0010", "lr=0.001"),
        ("betas=0,0.9", "betas=0.0,0.9"),
        ("betas=[0, 0.9]", "betas=0.0,0.9"),
        ("latent_dim=8, lr=1e-3", "lr=0.001,latent_dim=8"),
        ("same", "twice"),
        ("baseline", "baseline"),
    ],
)
def test_a_key_is_found_in_any_spelling(tmp_path: Path, key: str, cell: str) -> None:
    cells = "[[cell]]\nlr = 1e-3\nlatent_dim = 8\n"
    cells += "".join(f"[[cell]]\nname = '{name}'\nbatch_size = 8\n" for name in ("twice", "same"))
    plan = plan_of(tmp_path, f'{GRID}{cells}[labels]\n"{key}" = "seen"')
    named = "latent_dim=8,lr=0.001" if cell.startswith("lr=0.001,") else cell
    assert cell_named(plan, named).label == "seen"


def test_a_level_is_labeled_in_every_cell_that_has_it(tmp_path: Path) -> None:
    text = '[[grid]]\nlevels.lr = [1e-3]\nlevels.latent_dim = [8, 9]\n[labels]\n"lr=1e-3" = "fast"'
    assert [cell.label for cell in plan_of(tmp_path, text).cells][1:] == ["latent_dim=8, fast", "latent_dim=9, fast"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("lr=2e-3", "e.toml:7: labels.lr=2e-3: no cell is called so"),
        ("lr=0.002", "e.toml:7: labels.lr=0.002: no cell is called so"),
        ("lr=2e-4", "e.toml:7: labels.lr=2e-4: no cell is called so"),
        ("generator_lr=1e-3", "e.toml:7: labels.generator_lr=1e-3: no cell"),
        ("baselin", "Did you mean 'baseline'?"),
        ("lr=fast", "labels.lr=fast: no cell is called so"),
        ("", "e.toml:7: labels.: no cell is called so"),
    ],
)
def test_a_key_that_means_nothing_is_refused_with_its_line(tmp_path: Path, key: str, told: str) -> None:
    assert told in refusal(tmp_path, f'name = "e"\n{GRID}[labels]\n"{key}" = "x"')


def test_two_keys_for_one_level_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, f'name = "e"\n{GRID}[labels]\n"lr=1e-3" = "x"\n"lr=0.001" = "y"')
    assert told == "e.toml:8: labels.lr=0.001: means the same as 'lr=1e-3'"
