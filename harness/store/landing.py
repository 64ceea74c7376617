"""The last part of unpacking: what was checked is moved into its place, one run after the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DamagedFileError
from harness.store import atomic
from harness.store.heartbeat import is_beating
from harness.store.locks import WAIT_FOR_EVER, held
from harness.store.manifest import ExperimentManifest, read_experiment_manifest, write_experiment_manifest
from harness.store.pack_manifest import PackedRun, PackManifest
from harness.store.rundir import ExperimentDirectory, RunDirectory
from harness.store.shared_manifests import joined_manifests
from harness.store.unpacking_runs import carry_over, completed, verdict_on

_PATIENCE_S = 2.0


@dataclass
class Unpacked:
    """What became of each run, by folder. landed: new here; replaced: was here and not as far; completed: files of it
    were missing here; same: all of it was here; kept: why it stayed as it was; busy: a process works on it.

    report: whether that of the pack lies here now.
    """

    landed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    report: bool = False

    @property
    def changed(self) -> bool:
        """Whether any run here is another than before."""
        return bool(self.landed or self.replaced or self.completed)


@dataclass(frozen=True)
class Landing:
    """home: the experiment here, whose lock is held; staged: that of the pack; aside: for runs that are replaced."""

    home: ExperimentDirectory
    staged: ExperimentDirectory
    shared: ExperimentManifest
    manifest: PackManifest
    aside: Path
    done: Unpacked = field(default_factory=Unpacked)

    def land_runs(self) -> None:
        """What runs share first, so that a run that landed is never without it; the copy of the file last."""
        before = manifest_here(self.home)
        joined = joined_manifests(before, self.shared, str(self.home.root))
        atomic.remove_leftovers(self.home.manifest)
        if joined != before:
            write_experiment_manifest(self.home, joined)
        for path in sorted([*self.staged.root.glob("source/**/*.py"), *self.staged.pictures.glob("*.png")]):
            target = self.home.root / path.relative_to(self.staged.root)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        here, brought = self.home.runs(), self.staged.runs()
        for told in self.manifest.runs:
            self._land_run(here.get(told.key[:8]), brought[told.key[:8]], told)
        if not self.home.file_copy.exists():  # else the one here is what the runs here were asked for with
            self.staged.file_copy.replace(self.home.file_copy)

    def land_report(self, staged: Path, output: Path) -> None:
        """Where no report lies there yet, or the same one; what a person has is left alone."""
        if not staged.is_dir():
            return
        names = sorted(_files(staged))
        if not output.is_dir() or not any(output.iterdir()):
            output.parent.mkdir(parents=True, exist_ok=True)
            beside = output.parent / f".{output.name}.unpacking"
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(staged, beside)
            with suppress(FileNotFoundError):
                output.rmdir()
            beside.rename(output)
        elif not all(_is_same(staged / name, output / name) for name in names):
            return
        self.done.report = True
        if self.manifest.report is not None:
            with held(self.home.reports.with_suffix(".lock"), timeout_s=WAIT_FOR_EVER):
                noted = _noted(self.home)
                atomic.write_json(self.home.reports, {**noted, str(output.absolute()): self.manifest.report})

    def _land_run(self, here: RunDirectory | None, staged: RunDirectory, told: PackedRun) -> None:
        if here is None:
            staged.root.rename(self.home.root / told.folder)
            self.done.landed.append(told.folder)
            return
        with held(here.lock, timeout_s=_PATIENCE_S) as mine:
            if not mine or is_beating(here):
                self.done.busy.append(told.folder)
                return
            verdict = verdict_on(here, staged, told)
            match verdict.what:
                case "keep":
                    self.done.kept[told.folder] = verdict.why
                case "complete":
                    changed = completed(here, staged)
                    (self.done.completed if changed else self.done.same).append(told.folder)
                case "replace":
                    carry_over(here, staged)
                    self._replace(here, staged)
                    self.done.replaced.append(told.folder)

    def _replace(self, here: RunDirectory, staged: RunDirectory) -> None:
        """In two moves; where the second is refused, the first is taken back."""
        self.aside.mkdir(exist_ok=True)
        kept = self.aside / here.root.name
        here.root.rename(kept)
        try:
            staged.root.rename(here.root)
        except OSError:
            kept.rename(here.root)
            raise


def manifest_here(home: ExperimentDirectory) -> ExperimentManifest | None:
    """A damaged one counts as none, as everywhere: it is made again."""
    try:
        return read_experiment_manifest(home)
    except DamagedFileError:
        return None


def _noted(home: ExperimentDirectory) -> atomic.Json:
    try:
        return atomic.read_json(home.reports)
    except (FileNotFoundError, DamagedFileError):
        return {}


def _is_same(path: Path, other: Path) -> bool:
    try:
        return atomic.file_sha256(path) == atomic.file_sha256(other)
    except FileNotFoundError:
        return False


def _files(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
