"""The state of a training run: everything that a step changes, and how it is stored and found again.

Nothing random is in it: all noise and the data order are pure functions of the seed and the step.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.design.own_parts import is_own
from harness.gan.ema import Average, initial_average
from harness.gan.metrics import Interval, MetricsLog, metric_names
from harness.gan.networks.build import (
    build_discriminator,
    build_generator,
    has_own_discriminator_part,
    has_own_generator_part,
)
from harness.gan.networks.layout import lay_out
from harness.gan.randomness import random_stream
from harness.gan.state_content import decode_state, state_fits
from harness.store import atomic
from harness.store.commits import Commit, discard_commit, metrics_match, read_commits, write_commit
from harness.store.reading import read_bytes
from harness.store.rundir import RunDirectory

_log = logging.getLogger("harness")
_Document = dict[str, Any]


@dataclass
class TrainingState:
    """step: steps done; interval: the unfinished log interval; average: of the generator's weights, where one is kept.

    own_networks: whether a network is of the user's own, whose parameters may do without gradients. checkpoints:
    step -> SHA-256 of those written so far. The only mutable thing in training.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    step: int
    interval: Interval
    average: Average | None = None
    own_networks: bool = False
    checkpoints: dict[str, str] = field(default_factory=dict)

    def not_finite(self) -> str | None:
        """What holds a NaN or an infinity: a loss of the interval, a network's weights; None if nothing."""
        parts = {
            "a loss": [self.interval.sums],
            "the generator's weights": _floats(self.generator.state_dict()),
            "the discriminator's weights": _floats(self.discriminator.state_dict()),
        }
        if self.average is not None:
            parts["the moving average of the generator's weights"] = _floats(self.average)
        finite = torch.stack([_all_finite(tensors) for tensors in parts.values()]).tolist()
        return next((name for name, good in zip(parts, finite, strict=True) if not good), None)


def initial_state(
    hp: Hyperparameters, channels: int, seed: int, device: torch.device, own_code: OwnCode
) -> TrainingState:
    """The state at step 0 of a run with `seed`, on `device`, in train mode."""
    generator = build_generator(hp, channels, random_stream(seed, "initialization", "generator"), own_code)
    discriminator = build_discriminator(hp, channels, random_stream(seed, "initialization", "discriminator"), own_code)
    lay_out(generator.to(device), generator_layout(hp, device))
    lay_out(discriminator.to(device), discriminator_layout(hp, device))
    return TrainingState(
        generator,
        discriminator,
        _adam(generator, hp.generator_lr, hp.generator_betas, hp.generator_weight_decay),
        _adam(discriminator, hp.discriminator_lr, hp.discriminator_betas, hp.discriminator_weight_decay),
        step=0,
        interval=Interval.empty(metric_names(hp, own_code), device),
        average=initial_average(generator) if hp.ema_decay > 0 else None,
        own_networks=has_own_generator_part(hp) or has_own_discriminator_part(hp),
    )


def generator_layout(hp: Hyperparameters, device: torch.device) -> torch.memory_format:
    """The memory format of the generator's weights and maps."""
    return _layout(hp.generator, hp.generator_normalization, device)


def discriminator_layout(hp: Hyperparameters, device: torch.device) -> torch.memory_format:
    """The memory format of the discriminator's weights and maps, and of the images that it sees."""
    return _layout(hp.discriminator, hp.discriminator_normalization, device)


def memory_format(level: str, device: torch.device) -> torch.memory_format:
    """The memory format of a network by its level.

    channels_last makes convolutions faster on CPU and CUDA; MPS is left at torch's default layout. The user's own code
    gets contiguous tensors, as it may view them.
    """
    if is_own(level):
        return torch.contiguous_format
    if level == "mlp" or device.type == "mps":
        return torch.preserve_format
    return torch.channels_last


def draws_globally(hp: Hyperparameters) -> bool:
    """Whether a step may draw from torch's global random state: dropout does, and the user's own code may."""
    return hp.generator_dropout > 0 or hp.discriminator_dropout > 0 or has_own_parts(hp)


def has_own_parts(hp: Hyperparameters) -> bool:
    """Whether a step runs code of the user's own."""
    parts = (hp.generator, hp.discriminator, hp.generator_normalization, hp.discriminator_normalization, hp.loss)
    return any(is_own(part) for part in parts)


def commit_state(run: RunDirectory, state: TrainingState, key: str, log: MetricsLog) -> None:
    """Makes metrics durable, then the state, then writes the commit that counts. Weights must be finite."""
    log.sync()
    content = encode_state(state, key)
    atomic.write_bytes(run.state(state.step), content)
    write_commit(run, Commit(state.step, atomic.sha256_of(content), log.offset, log.sha256, dict(state.checkpoints)))


