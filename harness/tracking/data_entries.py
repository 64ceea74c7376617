"""The images that a run was trained on and measured against, as entries of MLflow's data sets. Imports no mlflow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from harness.store.atomic import canonical_json, sha256_of
from harness.tracking.reader import ExperimentView, RunView

_DIGEST_LENGTH = 36
"""Characters that MLflow takes."""


@dataclass(frozen=True)
class DataEntry:
    """One data set as MLflow shows it. digest: of the images' content; source, profile: JSON."""

    name: str
    digest: str
    context: Literal["training", "evaluation"]
    source: str
    profile: str

    @property
    def word(self) -> str:
        """What tells it apart from the others of a run."""
        return f"{self.context} {self.name} {self.digest}"


def data_entries(experiment: ExperimentView, view: RunView) -> tuple[DataEntry, ...]:
    """The training images, and the reference of each `[[evaluation]]`; none before the images were looked at.

    No entry tells where the images lie.
    """
    data, manifest = experiment.plan.experiment.data, experiment.manifest
    declared = data.declared()
    digest = manifest.data_sha256_of(declared) if manifest else None
    if manifest is None or digest is None:
        return ()
    limit, count = view.run.cell.hyperparameters.limit, manifest.image_count_of(declared)
    name = f"{data.source} {data.split}"
    used = limit if isinstance(limit, int) else count
    entries = [
        DataEntry(
            f"{name}, {limit} images" if isinstance(limit, int) else name,
            digest[:_DIGEST_LENGTH],
            "training",
            json.dumps({**declared, "sha256": digest}),
            json.dumps({"images": used} if used else {}),
        )
    ]
    for block, protocol in zip(experiment.blocks, view.protocols, strict=True):
        if protocol is None:
            continue
        reference = {"sha256": protocol.data_sha256, "images": protocol.reference, "resolution": protocol.resolution}
        entries.append(
            DataEntry(
                f"{name}, reference of {block.key}",
                sha256_of(canonical_json(reference))[:_DIGEST_LENGTH],
                "evaluation",
                json.dumps({**declared, "sha256": protocol.data_sha256}),
                json.dumps({"images": protocol.reference, "pixels": protocol.resolution}),
            )
        )
    return tuple(entries)
