"""Checkpoints rebuild their generator, are equal for equal weights, and are refused when damaged."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, assert_equal, run, small_task, stored_state
from safetensors.torch import load, save

from harness.data.own_code import OwnCode
from harness.errors import DamagedFileError, OwnPartError
from harness.gan.checkpoints import described_key, load_generator
from harness.store import atomic


def test_checkpoints_rebuild_the_generator(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=25)
    run(task)
    names = sorted(path.name for path in task.run.checkpoints.glob("*.safetensors"))
    assert names == ["step-000010.safetensors", "step-000020.safetensors", "step-000025.safetensors"]

    checkpoint = load_generator(task.run.checkpoint(25), CPU, NO_OWN_CODE, None)
    assert_equal(dict(checkpoint.generator.state_dict()), dict(stored_state(task.run)["generator"]))
    assert checkpoint.description.hyperparameters == task.hyperparameters
    assert (checkpoint.description.channels, checkpoint.description.step) == (1, 25)
    assert checkpoint.description.key == task.key
    assert checkpoint.sha256 == atomic.stored_hash(task.run.checkpoint(25))
    assert not checkpoint.generator.training
    assert not any(parameter.requires_grad for parameter in checkpoint.generator.parameters())


def test_equal_runs_write_equal_checkpoints(tmp_path: Path) -> None:
    hashes = set()
    for number in range(4):
        task = small_task(tmp_path / str(number), steps=2)
        run(task)
        hashes.add(atomic.stored_hash(task.run.checkpoint(2)))
    assert len(hashes) == 1


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=2)
    run(task)
    path = task.run.checkpoint(2)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="step-000002"):
        load_generator(path, CPU, NO_OWN_CODE, None)


def header(content: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return found


def with_header(content: bytes, text: bytes) -> bytes:
    """The file with another header before the same tensors."""
    return len(text).to_bytes(8, "little") + text + content[8 + int.from_bytes(content[:8], "little") :]


def with_about(content: bytes, **changes: object) -> bytes:
    """The file with other things said about its generator."""
    metadata = header(content)["__metadata__"]
    assert isinstance(metadata, dict)
    about = json.loads(metadata["harness"]) | changes
    return save(load(content), {"harness": json.dumps(about)})


def with_tensors(content: bytes, change: Callable[[dict[str, torch.Tensor]], object]) -> bytes:
    tensors, metadata = load(content), header(content)["__metadata__"]
    change(tensors)
    return save(tensors, metadata)  # type: ignore[arg-type]


def not_a_number(tensors: dict[str, torch.Tensor]) -> None:
    next(tensor for tensor in tensors.values() if tensor.is_floating_point()).fill_(torch.nan)


def test_checkpoints_of_the_first_version_are_read(tmp_path: Path) -> None:
    """They name one normalization for both networks, and none of the factors that came later."""
    task = small_task(tmp_path, steps=2, normalization="none", latent_dim=5)
    run(task)
    path = task.run.checkpoint(2)
    levels = {
        "generator": "cnn", "discriminator": "cnn", "latent_dim": 5, "generator_hidden_dim": 4,
        "discriminator_hidden_dim": 4, "normalization": "none", "generator_activation": "leaky_relu",
        "discriminator_activation": "leaky_relu", "generator_lr": 2e-4, "discriminator_lr": 2e-4,
        "generator_betas": [0.5, 0.999], "discriminator_betas": [0.5, 0.999], "generator_weight_decay": 0.0,
        "discriminator_weight_decay": 0.0, "resolution": 8, "batch_size": 32, "limit": "all",
    }  # fmt: skip
    atomic.write_hashed(path, with_about(path.read_bytes(), hyperparameters=levels))
    assert load_generator(path, CPU, NO_OWN_CODE, None).description.hyperparameters == task.hyperparameters
    assert described_key(path) == task.key


def test_every_level_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    levels = {
        "real_label": (0.9, 1.0), "fake_label": 0.1, "label_swap": 0.1, "label_swap_decay": 0.5, "lr_decay_from": 0.25,
        "generator_output": "sigmoid", "discriminator_normalization": "spectral", "discriminator_steps": 2, "limit": 99,
    }  # fmt: skip
    task = small_task(tmp_path, steps=1, **levels)
    run(task)
    found = load_generator(task.run.checkpoint(1), CPU, NO_OWN_CODE, None).description.hyperparameters
    assert found == task.hyperparameters and found.real_label == (0.9, 1.0)


OWN_GENERATOR = """
import torch
from torch import nn

class Tied(nn.Module):
    def __init__(self, latent_dim, resolution, alpha):
        super().__init__()
        self.first = nn.Linear(latent_dim, latent_dim, bias=False)
        self.second = nn.Linear(latent_dim, latent_dim, bias=False)
        self.second.weight = self.first.weight
        self.pixels = nn.Linear(latent_dim, resolution**2)
        self.resolution, self.alpha = resolution, alpha

    def forward(self, z):
        pixels = self.pixels(self.second(self.first(z))) * self.alpha
        return pixels.tanh().view(-1, 1, self.resolution, self.resolution)
