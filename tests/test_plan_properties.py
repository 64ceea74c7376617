"""Files that are nearly right: an error names the line that is wrong; and what every good plan has in common."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_properties import bounded, many

from harness.cli.documents import plan_document
from harness.design.expansion import Plan
from harness.design.experiment_file import read_experiment_file
from harness.design.factors import Hyperparameters
from harness.errors import ExperimentFileError
from harness.tracking.reader import read_experiment


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans") / "e.toml"


MUTATED = """\
name = "e"
seeds = [0, 1]
max_runs = 500
include_baseline = true
[data]
source = "folder"
root = "data"
color = "gray"
[baseline]
latent_dim = 16
generator_lr = 1e-3
normalization = "batch"
kernel_size = 5
loss = "bce"
label_swap = 0.1
lr_decay_from = 0.5
ema_decay = 0.9
betas = [0.5, 0.9]
[training]
steps = 600
log_every = 10
checkpoint_every = 200
[[evaluation]]
extractor = "digits"
metrics = ["fid"]
samples = 100
repeats = 2
at = [200, 600]
required = false
generator_weights = "ema"
[[grid]]
kind = "factorial"
name = "dims"
levels.latent_dim = [16, 100]
levels.hidden_dim = [16, 32]
[[cell]]
name = "perceptron"
architecture = "mlp"
seeds = [3]
[[exclude]]
latent_dim = 100
hidden_dim = 32
[report]
samples = 4
[cost]
per_hour = 2.5
[labels]
"perceptron" = "MLP"
"""
"""A valid file with at least one key of every table, a key a line, so that an error has one right line."""

KEY_LINES = [number for number, line in enumerate(MUTATED.splitlines()) if " = " in line]
SIZELESS = st.one_of(st.integers(), st.floats(), st.integers(-(10**40), 10**40)).map(lambda number: str(number).lower())
WRONG_VALUES = st.one_of(
    st.sampled_from(["[]", "{}", "true", '""', "[[1]]", "[1, [2]]", "{ a = 1 }", "1979-05-27", "nan", "inf", "-0.0"]),
    st.sampled_from(['"x"', '["x"]', "[true]", "0", "-1", "1e308", "9" * 90, "[0, 0]", '"\\u0000"', '"\\u202e"']),
    SIZELESS,
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9).map(
        lambda text: f"'{text.replace(chr(39), '')}'"
    ),
)
"""Values of the wrong type, out of range, not finite, or strange; some are right for some keys."""


def is_new(key: str) -> bool:
    """A key that is there already would be refused where it stands the second time."""
    return key not in {re.split(r"[ .]", MUTATED.splitlines()[number])[0] for number in KEY_LINES}


@st.composite
def one_mutation(draw: st.DrawFn) -> tuple[str, int]:
    """The valid file with one line changed, and that line's number from 1."""
    lines = MUTATED.splitlines()
    number = draw(st.sampled_from(KEY_LINES))
    key, _, value = lines[number].partition(" = ")
    match draw(st.sampled_from(["value", "key", "deep", "dotted", "missing value", "nested"])):
        case "value":
            lines[number] = f"{key} = {draw(WRONG_VALUES)}"
        case "key":
            wrong = draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9).filter(is_new))
            lines[number] = f"'{wrong.replace(chr(39), 'x')}' = {value}"
        case "deep":
            depth = draw(st.integers(1, 200))
            lines[number] = f"{key} = {'[' * depth}{value}{']' * depth}"
        case "dotted":
            lines[number] = f"{key}{'.x' * draw(st.integers(1, 200))} = {value}"
        case "nested":
            depth = draw(st.integers(1, 40))
            lines[number] = f"{key} = {'{ a = ' * depth}{value}{' }' * depth}"
        case _:
            lines[number] = f"{key} ="
    return "\n".join(lines) + "\n", number + 1


def refusal_of(file: Path, text: str, overrides: list[str] | None = None) -> ExperimentFileError | None:
    file.write_text(text, encoding="utf-8")
    try:
        read_experiment_file(file, overrides or [])
    except ExperimentFileError as error:
        return error
    return None


def test_the_file_that_is_mutated_is_valid(file: Path) -> None:
    assert refusal_of(file, MUTATED) is None


TOLD_ELSEWHERE = {
    ("steps = 600", "[training]"): "together with checkpoint_every they are too many checkpoints",
    ("steps = 600", "at = [200, 600]"): "a step that is measured has no checkpoint any more",
    ("checkpoint_every = 200", "at = [200, 600]"): "a step that is measured has no checkpoint any more",
    ("ema_decay = 0.9", 'generator_weights = "ema"'): "averaged weights are measured that no cell keeps any more",
    ('name = "perceptron"', '"perceptron" = "MLP"'): "a label of a cell that is not called so any more",
}
"""Two right values that contradict each other: (the line that was changed, the line that is named): why it is that one.

Every other error names the changed line and no other.
"""


def named_line(error: ExperimentFileError) -> int:
    """The one line that an error is about."""
    (line,) = re.findall(r"(?:^|/)e\.toml:(\d+)(?:: |$)", error.where)
    return int(line)


def is_told_elsewhere(changed: int, named: int) -> bool:
    lines = MUTATED.splitlines()
    return (lines[changed - 1], lines[named - 1]) in TOLD_ELSEWHERE


