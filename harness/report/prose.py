"""The report's sentences that depend on the data. They state numbers and their spread, and draw no conclusion."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.dynamics import HYSTERESIS_NATS, default_window
from harness.design.factors import canonical_level
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.markdown import code, counted, escape, number, shortened, spread, steps_text
from harness.report.sheets import shown_classes
from harness.report.tables import ONE_SEED, has_comparable_losses


def extent(content: Content) -> str:
    """How much was run and where it stands."""
    experiment = content.view.plan.experiment
    states = [run.view.status.state for run in content.runs]
    factors = content.view.plan.factors
    varied = f"What varies: {', '.join(code(factor) for factor in factors)}." if factors else "Nothing varies."
    others = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("diverged", "failed", "interrupted", "running", "pending")
        if state in states
    )
    return (
        f"{counted(len(content.cells), 'cell')}, {counted(len(content.runs), 'run')} of "
        f"{steps_text(cell.cell.training.steps for cell in content.cells)} each on "
        f"{escape(experiment.data.source)}. {varied} "
        f"{states.count('complete')} of {counted(len(states), 'run')} complete{f', {others}' if others else ''}."
    )


def interim(content: Content) -> str:
    """That the report was made before all runs had ended, and how far they stood; empty where all had ended."""
    states = ("running", "interrupted", "pending")
    open_runs = [(cell, run) for cell in content.cells for run in cell.runs if run.view.status.state in states]
    if not open_runs:
        return ""
    begun = [
        f"{escape(cell.label)}, seed {run.seed}: {run.view.status.state} at step {run.view.status.step}"
        for cell, run in open_runs
        if run.view.status.state != "pending"
    ]
    where = f" ({shortened('; '.join(begun), separator='; ')})" if begun else ""
    verb = "is" if len(open_runs) == 1 else "are"
    return (
        f"Interim report: {len(open_runs)} of {counted(len(content.runs), 'run')} {verb} not finished{where}. All "
        "tables, figures and files of this report show the runs as they stood at one moment."
    )


def measured_summary(content: Content, column: Column) -> str:
    """The baseline's number, the range over cells, and the spreads beside which both have to be read."""
    found = [
        (cell, summary.last)
        for cell in content.cells_in(column)
        if (summary := content.summary(cell, column)) is not None
    ]
    title = escape(column.title)
    if not found:
        return f"{title}: nothing has been measured yet."
    parts = []
    baseline = next(((cell, last) for cell, last in found if cell.cell.is_baseline), None)
    if baseline:
        last = baseline[1]
        over_seeds = f" (SD over {len(last.seeds)} seeds {spread(last.sd_seeds)})" if last.sd_seeds is not None else ""
        parts.append(f"the baseline stands at {number(last.mean)}{over_seeds}, step {last.step}")
    if len(found) > 1:
        low = min(found, key=lambda item: item[1].mean)
        high = max(found, key=lambda item: item[1].mean)
        parts.append(
            f"the means of {len(found)} cells at their last checkpoints lie between {number(low[1].mean)} "
            f"({escape(low[0].label)}) and {number(high[1].mean)} ({escape(high[0].label)})"
        )
    text = (
        f"{title}: {'; '.join(parts)}." if parts else f"{title}: {number(found[0][1].mean)} at step {found[0][1].step}."
    )
    for spreads, of in (
        ([last.sd_seeds for _, last in found if last.sd_seeds is not None], "SD over seeds"),
        ([last.sd_repeats for _, last in found if last.sd_repeats is not None], "SD over repeats"),
    ):
        if spreads:
            text += f" {of}, by cell: {_range(spreads)}."
    return f"{text} {seeds_note(content, column)}".strip()


def seeds_note(content: Content, column: Column) -> str:
    """What too few seeds forbid to say, and where cells do not stand at one step; empty where nothing does."""
    summaries = {cell: content.summary(cell, column) for cell in content.cells_in(column)}
    measured = {cell: summary.last for cell, summary in summaries.items() if summary}
    single = [cell for cell, last in measured.items() if len(last.seeds) == 1]
    notes = []
    if single and len(single) == len(measured):
        notes.append(f"{ONE_SEED.capitalize()}.")
    elif single:
        names = ", ".join(escape(cell.label) for cell in single)
        notes.append(f"{ONE_SEED.capitalize()} for {names}.")
    if len({last.step for last in measured.values()}) > 1:
        notes.append("Not all cells stand at the same step, so their last checkpoints are not alike.")
    return " ".join(notes)


