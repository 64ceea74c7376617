"""GPUs that are not there: lists of facts, and an nvidia-smi whose answers a test writes into files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.execution.gpu_list import Gpu, Load

TOTAL_MIB = 80 * 1024.0


def gpu(index: int, used_mib: float = 0.0, busy: float | None = 10.0, name: str = "NVIDIA H200") -> Gpu:
    return Gpu(f"GPU-{index}{index}{index}{index}-aa", index, name, Load(TOTAL_MIB, used_mib, busy))


@dataclass
class FakeFacts:
    """A list of GPUs that a test changes while it is read; None: nobody answers."""

    gpus: tuple[Gpu, ...] | None
    order: tuple[str, ...] = ()
    looks: int = field(default=0)

    def listed(self) -> tuple[Gpu, ...] | None:
        self.looks += 1
        return self.gpus

    def is_gone(self, gpu: Gpu) -> bool:
        return self.gpus is not None and gpu.id not in {found.id for found in self.gpus}

    def in_cuda_order(self) -> tuple[str, ...]:
        return self.order

    def use(self, index: int, used_mib: float, busy: float | None = 10.0) -> None:
        """Sets what is seen of a GPU."""
        assert self.gpus is not None
        load = Load(TOTAL_MIB, used_mib, busy)
        self.gpus = tuple(replace(gpu, load=load) if gpu.index == index else gpu for gpu in self.gpus)


class FakeSmi:
    """A program nvidia-smi at the front of PATH. It answers with files: table, list, and one of each GPU asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        script = folder / "nvidia-smi"
        script.write_text(
            "#!/bin/sh\n"
            f'echo "$@" >> {folder}/asked\n'
            'case "$1" in\n'
            f"  -L) cat {folder}/list ;;\n"
            f"  -i) cat {folder}/\"$2\" 2>/dev/null || {{ echo 'No devices were found'; exit 6; }} ;;\n"
            f"  *) cat {folder}/table; exit $(cat {folder}/code) ;;\n"
            "esac\n"
        )
        script.chmod(0o755)
        self.answer("")
        (folder / "list").write_text("")
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def answer(self, table: str, code: int = 0) -> None:
        """What it says of all GPUs, whole at any moment."""
        (self.folder / "code").write_text(str(code))
        new = self.folder / "table.new"
        new.write_text(table)
        new.replace(self.folder / "table")

    def rows(self, *rows: tuple[int, float]) -> None:
        """GPUs by index and MiB used, each half busy."""
        self.answer("".join(f"{index}, GPU-{index}, Fake GPU, 81920, {used:.0f}, 50\n" for index, used in rows))

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()
