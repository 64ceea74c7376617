# ---
# Cells begin with `# %%`: VS Code, Spyder, PyCharm and Jupyter (with jupytext) run them one by one.
# ---

# %% [markdown]
# # Results in a frame of one's own
#
# Run an experiment first (`harness run FILE`), then name its file here, and the folder of its runs.

# %%
from __future__ import annotations

import math
import os
from pathlib import Path

import pandas as pd
import seaborn as sns

from harness import load_results
from harness.analysis.statistics import CellValues, compare

FILE = Path(os.environ.get("EXPERIMENT", "experiments/ablation.toml"))
RUNS_DIR = Path(os.environ.get("RUNS_DIR", "runs"))
METRIC, BASELINE = "fid", "baseline"

# %% [markdown]
# One row per measured value: the cell, its level of each factor that varies, seed, checkpoint's step, metric, protocol,
# repeat, value.

# %%
results = load_results(FILE, runs_dir=RUNS_DIR)
assert not results.empty, f"nothing was measured yet: harness run {FILE}"
results.head()

# %% [markdown]
# Values compare only under one protocol. The mean over repeats is one value per run and checkpoint; seeds stay apart.

# %%
protocol = results["protocol_sha256"].iloc[0]
chosen = results[(results["metric"] == METRIC) & (results["protocol_sha256"] == protocol)]
by_run = chosen.groupby(["label", "seed", "step"], sort=False, as_index=False)["value"].mean()
last = by_run[by_run["step"] == by_run["step"].max()]
last.pivot(index="label", columns="seed", values="value").round(2)

# %% [markdown]
# A line per cell against the step; the band reaches over the seeds.

# %%
grid = sns.relplot(
    by_run, x="step", y="value", hue="label", kind="line", marker="o", errorbar=("pi", 100), height=4, aspect=1.6
)
grid.set(yscale="log", ylabel=METRIC)
figure = grid.figure

# %% [markdown]
# The report's own statistics: differences to the baseline, paired by seed, with their 95 % intervals and verdicts.
# Runs that diverged count: they bar a cell from "helps".

# %%
runs = load_results(FILE, kind="runs", runs_dir=RUNS_DIR)
at_last = chosen[chosen["step"] == chosen["step"].max()]
cells = [
    CellValues(
        cell=cell,
        values={
            int(seed): values.to_list() for seed, values in at_last[at_last["cell"] == cell].groupby("seed")["value"]
        },
        seeds=len(of_cell),
        diverged=int((of_cell["state"] == "diverged").sum()),
        minutes_per_run=None,
    )
    for cell, of_cell in runs.groupby("cell", sort=False)
]


def percent(difference: float | None) -> float | None:
    """Of a difference of logarithms, which is what FID is compared by."""
    return None if difference is None else 100 * math.expm1(difference)


comparison = compare(cells, metric=METRIC, baseline=BASELINE, asked=None)
differences = pd.DataFrame(
    {
        "cell": found.cell,
        "percent": percent(found.estimate),
        "from": percent(found.low),
        "to": percent(found.high),
        "p (Holm)": found.p_holm,
        "seeds": len(found.shared_seeds),
        "verdict": found.verdict,
    }
    for found in comparison.differences
)
differences

# %% [markdown]
# Curves of training: a row per logged interval. Here the generator's loss, smoothed over 20 intervals, of each run.

# %%
training = load_results(FILE, kind="training", runs_dir=RUNS_DIR)
smooth = training.groupby("key")["loss/generator"].transform(lambda losses: losses.rolling(20, min_periods=1).mean())
curves = sns.relplot(
    training.assign(smooth=smooth), x="step", y="smooth", hue="label", units="key", estimator=None, kind="line"
)
