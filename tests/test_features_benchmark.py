"""The benchmark of Inception's features compares before it times, and says what it did not measure."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.evaluation.trunks import Way
from harness.store.machine_cache import CACHE_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("features")


def figures(features: ModuleType, **others: Any) -> Any:
    made_up = {
        "name": "fused x 4", "device": "cpu", "images": 100, "difference": 1e-5,
        "seconds": (5.0, 4.0, 4.0), "peer_seconds": (10.0, 12.0, 8.0),
    }  # fmt: skip
    return features.WayFigures(**{**made_up, **others})


def test_a_row_has_the_median_of_the_rounds_ratios_and_their_spread(features: ModuleType) -> None:
    row = features.row_of(figures(features))
    assert (row.name, row.ours, row.peer) == ("inception.features.cpu", 25.0, 10.0)
    assert row.ratio == 2.0 and row.noise == pytest.approx((3.0 - 2.0) / 2.0)
    assert row.target is None
    assert features.row_of(figures(features, device="cuda")).target == 5.0


@pytest.mark.parametrize("apart", [2e-4, math.nan])
def test_unequal_features_give_no_row(features: ModuleType, apart: float) -> None:
    with pytest.raises(HarnessError, match="features on cpu differ by"):
        features.row_of(figures(features, difference=apart))


def test_the_table_names_every_way(features: ModuleType) -> None:
    lines = features.table(
        [
            figures(features),
            figures(features, name="compiled x 4", seconds=(), difference=math.nan, refused="no compiler"),
            figures(features, name="plain x 4", seconds=(), difference=0.01),
        ]
    ).splitlines()
    assert lines[2:] == [
        "| pytorch-fid x 50, cpu | 10.0 | 1 |  |",
        "| fused x 4 | 25.0 | 2.00 (2.00 to 3.00) | 1e-05 |",
        "| compiled x 4 | not here: no compiler |  |  |",
        "| plain x 4 | not timed |  | 1e-02 |",
    ]


def test_what_no_gpu_can_measure_is_said(features: ModuleType) -> None:
    row = features.unmeasured_on_cuda()
    assert row.ratio is None and row.peer is None and math.isnan(row.ours)
    assert row.target == 5.0 and row.note == "unmeasured: no GPU"


class Stub:
    """A network whose features are `factor` times the images' first 2048 pixels."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.calls = factor, 0

    def features(self, images: torch.Tensor) -> Any:
        self.calls += 1
        return self.factor * images.flatten(1)[:, :512].numpy().astype(np.float64)


@pytest.mark.parametrize(("factor", "rounds"), [(1.0, 2), (1.001, 0)])
def test_only_equal_features_are_timed(
    features: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, factor: float, rounds: int
) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"unread")
    ours, images = Stub(factor), []

    class Peer:
        def __init__(self, *_of: object) -> None:
            self.calls = 0

        def activations(self, _files: object) -> Any:
            return Stub().features(images[0])

    def kept(*arguments: Any, **named: Any) -> Any:
        made = make_images(*arguments, **named)
        images.append(made.real)
        return made

    make_images = features.make_images
    monkeypatch.setattr(features, "make_images", kept)
    monkeypatch.setattr(features, "PytorchFid", Peer)
    monkeypatch.setattr(features, "_built", lambda *_of, **_also: ({"ours": ours}, {"other": "absent"}))
    told: list[str] = []
    found, absent = features.measured(CPU, images=6, rounds=2, every_way=True, weights=weights, tell=told.append)
    assert len(found.seconds) == len(found.peer_seconds) == rounds
    assert ours.calls == 1 + rounds and found.is_equal == (rounds > 0)
    assert absent.refused == "absent" and absent.seconds == ()
    assert sum("round" in text for text in told) == rounds


@pytest.mark.long
def test_the_ways_give_pytorch_fids_features(
    features: ModuleType, random_inception: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(features, "PROBE_FROM", 0)
    monkeypatch.setattr(features, "ways", lambda *_of, **_also: (Way("plain", 2), Way("fused", 2), Way("captured", 2)))
    chosen, plain, fused, captured = features.measured(
        CPU, images=3, rounds=1, every_way=True, weights=random_inception, tell=lambda _what: None
    )
    for one in (chosen, plain, fused):
        assert one.is_equal and len(one.seconds) == 1
    assert captured.refused or torch.cuda.is_available()
