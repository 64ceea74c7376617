"""live.html: what it shows while runs go on and when they are done, and that it stops nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import pytest
from report_data import Story, live, many_cells, small_plan
from typer.testing import CliRunner

from experiments import TINY, harness, opened, run_here, write_file
from harness.cli.app import app
from harness.cli.live import LEFT_OVER_S, LiveScreen
from harness.execution.events import Event
from harness.report.figures.style import cell_styles
from harness.report.live import LivePage, render_live
from harness.report.live_reader import LiveReader
from harness.report.palette import cell_colors
from harness.report.policy import source_hash
from harness.report.svg_chart import Series, chart, thinned
from harness.store.locks import held
from harness.store.records import append_record
from harness.store.rundir import experiment_directory

SHORT = TINY.replace("[report]\n", '[report]\nsections = ["comparison"]\n')
RUN = ("run", "tiny.toml", "--tracking-uri", "none")
DONE = LivePage("small", "8 runs: 8 complete; the command is done", 1.7e9, False, "FID", [("report.md", "report.md")])
RUNNING = LivePage("small", "8 runs: 2 running", 1.7e9, True, "FID")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("live")
    write_file(folder, SHORT)
    return folder, harness(*RUN, "--executor", "inline", cwd=folder)


def test_its_path_is_the_first_line_and_the_page_shows_every_run(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"live: {Path('reports', 'tiny', 'live.html')}"
    page = (folder / "reports" / "tiny" / "live.html").read_text(encoding="utf-8")
    assert "2 runs: 2 complete; the command is done" in page
    assert 'http-equiv="refresh"' not in page
    assert page.count('class="state complete"') == 2
    assert 'href="report.md"' in page
    assert len(re.findall("<polyline", page)) == 2 + 2 * 2  # FID of both cells, two losses of each
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert len(shown) == 2
    for address in shown:
        assert (folder / "reports" / "tiny" / unquote(address)).is_file()


def test_it_says_nothing_where_nothing_is_to_do(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = finished
    page = folder / "reports" / "tiny" / "live.html"
    before = page.stat().st_mtime_ns
    again = harness(*RUN, cwd=folder)
    assert again.stderr.startswith("nothing to do")
    assert page.stat().st_mtime_ns == before


def test_without_a_report_there_is_none(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    write_file(tmp_path, SHORT)
    monkeypatch.chdir(tmp_path)
    sets = ("--set", "training.steps=28", "--only", "baseline")
    done = CliRunner().invoke(app, [*RUN, "--executor", "inline", "--no-report", "--json", *sets])
    assert done.exit_code == 0, done.stderr
    assert "1 runs: 1 complete" in done.stderr
    assert "live" not in done.stderr and not (tmp_path / "reports").exists()


def test_while_a_grid_trains_the_page_reads_itself_again(tmp_path: Path) -> None:
    write_file(tmp_path, TINY)
    command = [sys.executable, "-m", "harness", *RUN, "--set", "training.steps=100000", "--workers", "1"]
    page = tmp_path / "reports" / "tiny" / "live.html"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            text = ""
            while time.monotonic() < deadline and 'class="state running"' not in text:
                time.sleep(0.2)
                text = page.read_text(encoding="utf-8") if page.exists() else ""
            assert '<meta http-equiv="refresh" content="5">' in text
            assert 'class="state running"' in text and 'class="state pending"' in text
        finally:
            process.terminate()
        _, told = process.communicate(timeout=60)
    assert told.splitlines()[0].startswith("live: ")
    text = page.read_text(encoding="utf-8")
    assert "stopped; the same command goes on from there" in text and 'http-equiv="refresh"' not in text


def test_the_page_is_made_without_heavy_libraries(tmp_path: Path) -> None:
    live(small_plan(), tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.design.expansion import expand\n"
        "from harness.design.experiment import Experiment\n"
        "from harness.report.live import LivePage, render_live\n"
        "from harness.report.live_reader import LiveReader\n"
        "import harness.cli.live\n"
        "plan = expand(Experiment.model_validate({'name': 'small', 'baseline': {'resolution': 16, 'latent_dim': 16},"
        " 'training': {'steps': 400, 'log_every': 10, 'checkpoint_every': 200},"
        " 'evaluation': [{'samples': 100, 'repeats': 3}]}))\n"
        "reader = LiveReader(plan, Path(sys.argv[1]))\n"
        "page = LivePage('small', 'told', 0.0, True, reader.metric)\n"
        "assert 'polyline' in render_live(page, reader.look(), Path('reports'))\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'mlflow', 'seaborn', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_hundred_runs_take_less_than_a_tenth_of_a_second(tmp_path: Path) -> None:
    """Of which as many are worked on, and read at every look, as a large machine has workers."""
    plan = many_cells(50)
    live(plan, tmp_path, {cell.name: Story(pictured=False) for cell in plan.cells})
    found = experiment_directory(tmp_path, "small").runs()
    reader = LiveReader(plan, tmp_path)
    took = []
    with ExitStack() as locks:
        for run in plan.runs[:16]:
            assert locks.enter_context(held(found[run.key[:8]].lock, timeout_s=1.0))
        assert len(reader.look()) == 100  # the first look reads everything
        for _ in range(5):
            started = time.process_time()
            page = render_live(RUNNING, reader.look(), tmp_path / "reports")
            took.append(time.process_time() - started)
    assert page.count("<tr>") > 100 and page.count('class="state running"') == 16
    assert min(took) < 0.1


def test_text_of_people_is_escaped_and_states_are_told(tmp_path: Path) -> None:
    plan = small_plan(labels={"normalization=none": "<script>alert(1)</script>"})
    live(plan, tmp_path, {"latent_dim=100": Story("diverged", reached=200)})
    text = render_live(DONE, LiveReader(plan, tmp_path).look(), tmp_path)
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    assert f"script-src '{source_hash(script)}'; connect-src 'none'" in text
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "loss/generator is not finite | &lt;script&gt;" in text
    assert text.count('class="state diverged"') == 2
    assert "Not begun yet" not in text


def test_what_has_not_begun_is_shown_as_pending(tmp_path: Path) -> None:
    text = render_live(RUNNING, LiveReader(small_plan(), tmp_path).look(), tmp_path)
    assert text.count('class="state pending"') == 8
    assert "No checkpoint has been measured yet." in text and "Not begun yet." in text


def test_only_what_changed_is_read_again_and_a_cut_file_from_its_beginning(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    run_here(path)
    reader = LiveReader(opened(path).plan, tmp_path / "runs")
    (first,) = reader.look()
    (again,) = reader.look()
    assert again is first
    assert [step for step, _ in first.losses["loss/generator"]] == [4, 8, 12, 16, 20, 24]
    assert first.measured[-1][0] == 24 and first.samples is not None and first.samples[0] == 24
    metrics = next((tmp_path / "runs" / "tiny").glob("*/metrics.jsonl"))
    append_record(metrics, {"step": 28, "n": 4, "seconds": 0.2, "loss/generator": 9.0, "time": 0.0})
    (grown,) = reader.look()
    assert grown.losses["loss/generator"][-1] == (28.0, 9.0)
    assert grown.seconds_per_step == pytest.approx(0.05)
    assert grown.images_per_second == pytest.approx(32 / 0.05)
    metrics.write_bytes(b"".join(metrics.read_bytes().splitlines(keepends=True)[:2]))
    (cut,) = reader.look()
    assert [step for step, _ in cut.losses["loss/generator"]] == [4, 8]
    metrics.write_bytes(metrics.read_bytes().splitlines(keepends=True)[0])
    for step in (12, 16, 20):  # cut and grown past its former end between two looks
        append_record(metrics, {"step": step, "n": 4, "seconds": 0.25, "loss/generator": 1.5, "time": 0.0})
    (caught_up,) = reader.look()
    assert [step for step, _ in caught_up.losses["loss/generator"]] == [4, 12, 16, 20]


def test_a_page_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports").write_text("a file where the folder must be")
    with LiveScreen(small_plan(), tmp_path / "runs", tmp_path / "reports" / "small", lambda: False) as screen:
        screen.observe(Event("started", "baseline seed 0", 0, 400))
    told = capsys.readouterr().err
    assert told.count("warning: the live page is not up to date") == 1
    assert "training goes on" in told and "live: " not in told


def test_pages_that_killed_commands_left_half_written_are_removed(tmp_path: Path) -> None:
    output = tmp_path / "reports"
    output.mkdir()
    old, new = (output / f".live.html.{pid}.tmp" for pid in (1, 2))
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (time.time() - 2 * LEFT_OVER_S,) * 2)
    with LiveScreen(small_plan(), tmp_path / "runs", output, lambda: False):
        pass
    assert not old.exists() and new.exists()


def test_a_failing_look_is_told_and_the_block_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LiveReader) -> None:
        raise RuntimeError("nothing works")

    monkeypatch.setattr(LiveReader, "look", broken)
    with LiveScreen(small_plan(), tmp_path / "runs", tmp_path / "reports", lambda: False):
        pass
    assert capsys.readouterr().err == "warning: the live page is not up to date: nothing works; training goes on\n"


def test_an_error_is_said_on_the_last_page(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="broken"),
        LiveScreen(small_plan(), tmp_path / "runs", tmp_path / "reports", lambda: False),
    ):
        raise ValueError("broken")
    assert "8 runs: 8 pending; stopped by an error" in (tmp_path / "reports" / "live.html").read_text()


def test_a_checkpoint_has_the_page_written_soon(tmp_path: Path) -> None:
    with LiveScreen(small_plan(), tmp_path / "runs", tmp_path / "reports", lambda: False) as screen:
        page = tmp_path / "reports" / "live.html"
        before = page.stat().st_mtime_ns
        screen.observe(Event("progress", "baseline seed 0", 190, 400))
        time.sleep(0.5)
        assert page.stat().st_mtime_ns == before
        screen.observe(Event("progress", "baseline seed 0", 200, 400))
        deadline = time.monotonic() + 5
        while page.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert page.stat().st_mtime_ns > before


def test_colors_are_those_of_the_figures() -> None:
    baselines = [True, *[False] * 9]
    assert cell_colors(baselines) == [style.color for style in cell_styles(baselines)]


def test_charts_hold_their_points() -> None:
    drawn = chart([Series("a", "red", [(0.0, 1.0), (100.0, 3.0)])], 100, 200, 100)
    assert drawn is not None and not drawn.is_logarithmic
    (line,) = drawn.lines
    assert all(drawn.left <= x <= drawn.right and drawn.top <= y <= drawn.bottom for x, y in line.dots)
    assert [tick.label for tick in drawn.y_ticks] == ["1", "1.5", "2", "2.5", "3"]
    wide = chart([Series("a", "red", [(0.0, 1.0), (50.0, float("nan")), (100.0, 3000.0)])], 100, 200, 100)
    assert wide is not None and wide.is_logarithmic and len(wide.lines[0].dots) == 2
    assert chart([Series("a", "red", [(0.0, float("inf"))])], 100, 200, 100) is None
    flat = chart([Series("a", "red", [(0.0, 0.0), (1.0, 0.0)])], 1, 200, 100)
    assert flat is not None and len(flat.y_ticks) > 1


def test_thinned_points_keep_means_and_the_end() -> None:
    points = [(float(step), float(step % 2)) for step in range(1, 101)]
    few = thinned(points, 10)
    assert len(few) == 10 and few[-1][0] == 100.0
    assert all(value == 0.5 for _, value in few)
    assert thinned(points, 100) == points
