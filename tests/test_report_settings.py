"""`[report]` and `[[claim]]`: what a file may ask of the report, and that what it names is there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from design_files import first_line, plan_of, refusal, refused_at

from harness.design.cell_reference import cell_meant
from harness.design.report_settings import SectionName
from harness.errors import HarnessError

GRID = """
[[evaluation]]
metrics = ["fid", "kid"]

[[grid]]
kind = "one-at-a-time"
levels.latent_dim = [8, 16]
levels.normalization = ["none"]

[labels]
"normalization=none" = "w/o norm"
"""


def test_a_claim_has_defaults(tmp_path: Path) -> None:
    (claim,) = plan_of(tmp_path, f'{GRID}\n[[claim]]\ncell = "latent_dim=16"').experiment.claim
    assert (claim.metric, claim.against, claim.smallest_effect) == ("fid", "baseline", None)


@pytest.mark.parametrize("text", ["normalization=none", "w/o norm", "normalization = none"])
def test_a_claim_names_cells_as_the_command_line_does(tmp_path: Path, text: str) -> None:
    plan = plan_of(tmp_path, f'{GRID}\n[[claim]]\ncell = "{text}"\nagainst = "latent_dim=8"')
    assert cell_meant(plan, plan.experiment.claim[0].cell, "").name == "normalization=none"
    assert cell_meant(plan, plan.experiment.claim[0].against, "").name == "latent_dim=8"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('cell = "latent_dim=9"', "no cell is called 'latent_dim=9'"),
        ('cell = "latent_dim=8"\nagainst = "nobody"', "no cell is called 'nobody'"),
        ('cell = "latent_dim=8"\nagainst = "latent_dim=8"', "compares two different cells"),
        ('cell = "latent_dim=8"\n[[claim]]\ncell = "latent_dim=8"\nsmallest_effect = 0.5', "by fid already"),
        ('cell = "latent_dim=8"\n[[claim]]\ncell = "baseline"\nagainst = "latent_dim=8"', "by fid already"),
        ('cell = "latent_dim=8"\nmetric = "recall"', "no [[evaluation]] measures recall"),
        ('cell = "latent_dim=8"\nmetric = "accuracy"', "'accuracy' is not allowed"),
        ('cell = "latent_dim=8"\nsmallest_effect = 0', "smallest_effect"),
        ('cell = "latent_dim=8"\nsmallest_effect = inf', "smallest_effect"),
        ('against = "latent_dim=8"', "cell"),
        ('cell = "latent_dim=8"\nthan = "baseline"', "unknown key"),
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused_at_its_line(tmp_path: Path, lines: str, told: str) -> None:
    text = f"{GRID}\n[[claim]]\n{lines}"
    assert told in refusal(tmp_path, f'name = "e"\n{text}')
    first = len(f'name = "e"\n{GRID}\n[[claim]]\n'.splitlines())
    assert first <= refused_at(tmp_path, f'name = "e"\n{text}') <= first + len(lines.splitlines())


def test_a_claim_that_is_no_list_is_explained(tmp_path: Path) -> None:
    assert "[[claim]]" in refusal(tmp_path, f'name = "e"\n{GRID}\n[claim]\ncell = "latent_dim=8"')


def test_sections_are_named_in_any_order_and_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f'{GRID}\n[report]\nsections = ["reproduce", "summary"]')
    assert plan.experiment.report.sections == ("reproduce", "summary")
    assert plan_of(tmp_path, GRID).experiment.report.sections is None
    told = first_line(tmp_path, f'name = "e"\n{GRID}\n[report]\nsections = ["summary", "cost", "summary"]')
    assert "'summary' is named twice" in told
    assert "did you mean 'summary'?" in refusal(tmp_path, f'name = "e"\n{GRID}\n[report]\nsections = ["summery"]')
    assert "report.sections" in refusal(tmp_path, f'name = "e"\n{GRID}\n[report]\nsections = []')


def test_pairs_of_cells_are_checked(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f'{GRID}\n[report]\nside_by_side = [["baseline", "latent_dim=8"]]')
    assert plan.experiment.report.side_by_side == (("baseline", "latent_dim=8"),)
    for pairs, told in (
        ('[["baseline", "baseline"]]', "names one cell twice"),
        ('[["baseline", "latent_dim=9"]]', "no cell is called 'latent_dim=9'"),
        ('[["baseline"]]', "report.side_by_side"),
    ):
        assert told in refusal(tmp_path, f'name = "e"\n{GRID}\n[report]\nside_by_side = {pairs}')


def test_a_label_of_two_cells_names_neither(tmp_path: Path) -> None:
    text = f'{GRID}"latent_dim=8" = "same"\n"latent_dim=16" = "same"\n'
    with pytest.raises(HarnessError, match="2 cells are labeled 'same'"):
        cell_meant(plan_of(tmp_path, text), "same", "here")


def test_report_and_claims_change_no_key(tmp_path: Path) -> None:
    plain = plan_of(tmp_path, GRID)
    told = plan_of(tmp_path, f'{GRID}\n[report]\nsections = ["summary"]\n[[claim]]\ncell = "latent_dim=8"')
    assert [run.key for run in plain.runs] == [run.key for run in told.runs]


def test_every_section_has_its_place() -> None:
    from harness.report.document import SECTIONS

    assert [section.name for section in SECTIONS] == list(get_args(SectionName))
