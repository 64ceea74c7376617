"""From folders of images and statistics files to what a Fréchet distance takes, by our extractor or by pytorch-fid."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.design.evaluation_settings import EvaluationSettings
from harness.evaluation.extractors import feature_matrix, load_extractor, read_weights, weights_sha256
from harness.evaluation.frechet import moments
from harness.evaluation.image_files import ImageFiles, find_images
from harness.evaluation.peer import PeerStatistics, PytorchFid, peer_distance
from harness.evaluation.statistics_file import Making, Origin, Statistics, read_statistics, require_comparable

Source = ImageFiles | Statistics


@dataclass(frozen=True)
class PeerNumber:
    """What pytorch-fid gives for the same sources, and its seconds: loading, reading, features, distance."""

    fid: float
    seconds: float


def open_source(path: Path, resolution: int | None) -> Source:
    """The statistics in an .npz file, or a folder's images by their headers; DataError for what is neither."""
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return read_statistics(path)
    return find_images(path, resolution)


def measure(
    sources: Sequence[Source],
    settings: EvaluationSettings,
    device: torch.device,
    *,
    readers: int = 1,
    tell: Callable[[ImageFiles, int], None] = lambda _images, _done: None,
) -> list[Statistics]:
    """Statistics of each source, in order; the extractor is loaded only where there are images.

    Sources that cannot be compared are refused before an image is read (ProtocolError, DataError).
    readers: threads that read images; tell: called after each batch with how many images of a folder are done.
    """
    folders = [source for source in sources if isinstance(source, ImageFiles)]
    if not folders:
        return [source for source in sources if isinstance(source, Statistics)]
    digest = weights_sha256(settings)
    extractor = load_extractor(settings, device, images=sum(len(folder) for folder in folders))
    making = Making.of(extractor.name, digest, settings.precision, folders[0].resolution)

    def batches(images: ImageFiles) -> Iterator[torch.Tensor]:
        done = 0
        for batch in images.batches(readers):
            yield batch
            done += len(batch)
            tell(images, done)

    def statistics(images: ImageFiles) -> Statistics:
        found = moments(feature_matrix(extractor, batches(images)))
        origin = Origin(str(images.root), extractor.feature_dim, making)
        return Statistics(origin, found.mean, found.covariance, found.count)

    for source in sources:
        if isinstance(source, Statistics):
            require_comparable(source.origin, Origin(str(folders[0].root), extractor.feature_dim, making))
    return [statistics(source) if isinstance(source, ImageFiles) else source for source in sources]


def measure_by_pytorch_fid(a: Source, b: Source, settings: EvaluationSettings, device: torch.device) -> PeerNumber:
    """The same two sources by pytorch-fid's own functions, with the same weights (inception)."""
    began = time.perf_counter()
    networks: list[PytorchFid] = []

    def statistics(source: Source) -> PeerStatistics:
        if isinstance(source, Statistics):
            return PeerStatistics(source.mean, source.covariance)
        if not networks:
            networks.append(PytorchFid(read_weights(settings)[0], device))
        return networks[0].statistics(source.files)

    fid = peer_distance(statistics(a), statistics(b))
    return PeerNumber(fid, time.perf_counter() - began)


def notes_on(sources: Sequence[Source], sides: Sequence[Statistics]) -> list[str]:
    """What a reader of the number must know, a sentence each."""
    notes = [note for side in sides for note in _notes_on_one(side)]
    sizes = {source.size for source in sources if isinstance(source, ImageFiles) and source.size}
    makings = [side.origin.making for side in sides if side.origin.making]
    if not makings:
        return notes
    making = makings[0]
    if making.extractor in ("digits", "mnist"):
        notes.append(
            f"{making.extractor} is a classifier of gray handwritten digits like those of the source "
            f"{making.extractor}; of other images it gives a number without meaning"
        )
    if making.extractor != "inception":
        notes.append(
            f"FID ({making.extractor}) compares only with numbers of the same weights, never with an inception FID"
        )
    elif not making.verified:
        notes.append("these are not pytorch-fid's weights: the number compares with no published one")
    if making.resolution is not None:
        notes.append(
            f"every image was brought to {making.resolution}x{making.resolution} first: not pytorch-fid's number"
        )
    elif len(sizes) > 1:
        shown = " and ".join(f"{width}x{height}" for width, height in sorted(sizes))
        notes.append(f"the folders have images of different sizes, {shown}, and the number shows that too")
    if making.precision == "bfloat16":
        notes.append("measured in bfloat16: a number of its own, not pytorch-fid's")
    return notes


def _notes_on_one(side: Statistics) -> list[str]:
    where, dims = side.origin.where, side.origin.dims
    if side.count is None:
        return [f"{where} does not say which extractor made it, nor from how many images"]
    if side.is_rank_deficient:
        return [
            f"{where}: {side.count:,} images are too few for a covariance of {dims:,} dims to have full rank; "
            "the number is exact for them, but biased upwards, and compares only at the same number of images"
        ]
    return []
