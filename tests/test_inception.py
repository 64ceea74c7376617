"""Inception rebuilt for speed gives pytorch-fid's features, whichever way it takes, and notices where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_fid import inception as pytorch_fid
from torchvision.models import inception as torchvision_inception

from harness.design.experiment import EvaluationSettings
from harness.errors import WeightsError
from harness.evaluation import inception, quickest, trunks
from harness.evaluation.extractors import Extractor, feature_matrix, load_extractor
from harness.evaluation.trunks import FusedConvolution, Way

CPU = torch.device("cpu")

BATCH = 2
"""In place of `trunks.CPU_BATCH`: every image costs a tenth of a second, those that fill a batch up as well."""


@dataclass(frozen=True)
class Oracle:
    """Images, and what pytorch-fid's own network makes of them in float32 and in float64."""

    images: torch.Tensor
    single: NDArray[np.float32]
    double: NDArray[np.float64]


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module", autouse=True)
def _small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trunks, "CPU_BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def oracles(random_inception: Path) -> dict[str, Oracle]:
    state = torch.load(random_inception, weights_only=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_args, **_options: state)
        network = pytorch_fid.InceptionV3([3]).eval()
    found = {}
    for name, images in (("gray", random_images(2, 1, 40, 40)), ("color", random_images(2, 3, 32, 24))):
        whole = images.expand(-1, 3, -1, -1)
        with torch.inference_mode():
            single = network.float()(whole.float() / 255)[0].flatten(1).numpy()
            double = network.double()(whole.double() / 255)[0].flatten(1).numpy()
        found[name] = Oracle(images, single, double)
    return found


def settings_for(weights: Path, **others: Any) -> EvaluationSettings:
    return EvaluationSettings(extractor="inception", extractor_weights=str(weights), unverified_weights=True, **others)


@pytest.fixture(scope="module")
def extractor(random_inception: Path) -> Extractor:
    return load_extractor(settings_for(random_inception), CPU)


