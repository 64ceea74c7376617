"""Times of evaluation beside pytorch-fid's, in one process, on the same images, in turns.

    python benchmarks/evaluation.py                                  some minutes on two CPU cores
    python benchmarks/evaluation.py --docs docs/performance.md       also fills in the figures of that page

Prints a table and leaves with 1 where values are not equal: a wrong number is not fast. README.md beside this file
says what is measured. --real and --generated may be given several times, once for each scenario.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from measurements import (
    Tell,
    make_images,
    measure_checkpoint,
    measure_distance,
    measure_precision,
)
from random_weights import write_random_weights
from results import Results, into_page, require_part, text_table

from harness.design.evaluation_settings import EvaluationSettings
from harness.evaluation.output_folder import make_writable
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.execution.devices import allow_determinism
from harness.store.atomic import sha256_of

RANDOM = "drawn at random (a network's time does not depend on them)"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    allow_determinism()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("error: torch cannot use a CUDA GPU here; leave out --device", file=sys.stderr)
        return 2
    if options.output:
        make_writable(options.output.parent)
    page = options.docs.read_text(encoding="utf-8") if options.docs else ""
    if options.docs:
        require_part(page, device.type)
    command = shlex.join(["python", "benchmarks/evaluation.py", *_shown(arguments or sys.argv[1:])])
    results = measured(options, device, command)
    print(f"{results.stated()}\n\n{text_table(results.rows())}")
    if options.output:
        options.output.write_text(json.dumps(results.document(), indent=1) + "\n", encoding="utf-8")
    if options.docs and not results.failures:
        options.docs.write_text(into_page(page, device.type, results), encoding="utf-8")
    for failure in results.failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


def measured(options: argparse.Namespace, device: torch.device, command: str) -> Results:
    with TemporaryDirectory() as folder:
        weights = options.weights or Path(folder) / "random.pth"
        if not options.weights:
            write_random_weights(weights)
        content = weights.read_bytes()
        known = "pytorch-fid's" if sha256_of(content) == INCEPTION_SHA256 else f"SHA-256 {sha256_of(content)[:12]}..."
        settings = EvaluationSettings(extractor="inception", extractor_weights=str(weights), unverified_weights=True)
        tell = teller()
        tell(f"the Fréchet distance alone: {options.dims} dims, {options.rounds} rounds")
        distance = measure_distance(options.dims, options.rounds)
        checkpoints, precisions = [], []
        for number, (real, generated) in enumerate(zip(options.real, options.generated, strict=True)):
            scenario = f"{real:,} real, {options.repeats} x {generated:,} generated images"
            tell(f"{scenario}: drawing them")
            images = make_images(Path(folder) / str(number), real=real, generated=generated, repeats=options.repeats)
            checkpoints.append(
                measure_checkpoint(
                    images,
                    settings,
                    content,
                    device,
                    options.workers,
                    peer_repeats=options.peer_repeats,
                    tell=lambda what, scenario=scenario: tell(f"{scenario}: {what}"),
                )
            )
            if not precisions:
                tell(f"{scenario}: bfloat16 beside float32")
                precisions.append(measure_precision(images, settings, device))
        tell("done")
    return Results(command, known if options.weights else RANDOM, distance, tuple(checkpoints), tuple(precisions))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    options = made.parse_args(arguments)
    options.real, options.generated = options.real or [450], options.generated or [250]
    if len(options.real) != len(options.generated):
        made.error("--real and --generated are given equally often, once for each scenario")
    if options.peer_repeats is not None and options.peer_repeats > options.repeats:
        made.error("--peer-repeats is at most --repeats")
    return options


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Times of evaluation beside pytorch-fid's.", allow_abbrev=False)
    made.add_argument("--real", type=count, action="append", help="real images (default: 450); again: more scenarios")
    made.add_argument("--generated", type=count, action="append", help="generated images a repeat (default: 250)")
    made.add_argument("--repeats", type=positive, default=5, help="repeats at the checkpoint (default: %(default)s)")
    made.add_argument("--peer-repeats", type=positive, help="measure so many by hand and scale the time; default: all")
    made.add_argument("--weights", type=Path, help="pytorch-fid's weights; default: a state dict drawn at random")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of both networks (default: cpu)")
    made.add_argument("--dims", type=int, default=2048, help="of the distance measured alone (default: %(default)s)")
    made.add_argument(
        "--rounds", type=positive, default=3, help="of the distance measured alone (default: %(default)s)"
    )
    made.add_argument("--workers", type=int, help="processes that read pytorch-fid's images; default: as it takes")
    made.add_argument("--output", type=Path, help="write all figures as JSON")
    made.add_argument("--docs", type=Path, help="fill in the measured part of this page")
    return made


def count(text: str) -> int:
    """A number of images; below 50 pytorch-fid would take smaller batches than it usually does."""
    number = int(text)
    if number < 50:
        raise argparse.ArgumentTypeError("at least 50 images, one batch of pytorch-fid's")
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def teller() -> Tell:
    """Tells a person who waits what begins, and how many seconds after the start."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    return tell


def _shown(arguments: Sequence[str]) -> list[str]:
    """The arguments that decide what is measured: not where files lie."""
    shown: list[str] = []
    skipping = False
    for argument in arguments:
        name = argument.split("=")[0]
        if skipping:
            skipping = False
        elif name in ("--output", "--docs", "--weights"):
            skipping = "=" not in argument
        else:
            shown.append(argument)
    return shown


if __name__ == "__main__":
    sys.exit(main())
