"""Which NVIDIA GPUs this command may use, and what nvidia-smi says of each. Light: no torch.

GPUs are named by UUID: where one is lost, the indices of the others move.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from harness.errors import DeviceError

LOOK_S = 20.0
"""How long nvidia-smi may take: a machine without a persistent driver loads it first."""

_ANSWERED = (0, 14)
"""Exit codes with a list; 14: one of the GPUs has a damaged infoROM, which is a warning."""

_QUERY = "--query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu"
_INSTANCE = re.compile(r"^\s+MIG (?P<profile>\S+)\s.*\(UUID: (?P<id>MIG-[^)]+)\)")
_WHOLE = re.compile(r"^GPU \d+: .*\(UUID: (?P<id>GPU-[^)]+)\)")
_GONE = ("No devices were found", "not found", "is lost", "Unable to determine the device handle")
"""What nvidia-smi answers when it is asked for a GPU that is not there any more."""

_CUDA_ORDER = "import torch\nfor i in range(torch.cuda.device_count()): print(torch.cuda.get_device_properties(i).uuid)"


@dataclass(frozen=True)
class Load:
    """What all programs together take of a GPU. MiB; busy_percent: 0 to 100, None where the GPU does not say."""

    total_mib: float
    used_mib: float
    busy_percent: float | None


@dataclass(frozen=True)
class Gpu:
    """id: as CUDA_VISIBLE_DEVICES takes it; index: nvidia-smi's; load: None where unknown, as of an instance.

    instances: (id, profile) of each part that a GPU in MIG mode is split into, which are then what computes.
    """

    id: str
    index: int
    name: str
    load: Load | None = None
    instances: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name})" if self.name else f"GPU {self.index}"


class GpuFacts(Protocol):
    """What can be known of the machine's GPUs without CUDA."""

    def listed(self) -> tuple[Gpu, ...] | None:
        """All GPUs of the machine as they are now; None where nobody says."""

    def is_gone(self, gpu: Gpu) -> bool:
        """Whether it is certain that the GPU is not there any more."""

    def in_cuda_order(self) -> tuple[str, ...]:
        """UUIDs of the GPUs that CUDA shows to this command, in its order; empty where it does not say."""


class NvidiaSmi:
    """The facts as nvidia-smi tells them."""

    def listed(self) -> tuple[Gpu, ...] | None:
        code, text = _ask(_QUERY, "--format=csv,noheader,nounits")
        if code not in _ANSWERED:
            return None
        gpus = tuple(gpu for line in text.splitlines() if (gpu := parse_row(line)) is not None)
        if any(gpu.load is None or gpu.load.busy_percent is None for gpu in gpus):
            found = parse_instances(_ask("-L")[1])
            gpus = tuple(replace(gpu, instances=found.get(gpu.id, ())) for gpu in gpus)
        return gpus

    def is_gone(self, gpu: Gpu) -> bool:
        if gpu.id.isdecimal():
            return False  # nvidia-smi did not answer when the GPUs were counted
        if (listed := self.listed()) is not None:
            return gpu.id not in {id for found in listed for id in (found.id, *(id for id, _ in found.instances))}
        code, text = _ask("-i", gpu.id, "--query-gpu=uuid", "--format=csv,noheader")  # one lost GPU may fail a list
        return code not in (*_ANSWERED, None) and any(words in text for words in _GONE)

    def in_cuda_order(self) -> tuple[str, ...]:
        code, text = _output([sys.executable, "-P", "-c", _CUDA_ORDER], timeout_s=6 * LOOK_S)
        return tuple(f"GPU-{line.removeprefix('GPU-')}" for line in text.split()) if code == 0 else ()


def visible_gpus(facts: GpuFacts, environment: Mapping[str, str]) -> tuple[Gpu, ...] | None:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order, as CUDA reads it; None where nothing is known of any.

    Those in MIG mode are replaced by their instances. DeviceError where indices cannot be told apart.
    """
    listed = facts.listed()
    if listed is None:
        return None
    wanted = environment.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return _split(listed)
    names = [name.strip() for name in wanted.split(",")]
    if len(set(names)) < len(names):
        return ()  # CUDA shows none where one is named twice
    if names[0].startswith(("GPU-", "MIG-")):
        return _split(_by_id([*listed, *_split(listed)], names))
    alike = len({gpu.name for gpu in listed}) == 1
    if alike or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return _split(_by_index(listed, names))
    by_id = {gpu.id: gpu for gpu in listed}  # CUDA puts the fastest first, which only CUDA can tell
    found = [by_id[id] for id in facts.in_cuda_order() if id in by_id]
    if not found and names[0].isdecimal():
        raise DeviceError(
            f"which of these GPUs CUDA counts as {wanted} is not known: {', '.join(map(str, listed))}",
            where="CUDA_VISIBLE_DEVICES",
            remedy="Name them by UUID (`nvidia-smi -L` shows them), or set CUDA_DEVICE_ORDER=PCI_BUS_ID.",
        )
    return _split(found)


def _by_id(gpus: Sequence[Gpu], names: Sequence[str]) -> list[Gpu]:
    """Until the first name that is none, as CUDA does it; a beginning is enough where only one GPU has it."""
    found: list[Gpu] = []
    for name in names:
        fitting = {gpu.id: gpu for gpu in gpus if name and gpu.id.startswith(name)}
        if name not in fitting and len(fitting) != 1:
            break
        found.append(fitting.get(name) or next(iter(fitting.values())))
    return found


def _by_index(gpus: Sequence[Gpu], names: Sequence[str]) -> list[Gpu]:
    by_index = {str(gpu.index): gpu for gpu in gpus}
    found: list[Gpu] = []
    for name in names:
        if name not in by_index:
            break
        found.append(by_index[name])
    return found


def _split(gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Instances in place of the GPUs that are split into them."""
    parts: list[Gpu] = []
    for gpu in gpus:
        instances = [Gpu(id, gpu.index, f"{gpu.name} MIG {profile}") for id, profile in gpu.instances]
        parts += instances or [gpu]
    return tuple(parts)


def parse_row(line: str) -> Gpu | None:
    """A GPU of nvidia-smi's table; None for a line that is none, or of a GPU that is lost."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) < 6 or not fields[0].isdecimal() or "lost" in line or not fields[1].startswith("GPU-"):
        return None
    index, uuid, *name, total, used, busy = fields
    load = None
    with suppress(ValueError):  # [N/A] and the like
        load = Load(float(total), float(used), float(busy) if _is_number(busy) else None)
    return Gpu(uuid, int(index), ", ".join(name), load)


def parse_instances(text: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """(id, profile) of the MIG instances in `nvidia-smi -L`, by their GPU's UUID."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    whole = ""
    for line in text.splitlines():
        if match := _WHOLE.match(line):
            whole = match["id"]
        elif whole and (match := _INSTANCE.match(line)):
            found[whole] = (*found.get(whole, ()), (match["id"], match["profile"]))
    return found


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _ask(*arguments: str) -> tuple[int | None, str]:
    """nvidia-smi's exit code, None where it did not answer, and all that it said."""
    command = shutil.which("nvidia-smi")
    return _output([command, *arguments], LOOK_S) if command else (None, "")


def _output(command: Sequence[str], timeout_s: float) -> tuple[int | None, str]:
    """Never waits for a program that a broken driver holds: it is left behind."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError:
        return None, ""
    try:
        text = process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        if process.stdout:
            process.stdout.close()
        return None, ""
    return process.returncode, text
