"""Where everything lies under `runs/`. These classes name every file; nobody else joins path strings.

    runs/<experiment>/            ExperimentDirectory: written by the parent process of `harness run`
    runs/<experiment>/<run>/      RunDirectory: written by the one process that holds the run's lock

Checkpoints, sample pictures and finished evaluations never change once written, except to be replaced by their like.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.store.looks import Looks
from harness.store.reading import unreadable

FORMAT = 1
"""Version of the file formats under `runs/`; a folder of another version is refused."""

RUN_NAME = re.compile(r".*--([0-9a-f]{8})", re.DOTALL)
"""What a run's folder is called; the group: the first eight characters of its key."""

_STEP_FILE = re.compile(r"step-(\d{6,})\.")


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run. has_weights False: a copy without states and checkpoints, whose hashes its commit names.

    looks: what was found in them, where one command looks at them several times.
    """

    root: Path
    has_weights: bool = True
    looks: Looks | None = field(default=None, compare=False, repr=False)

    @property
    def run_json(self) -> Path:
        """What the run is: key, cell, hyperparameters, and what it was made with (`manifest.RunManifest`)."""
        return self.root / "run.json"

    @property
    def networks(self) -> Path:
        """How large both networks are (`networks.Networks`)."""
        return self.root / "networks.json"

    @property
    def attempts(self) -> Path:
        """Records of attempts: one when a process begins, one when it ends in order."""
        return self.root / "attempts.jsonl"

    @property
    def log(self) -> Path:
        """Free text of all attempts."""
        return self.root / "log.txt"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def heartbeat(self) -> Path:
        """Left by a job on another machine while it works on the run (`heartbeat.Heartbeat`); locally there is none."""
        return self.root / "heartbeat"

    @property
    def metrics(self) -> Path:
        """Records of training, one per log interval. Only the part up to the newest commit's offset counts."""
        return self.root / "metrics.jsonl"

    @property
    def system(self) -> Path:
        """Records of what the process took while it worked on the run; no report is made of them."""
        return self.root / "system.jsonl"

    @property
    def left_behind(self) -> Path:
        """What stayed on the machine that the run was brought from (`left_behind.LeftBehind`)."""
        return self.root / "unpacked.json"

    @property
    def states(self) -> Path:
        return self.root / "state"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    def state(self, step: int) -> Path:
        """Everything needed to go on from `step` (torch)."""
        return self.states / f"step-{step:06d}.pt"

    def commit(self, step: int) -> Path:
        """The small JSON that makes the state of `step` count (`commits.Commit`)."""
        return self.states / f"step-{step:06d}.json"

    def checkpoint(self, step: int) -> Path:
        """Generator weights of `step` (safetensors), with their SHA-256 beside them."""
        return self.checkpoints / f"step-{step:06d}.safetensors"

    def samples(self, step: int) -> Path:
        """Sample grid of `step`; its PNG text names the checkpoint's SHA-256."""
        return self.root / "samples" / f"step-{step:06d}.png"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def picture(self, step: int, kind: str) -> Path:
        """What the report asks for of `step` beside samples, by `pictures.PictureKind`; its PNG text says the same."""
        return self.pictures / f"step-{step:06d}--{kind}.png"

    def evaluation(self, step: int, protocol: str) -> Path:
        """Every repeat's values at `step` under the protocol with this fingerprint (`evaluations.Evaluation`)."""
        return self.evaluations / f"step-{step:06d}--{protocol[:8]}.json"

    @property
    def cursors(self) -> Path:
        return self.root / "tracking"

    def cursor(self, store: str) -> Path:
        """How far this run was projected into the tracking store with this fingerprint."""
        return self.cursors / f"{store[:8]}.json"

    def committed_steps(self) -> list[int]:
        """Steps that have a commit file (whole or not), newest first."""
        return sorted(_steps_in(self.states, ".json"), reverse=True)


