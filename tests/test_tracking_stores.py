"""Where tracking goes: addresses, fresh, moved, shared, absent and deleted stores, odd names, passwords."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tracking_data import (
    Laboratory,
    artifact_folder,
    assert_mirrors,
    children,
    database,
    parents,
    small_experiment,
    stored_runs,
)

from harness.errors import TrackingError
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import StoreAddress, resolve_address
from harness.tracking.ui import ui_command

pytest_plugins = ["tracking_fixtures"]


def test_whether_there_is_anything_to_do_is_told_without_mlflow(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0, 1)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    lines = [
        "import sys, json; from pathlib import Path; sys.path.insert(0, sys.argv[1])",
        "from tracking_data import Laboratory",
        "from harness.tracking.projection import is_up_to_date",
        "from harness.tracking.stores import resolve_address",
        "lab = Laboratory(Path(sys.argv[2]))",
        "done = is_up_to_date(lab.view(), resolve_address(None, lab.runs_dir))",
        "print(json.dumps([done, [name for name in ('mlflow', 'torch', 'pandas') if name in sys.modules]]))",
    ]

    def ask() -> Any:
        command = [sys.executable, "-c", "\n".join(lines), str(Path(__file__).parent), str(lab.runs_dir)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert ask() == [True, []]
    shutil.copytree(lab.directory(0).samples(20).parent, lab.directory(0).root / "copy")  # no file of the projection
    assert is_up_to_date(lab.view(), address)
    for change in (lambda: lab.start(0), lambda: lab.end(0, "finished")):
        change()
        assert not is_up_to_date(lab.view(), address)
    project(lab.view(), address)
    assert is_up_to_date(lab.view(), address)
    database(lab).unlink()
    assert not is_up_to_date(lab.view(), address)


def test_a_deleted_store_is_made_again_with_equal_content(lab: Laboratory, address: StoreAddress) -> None:
    """Also the way of a new user: no store yet, no word on the console, a runs folder with an odd name."""
    lab.complete(0, 1)
    project(lab.view(), address)
    before = {key: (run.params, sorted(run.points), run.status) for key, run in children(database(lab)).items()}
    database(lab).unlink()
    lines = [
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])",
        "from tracking_data import Laboratory",
        "from harness.tracking.projection import project, finish",
        "from harness.tracking.stores import resolve_address",
        "lab = Laboratory(Path(sys.argv[2]))",
        "project(lab.view(), resolve_address(None, lab.runs_dir))",
        "finish(lab.view(), resolve_address(None, lab.runs_dir), None)",
    ]
    command = [sys.executable, "-c", "\n".join(lines), str(Path(__file__).parent), str(lab.runs_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=lab.runs_dir.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    after = {key: (run.params, sorted(run.points), run.status) for key, run in assert_mirrors(lab).items()}
    assert after == before
    assert is_up_to_date(lab.view(), address)
    assert sorted(path.name for path in lab.runs_dir.parent.iterdir()) == ["runs"]  # no ./mlruns
    assert not list(lab.runs_dir.glob(".*.tmp*"))


def test_hostile_names_and_folders(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_RUN_ID", "no-such-run")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "12345")
    runs_dir = tmp_path / "my runs #1 100% 'ü'"
    runs_dir.mkdir()
    shutil.copy(empty_store, runs_dir / "mlflow.db")
    cells = ("../..", "a'; DROP TABLE runs; --", 'q"uo`te', "名前 😀 " + "x" * 110, "a/b:c.d|e")
    lab = Laboratory(
        runs_dir,
        small_experiment(
            name="ünïcode 1.0",
            seeds=(3,),
            cell=tuple({"name": name, "latent_dim": 7 + i} for i, name in enumerate(cells)),
        ),
    )
    lab.complete(*range(len(lab.plan.runs)))
    address = resolve_address(None, runs_dir)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    stored = assert_mirrors(lab)
    assert {run.tags["harness.cell"] for run in stored.values()} == {"baseline", *cells}
    assert {run.name for run in stored.values()} == {f"{cell} seed 3" for cell in ("baseline", *cells)}
    assert is_up_to_date(lab.view(), address)
    with connected(address) as client:
        run = client.get_run(stored[lab.plan.runs[1].key].run_id)
    assert artifact_folder(run.info.artifact_uri).is_relative_to(runs_dir.resolve())
    assert (artifact_folder(run.info.artifact_uri) / "run.json").is_file()


def test_a_moved_runs_folder_gets_an_experiment_of_its_own(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    moved = lab.runs_dir.with_name("moved")
    lab.runs_dir.rename(moved)
    lab.runs_dir = moved
    there = resolve_address(None, moved)
    assert not is_up_to_date(lab.view(), there)
    project(lab.view(), there)
    with connected(there) as client:
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id], "tags.`harness.role` = 'child'")
    assert artifact_folder(run.info.artifact_uri).is_relative_to(moved.resolve())
    assert (artifact_folder(run.info.artifact_uri) / "metrics.jsonl").is_file()


def test_two_runs_folders_may_share_a_store(lab: Laboratory, tmp_path: Path, address: StoreAddress) -> None:
    """Two people on one server, with one file: neither touches the other's runs."""
    other = Laboratory(tmp_path / "other")
    for place in (lab, other):
        place.complete(0)
        project(place.view(), address)
    for place in (lab, other):
        finish(place.view(), address, None)
        assert is_up_to_date(place.view(), address)
    found = [run.tags["harness.key"] for run in stored_runs(database(lab)) if "harness.key" in run.tags]
    assert found == [lab.plan.runs[0].key] * 2
    assert len(parents(database(lab))) == 2


