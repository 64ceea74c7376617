"""Curves of records that a test writes by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.analysis.curves import RunCurves, curves_of
from harness.store.record_columns import columns_of


def run_curves(records: Sequence[Mapping[str, Any]]) -> RunCurves:
    return curves_of(columns_of(records))
