"""The loop of reference experiment A: what a step does, what is recorded, what ends a run."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, StopAfter, assert_equal, digits, records, run, small_task, stored_state

from harness.errors import DataError, DeviceError
from harness.gan.batches import Batches
from harness.gan.metrics import METRICS
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.randomness import normal_latents, random_stream
from harness.gan.training import make_deterministic, train
from harness.store.commits import newest_commit
from harness.store.records import read_records
from harness.store.rundir import RunDirectory

DIVERGING: dict[str, Any] = {
    "resolution": 16,
    "generator_lr": 1.0,
    "discriminator_lr": 1.0,
    "generator_betas": (0.9, 0.0),
    "discriminator_betas": (0.9, 0.0),
}
"""With beta2 = 0 the step is m / |g|, which has no bound where a gradient vanishes and its mean does not."""


def noise_images(resolution: int = 16, channels: int = 1) -> torch.Tensor:
    shape = (100, channels, resolution, resolution)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random_stream(0, "images"))


class ReferenceLoop:
    """The same training as plainly as it can be written: no fused kernels, no freezing, no memory formats."""

    def __init__(self, hp: Any, images: torch.Tensor) -> None:
        self.hp, self.images = hp, images
        self.g = build_generator(hp, 1, random_stream(0, "initialization", "generator"), NO_OWN_CODE)
        self.d = build_discriminator(hp, 1, random_stream(0, "initialization", "discriminator"), NO_OWN_CODE)
        self.adam_g = torch.optim.Adam(self.g.parameters(), lr=hp.generator_lr, betas=hp.generator_betas, foreach=False)
        self.adam_d = torch.optim.Adam(
            self.d.parameters(), lr=hp.discriminator_lr, betas=hp.discriminator_betas, foreach=False
        )

    def step(self, number: int) -> dict[str, float]:
        size = self.hp.batch_size
        order = torch.randperm(len(self.images), generator=random_stream(0, "data order", 0))
        real = self.images[order[number * size : (number + 1) * size]].float() / 127.5 - 1
        fake = self.g(torch.randn(size, self.hp.latent_dim, generator=random_stream(0, "latents", number)))

        d_real, d_fake = self.d(real).sigmoid(), self.d(fake.detach()).sigmoid()
        loss_d = -d_real.log().mean() - (1 - d_fake).log().mean()
        self.adam_d.zero_grad()
        loss_d.backward()
        self.adam_d.step()

        d_after = self.d(fake).sigmoid()
        loss_g = -d_after.log().mean()
        self.adam_g.zero_grad()
        loss_g.backward()
        self.adam_g.step()
        right_real, right_fake = (d_real > 0.5).float(), (d_fake < 0.5).float()
        values = (
            loss_g,
            loss_d,
            d_real.mean(),
            d_fake.mean(),
            d_after.mean(),
            right_real.mean(),
            right_fake.mean(),
        )
        return {name: value.item() for name, value in zip(METRICS, values, strict=True)}


@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize("architecture", ["cnn", "mlp"])
def test_steps_equal_a_hand_written_loop(tmp_path: Path, architecture: str, normalization: str) -> None:
    images = noise_images()
    families = {"generator": architecture, "discriminator": architecture}
    rates = {"generator_lr": 1e-3, "discriminator_lr": 5e-3}  # large enough to move the accuracies
    task = small_task(tmp_path, steps=3, log_every=1, resolution=16, normalization=normalization, **families, **rates)
    assert train(task, images, lambda: False).outcome == "finished"

    # Without normalization the first logits are within rounding of zero, so their signs say nothing.
    compared = [name for name in METRICS if normalization == "batch" or not name.startswith("accuracy")]
    reference = ReferenceLoop(task.hyperparameters, images)
    for number, record in enumerate(records(task.run)):
        expected = reference.step(number)
        for name in compared:
            assert record[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name
    state = stored_state(task.run)
    for network, weights in ((reference.g, state["generator"]), (reference.d, state["discriminator"])):
        for name, value in network.state_dict().items():
            if normalization == "batch" and name.endswith(("weighted.bias", "running_mean")):
                continue  # batch norm undoes this bias: its gradient is rounding noise, which Adam scales up
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=2e-5)


def test_records_are_interval_means(tmp_path: Path) -> None:
    every, grouped = small_task(tmp_path / "1", log_every=1), small_task(tmp_path / "7", log_every=7)
    run(every)
    run(grouped)
    singles = records(every.run)
    assert [record["step"] for record in singles] == list(range(1, 41))
    means = records(grouped.run)
    assert [(record["step"], record["n"]) for record in means] == [(7, 7), (14, 7), (21, 7), (28, 7), (35, 7)]
    for record in means:
        part = singles[record["step"] - 7 : record["step"]]
        for name in METRICS:
            assert record[name] == pytest.approx(math.fsum(single[name] for single in part) / 7, rel=1e-12)


def test_records_carry_the_time(tmp_path: Path) -> None:
    task = small_task(tmp_path)
    run(task)
    stored = read_records(task.run.metrics)
    assert list(stored[0]) == ["step", "n", "time", "seconds", *METRICS]
    times = [record["time"] for record in stored]
    assert times == sorted(times) and times[0] > 1.7e9
    assert all(round(time, 3) == time for time in times)
    assert all(0 < record["seconds"] < 60 for record in stored)
    assert sum(record["seconds"] for record in stored[1:]) <= times[-1] - times[0] + 0.01


def test_data_order_is_a_pure_function_of_seed_and_epoch() -> None:
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1)
    batches = Batches(images, 30, seed=0)
    seen = [batches.at(step).flatten().tolist() for step in range(9)]
    for epoch in range(3):
        shown = {image for batch in seen[3 * epoch : 3 * epoch + 3] for image in batch}
        assert len(shown) == 90  # no image twice; the last ten of the order are dropped
    assert seen[0] != seen[3] != seen[6]
    for step in (7, 2, 5, 0):
        assert Batches(images, 30, seed=0).at(step).flatten().tolist() == seen[step]
    assert Batches(images, 30, seed=1).at(0).flatten().tolist() != seen[0]


def test_the_global_random_state_neither_matters_nor_moves(tmp_path: Path) -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        task = small_task(tmp_path / str(seed), steps=12)
        run(task)
        assert torch.equal(torch.get_rng_state(), before)
        states.append(stored_state(task.run))
    assert_equal(*states)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one = small_task(tmp_path / "0", steps=2, log_every=1)
    other = replace(small_task(tmp_path / "1", steps=2, log_every=1), seed=1)
    run(one)
    run(other)
    assert records(one.run)[0]["loss/generator"] != records(other.run)[0]["loss/generator"]


def test_cells_of_one_block_see_the_same_noise() -> None:
    assert torch.equal(
        normal_latents(8, 6, random_stream(0, "latents", 3)),
        normal_latents(8, 6, random_stream(0, "latents", 3)),
    )
    names = [("latents", 3), ("latents", 4), ("evaluation", 3), ("samples",), ("data order", 3)]
    first = {normal_latents(1, 1, random_stream(0, *name)).item() for name in names}
    assert len(first) == len(names)


@pytest.mark.parametrize("state_every_s", [0.0, 60.0])
def test_divergence_stops_the_run_and_stores_nothing_broken(tmp_path: Path, state_every_s: float) -> None:
    task = small_task(tmp_path, steps=400, log_every=10, checkpoint_every=100, **DIVERGING)
    task = replace(task, state_every_s=state_every_s)
    result = train(task, noise_images(), lambda: False)
    assert result.outcome == "diverged"
    assert 0 < result.step < 400
    assert "not finite" in result.reason and str(result.step) in result.reason

    commit = newest_commit(task.run)
    if state_every_s:
        assert commit is None and result.step % 10 == 0
        return
    assert commit is not None and commit.step == result.step - 1  # a state at every step, the last good one stays
    state = stored_state(task.run)
    for weights in (state["generator"], state["discriminator"]):
        assert all(tensor.isfinite().all() for tensor in weights.values())
    again = train(task, noise_images(), lambda: False)
    assert (again.outcome, again.step) == (result.outcome, result.step)


def test_stopping_a_broken_run_reports_divergence(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=400, log_every=1000, checkpoint_every=1000, **DIVERGING)
    result = train(task, noise_images(), StopAfter(100))
    assert (result.outcome, result.step) == ("diverged", 100)
    assert task.run.committed_steps() == []


def test_states_that_were_asked_for_change_no_bit(tmp_path: Path) -> None:
    task, other = small_task(tmp_path / "asked", steps=23), small_task(tmp_path / "not asked", steps=23)
    wishes = iter([False, False, True, False, True] + 20 * [False])
    result = train(task, digits(), lambda: False, lambda: next(wishes))
    assert result.outcome == run(other).outcome == "finished"
    for network in ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer"):
        assert_equal(stored_state(task.run)[network], stored_state(other.run)[network])
    kept = small_task(tmp_path / "kept", steps=23)
    wish = iter([False, False, True])
    train(kept, digits(), StopAfter(9), lambda: next(wish, False))
    assert kept.run.committed_steps() == [9, 3]


def test_states_are_written_when_their_time_has_come(tmp_path: Path) -> None:
    task = small_task(tmp_path / "often", steps=9, checkpoint_every=100)
    run(replace(task, state_every_s=0.0))
    assert task.run.committed_steps() == [9, 8]
    seldom = small_task(tmp_path / "seldom", steps=9, checkpoint_every=100)
    run(seldom)
    assert seldom.run.committed_steps() == [9]


def test_families_may_meet_on_rgb_images(tmp_path: Path) -> None:
    for generator, discriminator in (("cnn", "mlp"), ("mlp", "cnn")):
        task = small_task(tmp_path / generator, steps=4, log_every=2, generator=generator, discriminator=discriminator)
        result = train(replace(task, channels=3), noise_images(8, channels=3), lambda: False)
        assert result.outcome == "finished"
        assert len(records(task.run)) == 2


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="300 images do not fill one batch of 301"):
        run(small_task(tmp_path, batch_size=301))
    with pytest.raises(DataError, match=r"not torch.uint8 \[N, 1, 16, 16\]"):
        run(small_task(tmp_path, resolution=16))
    with pytest.raises(DataError, match="float32"):
        train(small_task(tmp_path), digits().float(), lambda: False)
    assert not RunDirectory(tmp_path).metrics.exists()


def test_cuda_must_be_made_deterministic_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with pytest.raises(DeviceError, match="CUBLAS_WORKSPACE_CONFIG"):
        make_deterministic(torch.device("cuda"))
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        make_deterministic(CPU)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_training_works_in_deterministic_mode(tmp_path: Path) -> None:
    plain, strict = small_task(tmp_path / "plain", steps=5), small_task(tmp_path / "strict", steps=5)
    run(plain)
    try:
        make_deterministic(CPU)
        run(strict)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_equal(stored_state(plain.run), stored_state(strict.run))


def test_networks_stay_trainable(tmp_path: Path) -> None:
    """Freezing the discriminator must not outlive the generator's step: its weights move every step."""
    weights = []
    for steps in (1, 2, 3):
        task = small_task(tmp_path / str(steps), steps=steps)
        run(task)
        weights.append(stored_state(task.run)["discriminator"]["logit.weight"])
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


def test_weight_decay_reaches_its_network(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=1, generator_weight_decay=0.25, discriminator_lr=0.5)
    run(task)
    state = stored_state(task.run)
    (generator,) = state["generator_optimizer"]["param_groups"]
    (discriminator,) = state["discriminator_optimizer"]["param_groups"]
    assert (generator["weight_decay"], generator["lr"], generator["betas"]) == (0.25, 2e-4, (0.5, 0.999))
    assert (discriminator["weight_decay"], discriminator["lr"]) == (0.0, 0.5)


def test_this_room_needs_neither_mlflow_nor_pytorch_fid() -> None:
    code = (
        "import sys; sys.modules['mlflow'] = sys.modules['pytorch_fid'] = None\n"
        "import harness.gan.training, harness.gan.sampling"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