@pytest.mark.faults
def test_an_absent_server_is_told_in_time(lab: Laboratory) -> None:
    lab.complete(0)
    with socket.socket() as closed, socket.socket() as mute:
        closed.bind(("127.0.0.1", 0))  # bound, never listening: refused
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # takes connections, never answers
        for scheme, port in (
            ("http", closed.getsockname()[1]),
            ("http", mute.getsockname()[1]),
            ("postgresql+psycopg", closed.getsockname()[1]),
        ):
            address = resolve_address(f"{scheme}://me:geheim@127.0.0.1:{port}", lab.runs_dir)
            began = time.monotonic()
            with pytest.raises(TrackingError, match="does not answer") as caught:
                project(lab.view(), address)
            assert time.monotonic() - began < 10
            assert "harness sync" in caught.value.remedy
            assert "geheim" not in str(caught.value)
            assert not is_up_to_date(lab.view(), address)


def test_without_mlflow_the_error_says_what_to_do(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.complete(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingError, match="pip install mlflow"):
        project(lab.view(), address)


def test_a_store_that_cannot_be_written_is_an_error_of_tracking(lab: Laboratory, tmp_path: Path) -> None:
    lab.complete(0)
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"this is no database" * 100)
    with pytest.raises(TrackingError, match=r"noise\.db"):
        project(lab.view(), resolve_address(f"sqlite:///{noise}", lab.runs_dir))


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    default = resolve_address(None, Path("runs"))
    assert default.sqlite_path == tmp_path / "runs" / "mlflow.db"
    assert default.artifacts == (tmp_path / "runs" / "mlartifacts").as_uri()
    assert resolve_address("sqlite:///runs/mlflow.db", Path("elsewhere")) == default
    assert resolve_address(f"sqlite:///{tmp_path}/runs/mlflow.db", Path("elsewhere")).fingerprint == default.fingerprint
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000/")
    assert resolve_address(None, Path("runs")) == StoreAddress("http://tracking.example:5000", None)
    assert resolve_address("sqlite:///runs/mlflow.db", Path("runs")) == default
    for refused in ("./mlruns", "file:///tmp/mlruns", "sqlite://", "sqlite:///:memory:", "ftp://host/x"):
        with pytest.raises(TrackingError):
            resolve_address(refused, Path("runs"))


def test_passwords_are_shown_nowhere(lab: Laboratory) -> None:
    uri = "postgresql+psycopg://me:ge/heim@db.example:5433/mlflow?sslpassword=auch"
    address = resolve_address(uri, lab.runs_dir)
    assert address.shown == "postgresql+psycopg://me:***@db.example:5433/mlflow?sslpassword=***"
    assert address.sql_server == ("db.example", 5433)
    assert "heim" not in repr(address) and "auch" not in repr(address)
    assert address.scrub(f"cannot reach {uri}: ge/heim is wrong") == f"cannot reach {address.shown}: *** is wrong"
    changed = resolve_address(uri.replace("ge/heim", "neu"), lab.runs_dir)
    assert changed.fingerprint == address.fingerprint
    with pytest.raises(TrackingError) as caught:
        ui_command(address, 5000)
    assert "heim" not in str(caught.value)


def test_the_page_is_served_on_this_machine_alone(lab: Laboratory, address: StoreAddress) -> None:
    command = ui_command(address, 5123)
    assert command[:5] == [sys.executable, "-P", "-m", "mlflow", "server"]
    options = dict(zip(command[5::2], command[6::2], strict=True))
    assert options["--backend-store-uri"] == address.uri
    assert options["--host"] == "127.0.0.1" and options["--port"] == "5123"
    assert ui_command(resolve_address("http://127.0.0.1:5000", lab.runs_dir), 5123) == []


def test_what_a_deleted_store_left_beside_it_does_not_reach_the_new_one(lab: Laboratory, address: StoreAddress) -> None:
    """SQLite would replay the write-ahead log of the old file over the new one."""
    lab.complete(0)
    with closing(sqlite3.connect(database(lab), isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("UPDATE alembic_version SET version_num = 'of the deleted store'")
        assert Path(f"{database(lab)}-wal").stat().st_size
        database(lab).unlink()
        project(lab.view(), address)
    with closing(sqlite3.connect(database(lab))) as store:
        assert store.execute("SELECT version_num FROM alembic_version").fetchone() != ("of the deleted store",)
    assert len(children(database(lab))) == 1


def test_an_empty_file_where_a_store_was_deleted_under_a_connection_is_replaced(
    lab: Laboratory, address: StoreAddress
) -> None:
    lab.complete(0)
    database(lab).write_bytes(b"")
    project(lab.view(), address)
    assert len(children(database(lab))) == 1


def test_a_damaged_file_is_told_at_once_with_the_remedy(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    database(lab).write_bytes(b"no database" * 1000)
    began = time.monotonic()
    with pytest.raises(TrackingError, match="damaged") as caught:
        project(lab.view(), address)
    assert time.monotonic() - began < 10  # MLflow itself tries for 100 s
    assert "Move it away" in caught.value.remedy
    assert not is_up_to_date(lab.view(), address)
