"""Factors that cannot matter in a cell, put back to their default, so that no two cells are secretly the same run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache

from harness.design.combinations import LABEL_LOSSES, has_normalization
from harness.design.factors import ALIASES, OWN, Hyperparameters, Level, canonical_level, fields_of
from harness.design.own_parts import OFFERED, is_own

LABEL_FACTORS = ("real_label", "fake_label", "generator_target", "label_swap", "label_swap_decay")

_REPLACED = ("hidden_dim", "kernel_size", "normalization", "activation", "dropout")
"""Factors of each built-in network that a network of one's own replaces, where it does not take them by name."""

_PARTS = {
    "generator": "generator",
    "discriminator": "discriminator",
    "generator_normalization": "normalization",
    "discriminator_normalization": "normalization",
    "loss": "loss",
}
"""Factors whose level may be an own part, and of which kind."""

Parameters = Mapping[str, tuple[str, ...]]
"""Names that each own part takes, by its reference."""


def fold(hp: Hyperparameters, parameters_of_parts: Parameters) -> tuple[Hyperparameters, tuple[str, ...]]:
    """`hp` with every idle factor at its default, and the factors that this changed, own ones as `own.NAME`.

    An own part's factor that no part of the cell takes is left out of it. The strided discriminator at 8 pixels has
    nothing to normalise; its normalization is then written like the generator's.
    """
    idle = idle_factors(hp, parameters_of_parts)
    changes: dict[str, object] = {}
    for name in idle:
        if not name.startswith(OWN) and getattr(hp, name) != (default := idle_level(hp, name)):
            changes[name] = default
    left_out = tuple(name for name in idle if name.startswith(OWN))
    if not changes and not left_out:
        return hp, ()
    changed = (*changes, *left_out)
    if left_out:
        changes["own"] = tuple(pair for pair in hp.own if f"{OWN}{pair[0]}" not in left_out)
    return hp.model_copy(update=changes), changed


def one_limit(hp: Hyperparameters, images: int | None) -> Hyperparameters:
    """`hp` with a limit of all images that there are (None: not known) written as `all`: they are the same images."""
    return hp.model_copy(update={"limit": "all"}) if hp.limit == images else hp


def idle_factors(hp: Hyperparameters, parameters_of_parts: Parameters) -> tuple[str, ...]:
    """The factors that change nothing at these levels, own ones as `own.NAME`."""
    return (*_idle(hp, parameters_of_parts), *_idle_own(hp, parameters_of_parts))


def idle_level(hp: Hyperparameters, name: str) -> Level:
    """What an idle factor of the harness is put to."""
    if name == "discriminator_normalization" and not is_own(hp.discriminator) and not is_own(hp.generator):
        return hp.generator_normalization
    return _default(name)


def reason(hp: Hyperparameters, name: str) -> tuple[tuple[str, Level], ...]:
    """Why a factor is idle at these levels: the factors that decide it, with their levels."""
    network = "generator" if name.startswith("generator_") else "discriminator"
    match name:
        case "gradient_penalty" | "discriminator_loss_reduction":
            deciding: tuple[str, ...] = ("loss",)
        case "label_swap_decay" if hp.loss in LABEL_LOSSES:
            deciding = ("label_swap",)
        case "instance_noise_decay":
            deciding = ("instance_noise",)
        case _ if name in LABEL_FACTORS:
            deciding = ("loss",)
        case "initialization":
            deciding = ("generator_normalization", "discriminator_normalization")
        case _ if name.startswith(OWN):
            deciding = tuple(part for part in _PARTS if is_own(getattr(hp, part)))
        case "discriminator_normalization" if not is_own(hp.discriminator):
            deciding = ("discriminator", "resolution")
        case _:
            deciding = (network,)
    return tuple((factor, getattr(hp, factor)) for factor in deciding)


def references_of(hp: Hyperparameters) -> dict[str, str]:
    """The own parts of a cell: factor -> `FILE.py:NAME`."""
    return {factor: level for factor in _PARTS if is_own(level := getattr(hp, factor))}


def reads_total(hp: Hyperparameters) -> bool:
    """Whether a schedule of this cell (folded) depends on how many steps are trained."""
    return any(getattr(hp, name) != "none" for name in ("label_swap_decay", "instance_noise_decay", "lr_decay_from"))


