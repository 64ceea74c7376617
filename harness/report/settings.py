"""What the report says of the settings: factors, training, protocols, and the machines that runs were made on."""

from __future__ import annotations

from collections.abc import Sequence

from harness.design.experiment import TrainingSettings
from harness.evaluation.protocol import CAVEATS, Protocol, misfit
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.cost import epochs_of
from harness.report.environments import environments
from harness.report.extractors import extractor_text
from harness.report.language import Language
from harness.report.markdown import code, escape, table
from harness.store.changes import BIT_RELEVANT

WITHOUT_SPLIT = ("digits", "folder")
"""Sources that are one set of images, neither training nor test split."""

SHOWN_DIGITS = 16
"""Of a SHA-256 in a table."""


def training_lines(content: Content) -> list[str]:
    language = content.language
    say = language.say
    data = content.view.plan.experiment.data
    seeds = sorted({run.seed for run in content.runs})
    kinds = dict.fromkeys(cell.cell.training for cell in content.cells)
    manifest = content.view.manifest
    content_sha256 = manifest.data_sha256_of(data.declared()) if manifest else None
    count = manifest.image_count_of(data.declared()) if manifest else None
    parts = [escape(data.source)]
    parts += [say("{split} split", split=data.split)] if data.source not in WITHOUT_SPLIT else []
    parts += [language.plural("{n} image", "{n} images", count)] if count is not None else []
    parts += [language.plural("{n} channel", "{n} channels", data.channels)]
    images = language.listed(parts)
    return [
        say("Data: {images}; SHA-256 of its content: {sha256}.", images=images, sha256=code(content_sha256))
        if content_sha256
        else say("Data: {images}; SHA-256 of its content: not read yet.", images=images),
        *(_training_line(content, training) for training in kinds),
        step_line(content),
        say(
            "Seeds: {seeds}. A seed fixes initialization, data order and noise, and is shared by all cells.",
            seeds=language.shortened([str(seed) for seed in seeds]),
        ),
    ]


def _training_line(content: Content, training: TrainingSettings) -> str:
    """How the cells train that train so; they are named where others do not."""
    language = content.language
    cells = [cell for cell in content.cells if cell.cell.training == training]
    how = language.say(
        "{steps}; metrics are means over {interval}; checkpoints at {checkpoints}",
        steps=_steps_and_epochs(content, cells, training.steps),
        interval=language.plural("{n} step", "{n} steps", training.log_every),
        checkpoints=language.shortened([str(step) for step in training.checkpoint_steps()]),
    )
    if len(cells) == len(content.cells):
        return language.say("Training: {how}.", how=how)
    names = [escape(cell.label) for cell in cells]
    return language.say("Training of {cells}: {how}.", cells=language.shortened(names), how=how)


def _steps_and_epochs(content: Content, cells: Sequence[ReportCell], steps: int) -> str:
    """`420 steps (15 epochs)`; the steps alone where the number of images was not noted."""
    language, in_steps = content.language, content.language.plural("{n} step", "{n} steps", steps)
    found = [epochs_of(content, cell, steps) for cell in cells]
    known = sorted({f"{count:.3g}" for count in found if count is not None}, key=float)
    if not known or None in found:
        return in_steps
    if len(known) == 1:
        return language.say("{steps} ({epochs} epochs)", steps=in_steps, epochs=known[0])
    return language.say("{steps} ({low} to {high} epochs)", steps=in_steps, low=known[0], high=known[-1])


def step_line(content: Content) -> str:
    """What a step is."""
    language = content.language
    updates = {(hp.discriminator_steps, hp.generator_steps) for hp in (c.cell.hyperparameters for c in content.cells)}
    batches = {cell.cell.hyperparameters.batch_size for cell in content.cells}
    if len(updates) > 1 or len(batches) > 1:
        return language.say(
            "A step is as many updates of the discriminator as `discriminator_steps` says, then as many of the "
            "generator as `generator_steps` says, each on a batch of `batch_size` images; cells differ in these."
        )
    ((discriminator, generator),) = updates
    return language.say(
        "A step is {discriminator}, then {generator}, each on a batch of {images} images.",
        discriminator=language.plural(
            "{n} update of the discriminator", "{n} updates of the discriminator", discriminator
        ),
        generator=language.plural("{n} update of the generator", "{n} updates of the generator", generator),
        images=batches.pop(),
    )


