"""The small classifiers: what shapes there are, the file they are kept in, and how one is trained."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from harness.errors import WeightsError
from harness.evaluation.classifier import (
    DIGITS,
    MNIST,
    Architecture,
    Classifier,
    fitting_architecture,
    from_bytes,
    to_bytes,
    with_weights,
)
from harness.evaluation.classifier_training import (
    Recipe,
    accuracy,
    augmented,
    held_out_mask,
    initialized,
    predictions,
    train,
)

SMALL = Architecture(channels=3, resolution=8, classes=2, maps=(4,), features=5)


def small_network(seed: int = 0) -> Classifier:
    return initialized(SMALL, torch.Generator().manual_seed(seed))


def bars(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Color images of a bright bar: upright ones are class 0, lying ones class 1."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 2, (count,), generator=generator)
    for image, label, place in zip(images, labels, torch.randint(1, 6, (count,), generator=generator), strict=True):
        (image if label else image.transpose(1, 2))[:, place : place + 2] = 220
    return images, labels


@pytest.mark.parametrize(("architecture", "parameters"), [(DIGITS, 46_730), (MNIST, 114_314)])
def test_parameters_are_as_documented(architecture: Architecture, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in Classifier(architecture).parameters()) == parameters


@pytest.mark.parametrize("resolution", [4, 7, 8, 15, 16, 28, 32, 64, 100, 128, 512])
def test_every_resolution_has_a_network(resolution: int) -> None:
    architecture = fitting_architecture(3, resolution, 4)
    assert 4 <= architecture.side <= 7 or resolution < 8
    if resolution <= 64:
        network = Classifier(architecture)
        assert network(torch.zeros(2, 3, resolution, resolution)).shape == (2, 4)
        assert network.features(torch.zeros(2, 3, resolution, resolution)).shape == (2, 128)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 2}, {"channels": True}, {"resolution": 3}, {"resolution": 4096}, {"classes": 1}, {"features": 0},
        {"maps": ()}, {"maps": (16, 0)}, {"maps": (4,) * 4}, {"maps": (10**9,)}, {"classes": 2.0},
    ],
    ids=str,
)  # fmt: skip
def test_sizes_that_no_network_has_are_refused(change: dict[str, object]) -> None:
    sizes = {"channels": 1, "resolution": 8, "classes": 2, **change}
    with pytest.raises(ValueError, match=r"maps|channels|between"):
        Architecture(**sizes)  # type: ignore[arg-type]


def test_a_file_gives_the_same_network_and_equal_networks_give_equal_files() -> None:
    network, names = small_network(), ("cat, small", "größer")
    content = to_bytes(network, names)
    assert content == to_bytes(small_network(), names) != to_bytes(small_network(1), names)
    again, found = from_bytes(content, where="x")
    assert found == names and again.architecture == SMALL
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again(images), network(images))
    assert not any(parameter.requires_grad for parameter in again.parameters())


def changed_metadata(content: bytes, **about: object) -> bytes:
    """The same tensors under other metadata."""
    (length,) = struct.unpack_from("<Q", content)
    before = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["classifier"])
    return safetensors.torch.save(safetensors.torch.load(content), {"classifier": json.dumps({**before, **about})})


CONTENT = to_bytes(small_network(), ("a", "b"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02K\x01.",
        CONTENT[:-4],
        CONTENT[:20],
        safetensors.torch.save({"a": torch.zeros(1)}),
        safetensors.torch.save(small_network().state_dict(), {"classifier": "{}"}),
        changed_metadata(CONTENT, classes=["a", "b", "c"]),
        changed_metadata(CONTENT, architecture={"channels": 1, "resolution": 8, "classes": 2, "maps": [4]}),
        changed_metadata(CONTENT, architecture={"channels": 3, "resolution": 8, "classes": 2, "maps": [10**12]}),
        changed_metadata(CONTENT, architecture=[1]),
        changed_metadata(CONTENT, architecture={"evil": 1, "maps": []}),
    ],
    ids=range(11),
)
def test_other_files_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(WeightsError, match=r"some/file: not weights of a classifier"):
        from_bytes(content, where="some/file")


def test_tensors_must_be_of_the_shape_and_type() -> None:
    content = to_bytes(small_network().half(), ("a", "b"))
    with pytest.raises(WeightsError, match="no float32"):
        from_bytes(content, where="x")
    with pytest.raises(WeightsError, match="size mismatch"):
        with_weights(Architecture(3, 8, 3, (4,), 5), CONTENT, where="x")


def test_it_learns_and_repeats_to_the_bit() -> None:
    recipe = Recipe(paths=((8,), (6, 8)), stream="test", epochs=8, batch_size=32)
    images, labels = bars(320)
    before = torch.get_rng_state()
    told: list[tuple[int, float]] = []
    network = train(images, labels, SMALL, recipe, lambda epoch, loss: told.append((epoch, loss)))
    assert torch.equal(torch.get_rng_state(), before)
    unseen, truth = bars(200, seed=1)
    assert accuracy(network, unseen, truth) > 0.9 > accuracy(small_network(), unseen, truth)
    assert [epoch for epoch, _ in told] == list(range(1, 9))
    assert told[-1][1] < told[0][1] / 2
    assert to_bytes(network, ("a", "b")) == to_bytes(train(images, labels, SMALL, recipe), ("a", "b"))
    other = Recipe(paths=((8,), (6, 8)), stream="test", epochs=8, batch_size=32, seed=1)
    assert to_bytes(network, ("a", "b")) != to_bytes(train(images, labels, SMALL, other), ("a", "b"))
    assert predictions(network, unseen[:0]).shape == (0,)


def test_images_are_moved_whole_and_black_comes_in() -> None:
    image = torch.ones(1, 3, 4, 4)
    recipe = Recipe(paths=(), stream="", shift=2, noise=0.0)
    generator = torch.Generator().manual_seed(0)
    sums = set()
    for _ in range(60):
        moved = augmented(image, recipe, generator)
        assert torch.equal(moved[0, 0], moved[0, 1]) and set(moved.unique().tolist()) <= {-1.0, 1.0}
        sums.add(int((moved[0, 0] > 0).sum()))
    assert sums == {4, 6, 8, 9, 12, 16}  # 2, 3 or 4 rows times 2, 3 or 4 columns


def test_every_class_is_held_out_in_its_share() -> None:
    labels = np.repeat(np.arange(4), [100, 50, 2, 1])
    mask = held_out_mask(labels, 0.1, seed=0)
    assert [int(mask[labels == label].sum()) for label in range(4)] == [10, 5, 1, 0]
    np.testing.assert_array_equal(mask, held_out_mask(labels, 0.1, seed=0))
    assert (mask != held_out_mask(labels, 0.1, seed=1)).any()
