"""The factors: every setting that an experiment may vary, with its default, its domain and its aliases.

A factor is one field of `Hyperparameters`. The same definition checks the experiment file and yields the JSON schema
and the factor reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    create_model,
    model_validator,
)

from harness.design.combinations import refusal
from harness.design.own_parts import PATTERN, one_spelling, own_name

PLAIN = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
"""Text without control characters, line ends, and marks that turn the direction of writing."""

OWN = "own."
"""What the name of an own part's factor begins with wherever factors of both kinds are named."""

OwnPart = Annotated[str, Field(strict=True, max_length=4096, pattern=PATTERN), AfterValidator(one_spelling)]
"""A part of the user's own: `FILE.py:NAME`, relative to the current folder."""

OwnName = Annotated[str, Field(max_length=64), AfterValidator(own_name)]
"""The name of a factor of one's own, as its part's signature has it."""

OwnLevel = (
    Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Annotated[str, Field(strict=True, max_length=200, pattern=PLAIN)]
)
"""A level of a factor of one's own."""

Generator = Literal["cnn", "mlp", "mlp_conv", "upsample_cnn"] | OwnPart
Discriminator = Literal["cnn", "mlp", "cnn2", "cnn2_mlp", "cnn4"] | OwnPart
GeneratorNormalization = Literal["batch", "none", "instance"] | OwnPart
DiscriminatorNormalization = Literal["batch", "none", "instance", "spectral"] | OwnPart
Activation = Literal["leaky_relu", "relu"]
Output = Literal["tanh", "sigmoid"]
Initialization = Literal["dcgan", "dcgan_bn0", "pytorch"]
Loss = Literal["bce", "least_squares", "hinge", "wasserstein_gp", "sigmoid_logits"] | OwnPart
KernelSize = Literal[4, 5]
Precision = Literal["float32", "tf32", "bf16"]
Beta = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Betas = tuple[Beta, Beta]
Dimension = Annotated[int, Field(strict=True, ge=1, le=65_536)]
LearningRate = Annotated[float, Field(strict=True, gt=0.0, le=10.0, allow_inf_nan=False)]
WeightDecay = Annotated[float, Field(strict=True, ge=0.0, le=10.0, allow_inf_nan=False)]
Dropout = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
Fraction = Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
Target = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
Updates = Annotated[int, Field(strict=True, ge=1, le=1000)]


