"""Networks and losses are tried before anything trains: once for each distinct pair, whatever else their cells vary."""

from __future__ import annotations

from collections.abc import Iterable

from harness.data.own_code import OwnCode
from harness.design.expansion import Cell
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.execution.events import Event, Observer
from harness.gan.preflight import NetworksCheck, PreflightError, check_networks

_NOT_OF_NETWORKS = frozenset({
    "generator_target", "real_label", "fake_label", "label_swap", "label_swap_decay", "instance_noise",
    "instance_noise_decay", "discriminator_loss_reduction", "fake_batch", "discriminator_steps",
    "generator_steps", "generator_lr", "discriminator_lr", "lr_decay_from", "generator_betas", "discriminator_betas",
    "generator_weight_decay", "discriminator_weight_decay", "ema_decay", "batch_size", "limit",
})  # fmt: skip
"""Factors that neither a network nor a loss is made from. A new factor counts as one that is, until it stands here."""


class NetworkChecks:
    """Networks and losses of cells, tried once for each distinct pair. channels: of the data's images."""

    def __init__(self, channels: int, own_code: OwnCode) -> None:
        self._channels = channels
        self._own_code = own_code
        self._found: dict[str, NetworksCheck] = {}
        self._told: set[str] = set()

    def of(self, cell: Cell) -> NetworksCheck:
        """What was found of a cell's networks; PreflightError or OwnPartError, with its name, where it cannot train."""
        networks = networks_of(cell.hyperparameters)
        if networks not in self._found:
            try:
                self._found[networks] = check_networks(cell.hyperparameters, self._channels, self._own_code)
            except (PreflightError, OwnPartError) as error:
                raise type(error)(f"{error.what} (cell {cell.name})", where=error.where, remedy=error.remedy) from error
        return self._found[networks]

    def tell(self, cells: Iterable[Cell], observe: Observer) -> None:
        """Tries the networks of all `cells`; each warning is told once, with the first cell that it is about."""
        for cell in cells:
            for warning in self.of(cell).warnings:
                if warning not in self._told:
                    observe(Event("note", text=f"{warning} (cell {cell.name})"))
                    self._told.add(warning)


def networks_of(hp: Hyperparameters) -> str:
    """What the networks and the loss of these levels are made from, in one spelling."""
    return hp.model_dump_json(exclude=set(_NOT_OF_NETWORKS))
