"""Checkpoints rebuild their generator, are equal for equal weights, and are refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from gan_tasks import CPU, assert_equal, run, small_task, stored_state

from harness.errors import DamagedFileError
from harness.gan.checkpoints import load_generator
from harness.store import atomic


def test_checkpoints_rebuild_the_generator(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=25)
    run(task)
    names = sorted(path.name for path in task.run.checkpoints.glob("*.safetensors"))
    assert names == ["step-000010.safetensors", "step-000020.safetensors", "step-000025.safetensors"]

    checkpoint = load_generator(task.run.checkpoint(25), CPU)
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
        load_generator(path, CPU)