def difference(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The largest, as a share of the features' mean size: pytorch-fid's own float32 is some 1e-5 from its float64."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).mean())


def count_fused(network: torch.nn.Module) -> int:
    return sum(isinstance(module, FusedConvolution) for module in network.modules())


def ways(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "harness"]


@pytest.mark.parametrize("kind", ["gray", "color"])
def test_float32(kind: str, oracles: dict[str, Oracle], extractor: Extractor) -> None:
    oracle = oracles[kind]
    ours = extractor.features(oracle.images)
    assert ours.dtype == np.float32
    assert difference(ours, oracle.single) < 1e-4
    assert difference(oracle.single[:1], oracle.single[1:]) > 0.01  # images make a difference


def test_float64(oracles: dict[str, Oracle], random_inception: Path) -> None:
    found = load_extractor(settings_for(random_inception, precision="float64"), CPU)
    for oracle in oracles.values():
        ours = found.features(oracle.images)
        assert ours.dtype == np.float64
        assert difference(ours, oracle.double) < 1e-10


def test_unpatched_pooling_is_seen(
    oracles: dict[str, Oracle], random_inception: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: torchvision's own pooling in the same weights must be far off."""
    for patched, plain in (
        ("FIDInceptionA", "InceptionA"), ("FIDInceptionC", "InceptionC"),
        ("FIDInceptionE_1", "InceptionE"), ("FIDInceptionE_2", "InceptionE"),
    ):  # fmt: skip
        monkeypatch.setattr(getattr(pytorch_fid, patched), "forward", getattr(torchvision_inception, plain).forward)
    found = load_extractor(settings_for(random_inception), CPU)
    assert difference(found.features(oracles["gray"].images), oracles["gray"].single) > 1e-2


def test_the_fused_convolution_is_in_use_where_torch_has_it(extractor: Extractor) -> None:
    assert isinstance(extractor._network, inception.InceptionNetwork)
    assert count_fused(extractor._network) == (
        93 if torch.backends.mkldnn.is_available() else 0
    )  # of 94: not the first


@pytest.mark.parametrize("fault", ["absent", "wrong"])
def test_where_the_fused_convolution_fails_the_plain_one_is_used(
    fault: str,
    oracles: dict[str, Oracle],
    random_inception: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def absent(*_arguments: object) -> None:
        raise AttributeError("no such operation")

    def wrong(self: FusedConvolution, maps: torch.Tensor) -> torch.Tensor:
        return fused(self, maps) * 1.001

    fused = FusedConvolution.forward
    monkeypatch.setattr(FusedConvolution, *(("__init__", absent) if fault == "absent" else ("forward", wrong)))
    found = load_extractor(settings_for(random_inception), CPU)
    for oracle in oracles.values():
        assert difference(found.features(oracle.images), oracle.single) < 1e-4
    assert isinstance(found._network, inception.InceptionNetwork)
    assert count_fused(found._network) == 0
    (message,) = ways(caplog)
    assert ("no such operation" if fault == "absent" else "off") in message


def test_company_and_batches_change_no_bit(extractor: Extractor) -> None:
    images = random_images(BATCH + 1, 1, 16, 16)
    together = extractor.features(images)
    for sizes in ([1, BATCH], [BATCH, 1], [1, 0, 1, 1]):
        np.testing.assert_array_equal(feature_matrix(extractor, images.split(sizes)), together)
    np.testing.assert_array_equal(extractor.features(images[-1:]), together[-1:])


def test_bfloat16_is_coarse_but_no_other_network(oracles: dict[str, Oracle], random_inception: Path) -> None:
    settings = settings_for(random_inception, precision="bfloat16")
    ours = load_extractor(settings, CPU).features(oracles["gray"].images)
    assert ours.dtype == np.float32
    assert 1e-4 < difference(ours, oracles["gray"].single) < 0.2


def test_logits_leave_the_bias_out(extractor: Extractor, random_inception: Path) -> None:
    features = np.random.default_rng(0).random((3, 2048), dtype=np.float32)
    state = torch.load(random_inception, weights_only=True)
    expected = features.astype(np.float64) @ state["fc.weight"].double().numpy().T
    logits = extractor.logits(features)
    np.testing.assert_allclose(logits, expected, rtol=1e-12)
    assert state["fc.bias"].abs().max() > 0.01  # with it they would be others
    assert len(extractor.classes) == logits.shape[1] == 1008


def test_without_the_last_layer_only_classes_are_missing(
    tmp_path: Path, oracles: dict[str, Oracle], random_inception: Path
) -> None:
    state = torch.load(random_inception, weights_only=True)
    bare = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    torch.save(bare, tmp_path / "bare.pth")
    extractor = load_extractor(settings_for(tmp_path / "bare.pth"), CPU)
    features = extractor.features(oracles["gray"].images)
    assert difference(features, oracles["gray"].single) < 1e-4
    with pytest.raises(WeightsError, match=r"bare.pth.*no last layer"):
        extractor.logits(features)


@pytest.mark.long
def test_compiled(
    oracles: dict[str, Oracle],
    random_inception: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not trunks.has_compiler():
        pytest.skip("no C++ compiler")
    monkeypatch.setattr(quickest, "ways", lambda *_of, **_also: (Way("compiled", BATCH), Way("plain", BATCH)))
    found = load_extractor(settings_for(random_inception), CPU)
    assert not ways(caplog)
    assert isinstance(found._network, inception.InceptionNetwork)
    assert isinstance(found._network.trunk, torch._dynamo.OptimizedModule)
    for oracle in oracles.values():
        assert difference(found.features(oracle.images), oracle.single) < 1e-4


@pytest.mark.long
def test_where_compiling_fails_the_fused_one_is_used(
    oracles: dict[str, Oracle],
    random_inception: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")  # torch's compiler tells much
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    kinds: tuple[trunks.Kind, ...] = ("compiled", "fused", "plain")
    monkeypatch.setattr(quickest, "ways", lambda *_of, **_also: tuple(Way(kind, BATCH) for kind in kinds))
    torch._dynamo.reset()
    with torch._inductor.config.patch({"cpp.cxx": (str(broken),), "force_disable_caches": True}):
        found = load_extractor(settings_for(random_inception), CPU)
    (message,) = ways(caplog)
    assert "compiled" in message and count_fused(found._network.trunk)
    assert difference(found.features(oracles["gray"].images), oracles["gray"].single) < 1e-4
