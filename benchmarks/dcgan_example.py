"""PyTorch's own DCGAN example as a peer, where a user has it: examples/dcgan/main.py of github.com/pytorch/examples."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from measurements import Tell
from rows import Row
from turns import Contestant, Standing

from harness.design.factors import Hyperparameters
from harness.execution.devices import available_cores

WARM, TIMED = 2, 6
_STEP = re.compile(r"^\[\d+/\d+\]\[\d+/\d+\] Loss_D")


def example_rows(script: Path, tell: Tell) -> list[Row]:
    """Seconds of a step at its own settings: RGB images of 64x64, latent 100, widths 64, batch 64; made-up images."""
    tell("PyTorch's DCGAN example")
    peers = example_seconds(script)
    widths = {"latent_dim": 100, "generator_hidden_dim": 64, "discriminator_hidden_dim": 64}
    hp = Hyperparameters(**widths, resolution=64, generator_activation="relu")
    contestant = Contestant("one run", hp, False, available_cores(), channels=3)
    tell("PyTorch's DCGAN example: ours")
    with Standing(contestant, WARM, TIMED) as standing:
        ours = [standing.take(1) for _ in range(TIMED)]
        standing.finish()
    ratio = median(peers) / median(ours)
    return [
        Row(
            name="training.cpu.dcgan-example",
            what="training at 64x64, RGB, widths 64, one run",
            ours=1000 * median(ours),
            ours_unit="ms a step",
            peer=1000 * median(peers),
            peer_what="PyTorch's DCGAN example",
            ratio=ratio,
            noise=(max(peers) - min(peers)) / median(peers),
            target=None,
            target_of="ratio",
            note="not in turns",
        )
    ]


def example_seconds(script: Path) -> list[float]:
    """Seconds between the lines that the example prints after every step."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-u", str(script.resolve()), "--dataset", "fake", "--niter", "1", "--outf", folder]
        stamps: list[float] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
            for line in process.stdout or ():
                if _STEP.match(line):
                    stamps.append(time.perf_counter())
                if len(stamps) > WARM + TIMED:
                    break
            process.kill()
    if len(stamps) <= WARM + TIMED:
        raise SystemExit(f"error: {script} printed {len(stamps)} steps; is it PyTorch's DCGAN example?")
    return [later - earlier for earlier, later in zip(stamps[WARM:], stamps[WARM + 1 :], strict=False)]
