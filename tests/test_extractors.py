"""Extractors: the weights that ship, pytorch-fid's network fed as pytorch-fid feeds it, and refused files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image
from pytorch_fid import fid_score, inception
from sklearn.datasets import load_digits

from harness.data.labels import labels
from harness.data.sources import load
from harness.design.experiment import DataSettings, EvaluationSettings
from harness.errors import WeightsError
from harness.evaluation import extractor_weights, shipped
from harness.evaluation.classifier import DIGITS as DIGITS_ARCHITECTURE
from harness.evaluation.classifier import MNIST as MNIST_ARCHITECTURE
from harness.evaluation.classifier import Architecture
from harness.evaluation.extractors import (
    feature_matrix,
    load_extractor,
    to_gray,
    weights_file,
    weights_sha256,
)
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.store.atomic import file_sha256, read_json

CPU = torch.device("cpu")
DIGITS = EvaluationSettings(extractor="digits")
MNIST = EvaluationSettings(extractor="mnist")
INCEPTION = EvaluationSettings(extractor="inception")


def unverified(weights: Path) -> EvaluationSettings:
    return EvaluationSettings(extractor="inception", extractor_weights=str(weights), unverified_weights=True)


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def empty_torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights but those of a test, wherever the tests run."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(extractor_weights.INCEPTION_VARIABLE, raising=False)
    return tmp_path / "torch"


# --- digits and mnist


@pytest.mark.parametrize(
    ("settings", "weights", "most"),
    [(DIGITS, shipped.DIGITS_WEIGHTS, 200_000), (MNIST, shipped.MNIST_WEIGHTS, 500_000)],
    ids=["digits", "mnist"],
)
def test_shipped_weights_are_small_and_as_their_note_says(
    settings: EvaluationSettings, weights: Path, most: int
) -> None:
    note = read_json(weights.with_suffix(".json"))
    assert weights_file(settings) == weights
    assert weights_sha256(settings) == note["weights_sha256"] == file_sha256(weights)
    assert weights.stat().st_size <= most
    extractor = load_extractor(settings, CPU)
    assert note["feature_dim"] == extractor.feature_dim == 64
    assert extractor.classes == tuple("0123456789")
    page = (Path(__file__).parents[1] / "docs" / "extractors.md").read_text(encoding="utf-8")
    assert note["weights_sha256"] in page
    assert f"{weights.stat().st_size:,} bytes" in page


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
def test_digits_is_as_accurate_on_held_out_images_as_its_note_says(resolution: int) -> None:
    note = read_json(shipped.DIGITS_WEIGHTS.with_suffix(".json"))
    held_out = slice(note["split"]["train"], None)
    images = torch.from_numpy(load(DataSettings(source="digits"), resolution).images)
    extractor = load_extractor(DIGITS, CPU)
    features = extractor.features(images[held_out])
    last_layer = safetensors.numpy.load_file(shipped.DIGITS_WEIGHTS)
    logits = np.maximum(features, 0) @ last_layer["classes.weight"].T + last_layer["classes.bias"]
    np.testing.assert_allclose(extractor.logits(features), logits, atol=1e-3)
    right = extractor.logits(features).argmax(axis=1) == load_digits().target[held_out]
    assert len(right) == note["split"]["held out"] == 449
    assert right.mean() == pytest.approx(note["accuracy"][f"held out at {resolution}x{resolution}"], abs=5e-3)
    assert right.mean() >= 0.97


@pytest.mark.parametrize("resolution", [16, 28, 32, 64])
def test_mnist_is_as_accurate_on_test_images_as_its_note_says(resolution: int, shared_data: Path) -> None:
    note = read_json(shipped.MNIST_WEIGHTS.with_suffix(".json"))
    data = DataSettings(source="mnist", root=str(shared_data), split="test")
    some = slice(None, None, 5)  # a fifth of them, spread evenly: the whole takes half a minute
    images = torch.from_numpy(load(data, resolution).images[some])
    extractor = load_extractor(MNIST, CPU)
    right = extractor.logits(extractor.features(images)).argmax(axis=1) == labels(data)[0][some]
    assert len(right) == note["split"]["test"] / 5 == 2000
    assert right.mean() == pytest.approx(note["accuracy"][f"test at {resolution}x{resolution}"], abs=5e-3)
    assert note["accuracy"][f"test at {resolution}x{resolution}"] >= 0.99


def test_digits_takes_color_as_its_luminance() -> None:
    extractor = load_extractor(DIGITS, CPU)
    gray, color = random_images(3, 1, 32, 32), random_images(3, 3, 32, 32)
    np.testing.assert_array_equal(extractor.features(gray.expand(-1, 3, -1, -1)), extractor.features(gray))
    pillow = [np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")) for image in color]
    assert np.abs(to_gray(color)[:, 0].numpy().astype(int) - np.stack(pillow)).max() <= 1  # Pillow rounds down


@pytest.mark.parametrize(
    ("settings", "architecture"), [(DIGITS, DIGITS_ARCHITECTURE), (MNIST, MNIST_ARCHITECTURE)], ids=["digits", "mnist"]
)
def test_features_are_float32_and_repeat_to_the_bit(settings: EvaluationSettings, architecture: Architecture) -> None:
    extractor, images = load_extractor(settings, CPU), random_images(70, 1, 16, 16)
    first = extractor.features(images)
    assert first.dtype == np.float32
    assert first.shape == (70, architecture.features)
    np.testing.assert_array_equal(first, extractor.features(images))
    np.testing.assert_array_equal(first, load_extractor(settings, CPU).features(images))
    logits = extractor.logits(first)
    assert (logits.dtype, logits.shape) == (np.float64, (70, 10))


def test_precision_changes_the_type_and_no_more_than_the_rounding() -> None:
    images = random_images(70, 1, 16, 16)
    exact, single, coarse = (
        load_extractor(DIGITS.model_copy(update={"precision": precision}), CPU).features(images)
        for precision in ("float64", "float32", "bfloat16")
    )
    assert (exact.dtype, single.dtype, coarse.dtype) == (np.float64, np.float32, np.float32)
    size = np.abs(exact).mean()
    assert 0 < np.abs(single - exact).max() < 1e-5 * size
    assert 1e-4 * size < np.abs(coarse - exact).max() < 0.1 * size


def test_an_image_gets_the_same_bits_in_any_company() -> None:
    extractor, images = load_extractor(DIGITS, CPU), random_images(70, 1, 16, 16)
    together = extractor.features(images)
    for start, end in ((0, 1), (69, 70), (3, 20), (0, 64)):
        np.testing.assert_array_equal(extractor.features(images[start:end]), together[start:end])
    assert extractor.features(images[:0]).shape == (0, 64)
    assert feature_matrix(extractor, []).shape == (0, 64)


def test_float64_moves_to_the_cpu_where_the_device_has_none(caplog: pytest.LogCaptureFixture) -> None:
    settings, images = DIGITS.model_copy(update={"precision": "float64"}), random_images(3, 1, 16, 16)
    features = load_extractor(settings, torch.device("mps")).features(images)  # no such device here: it is not touched
    np.testing.assert_array_equal(features, load_extractor(settings, CPU).features(images))
    assert "mps has no float64" in caplog.text


@pytest.mark.parametrize("sizes", [[200], [64, 64, 72], [1] * 200, [130, 3, 67], [0, 200, 0]])
def test_callers_batches_change_no_bit(sizes: list[int]) -> None:
    extractor, images = load_extractor(DIGITS, CPU), random_images(200, 1, 16, 16)
    np.testing.assert_array_equal(feature_matrix(extractor, images.split(sizes)), extractor.features(images))


def test_loading_draws_nothing_from_the_global_stream(random_inception: Path) -> None:
    before = torch.get_rng_state()
    load_extractor(DIGITS, CPU)
    load_extractor(unverified(random_inception), CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("images", [torch.zeros(2, 1, 16, 16), random_images(2, 16, 16), random_images(2, 4, 8, 8)])
def test_other_than_uint8_images_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="images are uint8"):
        load_extractor(DIGITS, CPU).features(images)


# --- inception


def test_inception_features_equal_pytorch_fids(
    random_inception: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    color, gray = random_images(2, 3, 32, 32), random_images(2, 1, 40, 40)
    files = []
    for i, image in enumerate([*color.permute(0, 2, 3, 1), *gray[:, 0]]):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image.numpy()).save(files[-1])
    state = torch.load(random_inception, weights_only=True)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_args, **_options: state)
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    theirs = np.concatenate(
        [fid_score.get_activations(some, network, batch_size=2, num_workers=0) for some in (files[:2], files[2:])]
    )
    monkeypatch.undo()

    extractor = load_extractor(unverified(random_inception), CPU)
    ours = np.concatenate([extractor.features(color), extractor.features(gray)])
    assert ours.shape == (4, extractor.feature_dim) == (4, 2048)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).mean())
    assert np.abs(theirs[0] - theirs[1]).mean() > 0.01 * np.abs(theirs).mean()  # images make a difference


def test_pytorch_fid_is_left_as_it_was(random_inception: Path, tmp_path: Path) -> None:
    original = inception.load_state_dict_from_url
    load_extractor(unverified(random_inception), CPU)
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not weights of pytorch-fid"):
        load_extractor(unverified(tmp_path / "other.pth"), CPU)
    assert inception.load_state_dict_from_url is original


def test_another_hash_is_refused_with_both_named(random_inception: Path) -> None:
    settings = EvaluationSettings(extractor="inception", extractor_weights=str(random_inception))
    found = file_sha256(random_inception)
    with pytest.raises(WeightsError, match=f"{found}.*{INCEPTION_SHA256}"):
        weights_sha256(settings)
    with pytest.raises(WeightsError, match=f"{found}.*{INCEPTION_SHA256}"):
        load_extractor(settings, CPU)
    assert weights_sha256(unverified(random_inception)) == found


def test_places_are_looked_at_in_order(tmp_path: Path, empty_torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = empty_torch_home / "hub" / "checkpoints" / extractor_weights.INCEPTION_FILE
    cached.parent.mkdir(parents=True)
    named, from_environment = tmp_path / "named.pth", tmp_path / "environment.pth"
    for file in (cached, named, from_environment):
        file.write_bytes(b"")
    assert weights_file(INCEPTION) == cached
    monkeypatch.setenv(extractor_weights.INCEPTION_VARIABLE, str(from_environment))
    assert weights_file(INCEPTION) == from_environment
    assert weights_file(unverified(named)) == named
    named.unlink()
    with pytest.raises(WeightsError, match="extractor_weights: correct the path"):
        weights_file(unverified(named))  # a wrong path is never passed over for another place


def test_missing_inception_weights_name_file_place_and_hash(empty_torch_home: Path) -> None:
    with pytest.raises(WeightsError) as raised:
        weights_sha256(INCEPTION, download=False)
    for part in (
        str(empty_torch_home),
        extractor_weights.INCEPTION_FILE,
        INCEPTION_SHA256,
        "required = false",
    ):
        assert part in str(raised.value)


def test_a_download_of_other_bytes_is_refused_and_leaves_nothing(
    tmp_path: Path, empty_torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"a captive portal's page")
    monkeypatch.setattr(inception, "FID_WEIGHTS_URL", wrong.as_uri())
    with pytest.raises(WeightsError, match=re.escape(wrong.as_uri())):
        weights_file(INCEPTION)
    assert not list(empty_torch_home.rglob("*.pth*.partial"))
    assert not list(empty_torch_home.rglob("*.pth"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02K\x01."])
def test_bytes_that_are_no_weights_are_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken.pth.*not weights of pytorch-fid"):
        load_extractor(unverified(file), CPU)


class Evil:
    """Unpickled without care it would make a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_code_inside_a_weights_file_is_not_run(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "trace"), tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        load_extractor(unverified(tmp_path / "evil.pth"), CPU)
    assert not (tmp_path / "trace").exists()
