"""Sample pictures by step, as `MlflowClient.log_image` lays them for MLflow's image grids, under names that stay.

log_image itself takes a random name each time, so that a picture logged twice would be there twice.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.tracking.content import IMAGES, ChildContent
from harness.tracking.cursor import LocalFile, Uploads
from harness.tracking.shared_view import SAMPLES

_NAMES = uuid.UUID("6f3c5a0e-7d0b-5d0c-9a54-2f0f4c1d8e77")
_THUMBNAIL_PX = 256


@dataclass(frozen=True)
class StepImage(LocalFile):
    """A picture of one step; beside it MLflow's page wants a small one, which is not noted in the cursor."""

    def beside(self, name: str, content: bytes) -> Mapping[str, bytes]:
        """The small picture under its name; nothing where the bytes are those of no picture."""
        from PIL import Image, UnidentifiedImageError

        small = io.BytesIO()
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
                image.save(small, "WEBP")
        except (UnidentifiedImageError, OSError):
            return {}
        return {f"{name.removesuffix('.png')}+compressed.webp": small.getvalue()}


def with_images(content: ChildContent, uploads: Uploads, time_ms: Callable[[int], int]) -> ChildContent:
    """`content` with its sample pictures among its files: under the names that `uploads` has for them, else new ones.

    time_ms: when a step was reached, which is a part of the name.
    """
    taken = {_word(name): name for name in uploads if name.startswith(f"{IMAGES}/")}
    images: dict[str, LocalFile] = {}
    for checkpoint, (step, path) in content.images.items():
        word = str(uuid.uuid5(_NAMES, f"{SAMPLES} {checkpoint}"))
        name = taken.get(word) or f"{IMAGES}/{SAMPLES}+step+{step}+timestamp+{time_ms(step)}+{word}.png"
        images[name] = StepImage(Path(path))
    return replace(content, files=content.files | images)


def _word(name: str) -> str:
    return name.rpartition("+")[2].removesuffix(".png")
