"""Versions: of what is installed, against what this version of the harness needs."""

from __future__ import annotations

import importlib
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from harness import __version__
from harness.cli.doctor_request import Request
from harness.store.checkup import Fact, Finding, Found

PACKAGE = "gan-ablation-harness"
SHOWN = ("torch", "torchvision", "mlflow", "pytorch-fid")
_BOUND = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*>=\s*([\d.]+)\s*$")


def versions(request: Request) -> Iterator[Found]:
    """What is installed, and what is missing or older than allowed."""
    yield Fact("harness", __version__)
    yield Fact("python", platform.python_version())
    installed = {name: found for name in SHOWN if (found := installed_version(name))}
    if "mlflow" in installed:
        yield Fact("mlflow", installed["mlflow"])
    shown = ", ".join(f"{name} {version}" for name, version in installed.items())
    yield Finding("versions", "ok", f"harness {__version__}, Python {platform.python_version()}, {shown}")
    for name, bound in bounds().items():
        version = installed_version(name)
        if version is not None and numbers(version) >= numbers(bound):
            continue
        is_needed = name != "mlflow" or request.tracking_uri != "none"
        yield Finding(
            "versions",
            "problem" if is_needed else "note",
            f"{name} {version} is older than {bound}" if version else f"{name} is not installed",
            f'`pip install "{name}>={bound}"`',
        )


def imports(_request: Request) -> Iterator[Found]:
    """torch and torchvision are loaded: installed is not yet usable."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding(
            "versions",
            "problem",
            f"torch cannot be loaded: {_first_line(error)}",
            "Install it again: `pip install --force-reinstall torch torchvision`",
        )
        return
    yield Fact("torch", str(torch.__version__))
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        yield Finding(
            "versions",
            "problem",
            f"torchvision {installed_version('torchvision')} cannot be loaded beside torch {torch.__version__}: "
            f"{_first_line(error)}",
            "Both must come from one release and be built alike, for the CPU or for one CUDA: "
            "`pip install --force-reinstall torch torchvision`",
        )


def bounds(package: str = PACKAGE) -> dict[str, str]:
    """The oldest version of each package that the harness needs in any case; nothing where it is not installed."""
    try:
        stated = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return {}
    matches = (_BOUND.match(text) for text in stated if ";" not in text)
    return {match[1]: match[2] for match in matches if match}


def installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (2, 15) of `2.15.0+cu130`, whose zeros at the end say nothing."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in match[0].split(".")] if match else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
