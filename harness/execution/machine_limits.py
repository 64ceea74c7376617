"""What this process may use of the machine: control groups of containers and batch systems give less than there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Limits:
    """cores: of processor time, such as 1.5; memory: bytes. None: as much as the machine has."""

    cores: float | None
    memory: int | None


def limits(groups: Path = CONTROL_GROUPS, membership: Path = _MEMBERSHIP) -> Limits:
    """The narrowest limits of the control groups that this process is in (cgroup v2, else v1)."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Limits(None, None)
    cores: list[float] = []
    memory: list[int] = []
    for line in lines:
        _, kinds, place = line.split(":", 2)
        for folder in _folders(groups, kinds, place):
            cores += _quota(folder)
            memory += _numbers(folder / "memory.max") + _numbers(folder / "memory.limit_in_bytes")
    return Limits(min(cores, default=None), min(memory, default=None))


def _folders(groups: Path, kinds: str, place: str) -> list[Path]:
    """The group's folder and those above it; in a container the group's own is the root."""
    root = groups / kinds if kinds else groups
    own = root / place.strip("/")
    return [folder for folder in (own, *own.parents) if folder.is_relative_to(root)] if own != root else [root]


def _quota(folder: Path) -> list[float]:
    """Processor time for each second."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return [] if quota == "max" else [int(quota) / int(period)]
    except (OSError, ValueError):
        pass
    quotas, periods = _numbers(folder / "cpu.cfs_quota_us"), _numbers(folder / "cpu.cfs_period_us")
    return [quotas[0] / periods[0]] if quotas and periods and quotas[0] > 0 else []


def _numbers(file: Path) -> list[int]:
    """The number in `file`; nothing where there is none, or it says that there is no limit."""
    try:
        number = int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [number] if number < 2**62 else []
