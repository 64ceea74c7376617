"""What one experiment file needs: images, weights, own source files, room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.cli.doctor_disk import size
from harness.cli.doctor_request import Request
from harness.data import image_folder, published
from harness.data.sources import content_sha256, is_present
from harness.design.evaluation_settings import EvaluationSettings
from harness.design.experiment import DataSettings
from harness.design.experiment_file import ExperimentFile
from harness.design.own_parts import is_own
from harness.errors import DamagedFileError, DataError, HarnessError, StoreError, WeightsError
from harness.evaluation.extractor_weights import INCEPTION_VARIABLE, read_weights, weights_file
from harness.evaluation.shipped import SHIPPED
from harness.store.checkup import Finding
from harness.store.file_systems import existing
from harness.store.manifest import read_experiment_manifest
from harness.store.rundir import experiment_directory

MOST_HASHED_BYTES = 2**30
"""Larger folders of images are not compared with the first run's: that would take minutes."""


def data(request: Request) -> Iterator[Finding]:
    """The images that the file names: there, whole, and those of the first run."""
    if request.opened is None:
        return
    settings = request.opened.experiment.data
    if is_own(settings.source):
        yield Finding("data", "ok", f"{settings.source}: asked for its images when a run begins, not here")
        return
    if not is_present(settings) and settings.source != "folder":
        yield Finding(
            "data",
            "note",
            f"{settings.source} is not at {published.image_files(settings)[0]}",
            "`harness fetch FILE` downloads it now; else the first run does.",
        )
        return
    try:
        text, length = _images(settings)
    except DataError as error:
        yield problem("data", error)
        return
    yield Finding("data", "ok", text)
    yield from _as_before(request, request.opened, length)


def _images(settings: DataSettings) -> tuple[str, int]:
    """What there is, and its bytes; DataError where something is not as it should be."""
    if settings.source == "digits":
        return "digits: 1,797 images, which ship with scikit-learn", 0
    if settings.source == "folder":
        root = Path(settings.root).expanduser()
        files = image_folder.image_files(root)
        image_folder.read_square(files[0], "gray" if settings.channels == 1 else "rgb", 8)
        return f"{len(files):,} images in {root}", sum(_bytes(file.path) for file in files)
    count = len(published.read(settings))
    if settings.count is not None and count != settings.count:
        raise DataError(
            f"{count:,} images where {settings.source} has {settings.count:,}",
            where=str(published.image_files(settings)[0]),
            remedy="Delete the file and fetch it again with `harness fetch FILE`.",
        )
    return f"{settings.source}: {count:,} images in {published.image_files(settings)[0].parent}", 0


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _as_before(request: Request, opened: ExperimentFile, length: int) -> Iterator[Finding]:
    """Whether the images are those of the experiment's first run, where it had one."""
    settings = opened.experiment.data
    try:
        manifest = read_experiment_manifest(experiment_directory(request.runs, opened.experiment.name))
        before = manifest.data_sha256_of(settings.declared()) if manifest else None
        if before is None:
            return
        if length > MOST_HASHED_BYTES:
            yield Finding("data", "note", "not compared with the first run's: too many; `harness run` compares them")
            return
        now = content_sha256(settings)
    except DamagedFileError:
        return  # `harness run` makes the manifest again
    except (DataError, StoreError) as error:
        yield problem("data", error)
        return
    if now == before:
        yield Finding("data", "ok", f"the same images as at the first run (SHA-256 {now[:16]})")
    else:
        yield Finding(
            "data",
            "problem",
            f"the images are not those of the first run (SHA-256 {before[:16]}, now {now[:16]})",
            "Bring the old ones back, or use another experiment name or --runs-dir.",
        )


def weights(request: Request) -> Iterator[Finding]:
    """Extractors that ship, then those that the file names."""
    blocks = request.experiment.evaluation if request.experiment else ()
    for name in SHIPPED:
        yield _of_block(EvaluationSettings.model_validate({"extractor": name}))
    seen: set[str] = set(SHIPPED)
    for settings in blocks:
        if settings.extractor_name not in seen:
            seen.add(settings.extractor_name)
            yield _of_block(settings)
    if request.opened is None:
        yield _inception_of_machine()


def _of_block(settings: EvaluationSettings) -> Finding:
    name = settings.extractor_name
    try:
        file = weights_file(settings, download=False)
    except WeightsError as error:
        if settings.extractor == "inception" and not settings.extractor_weights and "It is named" not in error.remedy:
            return Finding(
                "weights",
                "note",
                f"inception: not there yet ({error.where})",
                "`harness fetch FILE` downloads it now, else the first run that measures with it does. Without a "
                f"network, bring pytorch-fid's file there, or name it with the variable {INCEPTION_VARIABLE}.",
            )
        return _missing(settings, error)
    try:
        read_weights(settings, download=False)
    except WeightsError as error:
        return _missing(settings, error)
    known = " of an unknown SHA-256, as the file allows" if settings.unverified_weights else ", as expected"
    shown = "ship with harness" if name in SHIPPED else str(file)
    return Finding("weights", "ok", f"{name}: {shown}{known}")


def _missing(settings: EvaluationSettings, error: WeightsError) -> Finding:
    if settings.required:
        return problem("weights", error)
    text = f"{error.where}: {error.what}; its evaluation is not required and will be left out"
    return Finding("weights", "note", text, error.remedy)


def _inception_of_machine() -> Finding:
    """Where no file asks for Inception, its absence is nothing wrong."""
    found = _of_block(EvaluationSettings.model_validate({"extractor": "inception"}))
    if found.state != "problem":
        return found
    return Finding("weights", "note", f"inception ({INCEPTION_VARIABLE}): {found.found}", found.remedy)


def parts(request: Request) -> Iterator[Finding]:
    """Own source files imported, every network built as `plan --check` does, and the disk that the runs need."""
    if request.opened is None:
        return
    from harness.cli.documents import runs_left
    from harness.cli.preflight import check_plan, disk_of
    from harness.tracking.reader import read_experiment

    plan = request.opened.plan
    try:
        pairs = check_plan(plan)
    except HarnessError as error:
        yield problem("networks", error)
        return
    own = f", with {', '.join(sorted(plan.sources))}" if plan.sources else ""
    yield Finding("networks", "ok", f"{len(plan.cells)} cells, {len(pairs)} kinds of networks, all can be built{own}")
    for text in dict.fromkeys(text for pair in pairs for text in pair.networks.warnings):
        yield Finding("networks", "note", text, "`harness plan FILE --check` names the cells.")
    try:
        needed = disk_of(pairs, runs_left(read_experiment(plan, request.runs)))
    except StoreError as error:
        yield problem("disk", error)
        return
    free = shutil.disk_usage(existing(request.runs)).free
    text = f"{size(needed.total)} needed for {needed.runs} runs that are not done, {size(free)} free"
    if needed.total > free:
        remedy = "Raise checkpoint_every, or choose another folder with --runs-dir."
        yield Finding("disk", "problem", text, remedy)
    else:
        yield Finding("disk", "ok", text)


def problem(topic: str, error: HarnessError) -> Finding:
    return Finding(topic, "problem", f"{error.where}: {error.what}" if error.where else error.what, error.remedy)