def protocol_table(content: Content, columns: Sequence[Column]) -> str:
    """All that the values of these columns, of one protocol, depend on besides the generator.

    Hashes are cut; report.json has them whole.
    """
    column, language, say = columns[0], content.language, content.language.say
    settings, protocol = column.block.settings, column.protocol
    titles = language.clauses(escape(say(one.measures.title)) for one in columns)
    rows = [[say("Metrics"), titles]] if len(columns) > 1 else []
    rows += [[say("Repeats of each checkpoint"), str(settings.repeats)]]
    rows.append([say("Measured at steps"), _measured_at(content, column)])
    if protocol is None:
        unknown = say("not known before data and weights are prepared")
        rows.append([say("Fingerprint of this protocol"), unknown])
        return table([say("What"), say("Value")], rows)
    digest = _shown(protocol.extractor_sha256)
    rows += [
        [say("Extractor"), extractor_text(content, column)],
        [
            say("SHA-256 of its weights"),
            digest if protocol.verified else say("{sha256} **(unverified weights)**", sha256=digest),
        ],
        [say("Generated images per repeat"), str(protocol.samples)],
        [say("Real images"), _real_images(protocol, language)],
        [
            say("Resolution"),
            say(
                "{pixels} pixels, {resize}, rounded to {rounding}",
                pixels=protocol.resolution,
                resize=code(protocol.resize),
                rounding=code(protocol.rounding),
            ),
        ],
        [say("Precision of computation"), code(protocol.precision)],
        [
            say("Generator"),
            say(
                "{weights} weights, batch norm in {mode} mode",
                weights=code(protocol.generator_weights),
                mode=code(protocol.generator_mode),
            ),
        ],
    ]
    if protocol.batch_size is not None:
        rows.append([say("Batch size"), str(protocol.batch_size)])
    rows.append([say("Fingerprint of this protocol"), _shown(protocol.sha256)])
    return table([say("What"), say("Value")], rows)


def _real_images(protocol: Protocol, language: Language) -> str:
    sha256 = _shown(protocol.data_sha256)
    if protocol.reference == "all":
        return language.say("all of the data with SHA-256 {sha256}", sha256=sha256)
    return language.say("{n} of the data with SHA-256 {sha256}", n=protocol.reference, sha256=sha256)


def _shown(sha256: str) -> str:
    return f"{code(sha256[:SHOWN_DIGITS])}…"


def extractor_caveat(content: Content, column: Column) -> str:
    """What a reader must know of an extractor that was made for other images; empty where it fits."""
    settings, data = column.block.settings, content.view.plan.experiment.data
    found = misfit(settings, data)
    if found is None:
        return ""
    return content.language.say(CAVEATS[found], extractor=settings.extractor, source=escape(data.source))


def environment_note(content: Content) -> str:
    """Says where runs were made with unlike software or devices; empty where all are alike."""
    language = content.language
    kinds = [kind for kind, _ in environments(content)]
    mixed = [name for name in BIT_RELEVANT if len({str(kind.get(name)) for kind in kinds}) > 1]
    if not mixed:
        return ""
    unsaid = language.say("not said")
    named = [
        language.say(
            "{name} ({values})",
            name=name,
            values=language.listed(dict.fromkeys(escape(kind.get(name, unsaid)) for kind in kinds)),
        )
        for name in mixed
    ]
    return language.say(
        "These runs were made with different {named}: same design and protocol, but the bits may differ.",
        named=language.listed(named),
    )


def environment_table(content: Content) -> str:
    """A row per kind of machine that runs were trained on; empty where none has started."""
    found = environments(content)
    if not found:
        return ""
    names = list(dict.fromkeys(name for kind, _ in found for name in kind))
    rows = [[*(escape(kind.get(name, "–")) for name in names), str(runs)] for kind, runs in found]
    return table([*(escape(name) for name in names), content.language.say("Runs")], rows)


def _measured_at(content: Content, column: Column) -> str:
    """The steps, or how they are chosen where cells have checkpoints at other steps than each other."""
    found = dict.fromkeys(column.steps(cell.cell) for cell in content.cells)
    if len(found) == 1:
        return content.language.shortened([str(step) for step in next(iter(found))])
    if column.block.settings.at == "last":
        return content.language.say("the last checkpoint of each cell")
    return content.language.say("every checkpoint of each cell")
