"""The command for one number of two folders of images, or of statistics files: fid."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from harness.cli.console import say, show, show_json
from harness.cli.options import Json
from harness.design.evaluation_settings import EvaluationSettings, ExtractorName, Precision
from harness.errors import HarnessError, WeightsError

if TYPE_CHECKING:
    import torch

    from harness.evaluation.fid_of_files import Source
    from harness.evaluation.image_files import ImageFiles
    from harness.evaluation.statistics_file import Statistics
    from harness.execution.options import DeviceChoice

SAID_EVERY_S = 30.0
"""How often a person hears how many images are done."""

PEER = "pytorch-fid"


def fid(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="A folder of images, or statistics (.npz).", show_default=False)
    ],
    b: Annotated[
        Path | None, typer.Argument(metavar="B", help="The same, to compare with.", show_default=False)
    ] = None,
    extractor: Annotated[
        str, typer.Option("--extractor", metavar="|".join(get_args(ExtractorName)), help="Whose features are compared.")
    ] = "inception",
    weights: Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="The extractor's weights.")] = None,
    allow_unverified_weights: Annotated[
        bool, typer.Option("--allow-unverified-weights", help="Take inception weights of an unknown SHA-256.")
    ] = False,
    precision: Annotated[
        str, typer.Option("--precision", metavar="|".join(get_args(Precision)), help="Of the extractor's arithmetic.")
    ] = "float32",
    resolution: Annotated[
        int | None,
        typer.Option("--resolution", min=4, max=4096, help="Bring every image to so many pixels square first."),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to measure.")] = "auto",
    save_stats: Annotated[
        Path | None, typer.Option("--save-stats", metavar="OUT.npz", help="Write A's statistics; B may be left out.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="pytorch-fid", help="Let it measure the same, and show both numbers."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the FID of two folders of images, or of statistics in pytorch-fid's format."""
    settings = _settings(extractor, weights, allow_unverified_weights, precision)
    choice = _device(device)
    _check_usage(b, save_stats, against, settings, resolution)

    import torch

    from harness.evaluation.fid_of_files import open_source
    from harness.evaluation.output_folder import make_writable
    from harness.evaluation.statistics_file import Statistics, write_statistics
    from harness.execution.compile_cache import share_compile_cache
    from harness.execution.devices import allow_determinism, choose_device

    sources = [open_source(path, resolution) for path in (a, b) if path is not None]
    if save_stats and isinstance(sources[0], Statistics):
        raise HarnessError("A holds statistics already", where=str(a), remedy="Copy the file.")
    if save_stats:
        make_writable(save_stats.parent)
    allow_determinism()
    share_compile_cache()
    where = torch.device(choose_device(choice))
    if against:
        import pytorch_fid.fid_score  # noqa: F401 - before either is timed

    sides, document = _measured(sources, settings, where)
    try:
        if save_stats:
            write_statistics(save_stats, sides[0])
            document["saved"] = str(save_stats)
        if against:
            document["against"] = _peers(sources, settings, where, document["fid"])
    finally:  # a disk that is full now does not take away what was measured
        _show(document, as_json=as_json)


def _measured(
    sources: Sequence[Source], settings: EvaluationSettings, device: torch.device
) -> tuple[list[Statistics], dict[str, Any]]:
    """Statistics of each source, and all that is told of them; `fid` is in it where there are two."""
    from harness.evaluation.fid_of_files import measure, notes_on
    from harness.evaluation.statistics_file import distance
    from harness.execution.devices import available_cores

    readers = 1 if device.type == "cpu" else min(available_cores(), 8)  # one keeps up with a CPU, not with a GPU
    began = time.perf_counter()
    try:
        sides = measure(sources, settings, device, readers=readers, tell=_teller())
    except WeightsError as error:
        raise WeightsError(error.what, where=error.where, remedy=_weights_remedy(settings, error.remedy)) from error
    document = _description(sources, sides)
    document["notes"] = notes_on(sources, sides)
    if len(sides) == 2:
        document["fid"] = distance(*sides)
    document["seconds"] = time.perf_counter() - began
    return sides, document


def _peers(
    sources: Sequence[Source], settings: EvaluationSettings, device: torch.device, ours: float
) -> dict[str, Any]:
    """The peer's number, and how far ours is from it."""
    from harness.evaluation.fid_of_files import measure_by_pytorch_fid

    theirs = measure_by_pytorch_fid(sources[0], sources[1], settings, device)
    return {
        "peer": PEER,
        "fid": theirs.fid,
        "difference": ours - theirs.fid,
        "relative_difference": abs(ours - theirs.fid) / abs(theirs.fid) if theirs.fid else None,
        "seconds": theirs.seconds,
    }


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    """Words to stderr, numbers to stdout."""
    say(_basis(document))
    if as_json:
        show_json(document)
        return
    for note in document["notes"]:
        say(f"note: {note}")
    if "saved" in document:
        say(f"{document['saved']}: mean and covariance of the features of {document['sources'][0]['path']}")
    if "fid" not in document:
        return
    show(f"FID ({_extractor(document)}): {document['fid']:.8g}")
    if peer := document.get("against"):
        show(f"{PEER}: {peer['fid']:.8g}")
        relative = peer["relative_difference"]
        show(f"difference: {peer['difference']:.1e}" + ("" if relative is None else f", relative {relative:.1e}"))
        show(f"seconds: {document['seconds']:.1f}; {PEER}: {peer['seconds']:.1f}")


