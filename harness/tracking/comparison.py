"""A run's cursor beside what the store should hold: whether all of it is there, and whether it can be continued."""

from __future__ import annotations

from harness.tracking.committed import Committed, read_committed
from harness.tracking.content import ChildContent, reported
from harness.tracking.cursor import ChildCursor, Points, changed_files, files_sha256, hashes_of, same_uploads
from harness.tracking.step_images import with_images


def matches(cursor: ChildCursor, content: ChildContent) -> bool:
    """Whether the store holds all of `content`, by what the cursor says."""
    content = with_images(content, cursor.uploads, lambda _step: 0)
    return (
        cursor.settled
        and (cursor.offset, cursor.reach) == (content.offset, content.offset)
        and (not content.offset or cursor.reach_sha256 == content.sha256)
        and (cursor.params, cursor.tags, cursor.name) == (content.params, content.tags, content.name)
        and (cursor.status, cursor.ended_ms) == (content.status, content.ended_ms)
        and cursor.models == model_roles(content)
        and _same_points(cursor, content)
        and _same_files(cursor, content)
        and cursor.files_sha256 == files_told(cursor, content)
        and cursor.datasets == dataset_words(content)
        and _has_samples(cursor, content)
    )


def _has_samples(cursor: ChildCursor, content: ChildContent) -> bool:
    """A file that is longer is read: what a killed process left behind the last whole record does not count."""
    size = content.system.stat().st_size if content.system.is_file() else 0
    return size == cursor.samples or read_committed(content.system).size == cursor.samples


def _same_files(cursor: ChildCursor, content: ChildContent) -> bool:
    """Whether the files are up to date; what a run that is worked on lacks for now stays in the store."""
    if content.is_running:
        return not changed_files(content.files, cursor.uploads)
    return same_uploads(content.files, cursor.uploads)


def files_told(cursor: ChildCursor, content: ChildContent) -> str:
    """What the tag `FILES` has to say once all of `content` is in the store."""
    return "" if content.is_running else files_sha256(hashes_of(cursor.uploads, reported(cursor.uploads)))


def continues(cursor: ChildCursor, content: ChildContent, committed: Committed, samples: Committed) -> bool:
    """Whether what the store may hold of this run is a beginning of what it should hold."""
    if committed.sha256(cursor.reach) != cursor.reach_sha256:
        return False  # rolled back, or trained again
    if samples.sha256(cursor.samples_reach) != cursor.samples_sha256:
        return False  # removed, or another file
    if cursor.params != content.params:
        return False  # cannot be changed in MLflow
    if not content.is_running and not cursor.uploads.keys() <= content.files.keys():
        return False  # files cannot be taken back one by one
    if not content.is_running and not _extends(content.points, cursor.points):
        return False  # more repeats, or another checkpoint
    return content.is_running or set(cursor.datasets) <= set(dataset_words(content))


def _extends(points: Points, logged: Points) -> bool:
    return all(
        points.get(key, {}).get(step) == value for key, values in logged.items() for step, value in values.items()
    )


def _same_points(cursor: ChildCursor, content: ChildContent) -> bool:
    """While a run is worked on, values that were logged stay; they are compared when it is done."""
    return merged_points(cursor, content) == cursor.points if content.is_running else cursor.points == content.points


def merged_points(cursor: ChildCursor, content: ChildContent) -> Points:
    """What will be in the store: what is there, and what is new."""
    keys = {**cursor.points, **content.points}
    return {key: {**content.points.get(key, {}), **cursor.points.get(key, {})} for key in keys}


def dataset_words(content: ChildContent) -> tuple[str, ...]:
    return tuple(entry.word for entry in content.datasets)


def model_roles(content: ChildContent) -> dict[str, str]:
    return {digest: role for digest, (_, role) in content.models.items()}
