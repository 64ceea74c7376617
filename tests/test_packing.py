"""`harness pack` and `harness unpack`: there and back, as if it had run here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pack_data import ALONE, RENTED, call, contents, home_of, only_run, refusal, trained
from report_data import paint_nothing

from experiments import TINY, statuses
from harness.errors import StoreError
from harness.execution.interruption import Interrupted
from harness.store.atomic import read_json
from harness.store.commits import newest_commit
from harness.store.locks import held
from harness.store.manifest import ExperimentManifest
from harness.store.pack_reading import opened_pack
from harness.store.rundir import experiment_directory
from harness.store.shared_manifests import joined_manifests
from harness.store.unpacking import unpack

NOTHING = ("run", "tiny.toml", "--no-report", "--tracking-uri", "none", "--executor", "inline", "--device", "cpu")


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another machine: one run at its last step."""
    place = tmp_path_factory.mktemp("away")
    trained(place, machine=RENTED)
    call(place, "pack", "tiny.toml", "-o", "results.zip")
    return place


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, at step 12 of 24."""
    place = tmp_path_factory.mktemp("halfway")
    trained(place, "training.steps=12", machine=RENTED)
    call(place, "pack", "tiny.toml", "-o", "results.zip")
    call(place, "pack", "tiny.toml", "-o", "states.zip", "--with-states")
    return place


@pytest.fixture
def home(away: Path, tmp_path: Path) -> Path:
    return home_of(away, tmp_path / "home")


@pytest.fixture
def copied(away: Path, halfway: Path, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Copies of both machines that a test may change."""
    yield {name: Path(shutil.copytree(place, tmp_path / name)) for name, place in (("away", away), ("half", halfway))}


def test_a_run_from_elsewhere_is_complete_here_and_nothing_is_trained(away: Path, home: Path) -> None:
    said = call(home, "unpack", str(away / "results.zip"))
    assert (said.code, said.out) == (0, "tiny: 1 runs: 1 new\n")
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"
    before = contents(home / "runs")
    assert not list(only_run(home).states.glob("*.pt"))
    assert "nothing to do" in call(home, *NOTHING).err
    assert contents(home / "runs") == before
    assert not (home / "runs" / "tiny" / "cache").exists()


