"""networks.json: how large a run's two networks are. Written once by the process that holds the run's lock.

A function of the run's key alone, so that equal runs have equal files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from harness.errors import DamagedFileError
from harness.store import atomic
from harness.store.rundir import RunDirectory


@dataclass(frozen=True)
class NetworkSize:
    """parameters: trained values; weights_bytes: of parameters and buffers as they are stored."""

    parameters: int
    weights_bytes: int

    def __post_init__(self) -> None:
        """TypeError for what is no size, though the file's checksum may have been made to fit."""
        if type(self.parameters) is not int or type(self.weights_bytes) is not int:
            raise TypeError("parameters and weights_bytes are whole numbers")


@dataclass(frozen=True)
class Networks:
    """The sizes of both networks of a run."""

    generator: NetworkSize
    discriminator: NetworkSize


def read_networks(run: RunDirectory) -> Networks | None:
    """None where the file is missing or damaged: it is made again; StoreError where it cannot be read."""
    try:
        document = atomic.read_json(run.networks)
        return Networks(NetworkSize(**document["generator"]), NetworkSize(**document["discriminator"]))
    except (FileNotFoundError, DamagedFileError, TypeError, KeyError):
        return None


def write_networks(run: RunDirectory, networks: Networks) -> None:
    """StoreError where the disk refuses."""
    atomic.write_json(run.networks, asdict(networks))
