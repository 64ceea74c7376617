"""Signals: noted where states must be saved, obeyed at once elsewhere, and given back afterwards."""

from __future__ import annotations

import os
import signal

import pytest

from harness.execution.interruption import SIGNALS, Interrupted, Interruption


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_is_noted_and_the_second_leaves(number: int, code: int) -> None:
    with Interruption() as interruption:
        assert not interruption()
        os.kill(os.getpid(), number)
        assert interruption()
        assert interruption.exit_code == code
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), number)
    assert caught.value.exit_code == code


def test_at_once_the_first_signal_leaves() -> None:
    with Interruption() as interruption:
        with pytest.raises(Interrupted) as caught, interruption.at_once():
            os.kill(os.getpid(), signal.SIGTERM)
        assert caught.value.exit_code == 143
        assert not interruption()
        os.kill(os.getpid(), signal.SIGTERM)  # outside the block it is noted again
        assert interruption()
        with pytest.raises(Interrupted), interruption.at_once():
            pytest.fail("what was noted before keeps the block from beginning")


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
