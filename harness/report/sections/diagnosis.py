"""Diagnosis: six panels for each cell, what the rules find in its runs, and what to try."""

from __future__ import annotations

from harness.analysis.curves import LAST_STEPS, Array, moving_average
from harness.report import diagnoses, diagnosis_words
from harness.report.album import Album
from harness.report.chosen_cells import large_panels
from harness.report.content import Content, scale_of
from harness.report.diagnoses import Diagnosis
from harness.report.figures.dynamics import CELLS_PER_PAGE, SixPanels, six_panels
from harness.report.figures.style import CellStyle, pages
from harness.report.language import Language
from harness.report.panel_words import panel_lines
from harness.report.pictures import no_records, records_of, styles_of
from harness.report.remedy_tables import to_try
from harness.report.rules_and_quality import follows_text
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    language, shown = content.language, _shown(content)
    has_records = any(run.metrics for run in content.runs)
    styles = styles_of(content)
    panels = [_panels(one, styles[one.cell.number - 1], content.figure_language) for one in shown]
    return rendered(
        "sections/diagnosis.md.jinja",
        language,
        pictures=album.add_pages(
            "diagnosis",
            language.say("Six panels of training, and the diagnosis"),
            six_panels(panels, content.figure_language) if has_records else [],
            [
                [records_of(run) for one in page if (run := one.cell.shown_run()).metrics]
                for page in pages(shown, CELLS_PER_PAGE)
            ],
        ),
        has_records=has_records,
        summary=diagnoses.diagnosis_summary(content),
        follows=follows_text(content, content.diagnoses),
        certain=diagnoses.certain_text(content),
        shown=_shown_text(content),
        rules=diagnosis_words.rules_text(language, bool(content.columns)),
        table=diagnoses.findings_table(content, content.diagnoses),
        lines=diagnoses.finding_lines(content, shown),
        to_try=to_try(content, content.diagnoses),
    )


def _shown(content: Content) -> list[Diagnosis]:
    chosen = {cell.number for cell in large_panels(content).cells}
    return [one for one in content.diagnoses if one.cell.number in chosen]


def _shown_text(content: Content) -> str:
    """What the panels are, and which cells have none."""
    language = content.language
    return language.paragraph(
        language.say(
            "Six panels per cell, of the seed named over them: recorded losses; their moving average over {steps} "
            "steps; accuracies, the ratio G/D and the difference G − D, each recorded (pale) and of the averages; and "
            "what the rules say of the last {steps} steps of this seed (✗ a symptom, ✓ none, ? not known).",
            steps=LAST_STEPS,
        ),
        large_panels(content).text,
    )


def _panels(diagnosis: Diagnosis, style: CellStyle, language: Language) -> SixPanels:
    cell = diagnosis.cell
    run, hp = cell.shown_run(), cell.cell.hyperparameters
    losses = run.curves.held("loss/generator", "loss/discriminator")
    generator, discriminator = losses.values["loss/generator"], losses.values["loss/discriminator"] / scale_of(hp).terms
    found = run.curves.values
    with_accuracies = run.curves.held("accuracy/real", "accuracy/fake")
    has_accuracies = "accuracy/real" in found and len(with_accuracies.ends) == len(losses.ends)
    real, generated = with_accuracies.values["accuracy/real"], with_accuracies.values["accuracy/fake"]

    def smooth(curve: Array) -> Array:
        return moving_average(losses.ends, losses.counts, curve, LAST_STEPS)

    return SixPanels(
        label=cell.label,
        mark=cell.mark,
        style=style,
        seed=run.seed,
        steps=losses.centers,
        generator=generator,
        discriminator=discriminator,
        smooth_generator=smooth(generator),
        smooth_discriminator=smooth(discriminator),
        accuracies=(real, generated) if has_accuracies else None,
        smooth_accuracies=(smooth(real), smooth(generated)) if has_accuracies else None,
        compares=hp.loss == "bce",
        verdicts=panel_lines(diagnosis.by_seed[run.seed], language),
        end=round(run.curves.end),
        missing=no_records(run, language),
    )