def test_what_travels_is_what_the_runs_are_made_of(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    there, here = contents(away / "runs" / "tiny"), contents(home / "runs" / "tiny")
    left = {name for name in there if name not in here}
    assert {name for name in left if "/cache/" not in f"/{name}"} == {
        f"{only_run(away).root.name}/state/step-000012.json",
        f"{only_run(away).root.name}/state/step-000012.pt",
        f"{only_run(away).root.name}/state/step-000024.pt",
    }
    assert {name for name in here if here[name] != there.get(name)} == {f"{only_run(home).root.name}/unpacked.json"}


def test_equal_runs_give_equal_bytes_wherever_they_lie(away: Path, home: Path) -> None:
    first = call(away, "pack", "tiny.toml", "-o", str(home / "first.zip"), "--json").document
    call(home, "unpack", "first.zip")
    again = call(home, "pack", "tiny.toml", "--json").document
    assert (home / "first.zip").read_bytes() == (home / "tiny.zip").read_bytes() == (away / "results.zip").read_bytes()
    assert first["sha256"] == again["sha256"]
    assert (again["bytes"], again["stateless"]) == ((home / "tiny.zip").stat().st_size, [])


def test_a_pack_says_what_it_was_made_with(away: Path, home: Path) -> None:
    document = call(home, "unpack", str(away / "results.zip"), "--json").document
    assert document["packed_with"].keys() == {"harness", "python", "torch"}
    assert [machine["host"] for machine in document["machines"]] == ["rented"]
    assert document["landed"] == [only_run(home).root.name]


def test_more_repeats_are_measured_here_without_training(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    weights = contents(only_run(home).checkpoints)
    said = call(home, *NOTHING, "--set", "evaluation.0.repeats=3")
    assert said.code == 0, said.err
    assert statuses(home / "tiny.toml", "evaluation.0.repeats=3")["baseline seed 0"].state == "complete"
    assert contents(only_run(home).checkpoints) == weights
    assert "since the last attempt" in only_run(home).log.read_text()


def test_more_steps_are_refused_without_the_state(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    before = contents(only_run(home).checkpoints)
    said = call(home, *NOTHING, "--set", "training.steps=36")
    assert said.code == 1
    assert "its state was left on the machine that it was packed on" in said.err
    assert "--with-states" in said.err
    assert contents(only_run(home).checkpoints) == before
    assert newest_commit(only_run(home)) == newest_commit(only_run(away))
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"


def test_an_interrupted_run_goes_on_here_only_with_its_state(halfway: Path, home: Path) -> None:
    assert "cannot go on here" in call(home, "unpack", str(halfway / "results.zip")).err
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "interrupted"
    assert "unpacked without its state" in call(home, "status", "tiny.toml").out
    assert "cannot be trained further here" in call(home, *NOTHING).err
    said = call(home, "unpack", str(halfway / "states.zip"))
    assert (said.code, said.out) == (0, "tiny: 1 runs: 1 completed\n")
    assert call(home, *NOTHING).code == 0
    assert "attempt from step 12" in only_run(home).log.read_text()
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"


def test_packing_says_what_cannot_go_on_elsewhere(copied: dict[str, Path]) -> None:
    without = call(copied["half"], "pack", "tiny.toml", "-o", "a.zip", "--json")
    assert without.document["stateless"] == [only_run(copied["half"]).root.name]
    assert "with --with-states they can" in without.err
    assert (
        call(copied["half"], "pack", "tiny.toml", "-o", "b.zip", "--json", "--with-states").document["stateless"] == []
    )


def test_checkpoints_may_stay_behind_and_follow_later(away: Path, home: Path) -> None:
    call(away, "pack", "tiny.toml", "-o", str(home / "small.zip"), "--no-checkpoints")
    call(home, "unpack", "small.zip")
    assert not only_run(home).checkpoints.exists()
    assert "nothing to do" in call(home, *NOTHING).err
    said = call(home, *NOTHING, "--set", "evaluation.0.repeats=3")
    assert said.code == 1
    assert "its checkpoints were left on the machine" in said.err
    assert call(home, "unpack", str(away / "results.zip")).out == "tiny: 1 runs: 1 completed\n"
    assert call(home, *NOTHING, "--set", "evaluation.0.repeats=3").code == 0
    assert newest_commit(only_run(home)) == newest_commit(only_run(away))


def test_damage_here_is_not_mended_by_beginning_again(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    whole = contents(only_run(home).root)
    path = only_run(home).checkpoint(12)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    said = call(home, *NOTHING)
    assert said.code == 1
    assert "`harness unpack` brings them back" in said.err
    only_run(home).metrics.write_bytes(b"")
    only_run(home).samples(24).unlink()
    call(home, "unpack", str(away / "results.zip"))
    restored = contents(only_run(home).root)
    for name in ("attempts.jsonl", "log.txt", "system.jsonl"):  # what was tried here stays
        assert restored.pop(name).startswith(whole.pop(name))
    assert restored == whole
    assert "nothing to do" in call(home, *NOTHING).err


def test_a_lost_mark_is_damage_and_a_broken_one_still_bars_training(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    only_run(home).left_behind.write_text("{}")
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"
    only_run(home).left_behind.unlink()
    assert statuses(home / "tiny.toml")["baseline seed 0"].damage


def test_a_second_unpacking_changes_nothing(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    before = contents(home / "runs")
    assert call(home, "unpack", str(away / "results.zip")).out == "tiny: 1 runs: 1 here already\n"
    assert contents(home / "runs") == before
    assert not [*(home / "runs").glob(".*"), *(home / "runs/tiny").glob(".*")]


def test_a_finished_run_replaces_one_that_is_not_as_far(away: Path, copied: dict[str, Path]) -> None:
    said = call(copied["half"], "unpack", str(away / "results.zip"))
    assert (said.code, said.out) == (0, "tiny: 1 runs: 1 replaced\n")
    assert statuses(copied["half"] / "tiny.toml")["baseline seed 0"].state == "complete"


def test_what_was_measured_here_of_the_same_weights_stays(away: Path, copied: dict[str, Path]) -> None:
    call(copied["half"], *NOTHING, "--set", "training.steps=12", "--set", "evaluation.0.samples=32")
    measured = {path.name for path in only_run(copied["half"]).evaluations.iterdir()}
    call(copied["half"], "unpack", str(away / "results.zip"))
    assert measured < {path.name for path in only_run(copied["half"]).evaluations.iterdir()}


def test_repeats_that_were_measured_here_survive_a_run_that_is_further(
    copied: dict[str, Path], away: Path, tmp_path: Path
) -> None:
    call(copied["half"], *NOTHING, "--set", "training.steps=12", "--set", "evaluation.0.repeats=3")
    here = next(only_run(copied["half"]).evaluations.glob("step-000012--*.json"))
    assert len(read_json(here)["values"]["fid"]) == 3
    assert call(copied["half"], "unpack", str(away / "results.zip")).out == "tiny: 1 runs: 1 replaced\n"
    assert len(read_json(here)["values"]["fid"]) == 3


def test_asked_to_stop_between_the_two_moves_the_run_goes_back(
    away: Path, copied: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied["half"]
    before, real = contents(home / "runs"), Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if "unpacking" in str(path) and Path(target) == only_home:
            raise Interrupted(2)
        return real(path, target)

    only_home = only_run(home).root
    monkeypatch.setattr(Path, "rename", interrupted)
    with opened_pack(away / "results.zip") as pack, pytest.raises(Interrupted):
        monkeypatch.setattr(Path, "rename", once(interrupted, real))
        unpack(pack, home / "runs", home / "reports" / "tiny")
    after = contents(home / "runs")
    assert {name: after[name] for name in before if "/cache/" not in name} == {
        name: content for name, content in before.items() if "/cache/" not in name
    }
    assert not list((home / "runs").rglob("*.unpacking-*"))


def once(first: Callable[[Path, Path], Path], later: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    """`first` until it raises, then `later`."""
    raised: list[bool] = []

    def move(path: Path, target: Path) -> Path:
        if raised:
            return later(path, target)
        try:
            return first(path, target)
        except BaseException:
            raised.append(True)
            raise

    return move


def test_a_broken_commit_of_a_brought_run_does_not_begin_it_again(away: Path, home: Path) -> None:
    call(home, "unpack", str(away / "results.zip"))
    run = only_run(home)
    (commit,) = run.states.glob("*.json")
    commit.write_bytes(commit.read_bytes()[:-9])
    said = call(home, *NOTHING)
    assert said.code == 1
    assert "`harness unpack` brings them back" in said.err
    assert not list(run.states.glob("*.pt"))
    call(home, "unpack", str(away / "results.zip"))
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"


def test_the_experiment_file_of_the_runs_here_stays(away: Path, copied: dict[str, Path]) -> None:
    used = copied["half"] / "runs" / "tiny" / "experiment.toml"
    before = used.read_bytes()
    call(copied["half"], "unpack", str(away / "results.zip"))
    assert used.read_bytes() == before


def test_a_run_that_is_further_here_stays(halfway: Path, copied: dict[str, Path]) -> None:
    before = contents(copied["away"] / "runs")
    said = call(copied["away"], "unpack", str(halfway / "states.zip"))
    assert said.out == "tiny: 1 runs: 1 kept as they were\n"
    assert "it is further here (step 24, and 12 in the pack)" in said.err
    assert contents(copied["away"] / "runs") == before


def test_a_state_here_is_not_given_up_for_a_run_without_one(copied: dict[str, Path], tmp_path: Path) -> None:
    further = tmp_path / "further"
    trained(further, "training.steps=20")
    (further / "tiny.toml").write_text(ALONE)
    call(further, "pack", "tiny.toml", "-o", "bare.zip")
    call(further, "pack", "tiny.toml", "-o", "states.zip", "--with-states")
    before = contents(only_run(copied["half"]).root)
    said = call(copied["half"], "unpack", str(further / "bare.zip"))
    assert "it can go on here from step 12, and the pack brings step 20 without a state" in said.err
    assert contents(only_run(copied["half"]).root) == before
    assert call(copied["half"], "unpack", str(further / "states.zip")).out == "tiny: 1 runs: 1 replaced\n"


def test_a_run_that_a_process_works_on_is_not_touched(away: Path, copied: dict[str, Path]) -> None:
    before = contents(copied["half"] / "runs")
    with held(only_run(copied["half"]).lock, timeout_s=1.0) as mine:
        assert mine
        said = call(copied["half"], "unpack", str(away / "results.zip"))
    assert (said.code, said.out) == (1, "tiny: 1 runs: 1 in work\n")
    assert "unpack again at its end" in said.err
    assert (
        contents(only_run(copied["half"]).root).items()
        <= {name.split("/", 2)[2]: content for name, content in before.items() if name.count("/") > 1}.items()
    )


def test_a_run_that_a_process_works_on_is_packed_as_committed(copied: dict[str, Path], home: Path) -> None:
    run = only_run(copied["away"])
    with run.metrics.open("ab") as records, held(run.lock, timeout_s=1.0):
        records.write(b'{"step": 28, "torn')
        records.flush()
        said = call(copied["away"], "pack", "tiny.toml", "-o", "live.zip", "--json")
    assert said.document["in_work"] == [run.root.name]
    assert "pack again at the end" in said.err
    assert call(home, "unpack", str(copied["away"] / "live.zip")).code == 0
    assert statuses(home / "tiny.toml")["baseline seed 0"].state == "complete"


def test_a_damaged_run_is_left_out_and_said(copied: dict[str, Path]) -> None:
    run = only_run(copied["away"])
    run.checkpoint(24).write_bytes(b"no weights")
    said = call(copied["away"], "pack", "tiny.toml", "-o", "rest.zip", "--json")
    assert said.code == 1
    assert list(said.document["left_out"]) == [run.root.name]
    assert "harness run FILE` mends it" in said.err
    with zipfile.ZipFile(copied["away"] / "rest.zip") as archive:
        assert not [name for name in archive.namelist() if run.root.name in name]


def test_a_zip_is_not_written_over(copied: dict[str, Path]) -> None:
    (copied["away"] / "mine.zip").write_text("mine")
    assert "add --force" in refusal(copied["away"], "pack", "tiny.toml", "-o", "mine.zip")
    assert (copied["away"] / "mine.zip").read_text() == "mine"
    assert call(copied["away"], "pack", "tiny.toml", "-o", "mine.zip", "--force").code == 0
    assert "no such folder" in refusal(copied["away"], "pack", "tiny.toml", "-o", "nowhere/mine.zip")
    assert "nothing to pack" in refusal(copied["away"], "pack", "tiny.toml", "--runs-dir", "elsewhere")


def test_an_edited_file_is_told_and_the_used_one_travels(copied: dict[str, Path], home: Path) -> None:
    (copied["away"] / "tiny.toml").write_text(ALONE + "\n# a thought\n")
    assert "was edited since" in call(copied["away"], "pack", "tiny.toml", "-o", "edited.zip").err
    call(home, "unpack", str(copied["away"] / "edited.zip"))
    assert (home / "runs/tiny/experiment.toml").read_text() == ALONE


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_leaves_no_half_zip_and_no_half_run(away: Path, home: Path) -> None:
    program = (
        "import resource, sys; from harness.cli.app import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); main()"
    )
    before = contents(away)
    for place, arguments in (
        (away, ["pack", "tiny.toml", "-o", "full.zip"]),
        (home, ["unpack", str(away / "results.zip")]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], cwd=place, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 2, done.stderr
        assert "cannot write: File too large" in done.stderr
    assert contents(away) == before
    assert contents(home).keys() == {"tiny.toml"}
    assert not list((home / "runs").iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.store.pack_reading import opened_pack
from harness.store.unpacking import unpack

left = 0

def counted(move):
    def moved(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(*arguments, **named)
    return moved

os.rename, os.replace = counted(os.rename), counted(os.replace)
for moves, place in enumerate(sys.argv[2:]):
    child = os.fork()
    if child == 0:
        os.chdir(place)
        left = moves
        with opened_pack(Path(sys.argv[1])) as pack:
            unpack(pack, Path("runs"), Path("reports/tiny"))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""Unpacks once in each folder, killed before the first, second, third ... file or folder is moved."""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_killed_anywhere_the_run_is_old_or_new_and_a_second_call_finishes(
    is_there: bool, away: Path, halfway: Path, tmp_path: Path
) -> None:
    places = [tmp_path / str(moves) for moves in range(9)]
    for place in places:
        shutil.copytree(halfway, place) if is_there else home_of(away, place)
    command = [sys.executable, "-c", KILLED, str(away / "results.zip"), *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    codes = list(map(int, done.stdout.split()))
    assert set(codes) == {-9, 0}, done.stderr
    assert codes.count(-9) >= 3
    seen = [_state(place) for place in places]
    assert set(seen) <= {"complete", "interrupted" if is_there else "pending", "pending"}
    assert [state for code, state in zip(codes, seen, strict=True) if code == 0] == ["complete"] * codes.count(0)
    assert seen.count("pending") <= (1 if is_there else 9)  # between two moves the old run is kept aside
    for place in places:
        assert call(place, "unpack", str(away / "results.zip")).code == 0
        assert _state(place) == "complete"
        assert not [*(place / "runs").glob(".*"), *(place / "runs/tiny").glob(".*")]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_run_kept_aside_by_a_killed_call_comes_back(away: Path, halfway: Path, copied: dict[str, Path]) -> None:
    """Even where the next call brings something else."""
    run = only_run(copied["half"])
    before = contents(run.root)
    aside = run.root.parent / ".tiny.unpacking-abc"
    (aside / "old").mkdir(parents=True)
    (aside / "runs").mkdir()
    run.root.rename(aside / "old" / run.root.name)
    assert _state(copied["half"]) == "pending"
    assert call(copied["half"], "unpack", str(halfway / "results.zip")).out == "tiny: 1 runs: 1 here already\n"
    assert contents(run.root) == before
    assert not aside.exists()


def _state(place: Path) -> str:
    return statuses(place / "tiny.toml")["baseline seed 0"].state


def test_two_unpackings_at_once_are_one(away: Path, copied: dict[str, Path]) -> None:
    def once(_: int) -> None:
        with opened_pack(away / "results.zip") as pack:
            unpack(pack, copied["half"] / "runs", copied["half"] / "reports" / "tiny")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))
    assert _state(copied["half"]) == "complete"
    assert not list((copied["half"] / "runs" / "tiny").glob(".*"))


def test_runs_of_other_images_or_extractors_make_no_one_experiment(away: Path, copied: dict[str, Path]) -> None:
    here = ExperimentManifest("tiny", 1, {"digits": "a" * 64}, {"known": "c" * 64, "late": None}, {"digits": 9})
    other = ExperimentManifest("tiny", 4, {"digits": "a" * 64, "more": "d" * 64}, {"late": "e" * 64, "gone": None})
    joined = joined_manifests(here, other, "runs/tiny")
    assert (joined.threads, joined.data_sha256) == (1, {"digits": "a" * 64, "more": "d" * 64})
    assert joined.weights_sha256 == {"known": "c" * 64, "late": "e" * 64, "gone": None}
    with pytest.raises(StoreError, match="trained on other images"):
        joined_manifests(here, ExperimentManifest("tiny", 1, {"digits": "b" * 64}), "runs/tiny")
    with pytest.raises(StoreError, match="measured with other weights"):
        joined_manifests(here, ExperimentManifest("tiny", 1, {}, {"known": "f" * 64}), "runs/tiny")


def test_own_files_travel_and_their_place_is_told(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "norms.py").write_text("from torch import nn\n\nclass Plain(nn.BatchNorm2d):\n    pass\n")
    text = ALONE.replace("batch_size = 32", 'batch_size = 32\ngenerator_normalization = "norms.py:Plain"')
    here = Path.cwd()
    os.chdir(away)
    try:
        trained(away, text=text, machine=RENTED)
    finally:
        os.chdir(here)
    call(away, "pack", "tiny.toml")
    home = home_of(away, tmp_path / "home")
    said = call(home, "unpack", str(away / "tiny.zip"))
    (copy,) = (home / "runs/tiny/source").rglob("norms.py")
    assert f"names norms.py, which is not here; a copy lies at {copy}" in said.err
    shutil.copy(copy, home)
    assert "nothing to do" in call(home, *NOTHING).err


def test_the_report_here_is_the_one_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_nothing(monkeypatch)
    away = tmp_path / "away"
    trained(away, text=TINY.replace("[report]", '[report]\nsections = ["comparison", "problems"]'), machine=RENTED)
    call(away, "report", "tiny.toml", "--format", "md")
    (away / "reports/tiny/notes").mkdir()
    (away / "reports/tiny/notes/summary.md").write_text("What I think.")
    call(away, "report", "tiny.toml", "--format", "md")
    call(away, "pack", "tiny.toml")
    home = home_of(away, tmp_path / "home")
    said = call(home, "unpack", str(away / "tiny.zip"), "--json")
    assert said.document["report"] == str(Path("reports/tiny"))
    assert contents(home / "reports") == contents(away / "reports")
    assert call(home, "report", "tiny.toml", "--verify", "reports/tiny").code == 0
    shutil.rmtree(home / "reports/tiny/tables", ignore_errors=True)
    (home / "reports/tiny/report.md").unlink()
    call(home, "report", "tiny.toml", "--format", "md")
    assert contents(home / "reports") == contents(away / "reports")
    assert experiment_directory(home / "runs", "tiny").reports.is_file()


def test_a_report_that_lies_here_stays(away: Path, home: Path, copied: dict[str, Path]) -> None:
    (copied["away"] / "reports/tiny").mkdir(parents=True)
    (copied["away"] / "reports/tiny/report.json").write_text('{"files": {"report.md": ""}}')
    (copied["away"] / "reports/tiny/report.md").write_text("theirs")
    (copied["away"] / "reports/tiny/thesis.docx").write_text("no part of it")
    call(copied["away"], "pack", "tiny.toml", "-o", "with.zip")
    (home / "reports/tiny").mkdir(parents=True)
    (home / "reports/tiny/report.md").write_text("mine")
    said = call(home, "unpack", str(copied["away"] / "with.zip"))
    assert "holds another report, and stays" in said.err
    assert contents(home / "reports") == {"tiny/report.md": b"mine"}
    shutil.rmtree(home / "reports")
    call(home, "unpack", str(copied["away"] / "with.zip"))
    assert contents(home / "reports").keys() == {"tiny/report.md", "tiny/report.json"}
