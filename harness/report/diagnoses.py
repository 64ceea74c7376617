"""Diagnosis of every run: findings gathered from curves and evaluations, as tables, sentences and TOML to paste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from harness.analysis.diagnosis import (
    ACCURACY,
    LOSS,
    RATIO,
    Finding,
    Nearness,
    Rule,
    Setting,
    memorization,
    mode_collapse,
    training_findings,
)
from harness.analysis.modes import ModeVerdict
from harness.analysis.remedies import Remedy, Symptom
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.diagnosis_words import evidence_text, remedy_text, symptom_name, symptom_text
from harness.report.markdown import escape, fenced, table
from harness.report.modes import classes_of, groups_with_classes
from harness.report.tables import cell_name

MOST_SEEDS = 4
"""Seeds whose evidence is told."""
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """One cell's findings, by seed: one for each of RULES, in order. Runs without records have none on curves."""

    cell: ReportCell
    by_seed: Mapping[int, tuple[Finding, ...]]

    def of_rule(self, rule: Rule) -> dict[int, Finding]:
        """By seed, of runs that can tell."""
        found = {seed: next(one for one in all_of if one.rule == rule) for seed, all_of in self.by_seed.items()}
        return {seed: finding for seed, finding in found.items() if finding.holds is not None}

    @property
    def symptoms(self) -> dict[Symptom, dict[int, Finding]]:
        """What any seed has, by symptom and seed, in the order of the rules."""
        found: dict[Symptom, dict[int, Finding]] = {}
        for rule in RULES:
            for seed, finding in self.of_rule(rule).items():
                if finding.holds and finding.symptom:
                    found.setdefault(finding.symptom, {})[seed] = finding
        return found

    @property
    def remedies(self) -> list[Remedy]:
        """Of all symptoms, each once."""
        found: dict[str, Remedy] = {}
        for by_seed in self.symptoms.values():
            for finding in by_seed.values():
                found |= {remedy.name: remedy for remedy in finding.remedies}
        return list(found.values())


def diagnosed(content: Content) -> list[Diagnosis]:
    """Every cell's, in order."""
    nearest = _nearest_columns(content)
    group = next(iter(groups_with_classes(content)), None)
    return [_diagnosis(content, cell, group[0] if group else None, nearest) for cell in content.cells]


def _diagnosis(content: Content, cell: ReportCell, classes: Column | None, nearest: Mapping[str, Column]) -> Diagnosis:
    hp = cell.cell.hyperparameters
    setting = Setting(hp, content.view.plan.parameters, scale_of(hp).terms)
    found = classes_of(content, classes, cell) if classes else None
    verdicts: Mapping[int, ModeVerdict] = found.by_seed_verdicts() if found else {}
    return Diagnosis(
        cell,
        {
            run.seed: (
                *training_findings(run.curves, setting),
                mode_collapse(verdicts.get(run.seed), setting),
                memorization(_nearness(content, run, nearest), setting),
            )
            for run in cell.runs
        },
    )


def _nearest_columns(content: Content) -> dict[str, Column]:
    """The first column of each metric of nearness."""
    found: dict[str, Column] = {}
    for column in content.columns:
        if column.metric in ("nearest_ratio", "nearest_share"):
            found.setdefault(column.metric, column)
    return found


def _nearness(content: Content, run: ReportRun, columns: Mapping[str, Column]) -> Nearness:
    values = {}
    for metric, column in columns.items():
        by_step = content.run_values(run, column)
        floor = content.floors.get(column.title)
        values[metric] = (fmean(by_step[max(by_step)]) if by_step else None, floor.mean if floor else None)
    ratio, floor_ratio = values.get("nearest_ratio", (None, None))
    share, floor_share = values.get("nearest_share", (None, None))
    return Nearness(ratio, share, floor_ratio, floor_share)