@dataclass(frozen=True)
class ExperimentDirectory:
    """The files that the runs of one experiment share. has_weights, looks: of its run directories."""

    root: Path
    has_weights: bool = True
    looks: Looks | None = field(default=None, compare=False, repr=False)

    @property
    def manifest(self) -> Path:
        """What was fixed at the first run: format, threads, data and weights hashes (`manifest.ExperimentManifest`)."""
        return self.root / "experiment.json"

    @property
    def file_copy(self) -> Path:
        return self.root / "experiment.toml"

    @property
    def cache(self) -> Path:
        """Data arrays and reference statistics; may be deleted at any time."""
        return self.root / "cache"

    def storage_mark(self, word: str) -> Path:
        """Left for a moment, so that another machine can tell whether it sees this folder."""
        return self.cache / f"storage-{word}.mark"

    @property
    def jobs(self) -> Path:
        """What was handed to Slurm: a record per submission (`jobs.Submission`), by the command that submitted."""
        return self.root / "slurm" / "jobs.jsonl"

    @property
    def jobs_lock(self) -> Path:
        """Held while a command looks which runs have no job, and submits some."""
        return self.root / "slurm" / "lock"

    @property
    def job_logs(self) -> Path:
        """What Slurm and submitit write: scripts, payloads and the output of jobs."""
        return self.root / "slurm" / "jobs"

    def job_log(self, job: str) -> Path:
        """What the job wrote on its standard error, as submitit names it."""
        return self.job_logs / f"{job}_0_log.err"

    def job_report(self, job: str) -> Path:
        """How far a job came with its runs (`jobs.JobReport`), by the job."""
        return self.root / "slurm" / f"{job}.json"

    def source(self, sha256: str) -> Path:
        """The folder of an own source file with this SHA-256, and of what it imports, as runs use them."""
        return self.root / "source" / sha256[:8]

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def real_images(self, resolution: int) -> Path:
        """A grid of real images at the resolution of cells, beside their sample grids (`real_images.RealImages`)."""
        return self.pictures / f"real-{resolution}.png"

    @property
    def reports(self) -> Path:
        """Which reports were made from what."""
        return self.root / "reports.json"

    @property
    def lock(self) -> Path:
        """Held while shared files are made, never while training."""
        return self.root / "lock"

    @property
    def cursors(self) -> Path:
        return self.root / "tracking"

    def tracking_lock(self, store: str) -> Path:
        return self.cursors / f"{store[:8]}.lock"

    def tracking(self, store: str) -> Path:
        """The parent run in the tracking store with this fingerprint."""
        return self.cursors / f"{store[:8]}.json"

    def new_run(self, cell: str, seed: int, key: str) -> RunDirectory:
        """The folder that a run gets when it has none yet."""
        return RunDirectory(self.root / f"{slug(cell)}--s{seed}--{key[:8]}", self.has_weights, self.looks)

    def runs(self) -> dict[str, RunDirectory]:
        """All run folders by the first eight characters of their key, and what lies in the place of one."""
        found = [(_is_folder(entry), entry.name) for entry in _entries(self.root) if "--" in entry.name]
        runs = [name for is_folder, name in sorted(found) if is_folder or RUN_NAME.fullmatch(name)]
        return {name.rsplit("--", 1)[1]: RunDirectory(self.root / name, self.has_weights, self.looks) for name in runs}


def experiment_directory(
    runs_dir: Path, name: str, *, has_weights: bool = True, looks: Looks | None = None
) -> ExperimentDirectory:
    return ExperimentDirectory(runs_dir.absolute() / name, has_weights, looks)


def slug(text: str) -> str:
    """A cell's name as part of a folder's name: at most 80 characters (160 bytes) that every file system takes."""
    cut = re.sub(r"[^\w=.,+-]+", "-", text).strip("-. ")[:80].encode()[:160]
    return cut.decode(errors="ignore") or "cell"


def _steps_in(folder: Path, suffix: str) -> list[int]:
    names = (entry.name for entry in _entries(folder))
    matches = (_STEP_FILE.match(name) for name in names if name.endswith(suffix))
    return [int(match[1]) for match in matches if match]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or where nobody may look
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in `folder`, nothing where it is absent; StoreError where it cannot be read."""
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
