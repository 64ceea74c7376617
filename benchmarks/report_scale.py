"""How long `harness report` takes for a large grid, and how much memory: 100 cells of 5 seeds, 5,000 records each.

    python benchmarks/report_scale.py [--cells 100] [--records 5000] [--keep FOLDER]

The runs are made up through the store's own functions, as workers leave them: records, five checkpoints (some bytes),
an evaluation of five repeats and a sample grid at each. Then the command runs as a person calls it, in a process of its
own, for each form. Prints wall clock, CPU seconds and peak memory.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rows import Row
from startup import relative_spread

from harness.design.expansion import Plan, Run
from harness.design.experiment_file import read_experiment_file
from harness.evaluation.protocol import block_protocols
from harness.store import atomic
from harness.store.attempts import begin_attempt, end_attempt
from harness.store.commits import Commit, write_commit
from harness.store.evaluations import Evaluation, Floor, write_evaluation
from harness.store.manifest import (
    ExperimentManifest,
    RunManifest,
    data_key,
    write_experiment_manifest,
    write_run_manifest,
)
from harness.store.record_columns import HeldRecords
from harness.store.records import encode
from harness.store.rundir import RunDirectory, experiment_directory

SEEDS, CHECKPOINTS, REPEATS, LOG_EVERY = 5, 5, 5, 10
MACHINE = {"torch": "2.15.0", "device": "cpu", "threads": 1, "harness": "0.1.0", "python": "3.11.7"}


def experiment_text(cells: int, records: int) -> str:
    """An experiment file with `cells` cells in a factorial grid of learning rates and latent dimensions."""
    steps = records * LOG_EVERY
    latents = [2**power for power in range(10)]
    rates = [round(1e-4 * (1 + index), 6) for index in range(cells // 10)]
    return f"""name = "scale"
