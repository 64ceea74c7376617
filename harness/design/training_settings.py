"""The table `[training]`: how long a run trains and what it keeps."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from harness.design.settings import Count, Model

MAX_CHECKPOINTS = 10_000


class TrainingSettings(Model):
    """How long a run trains and what it keeps. Of it only the steps are in a run's key, and only for schedules.

    A file may say epochs instead of steps; `Cell.training` has the steps of a cell in any case.
    """

    steps: Count = Field(5000, description="steps that every run trains")
    log_every: Count = Field(10, description="steps averaged into one metrics record")
    checkpoint_every: Count = Field(1000, description="steps between checkpoints; the last step always has one")
    epochs: Count | None = Field(None, description="instead of steps: passes over a cell's own images")
    checkpoint_every_epochs: Count | None = Field(None, description="instead of checkpoint_every: epochs between them")

    @model_validator(mode="after")
    def _in_steps_or_in_epochs(self) -> Self:
        for in_steps, in_epochs in (("steps", "epochs"), ("checkpoint_every", "checkpoint_every_epochs")):
            if getattr(self, in_epochs) is not None and in_steps in self.model_fields_set:
                raise ValueError(f"{in_steps} and {in_epochs} say the same thing twice; keep one of them")
        return self

    @model_validator(mode="after")
    def _checkpoints_can_be_counted(self) -> Self:
        if not self.in_epochs and self.steps // self.checkpoint_every > MAX_CHECKPOINTS:
            raise ValueError(too_many_checkpoints(self.steps, self.checkpoint_every))
        return self

    @property
    def in_epochs(self) -> bool:
        """Whether steps are known only for a cell's own images and batch size."""
        return self.epochs is not None or self.checkpoint_every_epochs is not None

    def checkpoint_steps(self) -> tuple[int, ...]:
        """The steps that have a checkpoint, ascending; the last is always `steps`."""
        steps = list(range(self.checkpoint_every, self.steps + 1, self.checkpoint_every))
        return tuple(steps if steps and steps[-1] == self.steps else [*steps, self.steps])


def too_many_checkpoints(steps: int, checkpoint_every: int) -> str:
    """What to tell where nobody would keep so many."""
    return (
        f"{steps:,} steps with a checkpoint every {checkpoint_every} are more than {MAX_CHECKPOINTS:,} checkpoints; "
        "raise checkpoint_every"
    )
