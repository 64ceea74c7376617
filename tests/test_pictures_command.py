"""`harness sample --classes`, `interpolate` and `progress`: what they write, what they print, what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import TINY, harness, run_here, write_file
from harness.cli.app import app
from harness.errors import HarnessError

AVERAGED = TINY.replace("batch_size = 32", "batch_size = 32\nema_decay = 0.5")


def call(*arguments: str) -> None:
    """A command in this process; HarnessError comes through."""
    app(list(arguments), standalone_mode=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs that keep a moving average, and checkpoints at 12 and 24."""
    path = write_file(tmp_path_factory.mktemp("pictures"), AVERAGED)
    run_here(path)
    return path.parent


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with the runs beside it."""
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path, AVERAGED)
    (tmp_path / "runs").symlink_to(finished / "runs")
    return tmp_path


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def settings_of(path: str) -> tuple[dict[str, str], dict[str, Any]]:
    with Image.open(path) as picture:
        picture.load()
        texts = {str(name): str(text) for name, text in picture.info.items()}
    return texts, json.loads(texts.pop("harness:settings"))


def test_interpolate_writes_what_it_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("interpolate", "tiny.toml", "--cell", "baseline", "--json")
    told = document(capsys)
    assert told.keys() == {"cell", "seed", "key", "step", "file", "settings"}
    assert (told["cell"], told["seed"], told["step"]) == ("baseline", 0, 24)
    assert told["file"] == f"baseline--s0--{told['key'][:8]}--step-000024--interpolations.png"
    assert told["settings"] == {
        "pairs": 5, "points": 10, "path": "lerp", "from": 0.0, "to": 1.0, "weights": "raw",
    }  # fmt: skip
    texts, settings = settings_of(told["file"])
    assert settings == told["settings"]
    assert (texts["harness:key"], texts["harness:step"]) == (told["key"], "24")


def test_interpolate_takes_every_setting(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(
        "interpolate", "tiny.toml", "--cell", "architecture=mlp", "--pairs", "2", "--points", "7", "--path", "slerp",
        "--from", "-0.5", "--to", "1.5", "--step", "12", "--seed", "0", "--weights", "ema", "--output", "new/walk.png",
        "--json",
    )  # fmt: skip
    told = document(capsys)
    assert (told["cell"], told["step"], told["file"]) == ("architecture=mlp", 12, str(Path("new/walk.png")))
    texts, settings = settings_of("new/walk.png")
    assert settings == told["settings"] == {
        "pairs": 2, "points": 7, "path": "slerp", "from": -0.5, "to": 1.5, "weights": "ema",
    }  # fmt: skip
    assert texts["harness:step"] == "12"
    call("interpolate", "tiny.toml", "--cell", "architecture=mlp", "--pairs", "2", "--points", "7", "--path", "slerp",
         "--from", "-0.5", "--to", "1.5", "--step", "12", "--output", "raw.png")  # fmt: skip
    assert Path("raw.png").read_bytes() != Path("new/walk.png").read_bytes()
    assert "baseline" not in capsys.readouterr().err


def test_progress_shows_all_checkpoints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("progress", "tiny.toml", "--cell", "baseline", "--count", "3", "--json")
    told = document(capsys)
    assert told.keys() == {"cell", "seed", "key", "steps", "file", "settings"}
    assert told["steps"] == [12, 24]
    assert told["file"] == f"baseline--s0--{told['key'][:8]}--progress.png"
    texts, settings = settings_of(told["file"])
    assert list(settings.pop("checkpoints")) == ["12", "24"]
    assert settings == told["settings"] == {"images": 3, "weights": "raw"}
    assert texts["harness:key"] == told["key"]
    with Image.open(told["file"]) as three:
        call("progress", "tiny.toml", "--cell", "baseline", "--output", "more.png", "--weights", "ema")
        with Image.open("more.png") as eight:
            assert eight.width - three.width == 5 * 50 and eight.height == three.height
    assert "baseline seed 0, 2 checkpoints: more.png" in capsys.readouterr().err


def test_sample_tells_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--json")
    told = document(capsys)
    assert told["file"] == f"baseline--s0--{told['key'][:8]}--step-000024--classes.png"
    _, settings = settings_of(told["file"])
    assert settings.pop("grid_width") > 8 * 8
    assert settings == told["settings"]
    assert (settings["images"], settings["extractor"], settings["weights"]) == (64, "digits", "raw")
    assert settings["resolution"] == 8
    assert re.fullmatch("[0-9a-f]{64}", settings["extractor_sha256"])
    assert list(settings["counts"]) == list("0123456789") and sum(settings["counts"].values()) == 64
    call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--count", "50", "--output", "c.PNG")
    _, settings = settings_of("c.PNG")
    counts = ", ".join(f"{name}: {count}" for name, count in settings["counts"].items() if count)
    how = "digits at 8 pixels, raw weights"
    assert f"c.PNG\nimages by class ({how}): {counts}\n" in capsys.readouterr().err


def test_classes_are_told_of_the_weights_asked_for_at_the_protocols_resolution(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(here, AVERAGED.replace("samples = 64", "samples = 64\nresolution = 28"))
    counts = {}
    for weights in ("raw", "ema"):
        call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--count", "500", "--weights", weights,
             "--output", f"{weights}.png", "--json")  # fmt: skip
        told = document(capsys)["settings"]
        assert (told["resolution"], told["weights"]) == (28, weights)
        written = settings_of(f"{weights}.png")[1]
        assert written.pop("grid_width") > 8 * 28 and written == told
        counts[weights] = told["counts"]
    assert counts["raw"] != counts["ema"]


def test_the_first_extractor_that_is_there_tells_classes(
    here: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = '[[evaluation]]\nextractor = "trained"\nextractor_weights = "nothing.safetensors"\nrequired = false\n\n'
    monkeypatch.chdir(finished)
    write_file(finished, AVERAGED.replace("[[evaluation]]", absent + "[[evaluation]]"))
    run_here(finished / "tiny.toml")
    call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--output", str(here / "c.png"), "--json")
    assert document(capsys)["settings"]["extractor"] == "digits"
    write_file(finished, re.sub(r"\[\[evaluation\]\].*?\n\n", absent, AVERAGED, flags=re.DOTALL))
    with pytest.raises(HarnessError, match="the weights of the extractors that could tell classes are missing"):
        call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--output", str(here / "d.png"))
    write_file(finished, AVERAGED)
    run_here(finished / "tiny.toml")


def test_sample_without_classes_is_what_it_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("sample", "tiny.toml", "--cell", "baseline", "--count", "9", "--json")
    told = document(capsys)
    assert told["settings"] == {"images": 9, "weights": "raw"}
    assert told["file"] == f"baseline--s0--{told['key'][:8]}--step-000024.png"
    with Image.open(told["file"]) as picture:
        assert picture.info["harness:samples"] == "9"


def test_a_file_without_evaluation_needs_a_named_classifier(
    here: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(here, re.sub(r"\[\[evaluation\]\].*?\n\n", "", AVERAGED, flags=re.DOTALL))
    with pytest.raises(HarnessError, match=r"no \[\[evaluation\]\] whose extractor could tell classes\n.*--extractor"):
        call("sample", "tiny.toml", "--cell", "baseline", "--classes")
    call("sample", "tiny.toml", "--cell", "baseline", "--classes", "--extractor", "digits", "--json")
    assert document(capsys)["settings"]["extractor"] == "digits"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["interpolate", "--cell", "nobody"], "no cell is called 'nobody'"),
        (["interpolate", "--cell", "baseline", "--seed", "7"], r"baseline has no seed 7; it has \[0\]"),
        (["interpolate", "--cell", "baseline", "--step", "13"], r"no checkpoint at step 13; there are \[12, 24\]"),
        (["interpolate", "--cell", "baseline", "--output", "walk.jpg"], "the picture is a PNG"),
        (["interpolate", "--cell", "baseline", "--weights", "best"], "'best' are no weights"),
        (["interpolate", "--cell", "baseline", "--path", "curve"], "'curve' is no path .* allowed: lerp, slerp"),
        (["interpolate", "--cell", "baseline", "--from", "1"], "t ends at 1, and must end behind where it begins, 1"),
        (["interpolate", "--cell", "baseline", "--from", "2", "--to", "-1"], "t ends at -1, .* begins, 2"),
        (["progress", "--cell", "nobody"], "no cell is called 'nobody'"),
        (["progress", "--cell", "baseline", "--seed", "7"], "no seed 7"),
        (["progress", "--cell", "baseline", "--output", "x"], "the picture is a PNG"),
        (["progress", "--cell", "baseline", "--weights", ""], "'' are no weights"),
        (["sample", "--cell", "baseline", "--classes", "--count", "49"], "49 images say too little of classes"),
        (["sample", "--cell", "baseline", "--classes", "--extractor", "x"], "'x' is no classifier; allowed: digits, m"),
        (["sample", "--cell", "baseline", "--extractor", "digits"], "it tells classes, which are not asked for"),
    ],
)
def test_what_cannot_be_drawn_is_refused(here: Path, arguments: list[str], message: str) -> None:
    before = sorted(here.iterdir())
    with pytest.raises(HarnessError, match=message):
        call(arguments[0], "tiny.toml", *arguments[1:])
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["interpolate", "--pairs", "0"],
        ["interpolate", "--pairs", "101"],
        ["interpolate", "--points", "1"],
        ["interpolate", "--from", "nan"],
        ["interpolate", "--to", "inf"],
        ["progress", "--count", "0"],
        ["progress", "--count", "101"],
    ],
    ids=" ".join,
)
def test_bounds_of_numbers_are_told(here: Path, arguments: list[str]) -> None:
    done = harness(arguments[0], "tiny.toml", "--cell", "baseline", *arguments[1:], cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[1] in done.stderr and "Traceback" not in done.stderr
    assert not list(here.glob("*.png"))


@pytest.mark.parametrize("command", ["interpolate", "progress"])
def test_before_the_first_checkpoint_the_next_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path)
    with pytest.raises(HarnessError, match=r"there is no checkpoint yet\n  harness run tiny.toml"):
        call(command, "tiny.toml", "--cell", "baseline")
    assert not (tmp_path / "runs").exists()


def test_runs_without_an_average_say_so_and_nothing_is_a_traceback(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    run_here(path)
    done = harness("progress", "tiny.toml", "--cell", "baseline", "--weights", "ema", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the checkpoint holds no moving average" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "taken").write_text("a file")
    done = harness("interpolate", "tiny.toml", "--cell", "best", "--output", "taken/walk.png", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert (tmp_path / "taken").read_text() == "a file"
