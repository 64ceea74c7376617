"""What an experiment holds, read from its run directories: the one source of reports, tables and projections.

Imports neither torch, mlflow, pandas nor, before records are asked for as columns, numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.design.expansion import Plan, Run
from harness.design.experiment import EvaluationSettings
from harness.design.keys import key_parts
from harness.errors import DamagedFileError
from harness.evaluation.protocol import (
    Protocol,
    asked_class_sheet,
    block_protocols,
    is_prepared,
    required_evaluations,
)
from harness.store.atomic import canonical_json, sha256_of
from harness.store.evaluations import Evaluation, read_evaluation
from harness.store.looks import Looks
from harness.store.manifest import ExperimentManifest, read_experiment_manifest
from harness.store.many import of_each
from harness.store.pictures import asked_pictures
from harness.store.real_images import RealImages, asked_real_images, missing_real_images
from harness.store.records import Record, read_records
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory
from harness.store.status import RunStatus, isolated_status

if TYPE_CHECKING:
    from harness.store.record_columns import Columns, HeldRecords


@dataclass(frozen=True)
class Block:
    """One `[[evaluation]]` block. column: `digits`, made unique where two blocks share an extractor (`digits-2`).

    available False: its weights were looked for in vain, it is not required, and it was left out. verified False: its
    weights are not the known ones, which is said wherever its numbers stand.
    """

    settings: EvaluationSettings
    column: str
    available: bool
    verified: bool = True

    @property
    def key(self) -> str:
        """The column in names of MLflow metrics and tags: `digits`, `inception-unverified`."""
        return self.column if self.verified else f"{self.column}-unverified"

    @property
    def title(self) -> str:
        """The column as people read it: `digits`, `inception, unverified weights`."""
        return self.column if self.verified else f"{self.column}, unverified weights"


@dataclass(frozen=True)
class RunView:
    """A run and where it stands; cheap to make. protocols: one per block, None where left out or not prepared."""

    run: Run
    directory: RunDirectory | None
    status: RunStatus
    protocols: tuple[Protocol | None, ...]

    def metrics(self) -> list[Record]:
        """Committed records of training, ascending in step: step, n, time, seconds, and the metrics' means."""
        if self.directory is None or not self.status.metrics_offset:
            return []
        return read_records(self.directory.metrics, self.status.metrics_offset)

    def columns(self) -> Columns:
        """`metrics` as columns; their numbers alone."""
        from harness.store.record_columns import columns_of

        return columns_of(self.metrics())

    def evaluation(self, block: int, step: int) -> Evaluation | None:
        """The evaluation of one block at one step, or None; of the committed checkpoint, if its file is gone, too."""
        protocol = self.protocols[block]
        if self.directory is None or protocol is None or not self.status.is_readable:
            return None
        commit = self.status.commit
        return read_evaluation(
            self.directory, step, protocol.sha256, commit.checkpoints.get(str(step)) if commit else None
        )

    def checkpoints(self) -> dict[int, str]:
        """SHA-256 of every committed checkpoint by step, ascending."""
        commit = self.status.commit
        return {int(step): digest for step, digest in sorted((commit.checkpoints if commit else {}).items(), key=_step)}


@dataclass(frozen=True)
class RunSnapshot(RunView):
    """A run as it stood when it was read: nothing in it is looked up again.

    records: those that count, where they have the hash that the status names, else none; evaluations: by block and
    step, only of the checkpoints that the status names.
    """

    records: HeldRecords = field(repr=False)
    evaluations: Mapping[tuple[int, int], Evaluation]

    def metrics(self) -> list[Record]:
        return self.records.records()

    def columns(self) -> Columns:
        return self.records.columns

    def evaluation(self, block: int, step: int) -> Evaluation | None:
        return self.evaluations.get((block, step))


