"""Whether a node of a cluster may work: the same versions as here, and the same run folders. No ray."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from harness.errors import DeviceError, HarnessError, StoreError
from harness.execution.ray_messages import Errand, Reservation, Versions, resources_text

KNOCK_S = 5.0

Answer = tuple[str, str, str, bool]
"""Versions of harness, torch and Python there, and whether the mark is seen."""

Probe = Callable[[str, bytes], Answer]


@dataclass(frozen=True)
class NodeFacts:
    """What a node said of itself. node: its name for people."""

    node: str
    versions: Versions
    sees_storage: bool


def node_probe() -> Probe:
    """A function that travels whole to a node, so that one with another harness, or none, can answer, too."""

    def probe(path: str, word: bytes) -> tuple[str, str, str, bool]:
        import importlib
        import platform

        versions = []
        for name in ("harness", "torch"):
            try:
                versions.append(str(importlib.import_module(name).__version__))
            except (ImportError, AttributeError) as error:
                versions.append(f"none ({error})")
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - it opens one file on a machine that may lack all else
                seen = file.read() == word
        except OSError:
            seen = False
        return versions[0], versions[1], ".".join(platform.python_version_tuple()[:2]), seen

    return probe


def probe_arguments(errand: Errand) -> tuple[str, bytes]:
    return str(errand.mark.directory.storage_mark(errand.mark.word)), errand.mark.word.encode()


def node_facts(node: str, answer: Answer) -> NodeFacts:
    harness, torch, python, seen = answer
    return NodeFacts(node, Versions(harness, torch, python), seen)


def refusal(facts: Sequence[NodeFacts], errand: Errand) -> HarnessError | None:
    """Why these nodes cannot work, each of them named; None where all can.

    Another version may give other weights under the same key; a node without the folders would begin everything anew.
    """
    wrong = [difference for fact in facts if (difference := _difference(fact, errand.versions))]
    if wrong:
        return DeviceError(
            "; ".join(wrong),
            where="--executor ray",
            remedy="Install the same versions of everything on all nodes, or take these out of the cluster.",
        )
    blind = [fact.node for fact in facts if not fact.sees_storage]
    if blind:
        return StoreError(
            f"not seen by {', '.join(blind)}",
            where=str(errand.mark.directory.root),
            remedy="Choose a folder on storage that all nodes mount at the same path, with --runs-dir.",
        )
    return None


def _difference(fact: NodeFacts, here: Versions) -> str:
    pairs = (
        ("harness", fact.versions.harness, here.harness),
        ("torch", fact.versions.torch, here.torch),
        ("Python", fact.versions.python, here.python),
    )
    told = ", ".join(f"{name} {there} (here {own})" for name, there, own in pairs if there != own)
    return f"{fact.node} has {told}" if told else ""


def node_name(node: Mapping[str, Any]) -> str:
    """For people: the name that it was given, or its machine's, and the beginning of its id. node: as Ray tells it."""
    named = node["NodeName"] != node["NodeManagerAddress"]
    return f"node {node['NodeName'] if named else node['NodeManagerHostname']} ({node['NodeID'][:8]})"


def nothing_fits(reservation: Reservation, nodes: Mapping[str, Mapping[str, float]]) -> DeviceError:
    """nodes: resources of each, by its name."""
    offers = [
        f"{name}: {resources_text(has.get('CPU', 0.0), has.get('GPU', 0.0), has.get('memory'))}"
        for name, has in nodes.items()
    ]
    return DeviceError(
        f"no node has what one run reserves ({reservation}); there are {'; '.join(offers)}",
        where="--executor ray",
        remedy="Lower [resources] or --threads, or add a node that has it.",
    )


def kill_process(pid: int, created: float) -> None:
    """A task: ends another one's process on the same node, which may hear nothing any more."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.create_time() == created:
            process.kill()


def takes_connections(address: str) -> bool:
    """Whether somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError:
        return False
    return True
