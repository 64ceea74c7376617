"""Networks and losses are tried before anything trains: once for each distinct pair, whatever else their cells vary."""

from __future__ import annotations

from collections.abc import Iterable

from harness.data.own_code import OwnCode
from harness.design.expansion import Cell
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.execution.events import Event, Observer
from harness.gan.preflight import PreflightError, check_networks

_NOT_OF_NETWORKS = frozenset({
    "generator_target", "real_label", "fake_label", "label_swap", "label_swap_decay", "instance_noise",
    "instance_noise_decay", "discriminator_loss_reduction", "gradient_penalty", "fake_batch", "discriminator_steps",
    "generator_steps", "generator_lr", "discriminator_lr", "lr_decay_from", "generator_betas", "discriminator_betas",
    "generator_weight_decay", "discriminator_weight_decay", "ema_decay", "batch_size", "limit",
})  # fmt: skip
"""Factors that neither a network nor a loss is made from. A new factor counts as one that is, until it stands here."""


def check_cells(cells: Iterable[Cell], channels: int, own_code: OwnCode, observe: Observer) -> None:
    """Tries the networks and the loss of every cell; warnings are told once.

    channels: of the data's images. Raises PreflightError or OwnPartError, naming the first cell that cannot train.
    """
    tried: set[str] = set()
    told: set[str] = set()
    for cell in cells:
        networks = networks_of(cell.hyperparameters)
        if networks in tried:
            continue
        tried.add(networks)
        try:
            found = check_networks(cell.hyperparameters, channels, own_code)
        except (PreflightError, OwnPartError) as error:
            raise type(error)(f"{error.what} (cell {cell.name})", where=error.where, remedy=error.remedy) from error
        for warning in found.warnings:
            if warning not in told:
                observe(Event("note", text=f"{warning} (cell {cell.name})"))
                told.add(warning)


def networks_of(hp: Hyperparameters) -> str:
    """What the networks and the loss of these levels are made from, in one spelling."""
    return hp.model_dump_json(exclude=set(_NOT_OF_NETWORKS))
