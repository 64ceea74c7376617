"""From grids and cells to runs: combinations, precedence, merging, names, seeds, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import cell_named, names, plan_of, refusal

from harness.design.expansion import count_runs
from harness.design.experiment import Experiment, Grid
from harness.design.factors import LevelLists


def test_without_grids_the_baseline_is_the_only_cell(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "seeds = [3, 1]")
    (cell,) = plan.cells
    assert (cell.name, cell.label, cell.names, cell.grids, cell.varied) == (
        "baseline",
        "baseline",
        ("baseline",),
        (),
        {},
    )
    assert cell.is_baseline
    assert cell.seeds == (1, 3)
    assert [(run.seed, run.name) for run in plan.runs] == [(1, "baseline seed 1"), (3, "baseline seed 3")]
    assert (plan.factors, plan.merged) == ((), 0)


def test_factorial_is_every_combination(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[[grid]]\nlevels.latent_dim = [2, 3]\nlevels.batch_size = [8, 16, 32]")
    assert [
        (cell.hyperparameters.latent_dim, cell.hyperparameters.batch_size)
        for cell in plan.cells
        if not cell.is_baseline
    ] == [(latent, batch) for latent in (2, 3) for batch in (8, 16, 32)]
    assert plan.factors == ("latent_dim", "batch_size")


def test_one_at_a_time_leaves_everything_else_at_the_baseline(tmp_path: Path) -> None:
    grid = '[[grid]]\nkind = "one-at-a-time"\nlevels.latent_dim = [2, 3]\nlevels.architecture = ["mlp"]'
    plan = plan_of(tmp_path, f"[baseline]\nlatent_dim = 9\n{grid}")
    assert names(plan) == ["baseline", "latent_dim=2", "latent_dim=3", "architecture=mlp"]
    assert cell_named(plan, "architecture=mlp").hyperparameters.latent_dim == 9


def test_paired_levels_walk_together(tmp_path: Path) -> None:
    grid = '[[grid]]\nkind = "paired"\nlevels.generator_lr = [1e-3, 1e-4]\nlevels.discriminator_lr = [2e-3, 2e-5]'
    plan = plan_of(tmp_path, grid)
    assert [(c.hyperparameters.generator_lr, c.hyperparameters.discriminator_lr) for c in plan.cells[1:]] == [
        (1e-3, 2e-3),
        (1e-4, 2e-5),
    ]


@pytest.mark.parametrize("order", ["lr = 1e-3\ngenerator_lr = 1e-4", "generator_lr = 1e-4\nlr = 1e-3"])
@pytest.mark.parametrize("table", ["baseline", "cell", "grid"])
def test_a_field_named_itself_beats_its_alias(tmp_path: Path, order: str, table: str) -> None:
    if table == "grid":
        lines = [f"levels.{line.replace('= ', '= [')}]" for line in order.split("\n")]
        plan = plan_of(tmp_path, "[[grid]]\n" + "\n".join(lines))
    else:
        plan = plan_of(tmp_path, f"[{table}]\n{order}" if table == "baseline" else f"[[{table}]]\n{order}")
    hyperparameters = plan.cells[-1].hyperparameters
    assert (hyperparameters.generator_lr, hyperparameters.discriminator_lr) == (1e-4, 1e-3)


def test_an_alias_of_a_cell_beats_a_field_of_the_baseline(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[baseline]\ngenerator_hidden_dim = 4\n[[cell]]\nhidden_dim = 8")
    hyperparameters = plan.cells[1].hyperparameters
    assert (hyperparameters.generator_hidden_dim, hyperparameters.discriminator_hidden_dim) == (8, 8)


def test_an_alias_is_shown_where_its_fields_agree_in_every_cell(tmp_path: Path) -> None:
    agreeing = plan_of(tmp_path, "[[grid]]\nlevels.lr = [1e-3]")
    assert agreeing.factors == ("lr",)
    assert agreeing.cells[1].varied == {"lr": 1e-3}
    apart = plan_of(tmp_path, "[[grid]]\nlevels.lr = [1e-3]\n[[cell]]\ngenerator_lr = 5e-3")
    assert apart.factors == ("generator_lr", "discriminator_lr")
    assert names(apart) == ["baseline", "generator_lr=0.001,discriminator_lr=0.001", "generator_lr=0.005"]
    baseline_apart = plan_of(tmp_path, "[baseline]\ngenerator_lr = 1e-4\n[[grid]]\nlevels.lr = [1e-3]")
    assert baseline_apart.factors == ("generator_lr", "discriminator_lr")
    one = plan_of(tmp_path, '[[cell]]\ngenerator = "mlp"')
    assert one.factors == ("generator",)


def test_only_what_differs_from_the_baseline_is_in_a_name(tmp_path: Path) -> None:
    grid = "[[grid]]\nlevels.latent_dim = [16, 100]\nlevels.hidden_dim = [16, 100]"
    plan = plan_of(tmp_path, f"[baseline]\nlatent_dim = 16\nhidden_dim = 16\n{grid}")
    assert names(plan) == ["baseline", "hidden_dim=100", "latent_dim=100", "latent_dim=100,hidden_dim=100"]
    assert [cell.varied for cell in plan.cells][3] == {"latent_dim": 100, "hidden_dim": 100}


def test_names_have_one_spelling_of_a_level(tmp_path: Path) -> None:
    grid = "[[grid]]\nkind = 'one-at-a-time'\nlevels.lr = [0.0010, 1]\nlevels.betas = [[0, 0.9]]\nlevels.limit = [50]"
    assert names(plan_of(tmp_path, grid)) == ["baseline", "lr=0.001", "lr=1.0", "betas=0.0,0.9", "limit=50"]


def test_cells_named_twice_are_one_and_keep_every_name(tmp_path: Path) -> None:
    text = """