"""


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_a_generator_of_ones_own_is_built_of_the_code_that_is_handed_in(tmp_path: Path, ema_decay: float) -> None:
    source = tmp_path / "nets.py"
    source.write_text(OWN_GENERATOR)
    code = OwnCode({"nets.py": source})
    task = small_task(tmp_path, steps=2, generator="nets.py:Tied", own={"alpha": 0.5}, ema_decay=ema_decay)
    task = replace(task, own_code=code)
    run(task)
    path = task.run.checkpoint(2)
    generator = load_generator(path, CPU, code, task.hyperparameters).generator
    assert_equal(dict(generator.state_dict()), dict(stored_state(task.run)["generator"]))
    assert generator.alpha == 0.5 and not generator.training
    assert generator.second.weight is generator.first.weight

    source.write_text("raise SystemExit('must not be run')")
    for other in (NO_OWN_CODE, OwnCode({"other.py": source})):
        with pytest.raises(OwnPartError, match=r"nets\.py:Tied") as caught:
            load_generator(path, CPU, other, task.hyperparameters)
        assert caught.value.where == str(path)
    with pytest.raises(OwnPartError, match="must not be run"):
        load_generator(path, CPU, OwnCode({"nets.py": source}), task.hyperparameters)


EVIL = """
import pathlib

def load(f):
    pathlib.Path(f).write_text("done")
"""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": "evil.py:load"}, "its generator is 'evil.py:load', and its run's is 'nets.py:Tied'"),
        ({"generator_normalization": "evil.py:load"}, "its generator_normalization is 'evil.py:load'"),
        ({"own": {"alpha": 9.0}}, "its own is"),
        ({"own": {"alpha": True}}, "its own is"),
        ({"generator": "cnn"}, "its generator is 'cnn'"),
    ],
)
def test_a_checkpoint_does_not_choose_what_is_called(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    (tmp_path / "nets.py").write_text(OWN_GENERATOR)
    (tmp_path / "evil.py").write_text(EVIL)
    code = OwnCode({name: tmp_path / name for name in ("nets.py", "evil.py")})
    task = replace(small_task(tmp_path, steps=1, generator="nets.py:Tied", own={"alpha": 1.0}), own_code=code)
    run(task)
    path = task.run.checkpoint(1)
    levels = task.hyperparameters.model_dump(mode="json") | {"own": {"alpha": 1.0, "f": str(tmp_path / "done")}}
    atomic.write_hashed(path, with_about(path.read_bytes(), hyperparameters=levels | changes))
    with pytest.raises(DamagedFileError, match=said):
        load_generator(path, CPU, code, task.hyperparameters)
    if changes != {"generator": "cnn"}:
        with pytest.raises(OwnPartError, match="a file alone decides about no code of one's own"):
            load_generator(path, CPU, code, None)
    assert not (tmp_path / "done").exists()


def test_a_built_in_checkpoint_of_another_cell_is_refused(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=1)
    run(task)
    expected = task.hyperparameters.model_copy(update={"latent_dim": 99})
    with pytest.raises(DamagedFileError, match="its latent_dim is 6, and its run's is 99"):
        load_generator(task.run.checkpoint(1), CPU, NO_OWN_CODE, expected)


class Bomb:
    """What a pickle does when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a pickle was executed",)


COUNTER = "map4.normalization.num_batches_tracked"

FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "pickle": lambda _: pickle.dumps(Bomb()),
    "huge header": lambda content: (2**63 - 1).to_bytes(8, "little") + content[8:],
    "header beyond the end": lambda content: (1 << 23).to_bytes(8, "little") + content[8:],
    "nested header": lambda content: with_header(content, b"[" * 100_000),
    "header of nothing": lambda content: with_header(content, b"{}"),
    "nested description": lambda content: save(load(content), {"harness": "[" * 100_000}),
    "description of a list": lambda content: save(load(content), {"harness": "[]"}),
    "no description": lambda content: save(load(content)),
    "wrong hyperparameters": lambda content: with_about(content, hyperparameters={"latent_dim": -1}),
    "a huge network": lambda content: with_about(content, channels=10**9),
    "channels in words": lambda content: with_about(content, channels="one"),
    "key of a number": lambda content: with_about(content, key=5),
    "no tensors": lambda content: with_tensors(content, dict.clear),
    "one weight less": lambda content: with_tensors(content, lambda t: t.pop("image.weight")),
    "one counter less": lambda content: with_tensors(content, lambda t: t.pop(COUNTER)),
    "a wrong shape": lambda content: with_tensors(content, lambda t: t.update({next(iter(t)): torch.zeros(3, 3)})),
    "weights that are no numbers": lambda content: with_tensors(content, not_a_number),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_file_from_elsewhere_with_a_fitting_checksum_is_refused(tmp_path: Path, forgery: str) -> None:
    task = small_task(tmp_path, steps=2)
    run(task)
    path = task.run.checkpoint(2)
    content = path.read_bytes()
    assert described_key(path) == task.key
    atomic.write_hashed(path, FORGERIES[forgery](content))
    with pytest.raises(DamagedFileError, match="no checkpoint of this harness") as caught:
        load_generator(path, CPU, NO_OWN_CODE, None)
    assert caught.value.where == str(path) and len(str(caught.value)) < 1000
    assert described_key(path) in (None, task.key)
    assert described_key(tmp_path / "absent") is None