def classes_shown(content: Content, pictures: Sequence[object]) -> str:
    """What the sheets of classes are; empty where the file asks for none, and that there are none yet."""
    if content.view.plan.experiment.report.classes is None:
        return ""
    blocks = content.view.blocks
    if not blocks:
        return "No class can be told: the file has no `[[evaluation]]` whose extractor could."
    if len(content.left_out) == len(blocks):
        return (
            "No class is told: the evaluation was left out because its weights are missing, so there is no extractor "
            "that could."
        )
    sheet = shown_classes(content)
    if not pictures or sheet is None:
        return "Nothing to show yet: no run has a sheet of classes of its last checkpoint."
    return (
        f"{counted(sheet.images, 'image')} per cell from its last checkpoint, of the seed named over it, drawn with "
        f"the generator's {sheet.weights} weights, each with the class that {code(sheet.extractor)} takes it for, "
        f"which sees it at {sheet.resolution} pixels.{_measured_in_train_mode(content)} The noise is fixed and the "
        "images are not selected. So few images miss rare classes by chance; where there is a table above, it counts "
        "all that were measured."
    )


def _measured_in_train_mode(content: Content) -> str:
    """That sheets are drawn in another mode of batch norm than what is measured; empty where they are not."""
    block = next(block for block in content.view.blocks if block.available)
    if block.settings.generator_mode == "eval":
        return ""
    return " Batch norm is in eval mode here, though values are measured in train mode."


def interpolations_shown(content: Content) -> str:
    """What the walks between latents are; empty where the file asks for none."""
    asked = content.view.plan.experiment.report.interpolations
    if asked is None:
        return ""
    pairs, points = asked
    return (
        f"{counted(pairs, 'pair')} of latents per cell at its last checkpoint, a row each: {points} images along the "
        "straight line from one latent to the other, both ends included. Pairs are the same for all cells of equal "
        "latent size. A row that changes by small steps shows that nearby latents give similar images; it does not "
        "show that they are good ones, and sudden jumps may be a sign of memorized images."
    )


def crossings_summary(content: Content) -> str:
    """How often losses crossed, over all runs that have smoothed losses."""
    counts = [len(run.dynamics.crossings) for run in content.runs if run.dynamics and run.dynamics.is_counted]
    if not counts:
        return ""
    between = f"{counts[0]}" if len(set(counts)) == 1 else f"between {min(counts)} and {max(counts)}"
    each = "in the one run" if len(counts) == 1 else f"in each of {len(counts)} runs"
    return f"Smoothed generator and discriminator losses change places {between} times {each} that can be counted."


def uncounted_losses(content: Content) -> str:
    """Which cells' losses do not meet at one value, why, and that no crossing is counted; empty where all meet."""
    cells = [cell for cell in content.cells if not has_comparable_losses(cell)]
    if not cells:
        return ""
    other = dict.fromkeys(code(loss) for cell in cells if (loss := cell.cell.hyperparameters.loss) != "bce")
    labels = dict.fromkeys(_labels(cell) for cell in cells if cell.cell.hyperparameters.loss == "bce")
    named = "any cell" if len(cells) == len(content.cells) else shortened(", ".join(escape(c.label) for c in cells))
    reasons = [f"With {', '.join(other)} they have no common scale."] if other else []
    if labels:
        reasons.append(
            f"With labels of {' or '.join(labels)}, whose means do not add up to 1, the discriminator would answer "
            "something else than 1/2 then, and both losses would differ."
        )
    return (
        "Only with binary cross entropy and labels that add up to 1 do both losses meet at one value when the "
        f"discriminator cannot tell real from generated. {' '.join(reasons)} The curves are shown in the losses' own "
        f"units, without ln 2, and crossings are not counted for {named}."
    )


def _labels(cell: ReportCell) -> str:
    hp = cell.cell.hyperparameters
    return f"{canonical_level(hp.real_label)} (real) and {canonical_level(hp.fake_label)} (generated)"


