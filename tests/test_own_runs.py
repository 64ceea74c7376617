"""Experiments with parts of one's own, from the file to the weights: copies, edits, resuming, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import TINY, final_tensors, harness, opened, run_directories, run_here, statuses, views, write_file
from harness.errors import DataError, HarnessError, OwnPartError
from harness.execution.events import Event
from harness.gan.preflight import PreflightError
from harness.store import atomic
from harness.store.manifest import read_run_manifest
from harness.store.rundir import ExperimentDirectory

NETS = """
import torch
from torch import nn
import blocks


class Net(nn.Module):
    def __init__(self, latent_dim, channels, resolution, alpha=0.5):
        super().__init__()
        self.shape = (channels, resolution, resolution)
        self.first = nn.Linear(latent_dim, blocks.WIDTH)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(blocks.WIDTH, channels * resolution ** 2)
        self.alpha = alpha

    def forward(self, z):
        features = torch.relu(self.first(z)) * self.alpha
        return torch.tanh(self.last(self.drop(features))).view(len(z), *self.shape)
"""

OWN = TINY.replace(
    'levels.architecture = ["mlp"]',
    'levels.generator = ["nets.py:Net"]\n\n[[cell]]\ngenerator = "nets.py:Net"\nown.alpha = 2.0',
).replace("[baseline]", "[baseline]\nown.alpha = 0.5")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three cells, two of them with a generator of one's own, in the current folder."""
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "blocks.py").write_text("WIDTH = 12\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return write_file(tmp_path, OWN)


def weights(folder: Path) -> dict[str, str | None]:
    """SHA-256 of the last checkpoint of each run in an experiment's folder, by key8."""
    runs = ExperimentDirectory(folder).runs()
    return {key: atomic.stored_hash(run.checkpoint(24)) for key, run in runs.items()}


def test_files_may_be_edited_while_a_grid_trains(path: Path) -> None:
    file = opened(path)
    own = [run for run in file.plan.runs if run.cell.hyperparameters.generator == "nets.py:Net"]
    assert len(own) == 2
    run_here(path)
    expected = weights(path.parent / "runs" / "tiny")
    other = path.parent / "edited"
    events: list[Event] = []

    class Editing(list[Event]):
        def append(self, event: Event) -> None:
            if event.kind == "started":  # before the run imports anything
                Path("nets.py").write_text("broken(\n", encoding="utf-8")
                Path("blocks.py").write_text("WIDTH = 99\n", encoding="utf-8")
            events.append(event)

    run_here(path, runs_dir=other, events=Editing())
    assert weights(other / "tiny") == expected
    assert Path("nets.py").read_text(encoding="utf-8") == "broken(\n"


def test_an_edit_makes_new_runs_at_the_next_call_and_a_comment_none(path: Path) -> None:
    run_here(path)
    Path("blocks.py").write_text("# wide enough\nWIDTH = 12\n", encoding="utf-8")
    assert run_here(path).results == {}
    Path("blocks.py").write_text("WIDTH = 13\n", encoding="utf-8")
    assert {status.state for status in statuses(path).values()} == {"complete", "pending"}
    results = run_here(path).results
    own = {run.key for run in opened(path).plan.runs if run.cell.hyperparameters.generator != "cnn"}
    assert set(results) == own
    assert {result.outcome for result in results.values()} == {"finished"}
    assert len(run_directories(path)) == 5


def test_run_json_says_of_which_sources_a_run_is_made(path: Path) -> None:
    run_here(path)
    plan = opened(path).plan
    for run in plan.runs:
        manifest = read_run_manifest(run_directories(path)[run.key[:8]])
        assert manifest is not None
        is_own = run.cell.hyperparameters.generator == "nets.py:Net"
        assert manifest.sources == ({"nets.py": plan.sources["nets.py"].sha256} if is_own else {})


def test_an_own_part_resumes_bit_for_bit(path: Path, tmp_path: Path) -> None:
    run_here(path, "training.steps=13")
    run_here(path)
    run_here(path, runs_dir=tmp_path / "straight")
    straight = ExperimentDirectory(tmp_path / "straight" / "tiny").runs()
    assert straight.keys() == run_directories(path).keys()
    for key, run in run_directories(path).items():
        found, expected = final_tensors(run), final_tensors(straight[key])
        assert expected.keys() == found.keys()
        assert all(tensor.equal(found[name]) for name, tensor in expected.items())


def test_worker_processes_give_the_same_weights(path: Path, tmp_path: Path) -> None:
    run_here(path)
    options = ["--device", "cpu", "--tracking-uri", "none", "--no-report", "--workers", "1"]
    done = harness("run", path.name, "--runs-dir", "local", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "local" / "tiny") == weights(tmp_path / "runs" / "tiny")


def test_a_network_that_does_not_work_stops_all_before_anything_trains(path: Path) -> None:
    Path("nets.py").write_text(NETS.replace("channels * resolution ** 2", "channels * resolution"), encoding="utf-8")
    with pytest.raises(HarnessError, match=r"nets.py:\d+: .*\(cell generator=nets.py:Net\)") as caught:
        run_here(path)
    assert isinstance(caught.value, PreflightError | OwnPartError)
    assert caught.value.exit_code == 2
    assert run_directories(path) == {}


def test_what_looks_wrong_is_told_once_and_trained(path: Path) -> None:
    unused = NETS.replace("self.alpha = alpha", "self.alpha = alpha\n        self.spare = nn.Parameter(torch.ones(3))")
    Path("nets.py").write_text(unused, encoding="utf-8")
    events: list[Event] = []
    run_here(path, events=events)
    assert sum("spare gets no gradient" in event.text for event in events) == 1
    assert {status.state for status in statuses(path).values()} == {"complete"}


def test_an_error_in_the_middle_is_told_at_the_users_line_and_stops_nobody(path: Path) -> None:
    late = NETS.replace(
        "        features =", "        self.calls = getattr(self, 'calls', 0) + 1\n        if self.calls > 19:\n"
        "            raise ValueError('tired')\n        features =",
    )  # fmt: skip
    Path("nets.py").write_text(late, encoding="utf-8")
    run_here(path)
    found = views(path)
    line = 1 + late.splitlines().index("            raise ValueError('tired')")
    failed = found["generator=nets.py:Net seed 0"]
    assert failed.status.state == "failed"
    assert failed.status.reason == f"nets.py:{line}: training: ValueError: tired"
    assert found["baseline seed 0"].status.state == "complete"
    assert failed.directory is not None
    log = failed.directory.log.read_text(encoding="utf-8")
    assert "Traceback" in log and "ValueError: tired" in log  # for whoever wrote the part


def test_modules_keep_no_state_from_run_to_run(path: Path) -> None:
    counting = NETS.replace("import blocks", "import blocks\n\nmade = []").replace(
        "        super()", "        made.append(1)\n        assert len(made) <= 3, made\n        super()"
    )
    Path("nets.py").write_text(counting, encoding="utf-8")
    many = OWN.replace("own.alpha = 2.0", "own.alpha = 2.0\nseeds = [0, 1, 2, 3]").replace("seeds = [0]\n", "", 1)
    write_file(path.parent, many.replace("[[evaluation]]", "[[evaluation]]\nat = 'last'"))
    run_here(path, "training.checkpoint_every=24")
    assert {status.state for status in statuses(path, "training.checkpoint_every=24").values()} == {"complete"}


DATA = """
import numpy as np


def load(root):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (96, 10, 12), dtype=np.uint8) // {divisor}
"""


def own_data(path: Path, text: str, **options: object) -> Path:
    Path("mydata.py").write_text(text, encoding="utf-8")
    said = "".join(f"{name} = {value}\n" for name, value in options.items())
    table = f'[data]\nsource = "mydata.py:load"\ncolor = "gray"\n{said}\n[baseline]'
    grid = TINY.index("[[grid]]")
    return write_file(path.parent, TINY[:grid].replace("[baseline]", table).replace("reference = 200\n", ""))


def test_own_images_are_trained_on_and_an_edit_of_them_starts_anew(path: Path) -> None:
    own_data(path, DATA.format(divisor=1))
    run_here(path)
    assert {status.state for status in statuses(path).values()} == {"complete"}
    manifest = read_run_manifest(next(iter(run_directories(path).values())))
    assert manifest is not None
    assert set(manifest.sources) == {"mydata.py"}
    assert run_here(path).results == {}
    own_data(path, DATA.format(divisor=2))
    assert {status.state for status in statuses(path).values()} == {"pending"}
    assert {result.outcome for result in run_here(path).results.values()} == {"finished"}
    own_data(path, DATA.format(divisor=1))
    assert run_here(path).results == {}
    assert run_here(path, "training.steps=30").results != {}


def test_own_code_that_gives_other_images_without_an_edit_is_refused(path: Path) -> None:
    own_data(path, "import numpy as np\n\n\ndef load(root):\n    return np.load('images.npy')\n")
    np.save("images.npy", np.full((96, 8, 8), 7, dtype=np.uint8))
    run_here(path)
    np.save("images.npy", np.full((96, 8, 8), 8, dtype=np.uint8))
    with pytest.raises(DataError, match=r"^mydata.py:load: the images are not those of the first run"):
        run_here(path, "training.steps=30")


def test_epochs_are_counted_from_images_that_are_checked(path: Path) -> None:
    own_data(path, DATA.format(divisor=1), images=96)
    sets = ("training={epochs=4, log_every=4}",)
    run_here(path, *sets)
    assert {(status.state, status.step) for status in statuses(path, *sets).values()} == {("complete", 12)}
    own_data(path, DATA.format(divisor=1), images=100)
    with pytest.raises(
        DataError, match=r"^data.images: images = 100 is not the 96 images there are\n  Say images = 96;"
    ):
        run_here(path, *sets, runs_dir=path.parent / "other")


def test_an_error_of_the_users_ends_the_command_with_2_and_no_traceback(path: Path, tmp_path: Path) -> None:
    own_data(path, "def load(root):\n    return open(root + '/nowhere.bin').read()\n")
    done = harness("run", path.name, "--executor", "inline", "--tracking-uri", "none", "--no-report", cwd=tmp_path)
    assert done.returncode == 2
    assert "mydata.py:2: calling mydata.py:load: FileNotFoundError" in done.stderr.replace("\n", " ").replace("  ", " ")
    assert "Traceback" not in done.stderr
