"""What the report says of the settings: factors, training, protocols, and the machines that runs were made on."""

from __future__ import annotations

from collections.abc import Sequence

from harness.design.experiment import TrainingSettings
from harness.design.factors import NO_LEVEL, canonical_level, fields_of, levels_of
from harness.design.naming import shown_levels
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.markdown import code, counted, escape, shortened, table
from harness.store.changes import BIT_RELEVANT

WITHOUT_SPLIT = ("digits", "folder")
"""Sources that are one set of images, neither training nor test split."""

SHOWN_DIGITS = 16
"""Of a SHA-256 in a table."""


def baseline_table(content: Content) -> str:
    """Every factor at the baseline, and all levels of those that vary; only levels that change something."""
    experiment, plan = content.view.plan.experiment, content.view.plan
    varying = {field for factor in plan.factors for field in fields_of(factor)}
    hyperparameters = [experiment.baseline, *(cell.cell.hyperparameters for cell in content.cells)]
    names = tuple(dict.fromkeys(name for hp in hyperparameters for name in levels_of(hp)))
    baseline, *cells = (shown_levels(hp, names, plan.parameters) for hp in hyperparameters)
    rows = []
    for name in names:
        seen = dict.fromkeys(canonical_level(cell[name]) for cell in cells if cell[name] != NO_LEVEL)  # in their order
        levels = ", ".join(escape(level) for level in seen) if name in varying else ""
        rows.append([code(name), escape(canonical_level(baseline[name])), levels])
    return table(["Factor", "Baseline", "Levels in this experiment, where it varies"], rows)


def training_lines(content: Content) -> list[str]:
    data = content.view.plan.experiment.data
    seeds = sorted({run.seed for run in content.runs})
    kinds = dict.fromkeys(cell.cell.training for cell in content.cells)
    manifest = content.view.manifest
    content_sha256 = manifest.data_sha256_of(data.declared()) if manifest else None
    count = manifest.image_count_of(data.declared()) if manifest else None
    parts = [escape(data.source)]
    parts += [f"{data.split} split"] if data.source not in WITHOUT_SPLIT else []
    parts += [counted(count, "image")] if count is not None else []
    images = ", ".join([*parts, counted(data.channels, "channel")])
    return [
        f"Data: {images}; SHA-256 of its content: {code(content_sha256) if content_sha256 else 'not read yet'}.",
        *(_training_line(content, training) for training in kinds),
        f"Seeds: {shortened(', '.join(map(str, seeds)))}. A seed fixes initialization, data order and noise, and "
        "is shared by all cells.",
    ]


def _training_line(content: Content, training: TrainingSettings) -> str:
    """How the cells train that train so; they are named where others do not."""
    names = [escape(cell.label) for cell in content.cells if cell.cell.training == training]
    who = "" if len(names) == len(content.cells) else f" of {shortened(', '.join(names))}"
    checkpoints = ", ".join(map(str, training.checkpoint_steps()))
    return (
        f"Training{who}: {counted(training.steps, 'step')}; metrics are means over "
        f"{counted(training.log_every, 'step')}; checkpoints at {shortened(checkpoints)}."
    )


def protocol_table(content: Content, columns: Sequence[Column]) -> str:
    """All that the values of these columns, of one protocol, depend on besides the generator.

    Hashes are cut; report.json has them whole.
    """
    column = columns[0]
    settings, protocol = column.block.settings, column.protocol
    rows = [["Metrics", "; ".join(escape(one.measures.title) for one in columns)]] if len(columns) > 1 else []
    rows += [["Repeats of each checkpoint", str(settings.repeats)]]
    rows.append(["Measured at steps", _measured_at(content, column)])
    if protocol is not None:
        known = "" if protocol.verified else " **(unverified weights)**"
        rows += [
            ["Extractor", escape(settings.extractor_name)],
            ["SHA-256 of its weights", _shown(protocol.extractor_sha256) + known],
            ["Generated images per repeat", str(protocol.samples)],
            ["Real images", f"{protocol.reference} of the data with SHA-256 {_shown(protocol.data_sha256)}"],
            ["Resolution", f"{protocol.resolution} pixels, {escape(protocol.resize)}, rounded to {protocol.rounding}"],
            ["Precision", escape(protocol.precision)],
            ["Generator", f"{protocol.generator_weights} weights, batch norm in {protocol.generator_mode} mode"],
        ]
        if protocol.batch_size is not None:
            rows.append(["Batch size", str(protocol.batch_size)])
        rows.append(["Fingerprint of this protocol", _shown(protocol.sha256)])
    else:
        rows.append(["Fingerprint of this protocol", "not known before data and weights are prepared"])
    return table(["What", "Value"], rows)


def _shown(sha256: str) -> str:
    return f"{code(sha256[:SHOWN_DIGITS])}…"


def environment_note(content: Content) -> str:
    """Says where runs were made with unlike software or devices; empty where all are alike."""
    kinds = [kind for kind, _ in content.environments()]
    mixed = [name for name in BIT_RELEVANT if len({str(kind.get(name)) for kind in kinds}) > 1]
    if not mixed:
        return ""
    named = ", ".join(
        f"{name} ({', '.join(dict.fromkeys(escape(kind.get(name, 'not said')) for kind in kinds))})" for name in mixed
    )
    return f"These runs were made with different {named}: same design and protocol, but the bits may differ."


def environment_table(content: Content) -> str:
    """A row per kind of machine that runs were trained on; empty where none has started."""
    found = content.environments()
    if not found:
        return ""
    names = list(dict.fromkeys(name for kind, _ in found for name in kind))
    rows = [[*(escape(kind.get(name, "–")) for name in names), str(runs)] for kind, runs in found]
    return table([*(escape(name) for name in names), "runs"], rows)


def _measured_at(content: Content, column: Column) -> str:
    """The steps, or how they are chosen where cells have checkpoints at other steps than each other."""
    found = dict.fromkeys(column.steps(cell.cell) for cell in content.cells)
    if len(found) == 1:
        return shortened(", ".join(map(str, next(iter(found)))))
    return "the last checkpoint of each cell" if column.block.settings.at == "last" else "every checkpoint of each cell"
