"""Images a second through each way to run Inception, beside pytorch-fid's, on the same images, in turns.

    python benchmarks/features.py                   the quickest way and the plain one; two minutes on two CPU cores
    python benchmarks/features.py --all             every way, the compiled one too
    python benchmarks/features.py --device cuda

Times nothing and leaves with 1 where features differ by more than 1e-4 of their mean size. pytorch-fid runs as it
comes: PNG files, batches of 50, its own reading processes, and on a GPU the TF32 convolutions that torch has by
default. Its features for the comparison are taken without TF32.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from evaluation import count, positive, teller
from measurements import Tell, make_images, timed
from numpy.typing import NDArray
from random_weights import write_random_weights
from results import machine
from rows import Row

from harness.design.evaluation_settings import EvaluationSettings
from harness.errors import HarnessError
from harness.evaluation.extractors import Extractor, load_extractor
from harness.evaluation.features import no_beat
from harness.evaluation.inception import FEATURES, plain_inception
from harness.evaluation.peer import PytorchFid
from harness.evaluation.probe import UNBUILDABLE
from harness.evaluation.quickest import PROBE_FROM, Job, made_up_maps
from harness.evaluation.trunks import Way, ways
from harness.execution.devices import allow_determinism

TOLERANCE = 1e-4
"""How far features may be apart, as a share of their mean size."""

CUDA_TARGET = 5.0
"""Times pytorch-fid's images a second."""

QUICKEST = "as harness chooses"

Features = Callable[[], NDArray[Any]]
"""All images through one network."""


@dataclass(frozen=True)
class WayFigures:
    """One way's seconds in each round and the peer's in the same round; difference: of its features from the peer's.

    seconds are empty where it was not timed; refused: why this machine has no such way, "" where it has.
    """

    name: str
    device: str
    images: int
    difference: float
    seconds: tuple[float, ...]
    peer_seconds: tuple[float, ...]
    refused: str = ""

    @property
    def images_per_s(self) -> float:
        return self.images / median(self.seconds)

    @property
    def peer_images_per_s(self) -> float:
        return self.images / median(self.peer_seconds)

    @property
    def ratios(self) -> list[float]:
        return [theirs / ours for ours, theirs in zip(self.seconds, self.peer_seconds, strict=True)]

    @property
    def is_equal(self) -> bool:
        return self.difference <= TOLERANCE


def measure(tell: Tell) -> list[Row]:
    """The short version: what harness chooses by itself, beside pytorch-fid; on CUDA too where a GPU is at hand."""
    allow_determinism()
    rows = [row_of(measured(torch.device("cpu"), images=100, rounds=3, every_way=False, weights=None, tell=tell)[0])]
    if torch.cuda.is_available():
        found = measured(torch.device("cuda"), images=10_000, rounds=3, every_way=False, weights=None, tell=tell)
        return [*rows, row_of(found[0])]
    return [*rows, unmeasured_on_cuda()]


def measured(
    device: torch.device, *, images: int, rounds: int, every_way: bool, weights: Path | None, tell: Tell
) -> list[WayFigures]:
    """What harness chooses first, then the plain way, or all of them; values before speeds, then all in turns."""
    with TemporaryDirectory() as folder:
        if weights is None:
            weights = Path(folder) / "random.pth"
            write_random_weights(weights)
        content = weights.read_bytes()
        made = make_images(Path(folder) / "images", real=images, generated=1, repeats=1)
        settings = EvaluationSettings(extractor="inception", extractor_weights=str(weights), unverified_weights=True)
        tell(f"{device.type}: loading the networks, and the quickest way by a probe where none is known")
        peer = PytorchFid(content, device)
        extractors, refused = _built(settings, content, device, every_way=every_way)
        sides: dict[str, Features] = {
            name: lambda extractor=extractor: extractor.features(made.real) for name, extractor in extractors.items()
        }
        tell(f"{device.type}: {images:,} images through each, to compare features")
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            expected = peer.activations(made.real_files)
        differences = {name: difference(features(), expected) for name, features in sides.items()}
        seconds: dict[str, list[float]] = {name: [] for name in (*sides, "peer")}
        equal = all(value <= TOLERANCE for value in differences.values())
        for number in range(rounds if equal else 0):
            tell(f"{device.type}: round {number + 1} of {rounds}")
            seconds["peer"].append(timed(lambda: peer.activations(made.real_files))[0])
            for name, features in sides.items():
                seconds[name].append(timed(features)[0])
    peers = tuple(seconds["peer"])
    return [WayFigures(name, device.type, images, differences[name], tuple(seconds[name]), peers) for name in sides] + [
        WayFigures(name, device.type, images, math.nan, (), peers, reason) for name, reason in refused.items()
    ]