def _basis(document: dict[str, Any]) -> str:
    """`A: 12 images, B: 12 images, inception 6726825d..., float32`."""
    parts = [
        f"{name}: " + ("number of images not stated" if side["images"] is None else f"{side['images']:,} images")
        for name, side in zip("AB", document["sources"], strict=False)
    ]
    if document["extractor"] is None:
        return ", ".join([*parts, "extractor not stated"])
    return ", ".join([*parts, f"{document['extractor']} {document['weights_sha256'][:8]}...", document["precision"]])


def _extractor(document: dict[str, Any]) -> str:
    """Whose features were compared, as far as both sides say: `digits; c.npz: not stated`."""
    if document["extractor"] is None:
        return "extractor not known"
    mark = ", unverified weights" if document["verified"] is False else ""
    unknown = [side["path"] for side in document["sources"] if side["extractor"] is None]
    return f"{document['extractor']}{mark}" + "".join(f"; {path}: not stated" for path in unknown)


def _verified(sides: Sequence[Statistics]) -> bool | None:
    """Whether all weights are the known ones; None where a side does not say what made it."""
    known = [side.origin.making and side.origin.making.verified for side in sides]
    return False if False in known else None if None in known else True


def _description(sources: Sequence[Source], sides: Sequence[Statistics]) -> dict[str, Any]:
    """What the number rests on; None for what pytorch-fid's files do not say."""
    making = next((side.origin.making for side in sides if side.origin.making), None)
    return {
        "extractor": making and making.extractor,
        "weights_sha256": making and making.extractor_sha256,
        "verified": _verified(sides),
        "precision": making and making.precision,
        "resolution": making and making.resolution,
        "dims": sides[0].origin.dims,
        "sources": [
            {
                "path": side.origin.where,
                "images": side.count,
                "extractor": side.origin.making and side.origin.making.extractor,
                "size": getattr(source, "size", None),
                "rank_deficient": side.is_rank_deficient,
            }
            for source, side in zip(sources, sides, strict=True)
        ],
    }


def _teller() -> Callable[[ImageFiles, int], None]:
    """Tells a person who waits how far it is, now and then."""
    said = time.monotonic()

    def tell(images: ImageFiles, done: int) -> None:
        nonlocal said
        if time.monotonic() - said > SAID_EVERY_S:
            say(f"{images.root}: {done:,} of {len(images):,} images")
            said = time.monotonic()

    return tell


def _weights_remedy(settings: EvaluationSettings, remedy: str) -> str:
    """The remedies of an experiment file, as options of this command."""
    if settings.extractor == "inception":
        return (
            "Name pytorch-fid's pt_inception-2015-12-05-6726825d.pth with --weights FILE. --allow-unverified-weights "
            "takes another file of that network; its numbers compare with no published ones."
        )
    return "Name with --weights FILE what `harness extractor train` wrote." if settings.extractor_weights else remedy


def _settings(extractor: str, weights: Path | None, unverified: bool, precision: str) -> EvaluationSettings:
    if extractor not in get_args(ExtractorName):
        raise HarnessError(
            f"{extractor!r} is no extractor; allowed: {', '.join(get_args(ExtractorName))}", where="--extractor"
        )
    if precision not in get_args(Precision):
        raise HarnessError(
            f"{precision!r} is no precision; allowed: {', '.join(get_args(Precision))}", where="--precision"
        )
    if weights and extractor not in ("inception", "trained"):
        raise HarnessError(f"the weights of {extractor} ship with harness", where="--weights", remedy="Leave it out.")
    if extractor == "trained" and not weights:
        raise HarnessError(
            "a trained extractor is a file", where="--extractor trained", remedy="Name it with --weights FILE."
        )
    if unverified and extractor != "inception":
        raise HarnessError(
            "only inception has weights that are known beforehand",
            where="--allow-unverified-weights",
            remedy="Leave it out.",
        )
    return EvaluationSettings.model_validate(
        {
            "extractor": extractor,
            "extractor_weights": str(weights) if weights else None,
            "unverified_weights": unverified,
            "precision": precision,
        }
    )


def _device(name: str) -> DeviceChoice:
    match name:
        case "auto" | "cpu" | "cuda" | "mps":
            return name
    raise HarnessError(f"{name!r} is no device; allowed: auto, cpu, cuda, mps", where="--device")


def _check_usage(
    b: Path | None, save_stats: Path | None, against: str | None, settings: EvaluationSettings, resolution: int | None
) -> None:
    """HarnessError for options that do not go together, before anything is read."""
    if b is None and (against or not save_stats):
        raise HarnessError(
            "there is nothing to compare A with",
            where="harness fid",
            remedy="Name B: a folder of images or an .npz file; or write A's statistics with --save-stats OUT.npz.",
        )
    if save_stats and save_stats.suffix != ".npz":
        raise HarnessError("statistics are an .npz file; end its name so", where=f"--save-stats {save_stats}")
    if save_stats and save_stats.exists():
        raise HarnessError("the file exists", where=f"--save-stats {save_stats}", remedy="Give another name.")
    if against is None:
        return
    if against != PEER:
        raise HarnessError(f"{against!r} is no peer; allowed: {PEER}", where="--against")
    if settings.extractor != "inception" or resolution is not None:
        raise HarnessError(
            f"{PEER} has the extractor inception only, and reads images at their own size",
            where=f"--against {PEER}",
            remedy="Leave out --extractor and --resolution.",
        )