def losses_shown(content: Content) -> str:
    """What the curves of losses are, and what is marked on them where any cell's losses meet."""
    two_terms = {scale_of(cell.cell.hyperparameters).terms == 2 for cell in content.cells}
    which = "The" if two_terms == {True} else "In some cells the"
    terms = (
        f"{which} discriminator's loss adds a term for real and a term for generated images; their mean is shown "
        "beside the generator's loss. "
    )
    text = (
        "One panel per cell, shown by the seed named over it; vertical scales differ between panels. "
        f"{terms if True in two_terms else ''}Pale lines are the recorded means, thick lines the same smoothed over "
        f"{windows(content)} (a centered moving average, left out where it would reach over either end)."
    )
    if not any(has_comparable_losses(cell) for cell in content.cells):
        return text
    return (
        f"{text} A circle marks a crossing of the smoothed losses. It is counted only once they are apart by more than "
        f"{HYSTERESIS_NATS} nats on the other side, so that noise around equality is not counted. The dotted line is "
        "ln 2 ≈ 0.693: if the discriminator could not tell real from generated images and answered 1/2 to all, both "
        "losses would be ln 2. Losses near ln 2 do not show that images are good: an undecided discriminator may also "
        "be a weak one."
    )


def answers_shown(content: Content) -> str:
    """What D(x) and both D(G(z)) are, as the cells that record them make their updates."""
    cells = [cell for cell in content.cells if has_probabilities(cell.shown_run())]
    several = [cell for cell in cells if cell.cell.hyperparameters.discriminator_steps > 1]
    fresh = [cell for cell in cells if cell.cell.hyperparameters.fake_batch == "fresh"]
    text = "The mean answer of the discriminator to real images, D(x), and to generated ones, D(G(z))"
    end = "1/2 is where it cannot tell them apart. A wide gap means that it tells them apart with ease"
    if not several and not fresh:
        return (
            f"{text}, the latter before and after the discriminator's update of the same step; the same seed as above. "
            f"{end}; the distance between the two D(G(z)) lines is how much one update of the discriminator changes "
            "its answer."
        )
    text += (
        "; the same seed as above. D(x) and D(G(z)) before are of the images of the discriminator's update, as it was "
        "before that update; D(G(z)) after is of the images of the generator's first update in the same step, which "
        "comes after it."
    )
    if several:
        text += f" In {_some(several, cells)} a step has several updates of the discriminator: before is the mean over "
        text += "them, after follows the last."
    if fresh:
        text += f" In {_some(fresh, cells)} the generator has fresh images: before and after are not of the same ones."
    return (
        f"{text} {end}. The distance between the two D(G(z)) lines is how much one update of the discriminator changes "
        "its answer only where a step has one and both are of the same images."
    )


def _some(cells: list[ReportCell], of: list[ReportCell]) -> str:
    return "all cells" if len(cells) == len(of) else shortened(", ".join(escape(cell.label) for cell in cells))


def without_probabilities(content: Content) -> str:
    """Which cells have records but no D(x), and why; empty where all that have records have it."""
    cells = [cell for cell in content.cells if (run := cell.shown_run()).metrics and not has_probabilities(run)]
    if not cells:
        return ""
    losses = ", ".join(dict.fromkeys(code(cell.cell.hyperparameters.loss) for cell in cells))
    named = shortened(", ".join(escape(cell.label) for cell in cells))
    return f"With {losses} the discriminator's output is no probability, so nothing is shown for {named}."


def has_probabilities(run: ReportRun) -> bool:
    """Whether any record of the run has the discriminator's answers as probabilities."""
    return any(metric in record for record in run.metrics for metric in ("prob/real", "prob/fake_before"))


def windows(content: Content) -> str:
    """Over how many steps loss curves are smoothed: `250 steps`, `70 to 250 steps`."""
    training = [cell.cell.training for cell in content.cells]
    return steps_text(default_window(one.steps, one.log_every) for one in training)


def _range(values: list[float]) -> str:
    if len(values) == 1:
        return spread(values[0])
    return f"{spread(min(values))} to {spread(max(values))}"
