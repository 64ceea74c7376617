"""Which training images each update of the discriminator sees."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.gan.randomness import random_stream


class Batches:
    """A new order of the images every epoch, whose incomplete last batch is dropped.

    images: uint8 [N, C, R, R], N at least `batch_size`. A pure function of (seed, number).
    """

    def __init__(self, images: Tensor, batch_size: int, seed: int) -> None:
        self._images = images
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0)

    @property
    def shape(self) -> torch.Size:
        """Of each batch: [batch_size, C, R, R]."""
        return torch.Size((self._batch_size, *self._images.shape[1:]))

    def at(self, number: int) -> Tensor:
        """The batch that follows `number` ones, uint8 [batch_size, C, R, R]."""
        epoch, place = divmod(number, len(self._images) // self._batch_size)
        if epoch != self._epoch:
            order = torch.randperm(len(self._images), generator=random_stream(self._seed, "data order", epoch))
            self._order, self._epoch = order.to(self._images.device), epoch
        return self._images[self._order[place * self._batch_size : (place + 1) * self._batch_size]]
