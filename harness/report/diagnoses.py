"""Diagnosis of every run: findings gathered from curves and evaluations, as a table and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from harness.analysis.curves import LAST_STEPS
from harness.analysis.diagnosis import (
    VANISHING,
    CertainSteps,
    Finding,
    Nearness,
    Rule,
    Setting,
    certain_steps,
    memorization,
    mode_collapse,
    progress,
    training_findings,
)
from harness.analysis.modes import ModeVerdict
from harness.analysis.remedies import Remedy, Symptom
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.diagnosis_words import evidence_text, symptom_name
from harness.report.language import Language
from harness.report.markdown import escape, table
from harness.report.modes import classes_of, groups_with_classes
from harness.report.tables import cell_name

MOST_SEEDS = 4
"""Seeds whose evidence is told."""
NOTABLE = 0.01
"""Of training: from which share on it is told that D was certain."""
RULES: tuple[Rule, ...] = get_args(Rule)
ON_CURVES: tuple[Rule, ...] = ("loss ratio", "accuracies", "loss range", "vanishing gradient", "oscillation")


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


def setting_of(content: Content, cell: ReportCell) -> Setting:
    hp = cell.cell.hyperparameters
    return Setting(hp, content.view.plan.parameters, scale_of(hp).terms)


def _diagnosis(content: Content, cell: ReportCell, classes: Column | None, nearest: Mapping[str, Column]) -> Diagnosis:
    setting = setting_of(content, cell)
    found = classes_of(content, classes, cell) if classes else None
    verdicts: Mapping[int, ModeVerdict] = found.by_seed_verdicts() if found else {}
    return Diagnosis(
        cell,
        {
            run.seed: (
                *training_findings(run.curves, setting),
                mode_collapse(verdicts.get(run.seed), setting, found.precisions.get(run.seed) if found else None),
                memorization(_nearness(content, run, nearest), setting),
                progress(*_first_and_last(content, run), setting),
            )
            for run in cell.runs
        },
    )


def _first_and_last(content: Content, run: ReportRun) -> tuple[float | None, float | None, float | None]:
    """The run's FID at its first and last measured checkpoint, and that of real images."""
    column = next((column for column in content.columns if column.metric == "fid"), None)
    by_step = content.run_values(run, column) if column else {}
    if column is None or len(by_step) < 2:
        return None, None, None
    floor = content.floors.get(column.title)
    return fmean(by_step[min(by_step)]), fmean(by_step[max(by_step)]), floor.mean if floor else None


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
        "loss ratio": "G / D",
        "accuracies": say("Accuracies"),
        "loss range": say("Losses"),
        "vanishing gradient": say("Vanishing gradient"),
        "oscillation": say("Oscillation"),
        "mode collapse": say("Classes missing"),
        "memorization": say("Copies"),
        "progress": say("FID stands still"),
    }
    rules = RULES if content.columns else ON_CURVES
    rows = []
    for diagnosis in diagnoses:
        row = [str(diagnosis.cell.number), cell_name(diagnosis.cell)]
        for rule in rules:
            found = [bool(finding.holds) for finding in diagnosis.of_rule(rule).values()]
            text = say("{n} of {asked}", n=sum(found), asked=len(found)) if found else "–"
            row.append(f"**{text}**" if any(found) else text)
        rows.append(row)
    return table(["#", say("Cell"), *(headers[rule] for rule in rules)], rows, right=[0, *range(2, 2 + len(rules))])


def finding_lines(content: Content, diagnoses: Sequence[Diagnosis]) -> list[str]:
    """A sentence per cell with symptoms: in how many seeds each is, and the numbers that it was seen by."""
    language = content.language
    return [
        language.say("{cell}: {found}.", cell=cell_name(one.cell), found=language.clauses(_found(content, one)))
        for one in diagnoses
        if one.symptoms
    ]


def _found(content: Content, diagnosis: Diagnosis) -> list[str]:
    language, told = content.language, []
    for symptom, by_seed in diagnosis.symptoms.items():
        values = [evidence_text(finding, language) for finding in by_seed.values()]
        more = [] if len(values) <= MOST_SEEDS else ["…"]
        told.append(
            language.say(
                "{symptom} in {n} of {asked} seeds ({evidence})",
                symptom=symptom_name(symptom, language),
                n=len(by_seed),
                asked=len(diagnosis.of_rule(next(iter(by_seed.values())).rule)),
                evidence=language.listed([*values[:MOST_SEEDS], *more]),
            )
        )
    return told


def certain_text(content: Content) -> str:
    """In what share of training D was certain, and when, in the cells where it notably was; empty where no run can be
    judged."""
    language, found, judged = content.language, [], 0
    for cell in content.cells:
        setting = setting_of(content, cell)
        runs = [run for run in cell.runs if run.metrics and setting.hp.loss in ("bce", "sigmoid_logits")]
        judged += len(runs)
        spans = [span for run in runs if (span := certain_steps(run.curves, setting))]
        share = sum(span.share for span in spans) / len(runs) if runs else 0.0
        if share >= NOTABLE:
            found.append(_certain_cell(language, cell, share, spans))
    if not judged:
        return ""
    shown = {"steps": LAST_STEPS, "least": VANISHING}
    if not found:
        return language.say(
            "In no cell was D's loss, as a mean over {steps} steps, less than {least} nats above its least in "
            "{notable:g} % of training or more.",
            **shown,
            notable=100 * NOTABLE,
        )
    return language.say(
        "D's loss, as a mean over {steps} steps, was less than {least} nats above its least in this share of training, "
        "the mean over seeds (in brackets, first and last in any seed): {cells}.",
        **shown,
        cells=language.shortened_clauses(found),
    )


def _certain_cell(language: Language, cell: ReportCell, share: float, spans: Sequence[CertainSteps]) -> str:
    return language.say(
        "{cell}: {share:.0f} % (about step {first}, about step {last})",
        cell=escape(cell.label),
        share=100 * share,
        first=min(span.first for span in spans),
        last=max(span.last for span in spans),
    )


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
            "No symptom was found in the one run that can be judged.",
            "No symptom was found in {n} runs that can be judged.",
            runs,
        )
    found = [
        language.say("{symptom} ({n})", symptom=symptom_name(symptom, language), n=count)
        for symptom, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return language.plural(
        "Symptoms in the one run that can be judged: {found}.",
        "Symptoms, in runs of {n}: {found}.",
        runs,
        found=language.listed(found),
    )