class Hyperparameters(BaseModel):
    """One level for every factor. Frozen; checked here and nowhere else.

    Units: dims in features, resolution in pixels, learning rates and decays as Adam takes them, fractions of training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generator: Generator = Field("cnn", description="network from z to images, or FILE.py:NAME of your own")
    discriminator: Discriminator = Field("cnn", description="network from images to logits, likewise")
    latent_dim: Dimension = Field(100, description="size of the latent vector z ~ N(0, 1)")
    generator_hidden_dim: Dimension = Field(16, description="generator's width next to the image (cnn), or last (mlp)")
    discriminator_hidden_dim: Dimension = Field(16, description="discriminator's width, likewise")
    generator_kernel_size: KernelSize = Field(4, description="side of the generator's strided kernels (cnn)")
    discriminator_kernel_size: KernelSize = Field(4, description="side of the discriminator's strided kernels (cnn)")
    generator_normalization: GeneratorNormalization = Field("batch", description="normalisation in the generator")
    discriminator_normalization: DiscriminatorNormalization = Field("batch", description="in the discriminator")
    generator_activation: Activation = Field("leaky_relu", description="hidden activation of the generator")
    discriminator_activation: Activation = Field("leaky_relu", description="hidden activation of the discriminator")
    generator_output: Output = Field("tanh", description="output range: tanh [-1, 1], sigmoid [0, 1]; data follow it")
    generator_dropout: Dropout = Field(0.0, description="probability that the generator drops a hidden map or feature")
    discriminator_dropout: Dropout = Field(0.0, description="likewise in the discriminator")
    initialization: Initialization = Field(
        "dcgan", description="weights N(0, 0.02), normalisation's N(1, 0.02) or N(0, 0.02) (dcgan_bn0); or PyTorch's"
    )
    loss: Loss = Field("bce", description="what both networks minimise, or FILE.py:NAME of your own")
    gradient_penalty: Annotated[float, Field(strict=True, ge=0.0, le=1e6, allow_inf_nan=False)] = Field(
        10.0, description="weight of the gradient penalty (wasserstein_gp)"
    )
    discriminator_loss_reduction: Literal["sum", "mean"] = Field(
        "sum", description="the discriminator's real and fake terms added (sum), or halved (mean)"
    )
    real_label: Target | tuple[Target, Target] = Field(
        1.0, description="the discriminator's target for real images; [LOW, HIGH]: drawn uniformly for each image"
    )
    fake_label: Target | tuple[Target, Target] = Field(0.0, description="likewise for generated images")
    generator_target: Target = Field(1.0, description="the generator's target for its images")
    label_swap: Probability = Field(0.0, description="probability that the discriminator sees an image's label swapped")
    label_swap_decay: Fraction | Literal["none"] = Field(
        "none", description="fraction of training at which that probability has fallen linearly to 0"
    )
    instance_noise: Annotated[float, Field(strict=True, ge=0.0, le=10.0, allow_inf_nan=False)] = Field(
        0.0, description="SD of the Gaussian noise on all images that the discriminator sees, in units of [-1, 1]"
    )
    instance_noise_decay: Fraction | Literal["none"] = Field(
        "none", description="fraction of training at which that SD has fallen linearly to 0"
    )
    fake_batch: Literal["shared", "fresh"] = Field(
        "shared", description="generated images of the generator's update: the discriminator's last ones, or fresh ones"
    )
    discriminator_steps: Updates = Field(1, description="updates of the discriminator in each step")
    generator_steps: Updates = Field(1, description="updates of the generator in each step")
    generator_lr: LearningRate = Field(2e-4, description="Adam's learning rate for the generator")
    discriminator_lr: LearningRate = Field(2e-4, description="Adam's learning rate for the discriminator")
    lr_decay_from: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] | Literal["none"] = Field(
        "none", description="fraction of training from which both learning rates fall linearly to 0"
    )
    generator_betas: Betas = Field((0.5, 0.999), description="Adam's betas for the generator")
    discriminator_betas: Betas = Field((0.5, 0.999), description="Adam's betas for the discriminator")
    generator_weight_decay: WeightDecay = Field(0.0, description="Adam's L2 penalty for the generator")
    discriminator_weight_decay: WeightDecay = Field(0.0, description="Adam's L2 penalty for the discriminator")
    ema_decay: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = Field(
        0.0, description="decay per step of the moving average of the generator's weights; 0: none is kept"
    )
    resolution: Annotated[int, Field(strict=True, ge=4, le=512)] = Field(
        32, description="side of the square images in pixels"
    )
    batch_size: Annotated[int, Field(strict=True, ge=2, le=65_536)] = Field(64, description="images per update")
    limit: Annotated[int, Field(strict=True, ge=2)] | Literal["all"] = Field(
        "all", description='training images used: a fixed draw of so many, or "all"'
    )
    precision: Precision = Field(
        "float32", description="what both networks train in: float32, TF32 (CUDA) or bfloat16; weights stay float32"
    )
    own: tuple[tuple[OwnName, OwnLevel], ...] = Field((), description="levels of your own parts' factors, by name")

    @model_validator(mode="before")
    @classmethod
    def _own_levels_by_name(cls, data: Any) -> Any:
        """`own` as a table, or flat as `levels_of` gives it: pairs in the order of their names."""
        if not isinstance(data, Mapping):
            return data
        own = data.get("own", {})
        flat = {name: level for name, level in data.items() if name.startswith(OWN)}
        if not isinstance(own, Mapping) or not (own or flat):
            return data if own else {name: level for name, level in data.items() if name != "own"}
        own = sorted({**own, **{name.removeprefix(OWN): level for name, level in flat.items()}}.items())
        return {name: level for name, level in data.items() if name not in flat} | {"own": own}

    @model_validator(mode="after")
    def _can_train(self) -> Self:
        reason = refusal(self)
        if reason:
            raise ValueError(reason)
        return self


ALIASES: dict[str, tuple[str, ...]] = {
    "architecture": ("generator", "discriminator"),
    "hidden_dim": ("generator_hidden_dim", "discriminator_hidden_dim"),
    "kernel_size": ("generator_kernel_size", "discriminator_kernel_size"),
    "normalization": ("generator_normalization", "discriminator_normalization"),
    "activation": ("generator_activation", "discriminator_activation"),
    "dropout": ("generator_dropout", "discriminator_dropout"),
    "lr": ("generator_lr", "discriminator_lr"),
    "betas": ("generator_betas", "discriminator_betas"),
    "weight_decay": ("generator_weight_decay", "discriminator_weight_decay"),
}
"""Names that set several factors at once. A field named itself beats its alias."""

INTRODUCED_DEFAULTS: dict[str, object] = {
    **{name: field.default for name, field in Hyperparameters.model_fields.items()},
}
"""The default that each factor was introduced with; keys leave it out. A changed default pins its old value here."""

FACTORS: tuple[str, ...] = tuple(name for name in Hyperparameters.model_fields if name != "own")
"""The factors of the harness itself, in the order in which they are shown."""

Level = int | float | str | tuple[float, ...]
"""A value that a factor may take, as Python holds it."""

NO_LEVEL = "-"
"""Shown for a factor that changes nothing in a cell, own ones where no part takes them."""


def fields_of(name: str) -> tuple[str, ...]:
    """The fields that a factor name or an alias sets; an own part's factor (`own.NAME`) is one; empty if unknown."""
    if name in FACTORS or (name.startswith(OWN) and name != OWN):
        return (name,)
    return ALIASES.get(name, ())