@dataclass(frozen=True)
class ExperimentView:
    """A plan with what stands of it on disk."""

    plan: Plan
    directory: ExperimentDirectory
    manifest: ExperimentManifest | None
    blocks: tuple[Block, ...]
    runs: tuple[RunView, ...]

    @property
    def is_prepared(self) -> bool:
        """Whether data and weights were looked up, so that all protocols are known."""
        return is_prepared(self.plan.experiment, self.manifest)

    def missing_real_images(self) -> tuple[RealImages, ...]:
        """Grids of real images that the report shows and that are not there; none before anything was prepared."""
        return missing_real_images(self.directory, asked_real_images(self.plan, self.manifest))

    def key_parts(self, view: RunView) -> dict[str, object]:
        """What a run's key is made from, as `keys.key_parts` gives it."""
        run, data = view.run, self.plan.experiment.data
        hashes = self.plan.source_hashes
        return key_parts(run.cell.hyperparameters, run.seed, data, run.cell.training.steps, hashes)

    def last_measured(self, view: RunView, block: int = 0) -> Evaluation | None:
        """The evaluation of the last measured checkpoint of a run, or None."""
        if block >= len(self.blocks):
            return None
        steps = self.blocks[block].settings.steps_measured(view.run.cell.training)
        found = (view.evaluation(block, step) for step in reversed(steps))
        return next((evaluation for evaluation in found if evaluation), None)

    def fingerprint(self) -> str:
        """A hash of all that a report or a projection is made from: the plan and what each run holds."""
        parts = [
            [
                run.run.key,
                run.run.cell.label,
                run.status.state,
                [asdict(attempt) for attempt in run.status.attempts],
                run.status.reason,
                asdict(run.status.commit) if run.status.commit else None,
                run.status.metrics_sha256,
                self._evaluations(run),
            ]
            for run in self.runs
        ]
        experiment = self.plan.experiment.model_dump(mode="json")
        return sha256_of(
            canonical_json(
                [experiment, [[block.column, block.available, block.verified] for block in self.blocks], parts]
            )
        )

    def _evaluations(self, run: RunView) -> list[object]:
        found: list[object] = []
        checkpoints = run.checkpoints()
        for index, block in enumerate(self.blocks):
            for step in block.settings.steps_measured(run.run.cell.training):
                evaluation = run.evaluation(index, step) if step in checkpoints else None
                counts = evaluation is not None and evaluation.checkpoint_sha256 == checkpoints[step]
                found.append(
                    [evaluation.checkpoint_sha256, evaluation.values, evaluation.pooled, _beside(evaluation)]
                    if evaluation and counts
                    else None
                )
        return found


def read_experiment(
    plan: Plan, runs_dir: Path, *, has_weights: bool = True, looks: Looks | None = None
) -> ExperimentView:
    """Looks up every run of `plan` under `runs_dir`; a run that cannot be read is failed, with the reason.

    has_weights False: a copy from a tracking store, where no states and checkpoints lie; looks: what was found in
    files before, and is not read again where nothing changed. StoreError where what all runs share cannot be read, or
    another version wrote it.
    """
    experiment = plan.experiment
    directory = experiment_directory(runs_dir, experiment.name, has_weights=has_weights, looks=looks)
    manifest = _manifest(directory)
    found = directory.runs()
    sizes = {run.cell.hyperparameters.batch_size for run in plan.runs}
    by_batch = {size: tuple(block_protocols(experiment, manifest, size)) for size in sizes}

    def look_up(run: Run) -> RunView:
        batch_size, training = run.cell.hyperparameters.batch_size, run.cell.training
        run_directory = found.get(run.key[:8])
        required = required_evaluations(experiment, manifest, batch_size, training) if run_directory else None
        pictures = asked_pictures(experiment.report, asked_class_sheet(experiment, by_batch[batch_size]))
        status = isolated_status(run_directory, run.key, training.steps, required, pictures)
        return RunView(run, run_directory, status, by_batch[batch_size])

    views = of_each(look_up, plan.runs)
    return ExperimentView(plan, directory, manifest, _blocks(plan, manifest), tuple(views))


def _manifest(directory: ExperimentDirectory) -> ExperimentManifest | None:
    """A damaged one counts as none: preparing makes it again."""
    try:
        return read_experiment_manifest(directory)
    except DamagedFileError:
        return None


def _blocks(plan: Plan, manifest: ExperimentManifest | None) -> tuple[Block, ...]:
    prepared = is_prepared(plan.experiment, manifest)
    protocols = block_protocols(plan.experiment, manifest, plan.experiment.baseline.batch_size)
    taken: set[str] = set()
    blocks = []
    for settings, protocol in zip(plan.experiment.evaluation, protocols, strict=True):
        name = column = settings.extractor_name
        count = 1
        while column in taken:
            count += 1
            column = f"{name}-{count}"
        taken.add(column)
        available = protocol is not None or not prepared
        blocks.append(Block(settings, column, available, verified=protocol is None or protocol.verified))
    return tuple(blocks)


def _beside(evaluation: Evaluation) -> list[object]:
    """What of an evaluation is shown beside its values."""
    floor = asdict(evaluation.floor) if evaluation.floor else None
    return [
        floor,
        evaluation.class_counts,
        evaluation.reference_class_counts,
        evaluation.feature_dims,
        evaluation.seconds,
    ]


def _step(item: tuple[str, str]) -> int:
    return int(item[0])