def resume(run: RunDirectory, key: str, fresh: Callable[[], TrainingState]) -> tuple[TrainingState, int]:
    """The newest state that holds, and the part of metrics.jsonl in bytes that counts with it.

    A commit holds when its state has the noted SHA-256 and is of the run `key`, and when metrics.jsonl still
    begins with the records that it counted. Each that does not is named in a warning; the one before takes
    over, at last a fresh state. Commits newer than the one used are removed, and files of states that were
    never committed.
    """
    whole = {commit.step: commit for commit in read_commits(run)}
    state, offset = fresh(), 0
    for step in run.committed_steps():
        damage = _restore(run, whole.get(step), step, key, state)
        if damage is None:
            offset = whole[step].metrics_offset
            state.checkpoints = dict(whole[step].checkpoints)
            break
        _log.warning("%s; the state before takes over", damage)
        discard_commit(run, step)
    _remove_uncommitted(run)
    return state, offset


def rewind(run: RunDirectory, step: int) -> None:
    """Removes the states at and beyond `step`, so that training makes that checkpoint again, bit for bit."""
    for committed in run.committed_steps():
        if committed >= step:
            discard_commit(run, committed)


def encode_state(state: TrainingState, key: str) -> bytes:
    """The state as torch.save writes it: tensors and plain values only."""
    buffer = io.BytesIO()
    document: _Document = {
        "key": key,
        "step": state.step,
        "generator": state.generator.state_dict(),
        "discriminator": state.discriminator.state_dict(),
        "generator_optimizer": state.generator_optimizer.state_dict(),
        "discriminator_optimizer": state.discriminator_optimizer.state_dict(),
        "metrics": list(state.interval.names),
        "sums": state.interval.sums,
        "n": state.interval.n,
        "seconds": state.interval.seconds,
    }
    if state.average is not None:
        document["average"] = state.average
    torch.save(document, buffer)
    return buffer.getvalue()


def _restore(run: RunDirectory, commit: Commit | None, step: int, key: str, state: TrainingState) -> str | None:
    """Puts what `commit` names into `state`; or leaves it as it is and says which file does not hold."""
    if commit is None:
        return f"{run.commit(step)}: the commit does not match its checksum"
    path = run.state(step)
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return f"{path}: the state is missing"
    if atomic.sha256_of(content) != commit.state_sha256:
        return f"{path}: the state does not match its SHA-256"
    if not metrics_match(run, commit):
        return f"{run.metrics}: the records up to step {step} do not match their SHA-256"
    try:
        document = decode_state(content)
        fits = state_fits(document, key, step, state)
    except Exception as error:  # noqa: BLE001 - a file from elsewhere makes its readers raise whatever it likes
        return f"{path}: the state holds something else than tensors ({type(error).__name__})"
    if not fits:
        return f"{path}: the state is of another run or version"
    _fill(state, document)
    return None


def _fill(state: TrainingState, document: _Document) -> None:
    state.generator.load_state_dict(document["generator"])
    state.discriminator.load_state_dict(document["discriminator"])
    state.generator_optimizer.load_state_dict(document["generator_optimizer"])
    state.discriminator_optimizer.load_state_dict(document["discriminator_optimizer"])
    state.step = document["step"]
    if state.average is not None:
        for name, tensor in state.average.items():
            tensor.copy_(document["average"][name])
    state.interval.sums.copy_(document["sums"])
    state.interval.n = document["n"]
    state.interval.seconds = document["seconds"]


def _remove_uncommitted(run: RunDirectory) -> None:
    """A process that was killed between state and commit leaves a state that never counts."""
    committed = {path for step in run.committed_steps() for path in (run.state(step), run.commit(step))}
    for path in run.states.glob("*"):
        if path not in committed and (path.is_file() or path.is_symlink()):
            path.unlink()


def _layout(network: str, normalization: str, device: torch.device) -> torch.memory_format:
    """A network of ours with a normalisation of the user's own gets contiguous maps, too."""
    return memory_format(normalization if is_own(normalization) else network, device)


def _adam(network: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> torch.optim.Adam:
    """Adam (Kingma & Ba 2015) in one kernel for all parameters, which CPU, CUDA and MPS all have."""
    return torch.optim.Adam(network.parameters(), lr=lr, betas=betas, weight_decay=weight_decay, fused=True)


def _floats(weights: Average) -> list[Tensor]:
    """All parameters and buffers but batch norm's counters."""
    return [tensor for tensor in weights.values() if tensor.is_floating_point()]


def _all_finite(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()
