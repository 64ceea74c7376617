"""What an MLflow store holds of one experiment, without what may differ between two stores of the same runs."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

_OF_THE_STORE = ("mlflow.parentRunId", "mlflow.user", "mlflow.source.name", "mlflow.source.type")
"""Tags whose values name the store's own ids, or who wrote."""


def dump(database: Path, experiment: str) -> dict[str, Any]:
    """Every undeleted run by its key (`parent` for the parent): params, tags, points, files, models. No ids in it."""
    with closing(sqlite3.connect(database)) as store:
        runs = store.execute(
            "SELECT run_uuid, name, status, start_time, end_time, artifact_uri FROM runs WHERE lifecycle_stage = "
            "'active' AND experiment_id = (SELECT experiment_id FROM experiments WHERE name = ?)",
            (experiment,),
        ).fetchall()
        found = [_run(store, *run) for run in runs]
    assert len(dict(found)) == len(found), "a run is there twice"
    return dict(found)


def _run(
    store: sqlite3.Connection, run: str, name: str, status: str, start: int, end: int, uri: str
) -> tuple[str, dict[str, Any]]:
    tags = dict(store.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)))
    key = tags.get("harness.key", "parent")
    points = store.execute("SELECT key, step, value, timestamp FROM metrics WHERE run_uuid = ?", (run,)).fetchall()
    latest = store.execute("SELECT key, step, value FROM latest_metrics WHERE run_uuid = ?", (run,)).fetchall()
    return key, {
        "name": name,
        "status": status,
        "times": (start, end) if key != "parent" else None,  # a parent's are those of the store
        "tags": {name: value for name, value in tags.items() if name not in _OF_THE_STORE},
        "params": dict(store.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,))),
        "points": sorted(points),
        "latest": sorted(latest),
        "files": _files(Path(unquote(urlparse(uri).path))),
        "models": sorted(_models(store, run), key=json.dumps),
    }


def _models(store: sqlite3.Connection, run: str) -> list[dict[str, Any]]:
    models = store.execute(
        "SELECT model_id, name, status FROM logged_models WHERE source_run_id = ? AND lifecycle_stage = 'active'",
        (run,),
    ).fetchall()
    return [
        {
            "name": name,
            "status": status,
            "tags": dict(
                store.execute("SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?", (model,))
            ),
            "params": dict(
                store.execute("SELECT param_key, param_value FROM logged_model_params WHERE model_id = ?", (model,))
            ),
            "points": sorted(
                store.execute(
                    "SELECT metric_name, metric_step, metric_value, metric_timestamp_ms FROM logged_model_metrics "
                    "WHERE model_id = ?",
                    (model,),
                ).fetchall()
            ),
        }
        for model, name, status in models
    ]


def _files(folder: Path) -> dict[str, str]:
    """SHA-256 by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
