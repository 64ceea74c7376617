"""Which bytes an extractor may be made of: trained ones by note or name, and both hashes in every refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.design.experiment import EvaluationSettings
from harness.errors import WeightsError
from harness.evaluation.extractor_weights import read_weights, weights_file
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.evaluation.shipped import SHIPPED
from harness.store.atomic import sha256_of, write_json

CONTENT = b"weights of some kind"
SHA256 = sha256_of(CONTENT)


def trained(file: Path) -> EvaluationSettings:
    return EvaluationSettings(extractor="trained", extractor_weights=str(file))


def written(folder: Path, name: str, *, noted: str | None = None, content: bytes = CONTENT) -> EvaluationSettings:
    file = folder / f"{name}.safetensors"
    file.write_bytes(content)
    if noted is not None:
        write_json(file.with_suffix(".json"), {"weights_sha256": noted})
    return trained(file)


@pytest.mark.parametrize(
    ("name", "noted"), [(f"set-{SHA256[:8]}", SHA256), (f"set-{SHA256[:8]}", None), ("renamed", SHA256)]
)
def test_note_or_name_tells_that_they_are_the_ones(tmp_path: Path, name: str, noted: str | None) -> None:
    assert read_weights(written(tmp_path, name, noted=noted)) == (CONTENT, SHA256)


@pytest.mark.parametrize("content", [CONTENT[:-1], b"", CONTENT + b"!"], ids=["truncated", "empty", "longer"])
@pytest.mark.parametrize("noted", [SHA256, None], ids=["noted", "named"])
def test_other_bytes_are_refused_with_both_hashes(tmp_path: Path, content: bytes, noted: str | None) -> None:
    settings = written(tmp_path, f"set-{SHA256[:8]}", noted=noted, content=content)
    with pytest.raises(WeightsError) as raised:
        read_weights(settings)
    assert sha256_of(content) in raised.value.what
    assert (noted or f"begins with {SHA256[:8]}") in raised.value.what
    assert raised.value.where == settings.extractor_weights
    assert "harness extractor train" in raised.value.remedy


def test_weights_that_nothing_vouches_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no note") as raised:
        read_weights(written(tmp_path, "renamed"))
    assert "renamed.json" in raised.value.remedy


@pytest.mark.parametrize("note", [b"", b"{", b'{"weights_sha256": "x"}'])
def test_a_damaged_note_is_named(tmp_path: Path, note: bytes) -> None:
    settings = written(tmp_path, f"set-{SHA256[:8]}")
    (tmp_path / f"set-{SHA256[:8]}.json").write_bytes(note)
    with pytest.raises(WeightsError, match=r"json: the note on the weights is missing or damaged"):
        read_weights(settings)


def test_a_note_without_a_hash_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no SHA-256 but 'x'"):
        read_weights(written(tmp_path, f"set-{SHA256[:8]}", noted="x"))


def test_missing_trained_weights_say_how_they_are_made(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"set\.safetensors: the extractor's weights are missing") as raised:
        weights_file(trained(tmp_path / "set.safetensors"))
    assert "harness extractor train FILE" in raised.value.remedy


def test_truncated_inception_weights_are_refused_with_both_hashes(tmp_path: Path) -> None:
    file = tmp_path / "inception.pth"
    file.write_bytes(CONTENT[:5])
    with pytest.raises(WeightsError, match=f"{sha256_of(CONTENT[:5])}.*{INCEPTION_SHA256}") as raised:
        read_weights(EvaluationSettings(extractor="inception", extractor_weights=str(file)))
    assert raised.value.where == str(file)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_damaged_weights_that_ship_are_refused_with_both_hashes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SHIPPED[name]
    damaged = tmp_path / whole.name
    damaged.write_bytes(whole.read_bytes()[:-1])
    damaged.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    monkeypatch.setitem(SHIPPED, name, damaged)
    expected, found = sha256_of(whole.read_bytes()), sha256_of(damaged.read_bytes())
    with pytest.raises(WeightsError, match=f"{found}.*{expected}") as raised:
        read_weights(EvaluationSettings.model_validate({"extractor": name}))
    assert "Install harness again" in raised.value.remedy
