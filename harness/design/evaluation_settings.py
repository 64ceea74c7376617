"""The tables `[[evaluation]]`: what is measured at which checkpoints, under which protocol."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.design.metrics import METRICS, NEAREST_METRICS, MetricName
from harness.design.settings import Count, Model, PathText
from harness.design.training_settings import TrainingSettings

ExtractorName = Literal["digits", "mnist", "inception", "trained"]
Precision = Literal["float32", "float64", "bfloat16"]


class EvaluationSettings(Model):
    """One `[[evaluation]]` block: what is measured at which checkpoints, under which protocol."""

    extractor: ExtractorName = Field("digits", description="network whose features are compared")
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = Field(("fid",), description="what is measured")
    samples: Annotated[int, Field(strict=True, ge=2, le=10**7)] = Field(1000, description="generated images per repeat")
    repeats: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        5, description="measurements of each checkpoint with fresh latent noise"
    )
    at: Literal["all", "last"] | Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        "all", description='checkpoints measured: "all", "last" or a list of steps'
    )
    resolution: Annotated[int, Field(strict=True, ge=4, le=512)] | None = Field(
        None, description="pixels that every image is brought to; default: the baseline's resolution"
    )
    reference: Annotated[int, Field(strict=True, ge=2)] | Literal["all"] = Field(
        "all", description="real images compared with: a fixed draw of so many from the data, or all"
    )
    extractor_weights: PathText | None = Field(
        None, description="file of the weights of inception, or of an extractor that `harness extractor train` made"
    )
    unverified_weights: bool = Field(
        False, strict=True, description="accept inception weights of an unknown SHA-256; the report marks their numbers"
    )
    precision: Precision = Field(
        "float32", description="of the extractor's arithmetic; another one is another protocol, with numbers of its own"
    )
    generator_mode: Literal["eval", "train"] = Field("eval", description="mode of the generator's batch norm")
    generator_weights: Literal["raw", "ema"] = Field(
        "raw", description="weights that are measured: as trained, or their moving average (ema_decay)"
    )
    required: bool = Field(True, strict=True, description="false: left out, and said so, where its weights are missing")

    @model_validator(mode="after")
    def _weights_fit_extractor(self) -> Self:
        ships = self.extractor in ("digits", "mnist")
        if ships and self.extractor_weights:
            raise ValueError(
                "extractor_weights is for inception and trained extractors; the weights of "
                f"{self.extractor} ship with harness: leave it out"
            )
        if ships and self.unverified_weights:
            raise ValueError(
                f"unverified_weights is for inception; the weights of {self.extractor} ship with harness: leave it out"
            )
        if self.extractor == "trained" and not self.extractor_weights:
            raise ValueError('extractor = "trained" needs extractor_weights; `harness extractor train FILE` makes them')
        if self.extractor == "trained" and self.unverified_weights:
            raise ValueError(
                "unverified_weights is for inception; trained weights carry their own SHA-256: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _metrics_can_be_measured(self) -> Self:
        twice = next((name for name in self.metrics if self.metrics.count(name) > 1), None)
        if twice:
            raise ValueError(f"metrics names {twice} twice")
        for metric in (METRICS[name] for name in self.metrics):
            for name, count in (("samples", self.samples), ("reference", self.reference)):
                if count != "all" and count < metric.least:
                    raise ValueError(f"{metric.name} needs at least {metric.least} images; {name} is {count}")
        if "fid_infinity" in self.metrics and self.repeats < 2:
            raise ValueError("fid_infinity extrapolates from several repeats; say repeats = 2 or more")
        nearest = next((name for name in self.metrics if name in NEAREST_METRICS), None)
        if nearest and self.reference != "all":
            raise ValueError(f'{nearest} looks for copies among all training images; say reference = "all"')
        return self

    @property
    def extractor_name(self) -> str:
        """What columns and MLflow metrics call the extractor: `digits`; a trained one by the name of its file."""
        if self.extractor == "trained" and self.extractor_weights:
            return re.sub(r"[^\w.-]+", "-", PurePath(self.extractor_weights).stem) or "trained"
        return self.extractor

    def steps_measured(self, training: TrainingSettings) -> tuple[int, ...]:
        """The checkpoints' steps that this block asks for, ascending."""
        if self.at == "all":
            return training.checkpoint_steps()
        if self.at == "last":
            return (training.steps,)
        return tuple(sorted(set(self.at)))
