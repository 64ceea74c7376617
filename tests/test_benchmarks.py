"""The evaluation benchmark compares what it says it does; no time is looked at."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from harness.design.evaluation_settings import EvaluationSettings
from harness.errors import StoreError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("measurements")


@pytest.fixture
def results(measurements: ModuleType) -> ModuleType:
    return importlib.import_module("results")


@pytest.fixture
def command(results: ModuleType) -> ModuleType:
    return importlib.import_module("evaluation")


def figures(measurements: ModuleType, results: ModuleType, *, distance: float = 1e-9, fid: float = 100.0) -> object:
    """Results with made-up times; fid: ours where pytorch-fid's is 100."""
    return results.Results(
        "python benchmarks/evaluation.py",
        "made up",
        measurements.DistanceFigures(2048, 3, 9.0, 0.5, 1.0, distance),
        (
            measurements.CheckpointFigures(
                device="cpu", real=100, generated=50, load_s=1.0, real_features_s=6.0, decompose_s=3.0,
                features_s=(2.0, 2.0), distance_s=(0.5, 0.5),
                peer_load_s=2.0, peer_features_s=(15.0, 15.0), peer_distance_s=(9.0, 9.0),
                fids=(fid, 100.0), peer_fids=(100.0, 100.0),
            ),
        ),
        (measurements.PrecisionFigures("cpu", "bfloat16", 150, 25.0, 50.0, 100.0, 101.0),),
    )  # fmt: skip


def test_the_distance_is_equal_both_ways(measurements: ModuleType) -> None:
    found = measurements.measure_distance(dims=64, rounds=2)
    assert 0 < found.difference <= importlib.import_module("figures").DISTANCE_TOLERANCE
    assert min(found.peer_s, found.reference_decomposed_s, found.from_scratch_s) > 0


def test_files_hold_the_images_in_memory(measurements: ModuleType, tmp_path: Path) -> None:
    images = measurements.make_images(tmp_path, real=5, generated=3, repeats=2, resolution=16)
    assert images.real.shape == (5, 1, 16, 16) and images.real.dtype == torch.uint8
    assert [repeat.shape for repeat in images.generated] == [(3, 1, 16, 16)] * 2
    assert not torch.equal(*images.generated)
    for batch, files in zip(
        (images.real, *images.generated), (images.real_files, *images.generated_files), strict=True
    ):
        for image, file in zip(batch, files, strict=True):
            with Image.open(file) as opened:
                assert np.array_equal(np.array(opened), image[0].numpy())


def test_ratios_count_what_each_side_pays(measurements: ModuleType, results: ModuleType) -> None:
    one = figures(measurements, results).checkpoints[0]  # type: ignore[attr-defined]
    assert (one.first_s, one.later_s, one.peer_s) == (15.0, 5.0, 48.0)
    assert (one.first_ratio, one.later_ratio) == (50 / 15, 48 / 5)
    assert (one.images_per_s, one.peer_images_per_s) == (100 / 4, 300 / 30)


def test_repeats_that_the_peer_left_out_are_scaled_and_said(measurements: ModuleType, results: ModuleType) -> None:
    whole = figures(measurements, results)
    one = whole.checkpoints[0]  # type: ignore[attr-defined]
    fewer = replace(one, peer_features_s=(15.0,), peer_distance_s=(9.0,), peer_fids=(100.0,), fids=(100.0, 7.0))
    assert (fewer.peer_s, fewer.later_ratio, fewer.peer_images_per_s) == (one.peer_s, one.later_ratio, 150 / 15)
    assert fewer.difference == 0.0  # of the one that both measured
    rows = results.checkpoint_rows(fewer)
    assert [row[2] for row in rows if "checkpoint" in row[0]] == [
        f"{total} s (1 of 2 repeats measured, scaled)" for total in (50, 48)
    ]
    partly = replace(whole, checkpoints=(one, fewer))  # type: ignore[type-var]
    assert partly.stated().count("2 repeats of 50 generated") == 2
    assert "(1 of them by hand, its time scaled to all)" in partly.stated()


