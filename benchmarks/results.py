"""The benchmark's figures as a table for people, as JSON, and as the measured part of a page."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from figures import (
    DISTANCE_TOLERANCE,
    FID_TOLERANCE,
    CheckpointFigures,
    DistanceFigures,
    PrecisionFigures,
)

from harness.evaluation.processor import processor_name

Row = tuple[str, str, str, str, str]
HEADER: Row = ("what", "ours", "pytorch-fid", "times faster", "values differ by")


@dataclass(frozen=True)
class Results:
    """checkpoints, precisions: a figure for each device measured on; weights: their name for people."""

    command: str
    weights: str
    distance: DistanceFigures
    checkpoints: tuple[CheckpointFigures, ...]
    precisions: tuple[PrecisionFigures, ...]

    @property
    def failures(self) -> list[str]:
        """Where values are not equal, so that no speed counts; empty where all is well."""
        found = []
        if not self.distance.difference <= DISTANCE_TOLERANCE:
            found.append(
                f"the Fréchet distance differs by {self.distance.difference:.1e}, more than {DISTANCE_TOLERANCE:g}"
            )
        found += [
            f"FID of {sizes(figures)} on {figures.device} differs by {figures.difference:.1e}, "
            f"more than {FID_TOLERANCE:g}"
            for figures in self.checkpoints
            if not figures.difference <= FID_TOLERANCE
        ]
        return found

    def document(self) -> dict[str, Any]:
        """All figures, and what is derived from them, as plain values."""
        derived = (
            "repeats", "peer_repeats", "first_s", "later_s", "peer_s", "first_ratio", "later_ratio", "images_per_s",
            "peer_images_per_s",
        )  # fmt: skip
        return {
            "command": self.command,
            "weights": self.weights,
            "machine": machine(),
            "distance": asdict(self.distance),
            "checkpoints": [
                {**asdict(figures), **{name: getattr(figures, name) for name in (*derived, "difference")}}
                for figures in self.checkpoints
            ],
            "precisions": [{**asdict(figures), "difference": figures.difference} for figures in self.precisions],
            "cuda": "measured" if "cuda" in {figures.device for figures in self.checkpoints} else unmeasured(),
            "failures": self.failures,
        }

    def rows(self) -> list[Row]:
        rows = distance_rows(self.distance)
        for checkpoint in self.checkpoints:
            rows += checkpoint_rows(checkpoint)
        for precision in self.precisions:
            rows.append(precision_row(precision))
        if "cuda" not in {figures.device for figures in self.checkpoints}:
            rows.append(("the same on CUDA", unmeasured(), "", "", ""))
        return rows

    def stated(self) -> str:
        """What was measured where, in one paragraph."""
        of = machine()
        sizes = "; ".join(
            f"{one.repeats} repeats of {one.generated:,} generated images against {one.real:,} real ones"
            + (
                ""
                if one.peer_repeats == one.repeats
                else f" ({one.peer_repeats} of them by hand, its time scaled to all)"
            )
            for one in self.checkpoints
        )
        return (
            f"`{self.command}` on {of['cpu']}, {of['threads']} threads, torch {of['torch']}, {of['system']}: "
            f"{sizes}, gray, 32x32. Weights: {self.weights}."
        )


def unmeasured() -> str:
    """Why there are no figures of CUDA."""
    return "unmeasured here: --device cuda does it" if torch.cuda.is_available() else "unmeasured: no GPU"


def distance_rows(figures: DistanceFigures) -> list[Row]:
    differ, peer = f"{figures.difference:.0e}", seconds(figures.peer_s)
    return [
        (f"Fréchet distance, d = {figures.dims}, {what}", seconds(ours), peer, f"{figures.peer_s / ours:.1f}", differ)
        for what, ours in (
            ("reference decomposed", figures.reference_decomposed_s),
            ("from scratch", figures.from_scratch_s),
        )
    ]


def sizes(figures: CheckpointFigures) -> str:
    return f"{figures.real:,} real and {figures.repeats} x {figures.generated:,} generated"


def checkpoint_rows(figures: CheckpointFigures) -> list[Row]:
    """Both checkpoints' sums, and the parts that they are made of."""
    what, by_hand = f"{sizes(figures)}, {figures.device}", _by_hand(figures)
    later = seconds(figures.peer_s) + by_hand
    rates = (figures.images_per_s, figures.peer_images_per_s)
    differ = f"{figures.difference:.0e}"
    first = seconds(figures.peer_load_s + figures.peer_s) + by_hand
    return [
        (f"{what}: a grid's first checkpoint", seconds(figures.first_s), first, f"{figures.first_ratio:.1f}", differ),
        _part("loading the network", figures.load_s, figures.peer_load_s),
        ("- of it, real images once: network", seconds(figures.real_features_s), "(in every repeat)", "", ""),
        ("- of it, real images once: decomposition", seconds(figures.decompose_s), "(in every repeat)", "", ""),
        (f"{what}: every later checkpoint", seconds(figures.later_s), later, f"{figures.later_ratio:.1f}", differ),
        _part("network, files (by hand: real images again)", sum(figures.features_s), figures.peer_all_features_s),
        _part("statistics and distance", sum(figures.distance_s), figures.peer_all_distance_s),
        (
            f"{what}: the network alone",
            *(f"{rate:.1f} images/s" for rate in rates),
            f"{rates[0] / rates[1]:.1f}",
            "",
        ),
    ]


def _part(what: str, ours: float, peers: float) -> Row:
    return (f"- of it, {what}", seconds(ours), seconds(peers), f"{peers / ours:.1f}", "")


def _by_hand(figures: CheckpointFigures) -> str:
    """What of the peer's time was measured, where it was not all of it."""
    few, all_of_them = figures.peer_repeats, figures.repeats
    return "" if few == all_of_them else f" ({few} of {all_of_them} repeats measured, scaled)"


def precision_row(figures: PrecisionFigures) -> Row:
    """Beside our own float32, for lack of a peer."""
    return (
        f"{figures.precision}, {figures.device}, beside our float32",
        f"{figures.images_per_s:.1f} images/s, FID {figures.fid:.6g}",
        f"(float32: {figures.float32_images_per_s:.1f} images/s, FID {figures.float32_fid:.6g})",
        f"{figures.images_per_s / figures.float32_images_per_s:.1f}",
        f"{figures.difference:.0e}",
    )


def seconds(value: float) -> str:
    return f"{value:.3g} s"


def text_table(rows: Sequence[Row]) -> str:
    lines = [HEADER, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (HEADER, tuple("---" for _ in HEADER), *rows))


def machine() -> dict[str, Any]:
    """What times depend on beside the code."""
    return {
        "cpu": processor_name(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def into_page(text: str, device: str, results: Results) -> str:
    """`text` with the measured part of `device` replaced; ValueError where the page has none or several."""
    body = f"{results.stated()}\n\n{markdown_table(results.rows())}\n"
    return require_part(text, device).sub(lambda found: f"{found[1]}{body}{found[2]}", text)


def require_part(text: str, device: str, what: str = "evaluation") -> re.Pattern[str]:
    """What finds the measured part of `device`; ValueError where the page has none or several."""
    begin, end = f"<!-- measured: {what} on {device} -->", "<!-- measured end -->"
    part = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    if len(part.findall(text)) != 1:
        raise ValueError(f"the page has no single part between {begin} and {end}")
    return part