def _built(
    settings: EvaluationSettings, content: bytes, device: torch.device, *, every_way: bool
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """What harness chooses and the ways beside it, by name; and why others are not there."""
    built, refused = {QUICKEST: load_extractor(settings, device, images=PROBE_FROM)}, {}
    tried = ways(device, torch.float32, compiling=True)
    for way in tried if every_way else [way for way in tried if way.kind == "plain"][:1]:
        try:
            built[way.name] = extractor_of(content, device, way)
        except UNBUILDABLE as error:
            refused[way.name] = " ".join(f"{type(error).__name__} {error}".split())[:200]
    return built, refused


def extractor_of(content: bytes, device: torch.device, way: Way) -> Extractor:
    """Inception run the given way, whether or not it is the one that harness would choose."""
    network, _ = plain_inception(content, device, "float32", where="the weights")
    maps = made_up_maps(Job(device, torch.float32, 0, no_beat), way.batch_size)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        network.trunk = way.build(network.trunk, maps)
    return Extractor(
        "inception",
        feature_dim=FEATURES,
        classes=(),
        network=network,
        last_layer=lambda features: features,
        device=device,
        dtype=torch.float32,
        batch_size=way.batch_size,
    )


def difference(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The largest, as a share of the features' mean size."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).mean())


def row_of(figures: WayFigures) -> Row:
    """Raises HarnessError where values are not equal: a wrong number is not fast."""
    if not figures.is_equal:
        raise HarnessError(f"features on {figures.device} differ by {figures.difference:.1e}, more than {TOLERANCE:g}")
    ratio = median(figures.ratios)
    return Row(
        name=f"inception.features.{figures.device}",
        what=f"Inception features on {figures.device}, float32, equal to {TOLERANCE:g}",
        ours=figures.images_per_s,
        ours_unit="images/s",
        peer=figures.peer_images_per_s,
        peer_what="pytorch-fid on PNG files, images/s",
        ratio=ratio,
        noise=(max(figures.ratios) - min(figures.ratios)) / ratio,
        target=CUDA_TARGET if figures.device == "cuda" else None,
        target_of="ratio",
    )


def unmeasured_on_cuda() -> Row:
    return Row(
        name="inception.features.cuda",
        what="Inception features on cuda, float32",
        ours=math.nan,
        ours_unit="images/s",
        peer=None,
        peer_what="pytorch-fid on PNG files, images/s",
        ratio=None,
        noise=0.0,
        target=CUDA_TARGET,
        target_of="ratio",
        note="unmeasured: no GPU",
    )


def table(found: Sequence[WayFigures]) -> str:
    """As a page has it: images a second, times pytorch-fid's, and the lowest and highest round."""
    lines = [
        "| way x images at a time | images/s | times pytorch-fid's | features differ by |",
        "| --- | --- | --- | --- |",
    ]
    timed_ones = [figures for figures in found if figures.seconds]
    if timed_ones:
        first = timed_ones[0]
        lines.append(f"| pytorch-fid x 50, {first.device} | {first.peer_images_per_s:.1f} | 1 |  |")
    for figures in found:
        if figures.refused:
            lines.append(f"| {figures.name} | not here: {figures.refused} |  |  |")
        elif not figures.seconds:
            lines.append(f"| {figures.name} | not timed |  | {figures.difference:.0e} |")
        else:
            low, high = min(figures.ratios), max(figures.ratios)
            times = f"{median(figures.ratios):.2f} ({low:.2f} to {high:.2f})"
            lines.append(f"| {figures.name} | {figures.images_per_s:.1f} | {times} | {figures.difference:.0e} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Images a second through Inception, beside pytorch-fid's.")
    made.add_argument("--images", type=count, default=100, help="images of each round (default: %(default)s)")
    made.add_argument("--rounds", type=positive, default=3, help="each side in turns (default: %(default)s)")
    made.add_argument("--all", action="store_true", help="every way, not the chosen and the plain one alone")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of both (default: cpu)")
    made.add_argument("--weights", type=Path, help="pytorch-fid's weights; default: a state dict drawn at random")
    made.add_argument("--output", type=Path, help="write all figures as JSON")
    options = made.parse_args(arguments)
    allow_determinism()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("error: torch cannot use a CUDA GPU here; leave out --device", file=sys.stderr)
        return 2
    found = measured(
        device,
        images=options.images,
        rounds=options.rounds,
        every_way=options.all,
        weights=options.weights,
        tell=teller(),
    )
    print(table(found))
    if options.output:
        document = {"machine": machine(), "ways": [asdict(figures) for figures in found]}
        options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    unequal = [figures.name for figures in found if not (figures.refused or figures.is_equal)]
    for name in unequal:
        print(f"error: {name}: features differ by more than {TOLERANCE:g}", file=sys.stderr)
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
