"""Every error that a person may see: what is wrong, where, and what to do next."""

from __future__ import annotations


class HarnessError(Exception):
    """Base of all errors that are shown as one message, without a traceback.

    what: one sentence; where: `FILE:LINE: dotted.key`, a path or a run's name; remedy: what to do next.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; exceptions with keyword arguments need help to be pickled."""
        return _rebuild, (type(self), self.what, self.where, self.remedy)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.remedy}" if self.remedy else head


def _rebuild(kind: type[HarnessError], what: str, where: str, remedy: str) -> HarnessError:
    return kind(what, where=where, remedy=remedy)


class ExperimentFileError(HarnessError):
    """The experiment file, or a `--set` on top of it, does not say something that can be run."""


class DataError(HarnessError):
    """Images are missing, damaged, or not what the file says they are."""


class OwnPartError(HarnessError):
    """A part of the user's own cannot be imported, does not fit what it is given, or raises.

    where: the user's FILE:LINE.
    """


class WeightsError(HarnessError):
    """Weights of an extractor are missing or are not the expected ones."""


class ProtocolError(HarnessError):
    """Values of different protocols were about to be mixed."""


class GeneratorError(HarnessError):
    """A generator gives images that are not finite, so that nothing can be drawn or measured."""


class StoreError(HarnessError):
    """A runs folder cannot be read or written, or was made by another version."""


class DamagedFileError(StoreError):
    """A stored file does not match its checksum; callers fall back or do the work again."""


class EvidenceError(StoreError):
    """A file is not what the numbers and pictures of a report were made of, so that no report is made of it."""

    exit_code = 1


class DeviceError(HarnessError):
    """The asked-for device is not usable."""


class ClusterError(HarnessError):
    """A cluster is away in the middle of the work; the runs are as if they had been interrupted."""

    exit_code = 1


class TrackingError(HarnessError):
    """MLflow is missing, away, or refuses."""

    exit_code = 1


class TrackingAddressError(TrackingError):
    """An address that names no store: a wrong option, not a store that is away."""

    exit_code = 2
