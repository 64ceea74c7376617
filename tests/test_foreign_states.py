"""A state from elsewhere with fitting checksums is never executed, never half used: the one before takes over."""

from __future__ import annotations

import io
import logging
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import assert_same_run, run, small_task

from harness.gan.training import TrainingTask
from harness.store import atomic
from harness.store.commits import newest_commit, write_commit


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainingTask:
    return finished(tmp_path_factory.mktemp("uninterrupted"))


def finished(root: Path) -> TrainingTask:
    task = small_task(root)
    assert run(task).outcome == "finished"
    return task


class Bomb:
    """What a pickle does when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a pickle was executed",)


def saved(document: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(document, buffer)
    return buffer.getvalue()


def compressed(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as plain, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    return buffer.getvalue()


def nan(document: dict[str, Any]) -> object:
    next(iter(document["generator"].values())).fill_(torch.nan)
    return document


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: {key: value for key, value in document.items() if key != name}


def with_value(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: {**document, name: value}


def with_moments(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    def changed(document: dict[str, Any]) -> object:
        change(document["generator_optimizer"])
        return document

    return changed


FORGED_DOCUMENTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a pickle that acts": lambda document: {**document, "generator": Bomb()},
    "a list": lambda document: [document],
    "a number": lambda document: 5,
    "nothing": lambda document: {},
    "weights that are no numbers": nan,
    **{
        f"no {name}": without(name)
        for name in ("key", "step", "generator", "generator_optimizer", "sums", "n", "seconds")
    },
    "step in words": with_value("step", "40"),
    "generator of numbers": with_value("generator", {"a": 1}),
    "discriminator of a list": with_value("discriminator", [1, 2]),
    "an optimizer of nothing": with_value("generator_optimizer", {}),
    "an optimizer of another kind": with_value("discriminator_optimizer", {"state": [], "param_groups": [{"lr": 1.0}]}),
    "sums of another length": with_value("sums", torch.zeros(3)),
    "sums that are no numbers": with_value("sums", torch.full((7,), torch.nan)),
    "sums as text": with_value("sums", "0"),
    "an average that is not kept": lambda document: {**document, "average": document["generator"]},
    "other metrics": with_value("metrics", ["loss/generator"]),
    "n below nothing": with_value("n", -1),
    "endless seconds": with_value("seconds", float("inf")),
    "another learning rate": with_moments(lambda adam: adam["param_groups"][0].update(lr=1.0)),
    "a learning rate in words": with_moments(lambda adam: adam["param_groups"][0].update(lr="fast")),
    "moments of another shape": with_moments(lambda adam: adam["state"][0].update(exp_avg=torch.zeros(1))),
    "moments of one parameter less": with_moments(lambda adam: adam["state"].popitem()),
    "moments of a list": with_moments(lambda adam: adam.update(state=[1])),
    "moments without a counter": with_moments(lambda adam: adam["state"][0].pop("step")),
}
FORGED_FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "no archive": lambda content: pickle.dumps({"key": "a"}),
    "a pickle that acts alone": lambda content: pickle.dumps(Bomb()),
    "an archive cut short": lambda content: content[:-200],
    "a compressed archive": compressed,
    **{
        name: lambda content, forge=forge: saved(forge(torch.load(io.BytesIO(content), weights_only=True)))  # type: ignore[misc]
        for name, forge in FORGED_DOCUMENTS.items()
    },
}


@pytest.mark.parametrize("forgery", FORGED_FILES)
def test_a_state_from_elsewhere_with_fitting_checksums_is_left_for_the_one_before(
    tmp_path: Path, uninterrupted: TrainingTask, caplog: pytest.LogCaptureFixture, forgery: str
) -> None:
    task = finished(tmp_path)
    commit = newest_commit(task.run)
    assert commit is not None
    forged = FORGED_FILES[forgery](task.run.state(40).read_bytes())
    task.run.state(40).write_bytes(forged)
    write_commit(task.run, replace(commit, state_sha256=atomic.sha256_of(forged)))
    with caplog.at_level(logging.WARNING, "harness"):
        assert run(task).outcome == "finished"
    assert f"{task.run.state(40)}: the state " in caplog.text and "the state before takes over" in caplog.text
    assert_same_run(task.run, uninterrupted.run)