seeds = {list(range(SEEDS))}
[baseline]
resolution = 16
[training]
steps = {steps}
log_every = {LOG_EVERY}
checkpoint_every = {steps // CHECKPOINTS}
[[evaluation]]
extractor = "digits"
metrics = ["fid"]
samples = 1000
repeats = {REPEATS}
[[grid]]
name = "rates"
levels.latent_dim = {latents}
levels.generator_lr = {rates}
[report]
samples = 16
"""


def make_runs(plan: Plan, runs_dir: Path, records: int) -> None:
    """Every run of `plan`, complete. Runs of one seed share their records, whose content costs most to make."""
    directory = experiment_directory(runs_dir, plan.experiment.name)
    declared = data_key(plan.experiment.data.declared())
    manifest = ExperimentManifest(plan.experiment.name, 1, {declared: "cd" * 32}, {"digits": "ab" * 32})
    write_experiment_manifest(directory, manifest)
    curves = {seed: _records(seed, records) for seed in range(SEEDS)}
    for run in plan.runs:
        protocol = block_protocols(plan.experiment, manifest, run.cell.hyperparameters.batch_size)[0]
        assert protocol is not None
        folder = directory.new_run(run.cell.name, run.seed, run.key)
        levels = run.cell.hyperparameters.model_dump(mode="json")
        data = dict(plan.experiment.data.declared())
        name = plan.experiment.name
        write_run_manifest(
            folder, RunManifest(run.key, name, run.cell.name, run.seed, levels, data, "cd" * 32, 1, "0.1.0")
        )
        begin_attempt(folder, step=0, machine=MACHINE)
        checkpoints = {}
        for step in run.cell.training.checkpoint_steps():
            digest = atomic.write_hashed(folder.checkpoint(step), f"weights of {run.key} at {step}".encode())
            checkpoints[str(step)] = digest
            rng = np.random.default_rng([run.seed, step, run.cell.hyperparameters.latent_dim])
            values = {"fid": rng.normal(20 + 1e6 / step, 1, REPEATS).tolist()}
            floor = Floor(500, 500, {"fid": [3.0, 3.5]})
            write_evaluation(
                folder, Evaluation(step, digest, protocol.sha256, protocol.document(), values, 1.0, floor=floor)
            )
            atomic.write_bytes(folder.samples(step), _grid(run, step, digest))
        _finish(folder, run, curves[run.seed], checkpoints)


def _finish(folder: RunDirectory, run: Run, records: bytes, checkpoints: dict[str, str]) -> None:
    steps = run.cell.training.steps
    atomic.write_bytes(folder.metrics, records)
    atomic.write_bytes(folder.state(steps), b"state")
    digest = hashlib.sha256(records).hexdigest()
    write_commit(folder, Commit(steps, atomic.sha256_of(b"state"), len(records), digest, checkpoints))
    end_attempt(folder, "finished", step=steps)


def _records(seed: int, count: int) -> bytes:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1, (count, 6))
    lines = []
    for index, row in enumerate(noise.tolist()):
        step = (index + 1) * LOG_EVERY
        lines.append(
            encode(
                {
                    "step": step,
                    "n": LOG_EVERY,
                    "time": 1.7e9 + step,
                    "seconds": 0.1,
                    "loss/generator": 0.8 + row[0],
                    "loss/discriminator": 1.4 + row[1],
                    "prob/real": 0.6 + row[2] / 2,
                    "prob/fake_before": 0.4 + row[3] / 2,
                    "prob/fake_after": 0.35 + row[4] / 2,
                    "accuracy/real": 0.8 + row[5] / 2,
                    "accuracy/fake": 0.8 - row[5] / 2,
                }
            )
        )
    return b"".join(lines)


def _grid(run: Run, step: int, digest: str) -> bytes:
    texts = PngInfo()
    about = {"key": run.key, "step": str(step), "checkpoint_sha256": digest, "samples": "16"}
    for name, text in about.items():
        texts.add_text(f"harness:{name}", text)
    pixels = np.random.default_rng([run.seed, step]).integers(0, 255, (18, 18), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.repeat(4, 0).repeat(4, 1)).save(buffer, format="PNG", pnginfo=texts)
    return buffer.getvalue()


@dataclass(frozen=True)
class Used:
    """What `harness report` took in a process of its own. gigabytes: resident, at most."""

    seconds: float
    cpu_seconds: float
    gigabytes: float
    report_megabytes: float

    def __str__(self) -> str:
        memory = f"{self.gigabytes:.2f} GB, report {self.report_megabytes:.1f} MB"
        return f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} s of CPU, {memory}"


def reported(file: Path, runs_dir: Path, output: Path, form: str) -> Used:
    command = [sys.executable, "-m", "harness", "report", str(file), "--runs-dir", str(runs_dir)]
    command += ["--output", str(output), "--format", form]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("the report failed")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / 1e6
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, size)


def measure(tell: Callable[[str], None], rounds: int = 3) -> list[Row]:
    """A smaller grid: the report, and reading its records beside pandas. Values are compared before times."""
    cells, records = 20, 2000
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        file = place / "scale.toml"
        file.write_text(experiment_text(cells, records), encoding="utf-8")
        tell(f"makes up {cells * SEEDS} runs of {records} records")
        make_runs(read_experiment_file(file).plan, place / "runs", records)
        tell("report")
        taken = [reported(file, place / "runs", place / f"report-{round}", "md") for round in range(max(2, rounds - 1))]
        tell("reading records")
        paths = sorted(place.glob("runs/scale/*/metrics.jsonl"))
        ours, theirs = read_in_turns(paths, rounds)
    what = f"report of {cells * SEEDS} runs x {records} records (at most {max(one.gigabytes for one in taken):.2f} GB)"
    seconds = [one.seconds for one in taken]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return [
        Row("report.scale", what, median(seconds), "s", None, "", None, relative_spread(seconds), None, "ours"),
        Row(
            "report.records",
            f"reading the records of {len(paths)} runs",
            median(ours),
            "s",
            median(theirs),
            "pandas.read_json(lines=True)",
            median(ratios),
            relative_spread(ratios),
            None,
            "ratio",
        ),
    ]


def read_in_turns(paths: Sequence[Path], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round that all files take as the report reads them, their SHA-256 included, and by pandas."""
    for path in paths[:SEEDS]:
        held, frame = _as_the_report(path), _by_pandas(path)
        if list(held.columns) != [name for name in frame if name != "crc"] or not all(
            np.array_equal(column, frame[name]) for name, column in held.columns.items()
        ):
            raise SystemExit(f"{path} is not read alike")
    ours, theirs = [], []
    for _ in range(rounds):
        for seconds, read in ((ours, _as_the_report), (theirs, _by_pandas)):
            started = time.perf_counter()
            for path in paths:
                read(path)
            seconds.append(time.perf_counter() - started)
    return ours, theirs


def _as_the_report(path: Path) -> HeldRecords:
    content = path.read_bytes()
    hashlib.sha256(content).hexdigest()
    return HeldRecords.of(content)


def _by_pandas(path: Path) -> pd.DataFrame:
    """precise_float: without it, pandas reads other numbers than those that were written."""
    return pd.read_json(path, lines=True, precise_float=True, convert_dates=False, dtype={"crc": str})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, default=100, help="a multiple of 10")
    parser.add_argument("--records", type=int, default=5000, help="per run, a multiple of 5")
    parser.add_argument("--keep", type=Path, help="make the runs here, or use those that are here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        file = place / "scale.toml"
        if not file.exists():
            atomic.make_folder(place)
            file.write_text(experiment_text(options.cells, options.records), encoding="utf-8")
            started = time.perf_counter()
            make_runs(read_experiment_file(file).plan, place / "runs", options.records)
            print(f"made up in {time.perf_counter() - started:.0f} s")
        plan = read_experiment_file(file).plan
        print(f"{len(plan.cells)} cells, {len(plan.runs)} runs, {options.records} records each")
        for form in ("md", "md,html,latex"):
            print(f"--format {form}: {reported(file, place / 'runs', place / 'report', form)}")


if __name__ == "__main__":
    main()
