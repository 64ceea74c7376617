"""What a captured step reads, in buffers on the device that stay where they are: its inputs and its learning rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from harness.design.factors import Hyperparameters
from harness.gan.inputs import DiscriminatorInputs, GeneratorInputs, Inputs


class StaticInputs:
    """One step's inputs on the device, in buffers that stay where they are. first: inputs like all that will come."""

    def __init__(self, first: Inputs, hp: Hyperparameters, device: torch.device) -> None:
        self._discriminator = [
            DiscriminatorInputs._make(_buffers(first.discriminator(update), device))
            for update in range(hp.discriminator_steps)
        ]
        self._generator = [
            GeneratorInputs._make(_buffers(first.generator(update), device)) for update in range(hp.generator_steps)
        ]

    def discriminator(self, update: int) -> DiscriminatorInputs:
        return self._discriminator[update]

    def generator(self, update: int) -> GeneratorInputs:
        return self._generator[update]

    def load(self, inputs: Inputs) -> None:
        """Copies a step's inputs; those on the CPU from pinned memory, so that nothing waits."""
        for update, buffers in enumerate(self._discriminator):
            _copy(inputs.discriminator(update), buffers)
        for update, others in enumerate(self._generator):
            _copy(inputs.generator(update), others)


class StaticRates:
    """The optimizers' learning rates as float32 on the device, in buffers that stay where they are.

    The optimizers hold them only while a step is captured; before and after they are as a state file has them.
    """

    def __init__(self, optimizers: tuple[torch.optim.Optimizer, ...], device: torch.device) -> None:
        self._groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self._rates: list[float] = [group["lr"] for group in self._groups]
        self._buffers = [torch.tensor(rate, dtype=torch.float32, device=device) for rate in self._rates]
        self._factor = 1.0

    def load(self, factor: float) -> None:
        """Multiplies the rates that the levels name by `factor`."""
        if factor == self._factor:
            return
        self._factor = factor
        for buffer, rate in zip(self._buffers, self._rates, strict=True):
            buffer.fill_(rate * factor)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A block in which the optimizers read the buffers, and know whether they are being captured."""
        capturing = self._buffers[0].is_cuda and torch.cuda.is_current_stream_capturing()
        for group, buffer in zip(self._groups, self._buffers, strict=True):
            group["lr"], group["capturable"] = buffer, capturing
        try:
            yield
        finally:
            for group, rate in zip(self._groups, self._rates, strict=True):
                group["lr"], group["capturable"] = rate, False


def _buffers(tensors: Iterable[Tensor | None], device: torch.device) -> Iterator[Tensor | None]:
    return (None if tensor is None else torch.empty_like(tensor, device=device) for tensor in tensors)


def _copy(sources: Iterable[Tensor | None], buffers: Iterable[Tensor | None]) -> None:
    for source, buffer in zip(sources, buffers, strict=True):
        if buffer is None:
            continue
        if source is None:  # noise that has fallen to nothing
            buffer.zero_()
        elif source.device == buffer.device:
            buffer.copy_(source)
        else:
            buffer.copy_(source.pin_memory(), non_blocking=True)
