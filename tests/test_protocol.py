"""A protocol's fingerprint: the same for the same measurement, another for any change of what is measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from harness.data.resize import RESIZE_FILTER
from harness.design.experiment import DataSettings, EvaluationSettings, Experiment
from harness.design.factors import Hyperparameters
from harness.errors import ProtocolError
from harness.evaluation.protocol import (
    INCEPTION_SHA256,
    RESIZE,
    Protocol,
    caveat,
    differences,
    protocol_of,
    require_same,
)
from harness.evaluation.reference import reference_key

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


@pytest.mark.parametrize(
    ("extractor", "source", "said"),
    [
        ("digits", "digits", ""),
        ("mnist", "mnist", ""),
        ("mnist", "digits", "takes many of them for another digit"),
        ("digits", "mnist", "Use `mnist`"),
        ("digits", "cifar10", "Use `inception`"),
        ("mnist", "mydata.py:load", "unless the images of mydata.py:load are such"),
        ("inception", "digits", ""),
    ],
)
def test_an_extractor_that_was_made_for_other_images_has_its_caveat(extractor: str, source: str, said: str) -> None:
    settings = EvaluationSettings.model_validate({"extractor": extractor})
    text = caveat(settings, DataSettings.model_validate({"source": source}))
    assert said in text and bool(said) == bool(text)
    assert ("hardly a measure of quality" in text) == bool(said)


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


def test_trained_weights_are_known_by_their_hash_wherever_they_lie() -> None:
    one = EvaluationSettings(extractor="trained", extractor_weights="a/shoes-12345678.safetensors")
    other = EvaluationSettings(extractor="trained", extractor_weights="b/renamed.safetensors")
    assert protocol(one) == protocol(other)
    assert protocol(one, extractor_sha256="ef" * 32) != protocol(one)


def test_precision_is_another_protocol() -> None:
    reduced = protocol(EvaluationSettings(precision="bfloat16"))
    assert reduced.sha256 != protocol().sha256
    assert reduced.precision == "bfloat16 features, float64 statistics"


def test_differences_are_told_field_by_field() -> None:
    assert differences(protocol(), protocol()) == []
    other = protocol(EvaluationSettings(samples=3000), extractor_sha256="ef" * 32)
    assert differences(protocol(), other) == [
        "extractor_sha256 abababababab... and efefefefefef...",
        "samples 1000 and 3000",
    ]


def test_a_mixture_is_refused_with_where_the_protocols_differ() -> None:
    require_same([protocol(), protocol()], where="column digits")
    with pytest.raises(ProtocolError, match="differ in samples 1000 and 3000") as told:
        require_same([protocol(), protocol(EvaluationSettings(samples=3000))], where="column digits")
    assert told.value.where == "column digits"
    assert "harness evaluate" in told.value.remedy


def test_images_read_in_another_color_are_another_protocol() -> None:
    """The hash of a folder's content is the same; fingerprints from before stay where nothing is unusual."""

    def of(data: DataSettings) -> Protocol:
        experiment = Experiment(name="e", baseline=Hyperparameters(resolution=16), data=data)
        return protocol_of(EvaluationSettings(), experiment, data_sha256=SHA, extractor_sha256=SHA, batch_size=64)

    color, gray = of(DataSettings(source="folder")), of(DataSettings(source="folder", color="gray"))
    assert color.sha256 != gray.sha256
    assert reference_key(color) != reference_key(gray)
    assert "channels" not in color.document() and "channels" not in of(DataSettings()).document()
    assert differences(color, gray) == ["channels None and 1"]
