"""What an `[[evaluation]]` block may ask for, and what is refused before anything trains."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.design.experiment import EvaluationSettings, ReportSettings
from harness.design.metrics import CLASS_METRICS, METRICS, NEAREST_METRICS, MetricName


def test_every_metric_can_be_asked_for_together() -> None:
    settings = EvaluationSettings(metrics=tuple(METRICS), reference="all")  # type: ignore[arg-type]
    assert settings.metrics == get_args(MetricName)
    assert set(METRICS) >= CLASS_METRICS | NEAREST_METRICS


def test_titles_are_unique() -> None:
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metrics": ["fid", "fid"]}, "names fid twice"),
        ({"metrics": ["precision"], "samples": 3}, "precision needs at least 4 images; samples is 3"),
        ({"metrics": ["coverage"], "samples": 5}, "coverage needs at least 6 images; samples is 5"),
        ({"metrics": ["density"], "reference": 5}, "density needs at least 6 images; reference is 5"),
        ({"metrics": ["fid_infinity"], "repeats": 1}, "say repeats = 2 or more"),
        ({"metrics": ["nearest_share"], "reference": 500}, 'say reference = "all"'),
        ({"extractor": "mnist", "extractor_weights": "x"}, "the weights of mnist ship with harness"),
        (
            {"extractor": "digits", "unverified_weights": True},
            "unverified_weights is for inception; the weights of digits",
        ),
        ({"extractor": "trained"}, "harness extractor train"),
        ({"extractor": "trained", "extractor_weights": "x", "unverified_weights": True}, "carry their own SHA-256"),
        ({"metrics": ["accuracy"]}, "literal_error"),
        ({"precision": "float16"}, "literal_error"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        EvaluationSettings.model_validate(given)
    first = error.value.errors()[0]
    assert told in first["msg"] or told == first["type"]


def test_a_trained_extractor_is_called_by_its_file() -> None:
    settings = EvaluationSettings(extractor="trained", extractor_weights="extractors/my shoes-1a2b3c4d.safetensors")
    assert settings.extractor_name == "my-shoes-1a2b3c4d"
    assert EvaluationSettings(extractor="mnist").extractor_name == "mnist"


@pytest.mark.parametrize(
    "given", [{"classes": 49}, {"interpolations": [5]}, {"interpolations": [0, 10]}, {"interpolations": [5, 1]}]
)
def test_pictures_that_show_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReportSettings.model_validate(given)


def test_pictures_can_be_asked_for() -> None:
    settings = ReportSettings.model_validate({"classes": 50, "interpolations": [5, 10]})
    assert settings.classes == 50 and settings.interpolations == (5, 10)
