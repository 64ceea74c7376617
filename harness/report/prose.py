"""The report's sentences that depend on the data. They state numbers and their spread, and draw no conclusion."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.columns import Column
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import code, escape
from harness.report.rounding import rounded
from harness.report.sheets import shown_classes
from harness.report.states import counted_state, state_word
from harness.store.status import RunState


def extent(content: Content) -> str:
    """How much was run and where it stands."""
    language, plan = content.language, content.view.plan
    states = [run.view.status.state for run in content.runs]
    factors = plan.factors
    of_cells = language.plural("{n} cell", "{n} cells", len(content.cells))
    of_runs = language.plural("{n} run", "{n} runs", len(content.runs))
    in_order: tuple[RunState, ...] = ("complete", "diverged", "failed", "interrupted", "running", "pending")
    found = [
        counted_state(state, states.count(state), language)
        for state in in_order
        if state in states or state == "complete"
    ]
    return language.paragraph(
        language.say(
            "{cells}, {runs} of {steps} each on {data}.",
            cells=of_cells,
            runs=of_runs,
            steps=steps_text([cell.cell.training.steps for cell in content.cells], language),
            data=escape(plan.experiment.data.source),
        ),
        language.say("What varies: {factors}.", factors=language.listed(code(factor) for factor in factors))
        if factors
        else language.say("Nothing varies."),
        _state_of_runs(content, of_runs, found),
    )


def _state_of_runs(content: Content, of_runs: str, found: Sequence[str]) -> str:
    """How runs stand. of_runs: their number; found: how many are in each state, in words."""
    language = content.language
    if all(run.view.status.state == "complete" for run in content.runs):
        return language.plural("The run is complete.", "All {n} runs are complete.", len(content.runs))
    return language.say("Of {runs}: {states}.", runs=of_runs, states=language.listed(found))


def steps_text(counts: Sequence[int], language: Language) -> str:
    """`250 steps`, or `70 to 250 steps`."""
    low, high = min(counts), max(counts)
    if low == high:
        return language.plural("{n} step", "{n} steps", low)
    return language.say("{low} to {high} steps", low=low, high=high)


def interim(content: Content) -> str:
    """That the report was made before all runs had ended, and how far they stood; empty where all had ended."""
    language = content.language
    states = ("running", "interrupted", "pending")
    open_runs = [(cell, run) for cell in content.cells for run in cell.runs if run.view.status.state in states]
    if not open_runs:
        return ""
    begun = [
        language.say(
            "{cell}, seed {seed}: {state} at step {step}",
            cell=escape(cell.label),
            seed=run.seed,
            state=state_word(run.view.status.state, language),
            step=run.view.status.step,
        )
        for cell, run in open_runs
        if run.view.status.state != "pending"
    ]
    of_runs = language.plural("{n} run", "{n} runs", len(content.runs))
    count = (
        language.plural(
            "Interim report: {n} of {runs} is not finished ({where}).",
            "Interim report: {n} of {runs} are not finished ({where}).",
            len(open_runs),
            runs=of_runs,
            where=language.shortened_clauses(begun),
        )
        if begun
        else language.plural(
            "Interim report: {n} of {runs} is not finished.",
            "Interim report: {n} of {runs} are not finished.",
            len(open_runs),
            runs=of_runs,
        )
    )
    moment = language.say("All tables, figures and files of this report show the runs as they stood at one moment.")
    return language.paragraph(count, moment)


def spread_of_cells(content: Content, column: Column) -> str:
    """Which cells are closest to the real images and farthest from them, and the baseline's place; empty where fewer
    than two are measured, or neither direction is closer."""
    found = [(cell, summary.last) for cell in content.cells_in(column) if (summary := content.summary(cell, column))]
    if len(found) < 2 or column.measures.better == "neither":
        return ""
    language = content.language
    ordered = sorted(found, key=lambda item: item[1].mean, reverse=column.measures.better == "higher")
    (best, nearest), (worst, farthest) = ordered[0], ordered[-1]
    ends = language.say(
        "By {metric} at the last checkpoint the images of {best} are closest to the real ones ({low}) and those of "
        "{worst} farthest from them ({high}).",
        metric=escape(column.title_in(language)),
        best=escape(best.label),
        low=rounded(nearest.mean, nearest.sd_seeds),
        worst=escape(worst.label),
        high=rounded(farthest.mean, farthest.sd_seeds),
    )
    place = next((rank for rank, (cell, _) in enumerate(ordered, start=1) if cell.cell.is_baseline), None)
    return language.paragraph(
        ends,
        language.say("The baseline is number {place} of {n}.", place=place, n=len(ordered)) if place else "",
    )


def seeds_note(content: Content, column: Column) -> str:
    """What too few seeds forbid to say, and where cells do not stand at one step; empty where nothing does."""
    language = content.language
    summaries = {cell: content.summary(cell, column) for cell in content.cells_in(column)}
    measured = {cell: summary.last for cell, summary in summaries.items() if summary}
    against = content.comparisons.get(column.title)
    seeds = {cell: len(against.values[cell.cell.name].values) if against else 0 for cell in measured}
    single = [cell for cell, last in measured.items() if (seeds[cell] or len(last.seeds)) == 1]
    notes = []
    if single and len(single) == len(measured):
        notes.append(language.say("One seed: no comparison is possible."))
    elif single:
        cells = language.listed(escape(cell.label) for cell in single)
        notes.append(language.say("One seed: no comparison is possible for {cells}.", cells=cells))
    return language.paragraph(*notes, steps_note(content, column))


def steps_note(content: Content, column: Column) -> str:
    """That cells do not stand at one step; empty where they do."""
    summaries = (content.summary(cell, column) for cell in content.cells_in(column))
    if len({summary.last.step for summary in summaries if summary}) < 2:
        return ""
    return content.language.say("Not all cells stand at the same step, so their last checkpoints are not alike.")


def classes_shown(content: Content, pictures: Sequence[object]) -> str:
    """What the sheets of classes are; empty where the file asks for none, and that there are none yet."""
    if content.view.plan.experiment.report.classes is None:
        return ""
    language, blocks = content.language, content.view.blocks
    if not blocks:
        return language.say("No class can be told: the file has no `[[evaluation]]` whose extractor could.")
    if len(content.left_out) == len(blocks):
        return language.say(
            "No class is told: the evaluation was left out because its weights are missing, so there is no extractor "
            "that could."
        )
    sheet = shown_classes(content)
    if not pictures or sheet is None:
        return language.say("Nothing to show yet: no run has a sheet of classes of its last checkpoint.")
    images = language.plural(
        "{n} image per cell from its last checkpoint, of the seed named over it, drawn with the generator's {weights} "
        "weights, each with the class that {extractor} takes it for, which sees it at {resolution} pixels.",
        "{n} images per cell from its last checkpoint, of the seed named over it, drawn with the generator's {weights} "
        "weights, each with the class that {extractor} takes it for, which sees it at {resolution} pixels.",
        sheet.images,
        weights=sheet.weights,
        extractor=code(sheet.extractor),
        resolution=sheet.resolution,
    )
    not_selected = language.say(
        "The noise is fixed and the images are not selected. So few images miss rare classes by chance; where there "
        "is a table above, it counts all that were measured."
    )
    return language.paragraph(images, _measured_in_train_mode(content), not_selected)


def _measured_in_train_mode(content: Content) -> str:
    """That sheets are drawn in another mode of batch norm than what is measured; empty where they are not."""
    block = next(block for block in content.view.blocks if block.available)
    if block.settings.generator_mode == "eval":
        return ""
    return content.language.say("Batch norm is in eval mode here, though values are measured in train mode.")


def interpolations_shown(content: Content) -> str:
    """What the walks between latents are; empty where the file asks for none."""
    asked, language = content.view.plan.experiment.report.interpolations, content.language
    if asked is None:
        return ""
    pairs, points = asked
    rows = language.plural(
        "{n} pair of latents per cell at its last checkpoint, a row each: {points} images along the straight line from "
        "one latent to the other, both ends included.",
        "{n} pairs of latents per cell at its last checkpoint, a row each: {points} images along the straight line "
        "from one latent to the other, both ends included.",
        pairs,
        points=points,
    )
    meaning = language.say(
        "Pairs are the same for all cells of equal latent size. A row that changes by small steps shows that nearby "
        "latents give similar images; it does not show that they are good ones, and sudden jumps may be a sign of "
        "memorized images."
    )
    return language.paragraph(rows, meaning)
