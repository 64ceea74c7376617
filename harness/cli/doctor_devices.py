"""GPUs: those that the driver lists, those that torch uses, and what stands between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from harness.cli.doctor_request import Request
from harness.execution.programs import ask
from harness.store.checkup import Fact, Finding, Found

NVIDIA_SECONDS = 10.0
_FIELDS = "index,name,memory.total,memory.used,driver_version,compute_mode"
_UNUSABLE = "a GPU is there, but torch cannot use it"


@dataclass(frozen=True)
class _Listed:
    """One GPU as the driver tells it; memory in MiB, None where it does not say."""

    index: str
    name: str
    total: int | None
    used: int | None
    driver: str
    mode: str


def devices(_request: Request) -> Iterator[Found]:
    """What the driver lists, then what torch can do with it."""
    listed: list[_Listed] = []
    for found in _driver():
        if isinstance(found, _Listed):
            listed.append(found)
        else:
            yield found
    yield from _visibility(listed)
    yield from _of_torch(listed)


def _driver() -> Iterator[_Listed | Finding]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return
    answer = ask([command, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"], NVIDIA_SECONDS)
    if answer.code is None:
        yield Finding(
            "devices",
            "problem",
            f"nvidia-smi gives no answer within {NVIDIA_SECONDS:.0f} s: the GPU's driver hangs",
            "The kernel's log says why (dmesg, lines with NVRM or Xid); restart the machine, or train with --device "
            "cpu.",
        )
        return
    if not answer.is_good:
        yield Finding(
            "devices",
            "note",
            f"nvidia-smi finds no GPU: {answer.reason}",
            "Where there is one, install its driver or load it; a container needs the GPU passed in (--gpus all).",
        )
        return
    for line in answer.out.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(_FIELDS.split(",")):
            index, name, total, used, driver, mode = parts
            yield _Listed(index, name, _number(total), _number(used), driver, mode)


def _visibility(listed: list[_Listed]) -> Iterator[Finding]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and listed:
        told = "hides every GPU" if _hides_all() else f"leaves these GPUs: {visible}"
        yield Finding(
            "devices",
            "note",
            f"CUDA_VISIBLE_DEVICES {told} (the driver lists {len(listed)})",
            "Unset it to use all of them.",
        )
    for gpu in listed:
        if gpu.mode.startswith("Exclusive"):
            yield Finding(
                "devices",
                "note",
                f"GPU {gpu.index} ({gpu.name}) takes one process only: compute mode {gpu.mode}",
                f"`nvidia-smi -i {gpu.index} -c DEFAULT`, or [resources] runs_per_gpu = 1 in the file.",
            )
        if gpu.total and gpu.used is not None and 2 * gpu.used > gpu.total:
            yield Finding(
                "devices",
                "note",
                f"GPU {gpu.index} ({gpu.name}): {gpu.used:,} of {gpu.total:,} MiB are taken by other programs",
                "`nvidia-smi` names them.",
            )


def _of_torch(listed: list[_Listed]) -> Iterator[Found]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    yield Fact("mps", "yes" if mps else "no")
    usable = 0
    for index in range(count):
        found = _try_gpu(index)
        usable += found.state == "ok"
        yield found
    if mps:
        yield Finding("devices", "ok", "Apple's GPU (MPS)")
    if listed and not count and not _hides_all():
        yield Finding(
            "devices",
            "problem",
            f"an NVIDIA GPU ({listed[0].name}, driver {listed[0].driver}) that torch {torch.__version__} cannot use",
            _torch_remedy(torch.version.cuda),
        )
    if not count and not mps and (not listed or _hides_all()):
        yield Finding("devices", "ok", "no GPU: runs train on the CPU")
    if usable:
        yield Fact("cuda", torch.cuda.get_device_name())
    else:
        yield Fact("cuda", _UNUSABLE if count or (listed and not _hides_all()) else "none")


def _try_gpu(index: int) -> Finding:
    """Whether the smallest computation works there."""
    import torch

    try:
        properties = torch.cuda.get_device_properties(index)
        name = f"GPU {index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        total = float(torch.ones(4, device=f"cuda:{index}").sum())
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:  # torch has no one kind for it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Finding(
            "devices",
            "problem",
            f"GPU {index} cannot compute: {reason}",
            f"Another program may hold it, or torch {torch.__version__} has no code for it (`nvidia-smi` shows both); "
            "hide it with CUDA_VISIBLE_DEVICES.",
        )
    if total != 4.0:
        return Finding("devices", "problem", f"{name}: 1 + 1 + 1 + 1 gives {total}", "Do not use it.")
    return Finding("devices", "ok", name)


def _torch_remedy(built_for: str | None) -> str:
    if built_for is None:
        return "This torch was built without CUDA: install one that has it, or train with --device cpu."
    return (
        f"This torch was built for CUDA {built_for}: update the driver, or install a torch for the driver's CUDA "
        "(`nvidia-smi` shows it); or train with --device cpu."
    )


def _hides_all() -> bool:
    return os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
