"""What all tables of an experiment file share: frozen models that know every key, and the kinds of their values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.design.factors import PLAIN

Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Name = Annotated[str, Field(min_length=1, max_length=120, pattern=PLAIN)]
Label = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
PathText = Annotated[str, Field(min_length=1, max_length=4096, pattern=PLAIN)]


class Model(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
