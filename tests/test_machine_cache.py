"""What is measured about a machine is measured once, whoever asks, and again where it may have become another."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import pytest

from harness.errors import HarnessError, StoreError
from harness.store import machine_cache
from harness.store.locks import held
from harness.store.machine_cache import CACHE_VARIABLE, cache_folder, remembered

CONDITIONS = {"torch": "2.15", "threads": 2}


class Measuring:
    """Gives {"best": n} at its n-th call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, object]:
        self.calls += 1
        return {"best": self.calls}


def silence() -> None:
    """Nobody watches."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, which is not there yet, nor its parent."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "home" / "cache"))
    return tmp_path / "home" / "cache"


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("*.json")
    return file


def test_it_is_measured_once_and_read_later(folder: Path) -> None:
    measuring = Measuring()
    assert [remembered("x", CONDITIONS, measuring, silence) for _ in range(3)] == [{"best": 1}] * 3
    assert measuring.calls == 1
    assert json.loads(only_file(folder).read_text())["depends_on"] == CONDITIONS


@pytest.mark.parametrize("changed", [{"torch": "2.16"}, {"threads": 1}, {"more": None}])
def test_other_conditions_are_measured_again_and_both_are_kept(folder: Path, changed: dict[str, object]) -> None:
    measuring = Measuring()
    for _ in range(2):
        assert remembered("x", CONDITIONS, measuring, silence) == {"best": 1}
        assert remembered("x", {**CONDITIONS, **changed}, measuring, silence) == {"best": 2}
    assert len(list(folder.glob("*.json"))) == 2
    assert remembered("y", CONDITIONS, measuring, silence) == {"best": 3}


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1, 2]", b"\xff\xfe"])
def test_a_damaged_file_is_measured_again(folder: Path, damage: bytes) -> None:
    measuring = Measuring()
    remembered("x", CONDITIONS, measuring, silence)
    only_file(folder).write_bytes(damage)
    assert remembered("x", CONDITIONS, measuring, silence) == {"best": 2}
    assert remembered("x", CONDITIONS, measuring, silence) == {"best": 2}


def test_a_value_changed_by_hand_is_measured_again(folder: Path) -> None:
    remembered("x", CONDITIONS, Measuring(), silence)
    file = only_file(folder)
    file.write_text(file.read_text().replace('"best": 1', '"best": 7'))
    assert remembered("x", CONDITIONS, Measuring(), silence) == {"best": 1}


def test_a_file_of_other_conditions_under_this_name_does_not_count(folder: Path) -> None:
    remembered("x", CONDITIONS, Measuring(), silence)
    file = only_file(folder)
    other = {**CONDITIONS, "threads": 8}
    remembered("x", other, Measuring(), silence)
    (renamed,) = set(folder.glob("*.json")) - {file}
    file.replace(renamed)
    measuring = Measuring()
    remembered("x", other, measuring, silence)
    assert measuring.calls == 1


def test_where_nothing_can_be_kept_nothing_is_measured_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    measuring = Measuring()
    assert [remembered("x", CONDITIONS, measuring, silence) for _ in range(2)] == [None, None]
    assert measuring.calls == 0
    assert len(caplog.records) == 2
    assert "cannot be kept" in caplog.text and str(tmp_path / "file") in caplog.text


def test_what_a_full_disk_cannot_keep_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, _document: object) -> None:
        raise StoreError("cannot write: No space left on device", where=str(path))

    monkeypatch.setattr(machine_cache, "write_json", full)
    measuring = Measuring()
    assert remembered("x", CONDITIONS, measuring, silence) is None
    assert measuring.calls == 1 and "No space left" in caplog.text


def test_what_the_measurement_raises_is_not_taken_for_the_disks(folder: Path) -> None:
    calls: list[int] = []

    def fails() -> dict[str, object]:
        calls.append(1)
        raise StoreError("its own")

    with pytest.raises(StoreError, match="its own"):
        remembered("x", CONDITIONS, fails, silence)
    assert calls == [1] and not list(folder.glob("*.json"))


def _measure_slowly(folder: str, answers: multiprocessing.Queue[object]) -> None:
    os.environ[CACHE_VARIABLE] = folder

    def measure() -> dict[str, object]:
        with Path(folder, "calls").open("a") as calls:
            calls.write("measured\n")
        time.sleep(0.5)
        return {"by": os.getpid()}

    answers.put(remembered("x", CONDITIONS, measure, silence))


def test_of_several_processes_at_once_one_measures(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_measure_slowly, args=(str(folder), answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found[0] == found[1] == found[2]
    assert (folder / "calls").read_text() == "measured\n"


def test_who_waits_may_leave(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leave(Exception):
        pass

    def leave() -> None:
        raise Leave

    remembered("x", CONDITIONS, Measuring(), silence)
    file = only_file(folder)
    file.unlink()
    monkeypatch.setattr(machine_cache, "_WAIT_S", 0.05)
    with held(file.with_name(f"{file.name}.lock"), timeout_s=5.0) as mine, pytest.raises(Leave):
        assert mine
        remembered("x", CONDITIONS, Measuring(), leave)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/gan-ablation-harness"),
        ("linux", {"XDG_CACHE_HOME": "HOME/xdg"}, "xdg/gan-ablation-harness"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/gan-ablation-harness"),  # the specification: ignore it
        ("darwin", {"XDG_CACHE_HOME": "HOME/xdg"}, "Library/Caches/gan-ablation-harness"),
        ("win32", {"LOCALAPPDATA": "HOME/local"}, "local/gan-ablation-harness/Cache"),
        ("win32", {}, "AppData/Local/gan-ablation-harness/Cache"),
        ("linux", {CACHE_VARIABLE: "HOME/mine", "XDG_CACHE_HOME": "HOME/xdg"}, "mine"),
        ("linux", {CACHE_VARIABLE: ""}, ".cache/gan-ablation-harness"),
    ],
)
def test_the_folder_follows_the_platform(
    platform: str, variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("HOME", str(tmp_path)))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == tmp_path / expected


def test_without_a_home_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    measuring = Measuring()
    assert remembered("x", CONDITIONS, measuring, silence) is None
    assert measuring.calls == 0
    assert issubclass(StoreError, HarnessError) and CACHE_VARIABLE in caplog.text
