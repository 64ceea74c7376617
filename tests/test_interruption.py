"""Signals: noted where states must be saved, obeyed at once elsewhere, and given back afterwards."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from harness.execution.interruption import SAVE_SIGNALS, SIGNALS, Interrupted, Interruption, signals_blocked


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


@pytest.mark.skipif(not SAVE_SIGNALS, reason="Windows has no SIGUSR1")
def test_a_state_is_asked_for_once_per_signal_and_nothing_ends() -> None:
    with Interruption() as interruption:
        assert not interruption.save()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert (interruption.save(), interruption.save()) == (True, False)
        with interruption.at_once():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert not interruption()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows blocks no signals")
def test_what_is_started_with_signals_blocked_survives_them() -> None:
    with signals_blocked():
        process = subprocess.Popen(["sleep", "60"])
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.kill()
    process.wait()
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
