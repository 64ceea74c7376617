"""The protocol: all that a metric's value depends on besides the generator.

Values compare only under one protocol. Pure: no torch here, so that `plan` and `status` can name the
evaluations that they look for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from harness.design.experiment import DataSettings, EvaluationSettings, Experiment, TrainingSettings
from harness.design.own_parts import is_own
from harness.errors import ProtocolError
from harness.store.atomic import canonical_json, sha256_of
from harness.store.manifest import ExperimentManifest
from harness.store.pictures import ClassSheet
from harness.store.status import RequiredEvaluation

RESIZE = "bilinear-antialias"
"""The one filter that brings images to the evaluation's resolution (`data.resize`)."""

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of pt_inception-2015-12-05, the weights that published FIDs were computed with."""

Misfit = Literal["other digits", "own images", "other images"]

CAVEATS: Mapping[Misfit, str] = {
    "other digits": (
        "The extractor `{extractor}` is a classifier of other digits than those of the source {source}: it takes many "
        "of them for another digit, so its numbers are hardly a measure of quality here, and its classes even less. "
        "Use `{source}`."
    ),
    "own images": (
        "The extractor `{extractor}` is a classifier of gray digits; unless the images of {source} are such, its "
        "numbers are hardly a measure of quality. Use `inception`."
    ),
    "other images": (
        "The extractor `{extractor}` is a classifier of gray digits; of {source} images it sees little that matters "
        "to a person, so its numbers are hardly a measure of quality here. Use `inception`."
    ),
}
"""What a reader must know of an extractor that was made for other images."""


@dataclass(frozen=True)
class Protocol:
    """extractor_sha256: of its weights; reference: real images drawn from the data (`data_sha256`) or "all".

    Images are `resolution` pixels square, rounded to uint8; batch_size is None unless the generator is in
    train mode, where batch norm makes values depend on it; channels is None unless the user's own images are read with
    another number of channels than they come with.
    """

    extractor: str
    extractor_sha256: str
    samples: int
    resolution: int
    resize: str
    rounding: str
    precision: str
    data_sha256: str
    reference: int | str
    generator_mode: str
    generator_weights: str
    batch_size: int | None
    channels: int | None = None

    @cached_property
    def sha256(self) -> str:
        """The fingerprint, 64 hex digits."""
        return sha256_of(canonical_json(self.document()))

    def document(self) -> dict[str, Any]:
        """All of it as plain values, as stored with every evaluation; channels only where they are unusual."""
        document = asdict(self)
        if self.channels is None:
            del document["channels"]
        return document

    @property
    def verified(self) -> bool:
        """Whether the weights are the known ones; numbers of others are marked wherever they stand."""
        return self.extractor != "inception" or self.extractor_sha256 == INCEPTION_SHA256


def protocol_of(
    settings: EvaluationSettings,
    experiment: Experiment,
    *,
    data_sha256: str,
    extractor_sha256: str,
    batch_size: int,
) -> Protocol:
    """The protocol of one `[[evaluation]]` block for a cell with `batch_size`."""
    return Protocol(
        extractor=settings.extractor,
        extractor_sha256=extractor_sha256,
        samples=settings.samples,
        resolution=measured_resolution(settings, experiment),
        resize=RESIZE,
        rounding="uint8",
        precision=f"{settings.precision} features, float64 statistics",
        data_sha256=data_sha256,
        reference=settings.reference,
        generator_mode=settings.generator_mode,
        generator_weights=settings.generator_weights,
        batch_size=batch_size if settings.generator_mode == "train" else None,
        channels=1 if experiment.data.is_users and experiment.data.channels == 1 else None,
    )


def measured_resolution(settings: EvaluationSettings, experiment: Experiment) -> int:
    """Pixels that this block brings every image to, of all cells."""
    return settings.resolution or experiment.baseline.resolution


def differences(one: Protocol, other: Protocol) -> list[str]:
    """Where two protocols differ, a text each: `samples 1000 and 3000`; empty for one and the same."""
    a, b = asdict(one), asdict(other)
    return [f"{name} {_short(a[name])} and {_short(b[name])}" for name in a if a[name] != b[name]]


def require_same(protocols: Iterable[Protocol], *, where: str) -> None:
    """ProtocolError where values of these protocols are about to be mixed, with what they differ in."""
    first, *others = dict.fromkeys(protocols)
    for other in others:
        differ = ", ".join(differences(first, other))
        raise ProtocolError(
            f"values of different protocols never share a column; these differ in {differ}",
            where=where,
            remedy="Compare within one protocol, or measure all of them under one: `harness evaluate FILE`.",
        )


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def weights_key(settings: EvaluationSettings) -> str:
    """Under what `ExperimentManifest.weights_sha256` notes the weights of this block."""
    return f"{settings.extractor}:{settings.extractor_weights}" if settings.extractor_weights else settings.extractor


def block_protocols(
    experiment: Experiment, manifest: ExperimentManifest | None, batch_size: int
) -> list[Protocol | None]:
    """The protocol of every `[[evaluation]]` block for a cell with `batch_size`, in the file's order.

    None where the weights were looked for in vain, or where nothing was prepared yet (`is_prepared`).
    """
    protocols: list[Protocol | None] = []
    for settings in experiment.evaluation:
        weights = manifest.weights_sha256.get(weights_key(settings)) if manifest else None
        data_sha256 = manifest.data_sha256_of(experiment.data.declared()) if manifest else None
        if data_sha256 is None or weights is None:
            protocols.append(None)
            continue
        protocols.append(
            protocol_of(
                settings,
                experiment,
                data_sha256=data_sha256,
                extractor_sha256=weights,
                batch_size=batch_size,
            )
        )
    return protocols


def asked_class_sheet(experiment: Experiment, protocols: Sequence[Protocol | None]) -> ClassSheet | None:
    """The sheet that `[report] classes` asks for; None where it asks for none, or nothing can tell classes.

    The first block that was not left out tells them, of the weights and at the resolution that it measures.
    protocols: one per block.
    """
    blocks = zip(experiment.evaluation, protocols, strict=True)
    first = next(((settings, protocol) for settings, protocol in blocks if protocol), None)
    images = experiment.report.classes
    return class_sheet(images, *first) if images is not None and first else None


def class_sheet(images: int, settings: EvaluationSettings, protocol: Protocol) -> ClassSheet:
    """A sheet of so many images as this block sees them."""
    return ClassSheet(
        images=images,
        extractor=settings.extractor_name,
        extractor_sha256=protocol.extractor_sha256,
        weights=settings.generator_weights,
        resolution=protocol.resolution,
    )


def is_prepared(experiment: Experiment, manifest: ExperimentManifest | None) -> bool:
    """Whether data and weights of every block were looked up, so that every required protocol is known."""
    if manifest is None or manifest.data_sha256_of(experiment.data.declared()) is None:
        return False
    found = manifest.weights_sha256
    return all(
        weights_key(settings) in found and (found[weights_key(settings)] or not settings.required)
        for settings in experiment.evaluation
    )


def required_evaluation(
    settings: EvaluationSettings, protocol: Protocol, training: TrainingSettings
) -> RequiredEvaluation:
    """One block as a run that trains so has to fulfil it."""
    return RequiredEvaluation(protocol.sha256, settings.steps_measured(training), settings.metrics, settings.repeats)


def required_evaluations(
    experiment: Experiment, manifest: ExperimentManifest | None, batch_size: int, training: TrainingSettings
) -> list[RequiredEvaluation] | None:
    """What a run of a cell with `batch_size` that trains so must hold to be complete; None before anything was
    prepared."""
    if not is_prepared(experiment, manifest):
        return None
    return [
        required_evaluation(settings, protocol, training)
        for settings, protocol in zip(
            experiment.evaluation, block_protocols(experiment, manifest, batch_size), strict=True
        )
        if protocol is not None
    ]


def misfit(settings: EvaluationSettings, data: DataSettings) -> Misfit | None:
    """For what images other than these an extractor was made; None where it fits."""
    name = settings.extractor
    if name not in ("digits", "mnist") or data.source == name:
        return None
    if data.source in ("digits", "mnist"):
        return "other digits"
    return "own images" if is_own(data.source) else "other images"


def caveat(settings: EvaluationSettings, data: DataSettings) -> str:
    """What a reader must know of an extractor that was made for other images; empty where it fits."""
    found = misfit(settings, data)
    return CAVEATS[found].format(extractor=settings.extractor, source=data.source) if found else ""