def test_scenarios_are_pairs(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert (command.parsed([]).real, command.parsed([]).generated) == ([450], [250])
    two = command.parsed(["--real", "60", "--generated", "50", "--real", "70", "--generated", "55"])
    assert (two.real, two.generated) == ([60, 70], [50, 55])
    for wrong in (["--real", "60", "--real", "70", "--generated", "50"], ["--repeats", "2", "--peer-repeats", "3"]):
        with pytest.raises(SystemExit):
            command.parsed(wrong)
    assert "once for each scenario" in capsys.readouterr().err


def test_where_nothing_can_be_written_is_said_before_anything_is_measured(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured: list[object] = []
    monkeypatch.setattr(command, "measured", lambda *arguments: measured.append(arguments))
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError):
        command.main(["--output", str(tmp_path / "file" / "x.json")])
    with pytest.raises(ValueError, match="no single part"):
        command.main(["--docs", str(tmp_path / "file")])
    assert measured == []


def test_the_table_has_every_measurement_and_says_what_is_not_measured(
    measurements: ModuleType, results: ModuleType
) -> None:
    made_up = figures(measurements, results)
    rows = {row[0]: row[1:] for row in made_up.rows()}  # type: ignore[attr-defined]
    assert rows["Fréchet distance, d = 2048, reference decomposed"] == ("0.5 s", "9 s", "18.0", "1e-09")
    sizes = "100 real and 2 x 50 generated, cpu"
    assert rows[f"{sizes}: a grid's first checkpoint"] == ("15 s", "50 s", "3.3", "0e+00")
    assert rows["- of it, loading the network"][:2] == ("1 s", "2 s")
    assert rows["- of it, real images once: network"][0] == "6 s"
    assert rows["- of it, real images once: decomposition"][0] == "3 s"
    assert rows[f"{sizes}: every later checkpoint"][2] == "9.6"
    assert rows["- of it, network, files (by hand: real images again)"] == ("4 s", "30 s", "7.5", "")
    assert rows["- of it, statistics and distance"] == ("1 s", "18 s", "18.0", "")
    assert "FID 101" in rows["bfloat16, cpu, beside our float32"][0]
    if not torch.cuda.is_available():
        assert rows["the same on CUDA"][0] == "unmeasured: no GPU"
    document = made_up.document()  # type: ignore[attr-defined]
    assert json.loads(json.dumps(document))["checkpoints"][0]["later_ratio"] == 9.6
    assert {"cpu", "threads", "torch"} <= document["machine"].keys()
    assert "2 repeats of 50 generated images against 100 real ones" in made_up.stated()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distance": 2e-6}, "the Fréchet distance differs by 2.0e-06"),
        ({"distance": float("nan")}, "the Fréchet distance differs by nan"),
        ({"fid": 100.2}, "FID of 100 real and 2 x 50 generated on cpu differs by 2.0e-03"),
        ({"fid": float("nan")}, "generated on cpu differs by nan"),
    ],
)
def test_values_that_are_not_equal_end_it_with_1_and_reach_no_page(
    measurements: ModuleType, results: ModuleType, command: ModuleType, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, float], message: str,
) -> None:  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: evaluation on cpu -->\nold\n<!-- measured end -->\n", encoding="utf-8")
    for made_up, code in ((figures(measurements, results, **wrong), 1), (figures(measurements, results), 0)):
        monkeypatch.setattr(command, "measured", lambda *_arguments, made_up=made_up: made_up)
        assert command.main(["--docs", str(page)]) == code
        assert (message in capsys.readouterr().err) == (code == 1)
        assert ("old" in page.read_text(encoding="utf-8")) == (code == 1)


def test_the_page_has_a_part_for_each_device(measurements: ModuleType, results: ModuleType) -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    made_up = figures(measurements, results)
    for device in ("cpu", "cuda"):
        filled = results.into_page(text, device, made_up)
        assert filled.count("Weights: made up.") == 1
        assert filled.count("<!-- measured end -->") == text.count("<!-- measured end -->")
        assert results.into_page(filled, device, made_up) == filled
    with pytest.raises(ValueError, match="no single part"):
        results.into_page(text, "mps", made_up)


def test_the_command_is_shown_without_paths(command: ModuleType) -> None:
    arguments = ["--real", "60", "--docs", "a.md", "--weights=w.pth", "--output", "o.json", "--device", "cpu"]
    assert command._shown(arguments) == ["--real", "60", "--device", "cpu"]


@pytest.mark.long
def test_both_ways_give_the_same_values(measurements: ModuleType, random_inception: Path, tmp_path: Path) -> None:
    settings = EvaluationSettings(
        extractor="inception", extractor_weights=str(random_inception), unverified_weights=True
    )
    images = measurements.make_images(tmp_path, real=8, generated=6, repeats=2)
    cpu = torch.device("cpu")
    told: list[str] = []
    found = measurements.measure_checkpoint(
        images, settings, random_inception.read_bytes(), cpu, workers=0, peer_repeats=1, tell=told.append
    )
    assert found.difference <= importlib.import_module("figures").FID_TOLERANCE
    assert (found.repeats, found.peer_repeats) == (2, 1)
    assert told[1:] == ["repeat 1 of 2 by hand", "repeat 1 of 2 as in a grid", "repeat 2 of 2 as in a grid"]
    assert len(found.fids) == 2 and found.fids[0] != found.fids[1]
    reduced = measurements.measure_precision(images, settings, cpu)
    assert reduced.float32_fid == pytest.approx(found.fids[0], rel=1e-6)
    assert 0 < reduced.difference < 0.5
