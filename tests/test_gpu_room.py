"""How many runs fit on a GPU: decisions from made-up facts over time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gpu_parts import TOTAL_MIB

from harness.execution.gpu_list import Load
from harness.execution.gpu_room import MOST_PER_GPU, WATCH_S, Probe, Seen, why_no_more

ROOMY = Seen(runs=2, before_mib=1024, most_mib=5 * 1024, total_mib=TOTAL_MIB, busy_percent=40.0)


def probed(before: Load | None, *, each_mib: float, each_busy: float | None, seconds: int = 60) -> Probe:
    """A probe of a GPU on which each run takes so much, looked at once a second."""
    probe = Probe(before)
    for _ in range(seconds):
        used = (before.used_mib if before else 0.0) + probe.runs * each_mib
        busy = None if each_busy is None else min(100.0, probe.runs * each_busy)
        probe.see(1.0, Load(TOTAL_MIB, used, busy))
    return probe


def test_one_more_fits_while_there_is_memory_and_time() -> None:
    assert why_no_more(ROOMY) == ""
    assert why_no_more(replace(ROOMY, busy_percent=None)) == ""
    assert why_no_more(replace(ROOMY, busy_percent=94.9)) == ""
    assert why_no_more(replace(ROOMY, busy_percent=95.0)) == "it is 95 % busy"
    assert why_no_more(replace(ROOMY, runs=MOST_PER_GPU)) == "more than 8 are never tried"


def test_a_tenth_of_the_memory_is_left_free() -> None:
    """Two runs take 2 GiB each; 72 of 80 GiB may be used."""
    full = replace(ROOMY, before_mib=66 * 1024, most_mib=70 * 1024)
    assert why_no_more(full) == ""
    too_full = replace(full, before_mib=66 * 1024 + 1, most_mib=70 * 1024 + 1)
    assert why_no_more(too_full) == "another would need 2.0 GiB, and 2.0 GiB are free to be used"
    over = replace(full, most_mib=75 * 1024)
    assert "0.0 GiB are free" in why_no_more(over)


def test_a_run_takes_a_context_at_least() -> None:
    """Another program gave memory back meanwhile: what one run takes cannot be seen."""
    less = replace(ROOMY, before_mib=72 * 1024, most_mib=72 * 1024 - 512)
    assert why_no_more(less) == ""
    assert why_no_more(replace(less, most_mib=72 * 1024 - 511)).startswith("another would need 0.5")


@pytest.mark.parametrize(
    ("each_mib", "each_busy", "others_mib", "runs"),
    [
        (10 * 1024, 5.0, 0, 7),  # 72 GiB for runs of 10
        (10 * 1024, 5.0, 40 * 1024, 3),  # what others use is theirs
        (1024, 50.0, 0, 2),
        (1024, 100.0, 0, 1),
        (1024, 1.0, 0, 8),
        (1024, None, 0, 8),
        (60 * 1024, 1.0, 0, 1),
    ],
)
def test_runs_are_added_one_by_one(each_mib: float, each_busy: float | None, others_mib: float, runs: int) -> None:
    found = probed(Load(TOTAL_MIB, others_mib, 0.0), each_mib=each_mib, each_busy=each_busy)
    assert found.is_settled and found.runs == runs and found.why


def test_nothing_is_added_before_all_were_watched() -> None:
    probe = Probe(Load(TOTAL_MIB, 0.0, 0.0))
    for _ in range(4):
        probe.see(WATCH_S / 5, Load(TOTAL_MIB, 2048, 10.0))
    assert probe.runs == 1
    probe.see(WATCH_S / 5, None)
    assert probe.runs == 2 and not probe.is_settled
    for _ in range(4):  # each further one is watched for as long
        probe.see(WATCH_S / 5, Load(TOTAL_MIB, 4096, 10.0))
    assert probe.runs == 2
    blind = Probe(Load(TOTAL_MIB, 0.0, 0.0))
    blind.see(10 * WATCH_S, None)
    assert blind.runs == 1 and not blind.is_settled
    blind.see(0.1, Load(TOTAL_MIB, 2048, 10.0))
    assert blind.runs == 2


def test_the_most_that_was_ever_used_counts() -> None:
    """An evaluation in the middle of the watch took far more than training did."""
    probe = Probe(Load(TOTAL_MIB, 0.0, 0.0))
    for used in (2048, 50 * 1024, 2048, 2048, 2048):
        probe.see(1.0, Load(TOTAL_MIB, used, 10.0))
    assert probe.is_settled and probe.runs == 1


def test_utilisation_is_a_mean_over_the_watch() -> None:
    probe = Probe(Load(TOTAL_MIB, 0.0, 0.0))
    for busy in (100.0, 100.0, 100.0, 60.0, None):
        probe.see(1.0, Load(TOTAL_MIB, 2048, busy))
    assert probe.runs == 2


def test_a_gpu_that_tells_nothing_takes_one_run() -> None:
    probe = Probe(None)
    assert probe.is_settled and probe.runs == 1 and probe.why == "its memory cannot be seen"


def test_a_decided_number_stays() -> None:
    probe = Probe(Load(TOTAL_MIB, 0.0, 0.0))
    probe.settle(3, "4 did not fit")
    probe.see(100.0, Load(TOTAL_MIB, 1.0, 1.0))
    assert (probe.runs, probe.why) == (3, "4 did not fit")