def levels_of(hyperparameters: Hyperparameters) -> dict[str, Level]:
    """Levels by field, those of own parts' factors as `own.NAME` behind the others.

    A cell has an own part's factor only where one of its parts takes it.
    """
    levels: dict[str, Level] = {name: getattr(hyperparameters, name) for name in FACTORS}
    return levels | {f"{OWN}{name}": level for name, level in hyperparameters.own}


def position(name: str) -> tuple[int, str]:
    """Where a field stands among others: in the order of `Hyperparameters`, then own ones by name."""
    return (FACTORS.index(name) if name in FACTORS else len(FACTORS), name)


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
            table._order = tuple(name for name in data if fields_of(name) or name == "own")
        return table

    def given(self) -> dict[str, Any]:
        """The factors and aliases that were given, with their values, in file order; own ones as `own.NAME`."""
        levels: dict[str, Any] = {}
        for name in self._order:
            value = getattr(self, name)
            levels |= {f"{OWN}{key}": level for key, level in value.items()} if name == "own" else {name: value}
        return levels


def _level_fields(*, many: bool) -> dict[str, Any]:
    """Pydantic field definitions for every factor and alias, optional, one level or a list of levels each."""
    kinds: dict[str, tuple[Any, str | None]] = {}
    for name in FACTORS:
        field = Hyperparameters.model_fields[name]
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        kinds[name] = (kind, field.description)
    for alias, targets in ALIASES.items():
        kinds[alias] = (_NARROWER.get(alias, kinds[targets[0]][0]), f"sets {' and '.join(targets)}")
    fields: dict[str, Any] = {
        name: (list_of(kind) if many else kind, Field(None, description=description))
        for name, (kind, description) in kinds.items()
    }
    own: Any = dict[OwnName, list_of(OwnLevel) if many else OwnLevel]  # type: ignore[misc]
    fields["own"] = (own, Field(None, description=Hyperparameters.model_fields["own"].description))
    return fields


_NARROWER: dict[str, Any] = {
    "architecture": Literal["cnn", "mlp"],
    "normalization": GeneratorNormalization,
}
"""What an alias may be whose fields have levels of their own: those that all of them have."""


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


def as_written(levels: Mapping[str, Any]) -> dict[str, Any]:
    """Levels as checkpoints and pictures name them: of later factors only those that change something.

    So a run's files stay as they were, byte for byte, when a factor is added.
    """
    later = ("precision",)  # factors that came when there were files already
    return {name: level for name, level in levels.items() if name not in later or level != INTRODUCED_DEFAULTS[name]}
