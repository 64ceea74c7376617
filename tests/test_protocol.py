"""A protocol's fingerprint: the same for the same measurement, another for any change of what is measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from harness.data.resize import RESIZE_FILTER
from harness.design.experiment import EvaluationSettings, Experiment
from harness.design.factors import Hyperparameters
from harness.evaluation.protocol import INCEPTION_SHA256, RESIZE, Protocol, protocol_of

SHA = "ab" * 32


def protocol(
    settings: EvaluationSettings | None = None, *, batch_size: int = 64, extractor_sha256: str = SHA
) -> Protocol:
    return protocol_of(
        settings or EvaluationSettings(),
        Experiment(name="e", baseline=Hyperparameters(resolution=16)),
        data_sha256="cd" * 32,
        extractor_sha256=extractor_sha256,
        batch_size=batch_size,
    )


def test_equal_settings_have_equal_fingerprints() -> None:
    assert protocol().sha256 == protocol().sha256
    assert len(protocol().sha256) == 64


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_every_field_is_in_the_fingerprint(field: str) -> None:
    value = getattr(protocol(), field)
    changed: object = value + 1 if isinstance(value, int) else f"{value} changed"
    assert replace(protocol(), **{field: changed}).sha256 != protocol().sha256


def test_names_the_filter_that_is_used() -> None:
    assert RESIZE == RESIZE_FILTER


def test_resolution_defaults_to_the_baselines() -> None:
    assert protocol().resolution == 16
    assert protocol(EvaluationSettings(resolution=32)).resolution == 32


def test_repeats_steps_and_where_weights_lie_are_not_in_it() -> None:
    plain = protocol(EvaluationSettings(extractor="inception"))
    other = EvaluationSettings(extractor="inception", repeats=9, at="last", extractor_weights="/elsewhere.pth")
    assert protocol(other).sha256 == plain.sha256


def test_batch_size_counts_only_in_train_mode() -> None:
    assert protocol(batch_size=32) == protocol(batch_size=64)
    train = EvaluationSettings(generator_mode="train")
    assert protocol(train, batch_size=32).sha256 != protocol(train, batch_size=64).sha256


def test_only_the_published_inception_weights_are_verified() -> None:
    inception = EvaluationSettings(extractor="inception")
    assert protocol(inception, extractor_sha256=INCEPTION_SHA256).verified
    assert not protocol(inception, extractor_sha256=SHA).verified
    assert protocol().verified


def test_needs_no_torch() -> None:
    code = "import sys, harness.evaluation.protocol; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
