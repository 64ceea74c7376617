"""Family "changes": software, threads, data or the file change between two calls; what the design promises holds."""

from __future__ import annotations

import json
import random
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from harness.store.attempts import read_attempts
from harness.store.rundir import experiment_directory
from tests.experiments import run_directories
from tests.faults.subject import (
    FILE,
    STEPS,
    TEXT,
    Reference,
    assert_equal_runs,
    assert_equal_training,
    command,
    copy_finished,
    prepare,
    start,
    wait_until,
)
from tests.faults.trial import NotHit, Trial

QUIET = ("--no-report", "--tracking-uri", "none")
INLINE = ("--executor", "inline")
STEP_CHOICES = (60, 120, 180, 240)
"""Where the first call ends: checkpoints of the subject, so that its files are a part of the uninterrupted run's."""


def trials(count: int, reference: Reference) -> list[Trial]:
    """`count` trials spread evenly over the rows."""
    rows = {
        "nothing changed (bits the same)": _unchanged,
        "steps raised twice (bits the same)": _steps_raised,
        "another thread count": _threads,
        "another harness version": partial(_version, "harness"),
        "another torch version": partial(_version, "torch"),
        "TRAINING_VERSION raised": _training_version,
        "a level of the baseline changed": _level,
        "an own source file edited": _own_source,
        "data changed on disk": _data,
        "data declared otherwise": _declared,
    }
    names = list(rows)
    return [
        Trial(name, index // len(rows), partial(_perform, rows[name], reference))
        for index in range(count)
        for name in [names[index % len(rows)]]
    ]


def _perform(change: Any, reference: Reference, folder: Path, chance: random.Random) -> None:
    change(reference, folder, chance)


def _run(folder: Path, *arguments: str, code: int = 0, versions: dict[str, Any] | None = None) -> str:
    """`harness run` to its end, as another version if asked; what it said. A traceback or another exit code fails."""
    return _harness(folder, "run", FILE, *QUIET, *arguments, code=code, versions=versions)


def _harness(folder: Path, *arguments: str, code: int = 0, versions: dict[str, Any] | None = None) -> str:
    if versions is None:
        done = command(folder, *arguments)
        out, error, returned = done.stdout, done.stderr, done.returncode
    else:
        process = start(folder, json.dumps(versions), *arguments, module="tests.faults.pretend", PYTHONPATH=_root())
        try:
            out, error = process.communicate(timeout=240)
        finally:
            process.kill()
        returned = process.returncode
    assert returned == code, f"exit {returned}:\n{error}"
    assert "Traceback" not in error, error
    return out + error


def _root() -> str:
    return str(Path(__file__).resolve().parents[2])


def _begun(reference: Reference, folder: Path, chance: random.Random, text: str = TEXT) -> str:
    """Trains to some checkpoint with one thread; returns the `--set` that did it."""
    prepare(folder, reference, text)
    step = chance.choice(STEP_CHOICES)
    first = f"training.steps={step}"
    _run(folder, "--set", first, "--threads", "1", *INLINE)
    return first


def _explained(folder: Path, *options: str, versions: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    text = _harness(folder, "status", FILE, "--json", "--explain", *options, versions=versions)
    runs: list[dict[str, Any]] = json.loads(text[text.index("{") :])["runs"]
    return runs


def _unchanged(reference: Reference, folder: Path, chance: random.Random) -> None:
    _begun(reference, folder, chance)
    _run(folder)  # in workers: who trains is no part of what decides bits
    assert_equal_runs(folder / FILE, reference.finished)
    for run in _explained(folder):
        assert run["explain"]["not_promised_since_attempt"] is None
        assert run["state"] == "complete"


def _steps_raised(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Raised twice."""
    _begun(reference, folder, chance)
    _run(folder, "--set", "training.steps=300", *INLINE)
    _run(folder, *INLINE)
    assert_equal_runs(folder / FILE, reference.finished)


def _threads(reference: Reference, folder: Path, chance: random.Random) -> None:
    _begun(reference, folder, chance)
    said = _run(folder, "--threads", "2", *INLINE)
    assert "threads change from 1 to 2: bit-identical weights are not promised" in said
    _assert_told(folder, "threads", "1", "2")


def _version(name: str, reference: Reference, folder: Path, chance: random.Random) -> None:
    _begun(reference, folder, chance)
    before = {key: read_attempts(run)[-1].machine[name] for key, run in run_directories(folder / FILE).items()}
    other = f"{chance.randint(90, 99)}.0.{chance.randint(0, 9)}"
    _run(folder, versions={name: other})
    _assert_told(folder, name, next(iter(before.values())), other)
    told = [item for run in _explained(folder) for item in run["explain"]["now"] if item["name"] == name]
    assert len(told) == 2 and all(item["before"] == other for item in told)
    # Only the name changed, so that nothing may be lost or trained twice: the weights show it.
    assert_equal_runs(folder / FILE, reference.finished)


def _assert_told(folder: Path, name: str, before: str, after: str) -> None:
    """The change is recorded in attempts.jsonl, noted in log.txt and shown by `status --explain`, for every run."""
    for run in run_directories(folder / FILE).values():
        recorded = [str(attempt.machine[name]) for attempt in read_attempts(run)]
        if len(set(recorded)) < 2:
            raise NotHit(f"{run.root.name} never saw another {name}: {recorded}")
        assert recorded == [before, after]
        assert f"since the last attempt: {name} {before} -> {after}" in run.log.read_text(encoding="utf-8")
    for told in _explained(folder):
        assert told["state"] == "complete"
        assert told["explain"]["not_promised_since_attempt"] == 2
        assert {"name": name, "before": before, "after": after} in told["explain"]["attempts"][1]["changes"]
    page = _harness(folder, "status", FILE, "--explain")
    assert page.count(f"not promised since attempt 2: {name} {before} -> {after}") == 2


def _training_version(reference: Reference, folder: Path, chance: random.Random) -> None:
    """All runs are pending under new keys, the old folders stay as they are, and the old version goes on in them."""
    copy_finished(folder, reference)
    old = {path: path.read_bytes() for path in (folder / "runs" / "tiny").glob("*--*/*/*")}
    versions = {"training_version": chance.randint(2, 9)}
    for run in _explained(folder, versions=versions):
        (other,) = run["explain"]["other_folders"]
        assert run["state"] == "pending"
        assert other["step"] == STEPS
        (difference,) = other["differences"]
        assert difference == {"name": "training_version", "before": "1", "after": str(versions["training_version"])}
    assert len(json.loads(_harness(folder, "prune", FILE, "--json", versions=versions))["would_remove"]) == 2
    _run(folder, "--set", "training.steps=60", versions=versions)
    assert len(run_directories(folder / FILE)) == 4
    assert {path: path.read_bytes() for path in old} == old
    assert "nothing to do" in _run(folder)


def _level(reference: Reference, folder: Path, chance: random.Random) -> None:
    copy_finished(folder, reference)
    name, after = chance.choice([("latent_dim", "9"), ("hidden_dim", "5"), ("batch_size", "30")])
    for run in _explained(folder, "--set", f"baseline.{name}={after}"):
        (other,) = run["explain"]["other_folders"]
        assert run["state"] == "pending"
        assert [(item["name"], item["after"]) for item in other["differences"]] == [(name, after)]
    assert "nothing to do" in _run(folder)


OWN_TEXT = TEXT.replace("[baseline]", '[baseline]\nnormalization = "norms.py:Scale"')
NORM = """from torch import nn, ones


class Scale(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(ones(channels))

    def forward(self, x):
        return x * self.weight.view(1, -1, *[1] * (x.dim() - 2)) * 0.5
"""


def _own_source(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Edited while runs train: they end as with the old text, and the next call has runs of its own to train."""
    straight = folder / "straight"
    straight.mkdir()
    for place in (straight, folder):
        (place / "norms.py").write_text(NORM)
    prepare(straight, reference, OWN_TEXT)
    _run(straight, *INLINE)
    prepare(folder, reference, OWN_TEXT)
    process = start(folder, "run", FILE, *QUIET, *chance.choice([INLINE, ("--workers", "2"), ("--workers", "1")]))
    begun = wait_until(lambda: any((folder / "runs" / "tiny").glob("*--*/metrics.jsonl")), process)
    (folder / "norms.py").write_text(chance.choice([NORM.replace("0.5", "0.25"), "this is no Python"]))
    said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    if not begun:
        raise NotHit("the command had ended before the file was edited")
    (folder / "norms.py").write_text("# a comment\n" + NORM)
    assert "nothing to do" in _run(folder)
    places = (experiment_directory(place / "runs", "tiny") for place in (folder, straight))
    assert_equal_training(*(place.runs() for place in places))
    (folder / "norms.py").write_text(NORM.replace("0.5", "0.25"))
    for run in _explained(folder):
        (other,) = run["explain"]["other_folders"]
        assert run["state"] == "pending"
        assert [item["name"] for item in other["differences"]] == ["sources.norms.py"]


FOLDER_TEXT = TEXT.replace(
    "[baseline]", '[data]\nsource = "folder"\nroot = "images"\ncolor = "gray"\n\n[baseline]'
).replace("reference = 200", "reference = 100")


def _data(reference: Reference, folder: Path, chance: random.Random) -> None:
    """An image edited, added, removed or renamed: refused with both hashes, nothing touched; put back, it goes on."""
    images = folder / "images"
    images.mkdir()
    for number in range(128):
        Image.new("L", (8, 8), 2 * number).save(images / f"{number:03d}.png")
    _begun(reference, folder, chance, FOLDER_TEXT)
    kept = folder / "kept"
    shutil.copytree(images, kept)
    victim = images / f"{chance.randrange(128):03d}.png"
    match chance.randrange(4):
        case 0:
            Image.new("L", (8, 8), 255).save(victim)
        case 1:
            Image.new("L", (8, 8), 9).save(images / "new.png")
        case 2:
            victim.unlink()
        case _:
            victim.rename(images / f"a{victim.name}")
    before = {path: path.read_bytes() for path in (folder / "runs" / "tiny").rglob("*") if path.is_file()}
    said = _run(folder, code=2)
    assert re.search(r"not those of the first run \(SHA-256 [0-9a-f]{16}, now [0-9a-f]{16}\)", said), said
    assert {path: path.read_bytes() for path in (folder / "runs" / "tiny").rglob("*") if path.is_file()} == before
    shutil.rmtree(images)
    kept.rename(images)
    _run(folder, *INLINE)
    for run in _explained(folder):
        assert run["state"] == "complete"
        assert run["explain"]["recorded"] == []


def _declared(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Data declared otherwise are another key: the old runs stay, the new ones are pending and say why."""
    copy_finished(folder, reference)
    (folder / "images").mkdir()
    sets = ("--set", 'data.source="folder"', "--set", f'data.color="{chance.choice(["gray", "rgb"])}"')
    for run in _explained(folder, *sets):
        assert run["state"] == "pending"
        (other,) = run["explain"]["other_folders"]
        assert "data.source" in {item["name"] for item in other["differences"]}
    said = _run(folder, *sets, "--set", 'data.root="images"', code=2)
    assert "the folder holds no images" in said
    assert "nothing to do" in _run(folder)
