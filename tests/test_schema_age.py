"""The age of an MLflow database's tables, read from the text of the installed MLflow's migrations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from alembic.script import ScriptDirectory

from harness.errors import TrackingError
from harness.tracking import schema_age as module
from harness.tracking.checkup import check_tracking
from harness.tracking.probes import probe_sqlite
from harness.tracking.schema_age import schema_age
from harness.tracking.stores import resolve_address


def test_it_reads_of_mlflow_s_migrations_what_alembic_does() -> None:
    script = ScriptDirectory(str(Path(str(mlflow.__file__)).parent / "store" / "db_migrations"))
    (newest,) = script.get_heads()
    assert schema_age([newest]) == ("current", newest)
    others = {one.revision for one in script.walk_revisions()} - {newest}
    assert {schema_age([other]) for other in others} == {("older", newest)}
    assert schema_age(["ffffffffffff"]) == ("newer", newest)


def _migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """A package `mlflow` in front of the installed one, with these migrations."""
    folder = tmp_path / "mlflow" / "store" / "db_migrations" / "versions"
    folder.mkdir(parents=True)
    (tmp_path / "mlflow" / "__init__.py").touch()
    for number, text in enumerate(texts):
        (folder / f"{number}.py").write_text(text)
    spec = module.find_spec
    places = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "mlflow")]})
    monkeypatch.setattr(module, "find_spec", lambda name: places if name == "mlflow" else spec(name))


FIRST = 'revision = "aa"\ndown_revision = None\n'
SECOND = "revision: str = 'bb'\ndown_revision: Union[str, None] = 'aa'\n"
THIRD = 'revision = "cc"\ndown_revision = "aa"\n'
MERGE = 'revision = "dd"\ndown_revision = ("bb", "cc")\nbranch_labels = None\n'


def test_branches_that_were_merged_have_one_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _migrations(tmp_path, monkeypatch, FIRST, SECOND, THIRD, MERGE)
    assert schema_age(["dd"]) == ("current", "dd")
    assert schema_age(["bb"]) == schema_age(["bb", "cc"]) == ("older", "dd")
    assert schema_age(["ee"]) == ("newer", "dd")


@pytest.mark.parametrize("texts", [(), (FIRST, SECOND, THIRD)])
def test_what_cannot_be_told_is_never_changed_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]
) -> None:
    """No migration, or two newest ones."""
    _migrations(tmp_path, monkeypatch, *texts)
    assert schema_age(["bb"]) == ("unknown", "")
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('bb')")
    address = resolve_address(f"sqlite:///{path}", tmp_path / "runs")
    with pytest.raises(TrackingError, match="would change the tables of this database cannot be told"):
        probe_sqlite(address)
    (found,) = check_tracking(f"sqlite:///{path}", tmp_path / "runs")
    assert (found.state, "schema bb fits the MLflow here cannot be told" in found.found) == ("note", True)


def test_an_empty_database_fits_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _migrations(tmp_path, monkeypatch)
    path = tmp_path / "store.db"
    sqlite3.connect(path).close()
    probe_sqlite(resolve_address(f"sqlite:///{path}", tmp_path / "runs"))
