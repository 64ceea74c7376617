"""Sentences of the report that depend on the data set, on the extractor and on the axes of figures."""

from __future__ import annotations

from pathlib import Path

from report_data import Story, lived, prepare, report, section, small_plan

from harness.design.experiment import DataSettings
from harness.evaluation.protocol import caveat


def only(*names: str) -> dict[str, object]:
    """A report of these sections alone."""
    return {"samples": 16, "sections": list(names)}


def test_data_are_described_by_what_they_have(tmp_path: Path) -> None:
    def described(source: str, images: int | None) -> str:
        plan = small_plan(grid=[], data={"source": source}, report=only("settings"))
        runs = tmp_path / f"{source} {images}"
        prepare(plan, runs, images=images)
        return section(report(plan, runs, runs / "report"), "settings")

    assert "Data: digits, 1797 images, 1 channel; SHA-256" in described("digits", 1797)
    assert "Data: folder, 1 image, 3 channels; SHA-256" in described("folder", 1)
    assert "Data: cifar10, train split, 3 channels; SHA-256" in described("cifar10", None)


def test_an_extractor_that_does_not_fit_the_data_has_its_caveat(tmp_path: Path) -> None:
    blocks = [{"repeats": 3}, {"extractor": "inception", "repeats": 3}]
    shown = only("protocol", "comparison")
    plan = small_plan(grid=[], evaluation=blocks, data={"source": "cifar10"}, report=shown)
    text = lived(plan, tmp_path)
    sentence = caveat(plan.experiment.evaluation[0], plan.experiment.data)
    for name in ("protocol", "comparison"):
        assert section(text, name).count(sentence) == 1
        digits, inception = section(text, name).split("### FID")[1:]
        assert sentence in digits and sentence not in inception
    assert "hardly a measure" in sentence
    assert "hardly a measure" not in lived(small_plan(grid=[], report=shown), tmp_path / "fitting")
    own = DataSettings(source="mydata.py:load")
    assert "unless the images of mydata.py:load are such" in caveat(plan.experiment.evaluation[0], own)


def test_a_logarithmic_axis_is_said_where_there_is_one(tmp_path: Path) -> None:
    shown = only("against-step")
    text = lived(small_plan(report=shown), tmp_path, {"generator=mlp": Story(fid=900)})
    assert section(text, "against-step").count("axis is logarithmic") == 2
    assert "logarithmic" not in section(lived(small_plan(grid=[], report=shown), tmp_path / "narrow"), "against-step")