def findings_table(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """A row per cell: in how many seeds each rule finds its symptom, of those that can tell."""
    language = content.language
    say = language.say
    headers = {
        "loss ratio": say("G/D not in ({low:g}, {high:g})", low=RATIO[0], high=RATIO[1]),
        "accuracies": say("Accuracies not in ({low:g}, {high:g})", low=ACCURACY[0], high=ACCURACY[1]),
        "loss range": say("Losses not in ({low:g}, {high:g})", low=LOSS[0], high=LOSS[1]),
        "vanishing gradient": say("Vanishing gradient"),
        "oscillation": say("Oscillation"),
        "mode collapse": say("Mode collapse"),
        "memorization": say("Memorization"),
    }
    rows = []
    for diagnosis in diagnoses:
        row = [str(diagnosis.cell.number), cell_name(diagnosis.cell)]
        for rule in RULES:
            found = [bool(finding.holds) for finding in diagnosis.of_rule(rule).values()]
            text = say("{n} of {asked}", n=sum(found), asked=len(found)) if found else "–"
            row.append(f"**{text}**" if any(found) else text)
        rows.append(row)
    return table(["#", say("Cell"), *(headers[rule] for rule in RULES)], rows, right=[0, *range(2, 2 + len(RULES))])


def symptom_lines(content: Content, diagnosis: Diagnosis) -> list[str]:
    """A sentence per symptom of a cell: in which seeds, and by which numbers."""
    language = content.language
    lines = []
    for symptom, by_seed in diagnosis.symptoms.items():
        told = [
            language.say("seed {seed}: {evidence}", seed=seed, evidence=evidence_text(finding, language))
            for seed, finding in by_seed.items()
        ]
        more = [] if len(told) <= MOST_SEEDS else ["…"]
        rule = next(iter(by_seed.values())).rule
        lines.append(
            language.say(
                "{symptom} in {n} of {asked} seeds ({evidence}).",
                symptom=symptom_text(symptom, language),
                n=len(by_seed),
                asked=len(diagnosis.of_rule(rule)),
                evidence=language.clauses([*told[:MOST_SEEDS], *more]),
            )
        )
    return lines


def remedies_block(content: Content, diagnosis: Diagnosis) -> str:
    """What to try, as `[[cell]]` tables to paste into the experiment file; empty where there is nothing.

    What the file has already is named by `remedies_there`.
    """
    new = [remedy for remedy in diagnosis.remedies if not _existing(content, diagnosis.cell, remedy)]
    varied = diagnosis.cell.cell.varied
    tables = [remedy.cell_table(varied, remedy_text(remedy, content.language)) for remedy in new]
    return fenced("\n\n".join(tables), "toml") if tables else ""


def remedies_there(content: Content, diagnosis: Diagnosis) -> str:
    """The remedies that are cells of the file already; empty where none is."""
    language = content.language
    found = [
        language.say("{remedy} ({cell})", remedy=remedy_text(remedy, language), cell=escape(cell.label))
        for remedy in diagnosis.remedies
        if (cell := _existing(content, diagnosis.cell, remedy))
    ]
    return language.say("This file has already: {remedies}.", remedies=language.listed(found)) if found else ""


def _existing(content: Content, cell: ReportCell, remedy: Remedy) -> ReportCell | None:
    same = content.view.plan.cells_at(remedy.levels_with(cell.cell.varied))
    return next((other for other in content.cells if other.cell in same), None)


def diagnosis_summary(content: Content) -> str:
    """Which symptoms were found how often, in a sentence; empty where no run could be diagnosed."""
    counts: dict[Symptom, int] = {}
    runs = 0
    for diagnosis in content.diagnoses:
        runs += sum(any(finding.holds is not None for finding in found) for found in diagnosis.by_seed.values())
        for symptom, by_seed in diagnosis.symptoms.items():
            counts[symptom] = counts.get(symptom, 0) + len(by_seed)
    language = content.language
    if not runs:
        return ""
    if not counts:
        return language.plural(
            "The diagnosis finds nothing in the one run that it could judge.",
            "The diagnosis finds nothing in {n} runs that it could judge.",
            runs,
        )
    found = [
        language.say("{symptom} ({n})", symptom=symptom_name(symptom, language), n=count)
        for symptom, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return language.plural(
        "The diagnosis finds, in the one run that it could judge: {found}.",
        "The diagnosis finds, in so many of {n} runs: {found}.",
        runs,
        found=language.listed(found),
    )
