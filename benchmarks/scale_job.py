"""The trivial job of the benchmark of scale: one step of the smallest GAN by harness' own loop, with all its files.

    python benchmarks/scale_job.py --runs 100 --folder FOLDER     nothing but the job, again and again, in one process

Every side of the benchmark trains by `train_once`: one step, its record, a checkpoint, a picture and a state, on disk.
"""

from __future__ import annotations

import argparse
import hashlib
from functools import cache
from pathlib import Path

SEEDS = 10
"""Of each cell; the levels of the learning rate make up the rest of the runs."""

SHAPE = {"architecture": "mlp", "hidden_dim": 4}
SIZES = {"resolution": 8, "latent_dim": 2, "batch_size": 2}
STEPS = 1
SAMPLES = 4


def rates(runs: int) -> list[float]:
    """Levels of the generator's learning rate: with SEEDS seeds each, at least so many runs."""
    return [round(1e-4 * (1 + index / 1000), 9) for index in range(-(-runs // SEEDS))]


def seeds(runs: int) -> list[int]:
    return list(range(min(SEEDS, runs)))


def experiment_text(runs: int) -> str:
    """The same grid as an experiment file. No evaluation: only harness would have one."""
    settings = {**SHAPE, **SIZES, "generator_lr": rates(runs)[0]}
    baseline = "\n".join(f"{name} = {value!r}".replace("'", '"') for name, value in settings.items())
    return f"""name = "trivial"
seeds = {seeds(runs)}
[baseline]
{baseline}
[training]
steps = {STEPS}
log_every = {STEPS}
checkpoint_every = {STEPS}
[[grid]]
levels.generator_lr = {rates(runs)}
[report]
samples = {SAMPLES}
"""


def train_once(folder: Path, generator_lr: float, seed: int) -> dict[str, float]:
    """Trains in `folder`, which it makes; returns the losses of the step."""
    import torch

    from harness.design.experiment import TrainingSettings
    from harness.design.factors import Hyperparameters, as_fields
    from harness.gan.training import TrainingTask, train
    from harness.store.atomic import make_folder
    from harness.store.records import read_records
    from harness.store.rundir import RunDirectory

    torch.set_num_threads(1)
    run = RunDirectory(folder)
    make_folder(folder)
    task = TrainingTask(
        run=run,
        hyperparameters=Hyperparameters(**as_fields({**SHAPE, **SIZES, "generator_lr": generator_lr})),
        channels=1,
        seed=seed,
        key=hashlib.sha256(f"{generator_lr} {seed}".encode()).hexdigest(),
        settings=TrainingSettings(steps=STEPS, log_every=STEPS, checkpoint_every=STEPS),
        samples=SAMPLES,
        device=torch.device("cpu"),
    )
    train(task, _digits(), lambda: False)
    record = read_records(run.metrics)[-1]
    return {name: float(record[name]) for name in ("loss/generator", "loss/discriminator")}


@cache
def _digits():  # type: ignore[no-untyped-def]  # torch is not loaded before it is needed
    """scikit-learn's digits as uint8 [N, 1, 8, 8]."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return torch.from_numpy(images).unsqueeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="The trivial job alone, in one process.")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    grid = [(rate, seed) for rate in rates(options.runs) for seed in seeds(options.runs)][: options.runs]
    for rate, seed in grid:
        train_once(options.folder / f"{rate}-{seed}", rate, seed)


if __name__ == "__main__":
    main()