[[grid]]
name = "first"
levels.latent_dim = [5, 100]
[[grid]]
levels.latent_dim = [5]
[[grid]]
name = "first"
levels.latent_dim = [5]
[[cell]]
name = "five"
latent_dim = 5
[[cell]]
name = "cinq"
latent_dim = 5
[[cell]]
latent_dim = 5
[[cell]]
name = "reference"
"""
    plan = plan_of(tmp_path, text)
    assert names(plan) == ["baseline", "five"]
    five = cell_named(plan, "five")
    assert five.names == ("five", "cinq")
    assert five.grids == ("first", "grid 2")
    assert five.varied == {"latent_dim": 5}
    baseline = cell_named(plan, "baseline")
    assert baseline.names == ("baseline", "reference")
    assert baseline.grids == ("first",)
    assert plan.merged == 7
    assert len(plan.runs) == 2


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("seeds = [0, 1]\n[[cell]]\nlatent_dim = 5\nseeds = [7]", {"baseline": (0, 1, 7), "latent_dim=5": (7,)}),
        (
            "seeds = [0]\n[[grid]]\nlevels.latent_dim = [5]\nseeds = [1]\n[[cell]]\nlatent_dim = 5\nseeds = [3, 2, 3]",
            {"baseline": (0, 1, 2, 3), "latent_dim=5": (1, 2, 3)},
        ),
        (
            "seeds=[0]\n[[cell]]\nlatent_dim=5\n[[cell]]\nlatent_dim=6\nseeds=[4]\n[[cell]]\nlatent_dim=5\nseeds=[9]",
            {"baseline": (0, 4, 9), "latent_dim=5": (0, 9), "latent_dim=6": (4,)},
        ),
        (  # the baseline gets its block even where only a grid names it
            "include_baseline=false\nseeds=[0]\n[[grid]]\nlevels.latent_dim=[100,5]\n[[cell]]\nlatent_dim=6\nseeds=[4]",
            {"baseline": (0, 4), "latent_dim=5": (0,), "latent_dim=6": (4,)},
        ),
        (
            "include_baseline = false\nseeds = [0]\n[[grid]]\nlevels.latent_dim = [5]\nseeds = [8]",
            {"latent_dim=5": (8,)},
        ),
        (  # an excluded cell asks for nothing
            "seeds = [0]\n[[cell]]\nlatent_dim = 5\nseeds = [4]\n[[exclude]]\nlatent_dim = 5",
            {"baseline": (0,)},
        ),
    ],
)  # fmt: skip
def test_seeds_are_the_union_over_all_that_name_a_cell(
    tmp_path: Path, text: str, seeds: dict[str, tuple[int, ...]]
) -> None:
    plan = plan_of(tmp_path, text)
    assert {cell.name: cell.seeds for cell in plan.cells} == seeds
    assert [(run.cell.name, run.seed) for run in plan.runs] == [(name, s) for name in seeds for s in seeds[name]]


GRID = '[[grid]]\nlevels.latent_dim = [5, 6]\nlevels.architecture = ["cnn", "mlp"]\n'


def test_exclude_leaves_out_what_matches_all_of_its_levels(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, GRID + '[[exclude]]\nlatent_dim = 6\narchitecture = "mlp"\n[[exclude]]\nlatent_dim = 7')
    assert names(plan) == ["baseline", "latent_dim=5", "architecture=mlp,latent_dim=5", "latent_dim=6"]
    assert plan.merged == 0


def test_exclude_takes_fields_aliases_and_lists(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, '[[grid]]\nlevels.generator = ["cnn", "mlp"]\n[[exclude]]\ngenerator = "mlp"')
    assert names(plan) == ["baseline"]
    plan = plan_of(tmp_path, '[[grid]]\nlevels.generator = ["mlp"]\n[[exclude]]\narchitecture = "mlp"')
    assert names(plan) == ["baseline", "generator=mlp"]
    plan = plan_of(tmp_path, "[[grid]]\nlevels.betas = [[0.0, 0.9], [0.1, 0.9]]\n[[exclude]]\nbetas = [0, 0.9]")
    assert names(plan) == ["baseline", "betas=0.1,0.9"]
    plan = plan_of(tmp_path, "[[cell]]\nname = 'a'\nlatent_dim = 5\n[[exclude]]\nlatent_dim = 5")
    assert names(plan) == ["baseline"]


def test_an_impossible_combination_may_be_excluded(tmp_path: Path) -> None:
    grid = '[[grid]]\nlevels.architecture = ["cnn", "mlp"]\nlevels.resolution = [16, 20]\n'
    assert "architecture = cnn, resolution = 20: generator cnn cannot do" in refusal(tmp_path, f'name = "e"\n{grid}')
    plan = plan_of(tmp_path, f'{grid}[[exclude]]\narchitecture = "cnn"\nresolution = 20')
    assert names(plan) == [
        "baseline",
        "resolution=16",
        "architecture=mlp,resolution=16",
        "architecture=mlp,resolution=20",
    ]


def test_the_baseline_may_be_left_out(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"include_baseline = false\n{GRID}")
    assert "baseline" not in names(plan)
    assert len(plan.cells) == 4
    assert "e.toml:2: include_baseline: no cell is left" in refusal(tmp_path, 'name = "e"\ninclude_baseline = false')
    text = 'name = "e"\n[[exclude]]\nlatent_dim = 100'
    assert "e.toml:2: exclude: no cell is left" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("cells", "line", "what"),
    [
        ("[[cell]]\nname = 'a'\nlatent_dim = 5\n[[cell]]\nlatent_dim = 6\nname = 'a'", 7, "cells are called 'a'"),
        ("[[cell]]\nlatent_dim = 5\n[[cell]]\nname = 'latent_dim=5'\nlatent_dim = 6", 5, "two different cells"),
        ("[[cell]]\nlatent_dim = 5\n[[cell]]\nlatent_dim = 6\nname = 'best'", 6, "'best' means something else"),
        ("[[cell]]\nlatent_dim = 5\nname = 'baseline'", 4, "'baseline' means something else"),
        ("[[cell]]\nlatent_dim = 5\nname = ''", 4, "may not be empty"),
        ('[[cell]]\nlatent_dim = 5\nname = "a\\u0007"', 4, "has control characters"),
    ],
)  # fmt: skip
def test_names_that_mean_two_things_are_refused(tmp_path: Path, cells: str, line: int, what: str) -> None:
    told = refusal(tmp_path, f'name = "e"\n{cells}')
    assert told.startswith(f"e.toml:{line}: cell.")
    assert ".name: " in told
    assert what in told


def test_labels_are_what_people_read(tmp_path: Path) -> None:
    text = (
        '[labels]\n"architecture=mlp" = "MLP"\n"latent_dim=5" = "z5"\nbaseline = "DCGAN"\nnamed = "Named!"\n'
        f"{GRID}[[cell]]\nname = 'named'\nlatent_dim = 7\n"
    )
    assert [(cell.name, cell.label) for cell in plan_of(tmp_path, text).cells] == [
        ("baseline", "DCGAN"),
        ("latent_dim=5", "z5"),
        ("architecture=mlp,latent_dim=5", "MLP, z5"),
        ("latent_dim=6", "latent_dim=6"),
        ("architecture=mlp,latent_dim=6", "MLP, latent_dim=6"),
        ("named", "Named!"),
    ]


def levels(count: int) -> list[int]:
    return list(range(2, 2 + count))


def test_a_grid_of_millions_is_counted_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a combination was made before the count was checked")

    monkeypatch.setattr("harness.design.proposals._combinations", never)
    text = (
        'name = "e"\n[[cell]]\nlatent_dim = 3\n[[grid]]\n'
        f"levels.latent_dim = {levels(500)}\nlevels.batch_size = {levels(500)}\nlevels.hidden_dim = {levels(500)}"
    )
    assert refusal(tmp_path, text).startswith(
        "e.toml:4: grid.0: the file asks for 125,000,002 runs, more than max_runs"
    )


def test_the_limit_holds_for_what_the_file_says_and_for_the_baselines_block(tmp_path: Path) -> None:
    ten = f"[[grid]]\nlevels.latent_dim = {levels(10)}"
    assert len(plan_of(tmp_path, f"max_runs = 11\n{ten}").runs) == 11
    assert "11 runs, more than max_runs = 10" in refusal(tmp_path, f'name = "e"\nmax_runs = 10\n{ten}')
    seeds = f'name = "e"\nmax_runs = 20\nseeds = [0]\n[[cell]]\nlatent_dim = 3\nseeds = {list(range(1, 12))}'
    assert "23 runs, more than max_runs = 20" in refusal(tmp_path, seeds)
    many = f'name = "e"\nseeds = {list(range(9_000))}\n[[cell]]\nlatent_dim = 3'
    assert refusal(tmp_path, many).startswith("e.toml:2: seeds: the file asks for 18,000 runs")


def test_the_count_is_that_of_the_expansion_before_merging() -> None:
    grids = tuple(
        Grid(kind=kind, levels=LevelLists(latent_dim=[2, 3, 4], batch_size=[8, 16, 32]), seeds=(0, 1))
        for kind in ("factorial", "one-at-a-time", "paired")
    )
    assert count_runs(Experiment(name="e", seeds=(0, 1, 2), grid=grids)) == 3 + 2 * (9 + 6 + 3)


def test_ten_thousand_runs_have_ten_thousand_keys(tmp_path: Path) -> None:
    text = (
        f"include_baseline = false\nseeds = {list(range(10))}\n[[grid]]\n"
        f"levels.latent_dim = {levels(20)}\nlevels.batch_size = {levels(50)}"
    )
    plan = plan_of(tmp_path, text)
    assert (len(plan.cells), len(plan.runs)) == (1_000, 10_000)
    assert len({run.key[:8] for run in plan.runs}) == 10_000
    assert len(set(names(plan))) == 1_000
