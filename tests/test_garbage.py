"""Looks for unreachable objects are seldom while figures are made, and as usual again afterwards."""

from __future__ import annotations

import gc

import pytest

from harness.report.figures.garbage import SELDOM, seldom_collected


def test_the_usual_thresholds_come_back_whatever_happens() -> None:
    usual = gc.get_threshold()
    with pytest.raises(ValueError, match="no figure"), seldom_collected():
        assert gc.get_threshold() == SELDOM
        raise ValueError("no figure")
    assert gc.get_threshold() == usual
