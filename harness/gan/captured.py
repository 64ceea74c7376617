"""The whole step of training as one CUDA graph: captured once, then repeated without Python between its kernels.

After PyTorch's notes on CUDA graphs (whole-network capture). What a step is given lies in buffers that stay where they
are; each repetition finds the next step's there. Where a step is captured is decided by the device and the levels
alone, so that equal settings on equal devices give equal bits, and it is no part of the key.

Nothing here has been measured or run on a GPU yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from harness.design.factors import Hyperparameters
from harness.gan.adversarial import Rules, whole_step
from harness.gan.buffers import StaticInputs, StaticRates
from harness.gan.inputs import Inputs
from harness.gan.out_of_memory import says_out_of_memory
from harness.gan.state import TrainingState, draws_globally

WARM_UP = 3
"""Steps before the capture, in which libraries choose and allocate; what they change is put back."""

MAX_UPDATES = 32
"""Updates in one step, of both networks: a longer step would be a graph of very many kernels."""

Work = Callable[[], Tensor]
Capture = Callable[[Work, torch.device], Work]
"""Makes of work on tensors that stay where they are something that repeats it, and gives the same tensor of results."""

_log = logging.getLogger("harness")


def obstacle(hp: Hyperparameters) -> str | None:
    """Why steps with these levels are not captured; None where nothing speaks against it."""
    if draws_globally(hp):
        return "dropout and parts of your own draw as they run, and may wait for the GPU"
    if hp.discriminator_steps + hp.generator_steps > MAX_UPDATES:
        return f"a step has more than {MAX_UPDATES} updates"
    return None


def captured(
    state: TrainingState,
    rules: Rules,
    drawn: Callable[[int], Inputs],
    rate_factor: Callable[[int], float],
) -> CapturedStep | None:
    """The captured step, or None where steps run one by one, which the log says with the reason.

    drawn, rate_factor: of the step that follows so many done ones: what it is given, on the CPU but for its images, and
    by what the learning rates are multiplied.
    """
    reason = obstacle(rules.hp)
    if reason is None:
        try:
            step = CapturedStep(state, rules, drawn, rate_factor, cuda_graph)
        except RuntimeError as error:  # the one kind that torch has for what cannot be captured
            if says_out_of_memory(error):
                raise
            reason = f"CUDA refuses: {(str(error).splitlines() or [''])[0]}"
        else:
            _log.info("steps are captured as one CUDA graph")
            return step
    _log.info("steps run one by one: they are not captured as a CUDA graph (%s)", reason)
    return None


class CapturedStep:
    """Takes one step at each call and returns its metrics, which the next call overwrites.

    The state, its step counted by the caller, is what the same steps without a capture would make of it, up to float
    rounding: the optimizers take their learning rates as float32.
    """

    def __init__(
        self,
        state: TrainingState,
        rules: Rules,
        drawn: Callable[[int], Inputs],
        rate_factor: Callable[[int], float],
        capture: Capture,
    ) -> None:
        self._state = state
        self._rules = rules
        self._drawn = drawn
        self._rate_factor = rate_factor
        device = state.interval.sums.device
        self._inputs = StaticInputs(drawn(state.step), rules.hp, device)
        self._rates = StaticRates((state.generator_optimizer, state.discriminator_optimizer), device)
        self._load()
        with _put_back(state):
            self._repeat = capture(self._work, device)

    def __call__(self) -> Tensor:
        self._load()
        return self._repeat()

    def _load(self) -> None:
        self._inputs.load(self._drawn(self._state.step))
        self._rates.load(self._rate_factor(self._state.step))

    def _work(self) -> Tensor:
        with self._rates.in_use():
            return whole_step(self._state, self._inputs, self._rules)


def cuda_graph(work: Work, device: torch.device) -> Work:
    """Warms up on a stream of its own, captures `work`, and gives what replays it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.cuda.graph(graph):
            results = work()

    def repeat() -> Tensor:
        graph.replay()
        return results

    return repeat


@contextmanager
def _put_back(state: TrainingState) -> Iterator[None]:
    """A block after which weights, buffers, moments and the moving average hold what they held before.

    Moments that appear in it are those of step 0.
    """
    networks = (state.generator.state_dict(), state.discriminator.state_dict(), state.average or {})
    kept = [(tensor, tensor.detach().clone()) for network in networks for tensor in network.values()]
    before = {id(tensor): tensor.clone() for tensor in _moments(state)}
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
            for tensor in _moments(state):
                tensor.copy_(before[id(tensor)]) if id(tensor) in before else tensor.zero_()


def _moments(state: TrainingState) -> Iterator[Tensor]:
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        for moments in optimizer.state.values():
            yield from moments.values()
