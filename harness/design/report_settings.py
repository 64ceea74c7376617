"""What an experiment file asks of the report: `[report]`, and the claims that are to be tested, `[[claim]]`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.design.metrics import MetricName
from harness.design.settings import Model, Name

SectionName = Literal[
    "summary",
    "comparison",
    "samples",
    "progress",
    "side-by-side",
    "modes",
    "interpolations",
    "effects",
    "against-step",
    "loss-crossings",
    "probabilities",
    "equilibrium",
    "dynamics",
    "diagnosis",
    "cost",
    "problems",
    "settings",
    "protocol",
    "reproduce",
]
"""Sections of a report, in the order that they have where the file names none."""


class ReportSettings(Model):
    """What the report shows, and what workers draw for it."""

    samples: Annotated[int, Field(strict=True, ge=1, le=1024)] = Field(64, description="images in each sample grid")
    interpolations: (
        tuple[Annotated[int, Field(strict=True, ge=1, le=100)], Annotated[int, Field(strict=True, ge=2, le=100)]] | None
    ) = Field(None, description="[PAIRS, POINTS]: walks between two latents at the last checkpoint, a row each")
    classes: Annotated[int, Field(strict=True, ge=50, le=1024)] | None = Field(
        None, description="images in the sheet that shows what class the first extractor takes each for (mode collapse)"
    )
    sections: Annotated[tuple[SectionName, ...], Field(min_length=1)] | None = Field(
        None, description="sections of the report, in this order; default: all that have something to show"
    )
    panels: Annotated[int, Field(strict=True, ge=3, le=10_000)] = Field(
        120, description="cells with panels of their own in pictures of losses and images; tables have all cells"
    )
    side_by_side: tuple[tuple[Name, Name], ...] = Field(
        (), description="[[CELL, CELL], ...]: pairs of cells shown beside each other at the same checkpoints"
    )

    @model_validator(mode="after")
    def _sections_are_told_once(self) -> Self:
        named = self.sections or ()
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice:
            raise ValueError(f"the section {twice!r} is named twice")
        return self


class Claim(Model):
    """One `[[claim]]`: a difference between two cells that is to be tested. The claims are the whole family of tests,
    so that no other cell costs them anything."""

    metric: MetricName = Field("fid", description="a metric of an [[evaluation]]; the first one that has it counts")
    cell: Name = Field(description="the cell that the claim is about: a name, or levels such as latent_dim=100")
    against: Name = Field("baseline", description="the cell that it is compared with")
    smallest_effect: Annotated[float, Field(strict=True, gt=0.0, le=1e6, allow_inf_nan=False)] | None = Field(
        None,
        description="the smallest difference that matters: a share of the value (0.1 is 10 %) of metrics that "
        "compare as ratios, such as FID, else in the metric's unit",
    )
