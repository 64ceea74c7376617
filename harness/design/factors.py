"""The factors: every setting that an experiment may vary, with its default, its domain and its aliases.

A factor is one field of `Hyperparameters`. The same definition checks the experiment file and yields the JSON schema
and the factor reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    create_model,
    model_validator,
)

Architecture = Literal["cnn", "mlp"]
Normalization = Literal["batch", "none"]
Activation = Literal["leaky_relu", "relu"]
Beta = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Betas = tuple[Beta, Beta]
Dimension = Annotated[int, Field(strict=True, ge=1, le=65_536)]
LearningRate = Annotated[float, Field(strict=True, gt=0.0, le=10.0, allow_inf_nan=False)]
WeightDecay = Annotated[float, Field(strict=True, ge=0.0, le=10.0, allow_inf_nan=False)]

CNN_RESOLUTIONS = (8, 16, 32, 64, 128)
"""Side lengths in pixels that the strided k4 family can do: a 4x4 map doubled one to five times."""


class Hyperparameters(BaseModel):
    """One level for every factor. Frozen; checked here and nowhere else.

    Units: dims in features, resolution in pixels, learning rates and decays as Adam takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generator: Architecture = Field("cnn", description="generator: convolutions (cnn) or fully connected (mlp)")
    discriminator: Architecture = Field("cnn", description="discriminator, likewise")
    latent_dim: Dimension = Field(100, description="size of the latent vector z ~ N(0, 1)")
    generator_hidden_dim: Dimension = Field(16, description="generator's width next to the image (cnn), or last (mlp)")
    discriminator_hidden_dim: Dimension = Field(16, description="discriminator's width, likewise")
    normalization: Normalization = Field("batch", description="normalisation layers of both networks")
    generator_activation: Activation = Field("leaky_relu", description="hidden activation of the generator")
    discriminator_activation: Activation = Field("leaky_relu", description="hidden activation of the discriminator")
    generator_lr: LearningRate = Field(2e-4, description="Adam's learning rate for the generator")
    discriminator_lr: LearningRate = Field(2e-4, description="Adam's learning rate for the discriminator")
    generator_betas: Betas = Field((0.5, 0.999), description="Adam's betas for the generator")
    discriminator_betas: Betas = Field((0.5, 0.999), description="Adam's betas for the discriminator")
    generator_weight_decay: WeightDecay = Field(0.0, description="Adam's L2 penalty for the generator")
    discriminator_weight_decay: WeightDecay = Field(0.0, description="Adam's L2 penalty for the discriminator")
    resolution: Annotated[int, Field(strict=True, ge=4, le=512)] = Field(
        32, description="side of the square images in pixels"
    )
    batch_size: Annotated[int, Field(strict=True, ge=2, le=65_536)] = Field(64, description="images per update")
    limit: Annotated[int, Field(strict=True, ge=2)] | Literal["all"] = Field(
        "all", description='training images used: a fixed draw of so many, or "all"'
    )

    @model_validator(mode="after")
    def _network_can_do_resolution(self) -> Self:
        for network in ("generator", "discriminator"):
            if getattr(self, network) == "cnn" and self.resolution not in CNN_RESOLUTIONS:
                allowed = ", ".join(map(str, CNN_RESOLUTIONS))
                raise ValueError(f"{network} cnn cannot do resolution {self.resolution}; allowed with cnn: {allowed}")
        return self


ALIASES: dict[str, tuple[str, ...]] = {
    "architecture": ("generator", "discriminator"),
    "hidden_dim": ("generator_hidden_dim", "discriminator_hidden_dim"),
    "activation": ("generator_activation", "discriminator_activation"),
    "lr": ("generator_lr", "discriminator_lr"),
    "betas": ("generator_betas", "discriminator_betas"),
    "weight_decay": ("generator_weight_decay", "discriminator_weight_decay"),
}
"""Names that set several factors at once. A field named itself beats its alias."""

INTRODUCED_DEFAULTS: dict[str, object] = {
    **{name: field.default for name, field in Hyperparameters.model_fields.items()},
}
"""The default that each factor was introduced with; keys leave it out. A changed default pins its old value here."""

Level = int | float | str | tuple[float, ...]
"""A value that a factor may take, as Python holds it."""


def fields_of(name: str) -> tuple[str, ...]:
    """The fields that a factor name or an alias sets; empty for an unknown name."""
    if name in Hyperparameters.model_fields:
        return (name,)
    return ALIASES.get(name, ())


def canonical_level(value: object) -> str:
    """One spelling of a level for names, MLflow parameters and tables: `0.0002`, `cnn`, `0.5,0.999`."""
    if isinstance(value, tuple | list):
        return ",".join(canonical_level(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return str(value)


class LevelTable(BaseModel):
    """A table of the experiment file whose keys are factors or aliases; only those given are set, in file order."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _order: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="wrap")
    @classmethod
    def _remember_order(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        table = handler(data)
        if isinstance(data, Mapping):
            table._order = tuple(name for name in data if fields_of(name))
        return table

    def given(self) -> dict[str, Any]:
        """The factors and aliases that were given, with their values, in file order."""
        return {name: getattr(self, name) for name in self._order}


def _level_fields(*, many: bool) -> dict[str, Any]:
    """Pydantic field definitions for every factor and alias, optional, one level or a list of levels each."""
    fields: dict[str, Any] = {}
    for name, field in Hyperparameters.model_fields.items():
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        fields[name] = (list_of(kind) if many else kind, Field(None, description=field.description))
    for alias, targets in ALIASES.items():
        fields[alias] = (fields[targets[0]][0], Field(None, description=f"sets {' and '.join(targets)}"))
    return fields


def list_of(kind: Any) -> Any:
    """A non-empty list type."""
    return Annotated[list[kind], Field(min_length=1)]


Levels = create_model("Levels", __base__=LevelTable, **_level_fields(many=False))
"""One level for some factors: `[baseline]`, `[[cell]]`, `[[exclude]]`."""

LevelLists = create_model("LevelLists", __base__=LevelTable, **_level_fields(many=True))
"""Several levels for some factors: `levels` of a `[[grid]]`."""


def as_fields(levels: Mapping[str, Any]) -> dict[str, Any]:
    """Levels by field: aliases expanded, a field named itself beating its alias. Unknown names stay as they are."""
    fields: dict[str, Any] = {}
    for name, value in levels.items():
        if name in ALIASES:
            fields |= {field: value for field in ALIASES[name] if field not in levels}
        else:
            fields[name] = value
    return fields
