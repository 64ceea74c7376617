"""experiment.json of two machines made one, where their runs can be compared at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.errors import StoreError
from harness.store.manifest import ExperimentManifest


def joined_manifests(here: ExperimentManifest | None, other: ExperimentManifest, where: str) -> ExperimentManifest:
    """What both looked up; threads as here. StoreError where the runs are of other images, or measured with other
    weights, so that they make no one experiment. where: the experiment's folder here."""
    if here is None:
        return other
    _refuse_others(here.data_sha256, other.data_sha256, "trained on other images", where)
    known = {key: digest for key, digest in here.weights_sha256.items() if digest is not None}
    brought = {key: digest for key, digest in other.weights_sha256.items() if digest is not None}
    _refuse_others(known, brought, "measured with other weights of the extractor", where)
    return replace(
        here,
        data_sha256={**other.data_sha256, **here.data_sha256},
        weights_sha256={**other.weights_sha256, **here.weights_sha256, **brought},
        image_counts={**other.image_counts, **here.image_counts},
        data_sources={**other.data_sources, **here.data_sources},
    )


def _refuse_others(here: Mapping[str, str], other: Mapping[str, str], what: str, where: str) -> None:
    for key, digest in other.items():
        if here.get(key, digest) != digest:
            raise StoreError(
                f"nothing was unpacked: the runs of the pack were {what} than those here (SHA-256 {digest[:16]}, here "
                f"{here[key][:16]})",
                where=where,
                remedy="Unpack them into another folder with --runs-dir.",
            )
