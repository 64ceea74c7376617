"""Run directories filled by hand, with the store's own writers: no training, no torch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.store import atomic
from harness.store.commits import Commit, write_commit
from harness.store.evaluations import Evaluation, Floor, write_evaluation
from harness.store.records import append_record
from harness.store.rundir import RunDirectory

PROTOCOL = "ab" * 32


def run_at(folder: Path) -> RunDirectory:
    """An empty run directory."""
    run = RunDirectory(folder / "cell--s0--01234567")
    run.root.mkdir(parents=True, exist_ok=True)
    return run


def commit_at(run: RunDirectory, step: int, *, checkpoints: tuple[int, ...] = ()) -> Commit:
    """A state of some bytes, checkpoints, one metrics record, and the commit of them all."""
    written = {str(at): atomic.write_hashed(run.checkpoint(at), b"weights %d" % at) for at in checkpoints}
    append_record(run.metrics, {"step": step})
    metrics = run.metrics.read_bytes()
    state = b"state %d" % step
    atomic.write_bytes(run.state(step), state)
    commit = Commit(step, atomic.sha256_of(state), len(metrics), hashlib.sha256(metrics).hexdigest(), written)
    write_commit(run, commit)
    return commit


FLOOR = Floor(samples=40, reference=60, values={"fid": [3.0, 3.5]})


def evaluate_at(run: RunDirectory, step: int, *, repeats: int = 2, protocol: str = PROTOCOL) -> Evaluation:
    checkpoint = atomic.stored_hash(run.checkpoint(step)) or ""
    values = {"fid": [float(repeat) for repeat in range(repeats)]}
    evaluation = Evaluation(step, checkpoint, protocol, {"extractor": "digits"}, values, 1.5, floor=FLOOR)
    write_evaluation(run, evaluation)
    return evaluation


def flips(content: bytes) -> Iterator[bytes]:
    """Every copy of `content` with one bit changed."""
    for position in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            yield bytes(changed)


@contextmanager
def holder_of(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `lock`, as a worker does; killed at the end of the block if it still lives."""
    code = (
        "import sys; from pathlib import Path; from harness.store.locks import held\n"
        "with held(Path(sys.argv[1]), timeout_s=10.0) as mine:\n"
        "    print('held' if mine else 'refused', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def small_disk(folder: Path, *, kilobytes: int = 64) -> Iterator[Path]:
    """A file system of its own, so small that it gets full; skips where nobody may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.name == "nt" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def read_only_view(folder: Path, view: Path) -> Iterator[Path]:
    """`folder` under another name where nobody may write, as another person's runs."""
    view.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(view)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
        yield view
    finally:
        subprocess.run(["umount", str(view)], check=True)


def make_read_only(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