def _idle(hp: Hyperparameters, parameters_of_parts: Parameters) -> Iterator[str]:
    for network, level in (("generator", hp.generator), ("discriminator", hp.discriminator)):
        if is_own(level):
            offered = set(OFFERED[network]).intersection(parameters_of_parts.get(level, ()))
            yield from (f"{network}_{factor}" for factor in _REPLACED if factor not in offered)
        else:
            if level != "cnn":
                yield f"{network}_kernel_size"
            if not has_normalization(hp, network):
                yield f"{network}_normalization"
    if hp.initialization == "dcgan_bn0" and not _may_have_normalizing_weights(hp):
        yield "initialization"
    if hp.loss != "wasserstein_gp":
        yield "gradient_penalty"
    if is_own(hp.loss) or hp.loss == "wasserstein_gp":  # whose critic's loss is one difference, plus its penalty
        yield "discriminator_loss_reduction"
    if hp.loss not in LABEL_LOSSES:
        yield from LABEL_FACTORS
    elif hp.label_swap == 0:
        yield "label_swap_decay"
    if hp.instance_noise == 0:
        yield "instance_noise_decay"


def _may_have_normalizing_weights(hp: Hyperparameters) -> bool:
    """Whether a network has a layer whose weight `dcgan_bn0` draws otherwise than `dcgan`; own parts may."""
    for network in ("generator", "discriminator"):
        normalization = getattr(hp, f"{network}_normalization")
        if is_own(getattr(hp, network)):
            return True
        if has_normalization(hp, network) and normalization not in ("none", "spectral"):
            return True
    return False


def _idle_own(hp: Hyperparameters, parameters_of_parts: Parameters) -> Iterator[str]:
    if not hp.own:
        return
    idle = {name for name in _idle(hp, parameters_of_parts) if name in _PARTS}
    taken = {
        name
        for factor, part in references_of(hp).items()
        if factor not in idle
        for name in parameters_of_parts.get(part, ())
    }
    yield from (f"{OWN}{name}" for name, _ in hp.own if name not in taken)


@cache
def _default(name: str) -> Level:
    default: Level = Hyperparameters.model_fields[name].default
    return default


def told(foldings: Iterable[tuple[Hyperparameters, tuple[str, ...]]]) -> tuple[str, ...]:
    """What a plan says of factors that were put back: each cell as folded, with the factors that this changed."""
    cells: dict[tuple[str, str, str], set[Hyperparameters]] = {}
    whole: set[Hyperparameters] = set()
    for hp, changed in foldings:
        whole |= {hp} if "limit" in changed else set()
        for name, deciding in _with_aliases(hp, tuple(name for name in changed if name != "limit")):
            if name.startswith(OWN):
                where = "is left out"
            elif name == "discriminator_normalization" and not is_own(hp.discriminator):
                where = "follows the generator's"
            else:
                where = f"is left at {canonical_level(getattr(hp, fields_of(name)[0]))}"
            cells.setdefault((name, deciding, where), set()).add(hp)
    sentences = [
        f"{name} does not matter in {_counted(found)} ({deciding}) and {where} there"
        for (name, deciding, where), found in cells.items()
    ]
    if whole:
        sentences.append(f"limit is the number of all images in {_counted(whole)} and is written all there")
    return tuple(sentences)


def _counted(cells: Collection[Hyperparameters]) -> str:
    return f"{len(cells)} cell{'s' if len(cells) > 1 else ''}"


def _with_aliases(hp: Hyperparameters, changed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each factor with the reason in words; an alias in place of its fields, also in the reason."""
    names = dict.fromkeys(changed)
    for alias, fields in ALIASES.items():
        if all(name in names and getattr(hp, name) == getattr(hp, fields[0]) for name in fields):
            names = dict.fromkeys(alias if name == fields[0] else name for name in names if name not in fields[1:])
    for name in names:
        fields = fields_of(name)
        deciding = {factor: level for field in fields for factor, level in reason(hp, field)}
        for alias, targets in ALIASES.items():
            levels = {deciding.get(target) for target in targets}
            if len(levels) == 1 and None not in levels:
                deciding = {alias: deciding[targets[0]]} | {k: v for k, v in deciding.items() if k not in targets}
        words = [f"{factor}={canonical_level(level)}" for factor, level in deciding.items()]
        yield name, ", ".join(words) or "no own part"
