"""Whatever ends an attempt becomes an outcome with a reason that a person can act on."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch

from harness.errors import DeviceError, HarnessError, OwnPartError
from harness.execution.assignment import Trouble
from harness.execution.measure import Stopped
from harness.gan.out_of_memory import says_out_of_memory
from harness.gan.training import TrainingResult
from harness.store.attempts import Outcome
from harness.store.presence import folder_gone
from harness.store.rundir import RunDirectory

OUT_OF_MEMORY = "out of memory; try a smaller batch_size, hidden_dim or fewer --workers"

OUT_OF_MEMORY_ALONE = "out of memory with no other run beside it; try a smaller batch_size or hidden_dim"

_GPU_WORDS = ("CUDA error", "CUDA driver error", "cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS")
"""How a GPU's libraries begin; torch has a class of its own only for some of their errors."""

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class Ending:
    """How an attempt ended. step: None where the newest commit says it; metrics: as `end_attempt` takes them."""

    outcome: Outcome
    reason: str = ""
    step: int | None = None
    metrics: tuple[int, str] | None = None
    trouble: Trouble = "none"


def ending_of(run: RunDirectory, work: Callable[[], TrainingResult], alone: bool = False) -> Ending:
    """Does the work of one attempt on `run`; whatever happens becomes an outcome, nothing is raised.

    alone: as in an Assignment, for the words where memory runs out.
    """
    try:
        result = work()
        return Ending(result.outcome, result.reason, result.step, result.metrics)
    except Stopped:
        return Ending("interrupted")
    except Exception as error:  # noqa: BLE001 - one run's defect must not stop the others; the log has the traceback
        trouble = trouble_of(error)
        out_of_memory = OUT_OF_MEMORY_ALONE if alone else OUT_OF_MEMORY
        reason = _reason(run, error, out_of_memory)
    if trouble == "memory":
        # Here, where the error no longer keeps the tensors alive; without CUDA nothing.
        with suppress(RuntimeError):  # after some errors CUDA answers every call in this process with them
            torch.cuda.empty_cache()
    return Ending("failed", reason, trouble=trouble)


def _reason(run: RunDirectory, error: Exception, out_of_memory: str) -> str:
    if _is_out_of_memory(error):
        _log.error("%s: %s", out_of_memory, error)
        return out_of_memory
    if isinstance(error, HarnessError | OSError) and not run.root.is_dir():
        return str(folder_gone(run.root, "run"))
    if isinstance(error, OwnPartError) and error.__cause__ is not None:
        _log.error("%s", _traceback(error.__cause__))  # how the user's code got there, for its author
    if isinstance(error, HarnessError):
        _log.error("%s", error)
        return str(error)
    _log.error("%s", _traceback(error))
    if isinstance(error, OSError) and error.errno is not None:
        where = error.filename or str(run.root)
        return f"{where}: {error.strerror or error}; free space or permission, then run the same command again"
    return f"{type(error).__name__}: {error}"


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def trouble_of(error: BaseException) -> Trouble:
    """What an error says of the device: that its memory ran out, or that the device itself failed."""
    if _is_out_of_memory(error):
        return "memory"
    return "device" if _is_of_the_device(error) else "none"


def _is_of_the_device(error: BaseException) -> bool:
    match error:
        case DeviceError() | torch.AcceleratorError():
            return True
        case RuntimeError():
            return any(words in str(error) for words in _GPU_WORDS)
        case HarnessError():
            return error.__cause__ is not None and _is_of_the_device(error.__cause__)
    return False


def _is_out_of_memory(error: BaseException) -> bool:
    match error:
        case MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case RuntimeError():
            return says_out_of_memory(error)
        case HarnessError():  # the store names its file; beneath is what the system said
            return error.__cause__ is not None and _is_out_of_memory(error.__cause__)
    return False
