"""Where the weights of an extractor lie, and whether they are the known ones.

`digits` and `mnist` ship beside this file. Inception's file is looked for in this order: `extractor_weights`, the
environment variable HARNESS_INCEPTION_WEIGHTS, and torch.hub's folder of checkpoints, where pytorch-fid keeps
it. The first one that is named or exists is used, else it is downloaded to that folder as pytorch-fid does.
A trained extractor's file lies where `extractor_weights` says, its note (.json) beside it; the first eight digits
of its SHA-256 end its name, so that the file alone can be checked as well.
Imports torch only to find or fetch Inception's file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import assert_never

from harness.design.evaluation_settings import EvaluationSettings
from harness.errors import DamagedFileError, WeightsError
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.evaluation.shipped import SHIPPED
from harness.store import locks
from harness.store.atomic import make_folder, read_json, sha256_of

INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"
"""What pytorch-fid calls its weights."""

INCEPTION_VARIABLE = "HARNESS_INCEPTION_WEIGHTS"
"""Environment variable with the path of that file."""

_HOW_TO_TRAIN = "Extractors are made by `harness extractor train FILE`; extractor_weights names the file."


def weights_file(settings: EvaluationSettings, *, download: bool = True) -> Path:
    """The weights' file, unread; WeightsError where there is none and none can or may be fetched."""
    match settings.extractor:
        case "digits" | "mnist":
            return _existing(SHIPPED[settings.extractor], "Install harness again: this file ships with it.")
        case "trained":
            return _existing(Path(settings.extractor_weights or ""), _HOW_TO_TRAIN)
        case "inception":
            return _inception_file(settings, download=download)
        case _:
            assert_never(settings.extractor)


def read_weights(settings: EvaluationSettings, *, download: bool = True) -> tuple[bytes, str]:
    """The weights' bytes and their SHA-256 (hex); WeightsError, which names both, where missing or not of that hash.

    Another hash passes only for inception with `unverified_weights`; `Protocol.verified` then says so.
    """
    file = weights_file(settings, download=download)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot read: {error.strerror or error}", where=str(file), remedy="Make the file readable."
        ) from error
    found, expected = sha256_of(content), _expected_sha256(settings, file)
    if not found.startswith(expected) and not settings.unverified_weights:
        beginning = "" if len(expected) == 64 else "one that begins with "
        raise WeightsError(
            f"these are not the expected weights: their SHA-256 is {found}, expected is {beginning}{expected}",
            where=str(file),
            remedy=_remedy_for_another_hash(settings),
        )
    return content, found


def weights_sha256(settings: EvaluationSettings, *, download: bool = True) -> str:
    """SHA-256 (hex) of the weights in use, checked as `read_weights` does."""
    return read_weights(settings, download=download)[1]


def _inception_file(settings: EvaluationSettings, *, download: bool) -> Path:
    if settings.extractor_weights:
        return _existing(Path(settings.extractor_weights), "It is named by extractor_weights: correct the path.")
    if from_environment := os.environ.get(INCEPTION_VARIABLE):
        return _existing(Path(from_environment), f"It is named by {INCEPTION_VARIABLE}: correct the path.")
    import torch.hub

    cached = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if download and not cached.is_file():
        _download(cached)
    return _existing(cached, _how_to_get(cached))


def _download(target: Path) -> None:
    """Fetches pytorch-fid's file; torch.hub writes aside, compares the SHA-256, then moves it to `target`."""
    import torch.hub
    from pytorch_fid.inception import FID_WEIGHTS_URL

    make_folder(target.parent)
    with locks.held(target.with_name(target.name + ".lock"), timeout_s=locks.WAIT_FOR_EVER):
        if target.is_file():
            return  # another process was faster
        try:
            torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(target), hash_prefix=INCEPTION_SHA256, progress=False)
        except (OSError, RuntimeError) as error:  # URLError is an OSError; another hash is a RuntimeError
            raise WeightsError(
                f"cannot be downloaded from {FID_WEIGHTS_URL}: {error}",
                where=str(target),
                remedy=_how_to_get(target),
            ) from error


def _existing(file: Path, remedy: str) -> Path:
    if not file.is_file():
        raise WeightsError("the extractor's weights are missing", where=str(file), remedy=remedy)
    return file


def _how_to_get(cached: Path) -> str:
    return (
        f"Put {INCEPTION_FILE} (SHA-256 {INCEPTION_SHA256}) there, or name where it lies by "
        f"extractor_weights or {INCEPTION_VARIABLE}; `required = false` leaves this evaluation out."
    )


def _expected_sha256(settings: EvaluationSettings, file: Path) -> str:
    """The SHA-256 that the file must have, or how it must begin where only its name tells."""
    match settings.extractor:
        case "inception":
            return INCEPTION_SHA256
        case "digits" | "mnist":
            return _noted_sha256(file, "Install harness again.")
        case "trained":
            return _of_trained(file)
        case _:
            assert_never(settings.extractor)


def _of_trained(file: Path) -> str:
    """From the note where there is one, else from the name."""
    if file.with_suffix(".json").is_file():
        return _noted_sha256(
            file, f"Delete the note to rely on the file's name alone, or make both again. {_HOW_TO_TRAIN}"
        )
    ending = re.search(r"-([0-9a-f]{8})$", file.stem)
    if ending is None:
        raise WeightsError(
            "nothing tells what these weights should be: there is no note (.json) beside them, and their name does not "
            "end in the first eight digits of their SHA-256",
            where=str(file),
            remedy=f"Bring {file.with_suffix('.json').name} from where they were made. {_HOW_TO_TRAIN}",
        )
    return ending[1]


def _noted_sha256(file: Path, remedy: str) -> str:
    note = file.with_suffix(".json")
    try:
        noted = str(read_json(note)["weights_sha256"])
    except (OSError, KeyError, DamagedFileError) as error:
        raise WeightsError("the note on the weights is missing or damaged", where=str(note), remedy=remedy) from error
    if not re.fullmatch(r"[0-9a-f]{64}", noted):
        raise WeightsError(f"the note on the weights has no SHA-256 but {noted!r}", where=str(note), remedy=remedy)
    return noted


def _remedy_for_another_hash(settings: EvaluationSettings) -> str:
    match settings.extractor:
        case "inception":
            return (
                f"Use pytorch-fid's {INCEPTION_FILE}, or set `unverified_weights = true`: "
                "every number is then marked as not comparable with published ones."
            )
        case "digits" | "mnist":
            return "Install harness again: the file is damaged."
        case "trained":
            return f"Bring the file from where it was made again: it is damaged or another one. {_HOW_TO_TRAIN}"
        case _:
            assert_never(settings.extractor)
