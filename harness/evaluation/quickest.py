"""Which way Inception runs here: a fixed one for few images, else the quickest by a probe once per machine.

The ways may differ in the last bits of a feature. So the choice is a function of the experiment's number of images and
of what the machine's cache holds: all workers of an experiment, and its later calls, take the same one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harness.evaluation.features import Beat
from harness.evaluation.probe import Candidate, probe, why_not
from harness.evaluation.processor import describe_processor
from harness.evaluation.trunks import STEM_SIZE, Way, ways
from harness.store.atomic import Json
from harness.store.machine_cache import remembered

PROBE_FROM = 10_000
"""Images in all from which ways are timed: that takes some twenty seconds on one core, where so many images take as
many minutes. A gain of 5 %, the least that counts, brings them back before half of the images are done."""

COMPILE_FROM = 50_000
"""Images in all from which compiling is among the ways: it takes up to half a minute in every process, and gains
nothing where the fused convolution runs at the processor's limit already, but a quarter where there is none."""

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.2}
"""How far from the plain network's a quicker one's features may be, as a share of their mean size."""

PROBE_VERSION = 1
"""Raised when the ways' code or the probe changes such that kept choices no longer tell the quickest."""

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class Job:
    """What waits for the network: images in all; beat: called between pieces of the preparation."""

    device: torch.device
    dtype: torch.dtype
    images: int
    beat: Beat


@dataclass(frozen=True, eq=False)
class Trial:
    """A plain trunk and made-up maps [n, 32, 149, 149] to hold others against it; `built`: the others so far, by name.

    pool: what the trunk gives -> features.
    """

    plain: nn.Module
    pool: Callable[[Tensor], Tensor]
    maps: Tensor
    built: dict[str, nn.Module] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        return TOLERANCES[self.maps.dtype]

    def expected(self, count: int) -> Tensor:
        """The plain trunk's features of the first `count` maps."""
        return self.pool(self.plain(self.maps[:count]))

    def candidate(self, way: Way) -> Candidate:
        def build() -> Callable[[Tensor], Tensor]:
            trunk = self.built[way.name] = way.build(self.plain, self.maps[: way.batch_size])
            return lambda maps: self.pool(trunk(maps))

        return Candidate(way.name, way.batch_size, build)

    def usable(self, way: Way) -> nn.Module | None:
        """The trunk run this way, where it can be and agrees; the log says why not."""
        if way.kind == "plain":
            return self.plain
        if way.name not in self.built:
            maps, expected = self.maps[: way.batch_size], self.expected(way.batch_size)
            reason = why_not(lambda: self.candidate(way).build()(maps), expected, self.tolerance)
            if reason is not None:
                self.built.pop(way.name, None)
                _log.warning("Inception cannot run %s here, and runs slower: %s", way.name, reason)
                return None
        return self.built[way.name]


def settle(plain: nn.Module, pool: Callable[[Tensor], Tensor], job: Job) -> tuple[nn.Module, int]:
    """The trunk to use and the number of images that it sees at once; `plain` where nothing quicker agrees with it.

    pool: what the trunk gives -> features.
    """
    tried = ways(job.device, job.dtype, compiling=job.images >= COMPILE_FROM)
    if len(tried) == 1:
        return plain, tried[0].batch_size
    probing = job.images >= PROBE_FROM and job.dtype != torch.bfloat16  # whose ways agree too little to be exchanged
    with torch.inference_mode():
        sizes = [way.batch_size for way in (tried if probing else tried[:1])]
        trial = Trial(plain, pool, made_up_maps(job, max(sizes)))
        first = chosen(trial, tried, job) if probing else tried[0]
        for way in (first, *(way for way in tried if way != first)):
            trunk = trial.usable(way)
            if trunk is not None:
                return trunk, way.batch_size
    raise AssertionError("the plain way is among them, and it always works")


def made_up_maps(job: Job, count: int) -> Tensor:
    """[count, 32, 149, 149], channels last, as the first convolution could give them; a few, over and over."""
    generator = torch.Generator().manual_seed(0)
    few = torch.randn((min(count, 16), 32, STEM_SIZE, STEM_SIZE), generator=generator).relu()
    maps = few.to(job.device, job.dtype).contiguous(memory_format=torch.channels_last)
    return maps[torch.arange(count, device=job.device) % len(maps)].contiguous(memory_format=torch.channels_last)


def chosen(trial: Trial, tried: Sequence[Way], job: Job) -> Way:
    """The quickest way on this machine, from its cache or by a probe; the first one where none is known."""

    def measure() -> Json:
        found = probe(
            [trial.candidate(way) for way in tried],
            trial.maps,
            trial.expected(len(trial.maps)),
            trial.tolerance,
            clock=lambda: _now(job.device),
            beat=job.beat,
        )
        for name in found.refused:
            trial.built.pop(name, None)
        return {"way": found.best, "images_per_s": found.images_per_s, "refused": found.refused}

    kept = remembered("inception", conditions(tried, job), measure, job.beat)
    if kept is None:
        return tried[0]
    _log.info("Inception runs %s here: images/s of each way %s", kept["way"], kept["images_per_s"])
    return next((way for way in tried if way.name == kept["way"]), tried[0])


def conditions(tried: Sequence[Way], job: Job) -> dict[str, object]:
    """All that the quickest way depends on, as plain values."""
    common = {
        "probe": PROBE_VERSION,
        "ways": [way.name for way in tried],
        "precision": str(job.dtype),
        "torch": torch.__version__,
    }
    if job.device.type == "cuda":
        cudnn: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call] # torch leaves it so
        return {**common, "gpu": torch.cuda.get_device_name(job.device), "cudnn": cudnn}
    return {
        **common,
        "cpu": describe_processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "onednn limit": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
        "compiler": os.environ.get("CXX", ""),
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _now(device: torch.device) -> float:
    """Seconds, read when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
