"""One check of `harness doctor`, in a process of its own: it may hang or crash without hiding the others.

    python -m harness.cli.doctor_topics NAME

reads the request from stdin and writes what it finds to stdout, a JSON document a line, as soon as it is known.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Literal, NoReturn, TextIO, get_args

from harness.cli.doctor_request import Request
from harness.errors import HarnessError
from harness.store.checkup import Fact, Finding, Found

Topic = Literal[
    "versions", "imports", "devices", "machine", "disk", "temporary files", "cache", "ray", "slurm", "tracking",
    "data", "weights", "networks", "fonts",
]  # fmt: skip
TOPICS: tuple[Topic, ...] = get_args(Topic)
"""In the order in which their findings are shown."""

OF_FILES: frozenset[Topic] = frozenset({"data", "networks"})
"""Those that say nothing without an experiment file."""

UNFORESEEN = "Nobody foresaw this: report it, with what `harness doctor --json` prints."

Check = Callable[[Request], Iterator[Found]]


def check_of(topic: Topic) -> Check:
    """Only what the check needs is loaded."""
    match topic:
        case "versions" | "imports":
            from harness.cli import doctor_versions

            return doctor_versions.versions if topic == "versions" else doctor_versions.imports
        case "devices":
            from harness.cli.doctor_devices import devices

            return devices
        case "machine":
            from harness.cli.doctor_machine import machine

            return machine
        case "disk" | "temporary files" | "cache":
            from harness.cli import doctor_disk

            of_disk: dict[str, Check] = {"disk": doctor_disk.disk, "cache": doctor_disk.cache}
            return of_disk.get(topic, doctor_disk.temporary)
        case "ray":
            from harness.cli.doctor_ray import ray

            return ray
        case "slurm":
            from harness.cli.doctor_slurm import slurm

            return slurm
        case "tracking":
            from harness.tracking.checkup import check_tracking

            return lambda request: check_tracking(request.tracking_uri, request.runs)
        case "data" | "weights" | "networks":
            from harness.cli import doctor_file

            of_file: dict[str, Check] = {"data": doctor_file.data, "weights": doctor_file.weights}
            return of_file.get(topic, doctor_file.parts)
        case "fonts":
            from harness.cli.doctor_fonts import fonts

            return fonts


def found_by(topic: Topic, request: Request) -> Iterator[Found]:
    """All that the check finds; what it did not foresee is a finding, too."""
    try:
        yield from check_of(topic)(request)
    except HarnessError as error:
        text = f"{error.where}: {error.what}" if error.where else error.what
        yield Finding(topic, "problem", text, error.remedy)
    except Exception as error:  # noqa: BLE001 - a machine can be broken in ways that nobody foresees
        said = (str(error).strip().splitlines() or [""])[0][:300]
        yield Finding(topic, "problem", f"this check failed: {type(error).__name__}: {said}".rstrip(": "), UNFORESEEN)


def as_line(found: Found) -> str:
    kind = "fact" if isinstance(found, Fact) else "finding"
    return json.dumps({kind: asdict(found)})


def from_line(line: str) -> Found:
    document = json.loads(line)
    return Fact(**document["fact"]) if "fact" in document else Finding(**document["finding"])


def main() -> None:
    topic = next(name for name in TOPICS if name == sys.argv[1])
    signal.signal(signal.SIGTERM, _leave)
    request = Request.from_json(sys.stdin.read())
    with _results() as results:
        for found in found_by(topic, request):
            print(as_line(found), file=results, flush=True)


def _results() -> TextIO:
    """The pipe to the parent, which whatever a library prints does not reach."""
    results = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(results, "w", encoding="utf-8")


def _leave(number: int, _frame: object) -> NoReturn:
    """Temporary folders are removed on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
