"""Turns one TOML file into a complete ablation of a GAN."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "load_results"]
__version__ = "0.1.0"


def load_results(
    file: str | Path,
    *,
    kind: Literal["evaluations", "training", "runs"] = "evaluations",
    runs_dir: str | Path = "runs",
    source: Literal["runs", "mlflow"] = "runs",
    tracking_uri: str | None = None,
    overrides: Sequence[str] = (),
) -> pd.DataFrame:
    """What the runs of an experiment file hold, as a tidy frame: one row per observation.

    Every row says whose it is: `cell`, `label`, `seed`, `key`, `state`, and the level of each factor that varies (None
    where it changes nothing in that cell). Then, by kind:

    - "evaluations", a row per (run, checkpoint, metric, repeat): `step`, `metric`, `protocol` (`digits`),
      `protocol_sha256`, `checkpoint_sha256`, `repeat` (from 0; None for metrics of all repeats together), `value`.
      Values compare only where `protocol_sha256` is the same;
    - "training", a row per (run, record): `step` (the last one of the interval), `n` (its steps), `time` (seconds since
      1970), `seconds` (of work), and a column for each metric, its mean over the interval, such as `loss/generator`;
    - "runs", a row per run: `step`, `steps`, `attempts`, `checkpoints`, `seconds` (of training), `reason`.

    file: the experiment file; overrides: `--set` on top of it; runs_dir: as --runs-dir, relative to the current folder;
    source "mlflow": from the store at `tracking_uri` (default: MLFLOW_TRACKING_URI, else runs_dir/mlflow.db), with the
    same rows. Runs that are not there have no rows but in "runs". Raises HarnessError as the command line does.
    """
    # Loaded when it is called, and by its name: `import harness` stays light, and no room below depends on it.
    results = importlib.import_module("harness.results")
    frame: pd.DataFrame = results.load(file, kind, runs_dir, source, tracking_uri, overrides)
    return frame