def check_one_mutation(file: Path, text: str, line: int) -> None:
    error = refusal_of(file, text)
    if error is None:
        return
    named = named_line(error)
    assert named == line or is_told_elsewhere(line, named), f"line {line} of\n{text}\n{error}"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("steps = 600", "steps = 99999999", "[training]"),
        ("steps = 600", "steps = 400", "at = [200, 600]"),
        ("checkpoint_every = 200", "checkpoint_every = 300", "at = [200, 600]"),
        ("ema_decay = 0.9", "ema_decay = 0", 'generator_weights = "ema"'),
        ('name = "perceptron"', 'name = "x"', '"perceptron" = "MLP"'),
    ],
)
def test_each_exception_is_one(file: Path, before: str, after: str, named: str) -> None:
    error = refusal_of(file, MUTATED.replace(before, after))
    assert error is not None
    assert MUTATED.splitlines()[named_line(error) - 1] == named
    assert (before, named) in TOLD_ELSEWHERE


@bounded
@given(mutation=one_mutation())
def test_an_error_names_the_line_that_was_changed(file: Path, mutation: tuple[str, int]) -> None:
    check_one_mutation(file, *mutation)


@bounded
@given(value=WRONG_VALUES, line=st.sampled_from(KEY_LINES))
def test_a_value_set_on_the_command_line_is_told_as_such(file: Path, value: str, line: int) -> None:
    lines = MUTATED.splitlines()
    table = next(text for text in reversed(["[]", *lines[:line]]) if text.startswith("["))
    prefix = table.strip("[]") + (".0" if table.startswith("[[") else "")
    key = lines[line].partition(" = ")[0]
    override = f"{prefix}.{key}={value}".lstrip(".")
    error = refusal_of(file, MUTATED, [override])
    if error is not None:
        told = error.where == f"--set {override}" or error.where.startswith(f"--set {override}: ")
        assert told or is_told_elsewhere(line + 1, named_line(error)), error


LEVELS = {
    "latent_dim": ["8", "16", "100"], "hidden_dim": ["8", "16"], "normalization": ['"none"', '"batch"'],
    "generator_lr": ["1e-3", "2e-4"], "batch_size": ["16", "32", "64"], "betas": ["[0.5, 0.9]", "[0.0, 0.9]"],
    "architecture": ['"mlp"', '"cnn"'], "generator": ['"mlp_conv"', '"cnn"'], "discriminator": ['"cnn2"', '"cnn4"'],
    "kernel_size": ["4", "5"], "discriminator_kernel_size": ["4", "5"],
    "loss": ['"bce"', '"hinge"', '"sigmoid_logits"'],
    "real_label": ["1.0", "0.9", "[0.9, 1.0]"], "label_swap": ["0.0", "0.1"], "label_swap_decay": ['"none"', "0.5"],
    "initialization": ['"dcgan"', '"dcgan_bn0"'], "discriminator_normalization": ['"spectral"', '"none"'],
    "resolution": ["16", "32"],
}  # fmt: skip


@st.composite
def grids(draw: st.DrawFn) -> list[str]:
    """Some `[[grid]]` tables, all valid."""
    tables = []
    for _ in range(draw(st.integers(1, 4))):
        names = draw(st.lists(st.sampled_from(sorted(LEVELS)), min_size=1, max_size=3, unique=True))
        kind = draw(st.sampled_from(["factorial", "one-at-a-time"]))
        lists = [draw(st.lists(st.sampled_from(LEVELS[name]), min_size=1, max_size=3)) for name in names]
        rows = [f"levels.{name} = [{', '.join(levels)}]" for name, levels in zip(names, lists, strict=True)]
        seeds = draw(st.sampled_from(["", "seeds = [5, 2]\n", "seeds = [0]\n"]))
        tables.append(f'[[grid]]\nkind = "{kind}"\n{seeds}' + "\n".join(rows) + "\n")
    return tables


def plan_of_tables(file: Path, tables: list[str]) -> Plan:
    file.write_text('name = "e"\nseeds = [0, 1]\n' + "".join(tables), encoding="utf-8")
    return read_experiment_file(file).plan


def check_plan(file: Path, tables: list[str], order: list[int]) -> None:
    """One file, one plan; keys are unique, belong to cells, and do not depend on the order of grids."""
    plan = plan_of_tables(file, tables)
    assert plan == plan_of_tables(file, tables)
    keys_of_runs = [run.key for run in plan.runs]
    assert len(set(keys_of_runs)) == len(keys_of_runs)
    assert len({cell.name for cell in plan.cells}) == len(plan.cells)
    assert sum(len(cell.seeds) for cell in plan.cells) == len(plan.runs)
    shuffled = plan_of_tables(file, [tables[index] for index in order])
    assert {(run.key, run.name) for run in shuffled.runs} == {(run.key, run.name) for run in plan.runs}
    view = read_experiment(plan, file.parent / "runs")
    document = plan_document(view)
    assert json.loads(json.dumps(document)) == document
    assert sorted(run["key"] for cell in document["cells"] for run in cell["runs"]) == sorted(keys_of_runs)
    for cell in document["cells"]:
        assert Hyperparameters(**cell["hyperparameters"]).model_dump(mode="json") == cell["hyperparameters"]


tables_and_order = grids().flatmap(lambda tables: st.tuples(st.just(tables), st.permutations(range(len(tables)))))


@bounded
@given(case=tables_and_order)
def test_good_files_have_one_plan_whatever_the_order(file: Path, case: tuple[list[str], list[int]]) -> None:
    check_plan(file, *case)


@pytest.mark.long
@pytest.mark.timeout(1800)
@many
@given(mutation=one_mutation())
def test_many_errors_name_the_line_that_was_changed(file: Path, mutation: tuple[str, int]) -> None:
    check_one_mutation(file, *mutation)


@pytest.mark.long
@pytest.mark.timeout(1800)
@many
@given(case=tables_and_order)
def test_many_good_files_have_one_plan(file: Path, case: tuple[list[str], list[int]]) -> None:
    check_plan(file, *case)
