"""The moving average of the generator: its formula, its place in state and checkpoint, and who reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, assert_equal, records, run, small, small_task, stored_state
from safetensors.torch import load
from test_checkpoints import with_tensors
from test_training import DIVERGING, noise_images

from harness.errors import DamagedFileError, StoreError
from harness.gan.checkpoints import load_generator
from harness.gan.sampling import CheckpointSampler
from harness.gan.state import initial_state
from harness.gan.training import train
from harness.store import atomic


def weights_after(root: Path, steps: int, **levels: Any) -> dict[str, torch.Tensor]:
    task = small_task(root / str(steps), steps=steps, **levels)
    run(task)
    found: dict[str, torch.Tensor] = stored_state(task.run)["generator"]
    return found


def test_it_is_the_average_of_all_steps(tmp_path: Path) -> None:
    """Yazici et al. 2019: theta_ema(t) = beta theta_ema(t - 1) + (1 - beta) theta(t), from theta_ema(0) = theta(0)."""
    decay = 0.75
    start = initial_state(small(), 1, 0, CPU, NO_OWN_CODE).generator.state_dict()
    average = {name: value.double() for name, value in start.items()}
    for step in range(1, 5):
        for name, value in weights_after(tmp_path, step).items():
            average[name] = decay * average[name] + (1 - decay) * value.double()
    task = small_task(tmp_path / "average", steps=4, ema_decay=decay)
    run(task)
    state = stored_state(task.run)
    for name, value in state["average"].items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), average[name], rtol=1e-5, atol=1e-7)
            assert not torch.equal(value, state["generator"][name]), name  # running statistics are averaged as well
        else:
            assert value == 4


def test_it_leaves_training_as_it_is(tmp_path: Path) -> None:
    plain, averaged = small_task(tmp_path / "plain", steps=9), small_task(tmp_path / "ema", steps=9, ema_decay=0.9)
    run(plain)
    run(averaged)
    states = [stored_state(task.run) for task in (plain, averaged)]
    assert "average" not in states[0]
    del states[1]["average"]
    assert_equal(*states)
    assert records(plain.run) == records(averaged.run)


def test_checkpoints_hold_both_weights(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=6, ema_decay=0.5)
    run(task)
    path, state = task.run.checkpoint(6), stored_state(task.run)
    raw = load_generator(path, CPU, NO_OWN_CODE, None)
    ema = load_generator(path, CPU, NO_OWN_CODE, None, weights="ema")
    assert_equal(dict(raw.generator.state_dict()), dict(state["generator"]))
    assert_equal(dict(ema.generator.state_dict()), dict(state["average"]))
    assert raw.sha256 == ema.sha256 and not ema.generator.training
    names = set(load(path.read_bytes()))
    assert names == {prefix + name for name in state["generator"] for prefix in ("", "ema/")}
    pictures = [
        torch.cat(list(CheckpointSampler(checkpoint, 0, "eval", 8, CPU).images(0, 8))) for checkpoint in (raw, ema)
    ]
    assert not torch.equal(*pictures)


def test_a_checkpoint_without_an_average_says_so(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=2)
    run(task)
    with pytest.raises(StoreError, match="no moving average") as caught:
        load_generator(task.run.checkpoint(2), CPU, NO_OWN_CODE, None, weights="ema")
    assert not isinstance(caught.value, DamagedFileError)
    assert "ema_decay" in caught.value.remedy and caught.value.where == str(task.run.checkpoint(2))


def drop(name: str) -> Any:
    return lambda tensors: tensors.pop(name)


FORGERIES = {
    "an average of one tensor less": drop("ema/image.weight"),
    "an average alone": drop("image.weight"),
    "no average": lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("ema/")],
    "another shape": lambda tensors: tensors.update({"ema/image.weight": torch.zeros(1)}),
    "no numbers": lambda tensors: tensors["ema/image.weight"].fill_(torch.nan),
}


@pytest.mark.parametrize("weights", ["raw", "ema"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_average_that_does_not_fit_is_refused(tmp_path: Path, forgery: str, weights: Any) -> None:
    task = small_task(tmp_path, steps=2, ema_decay=0.5)
    run(task)
    path = task.run.checkpoint(2)
    atomic.write_hashed(path, with_tensors(path.read_bytes(), FORGERIES[forgery]))
    with pytest.raises(DamagedFileError, match="no checkpoint of this harness"):
        load_generator(path, CPU, NO_OWN_CODE, None, weights=weights)


def test_an_average_where_none_is_kept_is_refused(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=2)
    run(task)
    path = task.run.checkpoint(2)
    twice = with_tensors(path.read_bytes(), lambda t: t.update({f"ema/{n}": v.clone() for n, v in t.items()}))
    assert load(twice).keys() > load(path.read_bytes()).keys()
    atomic.write_hashed(path, twice)
    with pytest.raises(DamagedFileError, match="moving average"):
        load_generator(path, CPU, NO_OWN_CODE, None)


def test_a_diverged_run_keeps_no_broken_average(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=400, log_every=10, checkpoint_every=100, ema_decay=0.999, **DIVERGING)
    result = train(task, noise_images(), lambda: False)
    assert result.outcome == "diverged" and "not finite" in result.reason
    state = initial_state(small(ema_decay=0.5), 1, 0, CPU, NO_OWN_CODE)
    assert state.not_finite() is None and state.average is not None
    state.average["image.weight"].fill_(torch.inf)
    assert state.not_finite() == "the moving average of the generator's weights"
