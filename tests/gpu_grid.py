"""Four cells of a generator that says which GPU its process was given, and misbehaves where a test wants it to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments import TINY
from harness.execution.events import Event

NETS = """
import json, os, signal, time
from pathlib import Path

import torch
from torch import nn

SHARED = Path({shared!r})
MINE = os.environ.get("CUDA_VISIBLE_DEVICES")


def tell(cell):
    others = [path.name for path in SHARED.glob("pid-*") if Path("/proc", path.name[4:]).exists()]
    line = {{"cell": cell, "gpu": MINE, "pid": os.getpid(), "time": time.monotonic(), "alive": others}}
    (SHARED / f"pid-{{os.getpid()}}").touch()
    (SHARED / f"at-{{MINE}}-{{cell}}").touch()
    with (SHARED / "told").open("a") as file:
        file.write(json.dumps(line) + chr(10))


class Net(nn.Module):
    def __init__(self, latent_dim, channels, resolution, cell=1.0):
        super().__init__()
        self.shape = (channels, resolution, resolution)
        self.layer = nn.Linear(latent_dim, channels * resolution ** 2)
        self.cell = int(cell)
        self.calls = 0

    def forward(self, z):
        if MINE is not None and self.training:
            self.calls += 1
            if self.calls == 1:
                tell(self.cell)
            self.misbehave()
            if self.calls % 8 == 0:
                tell(self.cell)
        return torch.tanh(self.layer(z)).view(len(z), *self.shape)

    def misbehave(self):
        once = SHARED / f"once-{{self.cell}}"
{misbehave}
"""

CELLS = TINY[: TINY.index("[[grid]]")].replace(
    "[baseline]", '[baseline]\ngenerator = "nets.py:Net"\nown.cell = 1.0'
) + "".join(f'\n[[cell]]\nname = "c{number}"\nown.cell = {number}.0\n' for number in (2, 3, 4))


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path.parent / "shared" / "told").read_text().splitlines()]


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.kind == "note" and "GPU" in event.text]


def at_once(events: list[Event]) -> int:
    """The most runs that were at work side by side."""
    most, busy = 0, set()
    for event in events:
        if event.kind == "started":
            busy.add(event.run)
        elif event.kind in ("finished", "queued", "died"):
            busy.discard(event.run)
        most = max(most, len(busy))
    return most
