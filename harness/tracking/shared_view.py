"""A view of the experiment that MLflow's page opens at once: what "Share" on that page would write. Imports no mlflow.

Seen in MLflow 3.17: an experiment's tag `mlflow.sharedViewState.KEY` holds the page's state as JSON, deflated and in
base64; the page's address names KEY. What a page does not know of it, it leaves out.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from typing import Any

from harness.design.factors import canonical_level, levels_of
from harness.design.metrics import METRICS
from harness.tracking.reader import ExperimentView

VIEW = "harness"
"""The view's key."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
SAMPLES = "samples"
"""What the grids of sample pictures are called on MLflow's page."""
_AXES = 8
"""Of the parallel coordinates, beside the metric: more cannot be read."""
_MANY_RUNS = 20
_COMPARISON = "Comparison"
_SECTIONS = (_COMPARISON, "eval", "loss", "prob", "accuracy")
_LOSSES = ("loss/generator", "loss/discriminator")
_IDS = uuid.UUID("2f9a1f0e-54a5-5c7e-8a35-7a7f0a2f6c11")


def first_metric(view: ExperimentView) -> tuple[str, bool]:
    """MLflow's name of the metric that runs are sorted by, and whether less of it comes first."""
    if not view.blocks:
        return _LOSSES[0], True
    metric = view.blocks[0].settings.metrics[0]
    return f"eval/{metric}.{view.blocks[0].key}", METRICS[metric].better != "higher"


def shared_view(view: ExperimentView) -> str:
    """The tag's value: runs without their parent, sorted by the first metric; parallel coordinates of what varies."""
    state = json.dumps(_state(view), separators=(",", ":"), sort_keys=True)
    return "deflate;" + base64.b64encode(zlib.compress(state.encode(), 9)).decode()


def _state(view: ExperimentView) -> dict[str, Any]:
    metric, ascending = first_metric(view)
    varied = varied_parameters(view)
    return {
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": ascending,
        "searchFilter": "tags.`harness.role` = 'child'",
        "selectedColumns": [f"metrics.`{metric}`", *(f"params.`{name}`" for name in (*varied, "seed"))],
        "runsHiddenMode": "SHOW_ALL" if len(view.runs) <= _MANY_RUNS else "FIRST_20_RUNS",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,  # else the page sorts the sections by their names
        "compareRunCharts": _charts(metric, varied, max(run.run.cell.training.steps for run in view.runs)),
        "compareRunSections": [
            {"uuid": _id(name), "name": name, "display": True, "isReordered": False, "columns": 2} for name in _SECTIONS
        ],
    }


def varied_parameters(view: ExperimentView) -> tuple[str, ...]:
    """MLflow's parameters that differ between cells; of several that differ alike, as those of an alias, the first."""
    cells = {run.run.cell.name: levels_of(run.run.cell.hyperparameters) for run in view.runs}
    columns: dict[tuple[str, ...], str] = {}
    for name in next(iter(cells.values()), {}):
        column = tuple(canonical_level(levels[name]) for levels in cells.values())
        if len(set(column)) > 1:
            columns.setdefault(column, name)
    return tuple(columns.values())


def _charts(metric: str, varied: tuple[str, ...], step: int) -> list[dict[str, Any]]:
    """The section `_COMPARISON`; the page itself adds a chart of every other metric, in sections by their names."""
    return [
        _chart(
            "PARALLEL",
            "parallel coordinates",
            selectedParams=list(varied[:_AXES] or ("seed",)),
            selectedMetrics=[metric],
            showAllRuns=True,
        ),
        _line(metric.removeprefix("eval/"), metric),
        _line("losses", *_LOSSES),
        _chart("IMAGE", SAMPLES, imageKeys=[SAMPLES], step=step, showRunParams=False),
    ]


def _line(name: str, *metrics: str) -> dict[str, Any]:
    return _chart(
        "LINE",
        name,
        metricKey=metrics[0],
        selectedMetricKeys=list(metrics),
        lineSmoothness=0,
        xAxisScaleType="linear",
        scaleType="linear",
        range={},
        xAxisKey="step",
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        ignoreOutliers=False,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _chart(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    common = {
        "uuid": _id(name),
        "type": kind,
        "displayName": name,
        "runsCountToCompare": 10,
        "metricSectionId": _id(_COMPARISON),
        "deleted": False,
        "isGenerated": False,
    }
    return common | settings


def _id(name: str) -> str:
    return str(uuid.uuid5(_IDS, name))
