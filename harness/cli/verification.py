"""What `harness report --verify` prints: each thing that does not hold, and what was compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.console import show, show_json

if TYPE_CHECKING:
    from harness.report.verify import Verification


def show_verification(found: Verification, output: Path, as_json: bool) -> None:
    """Ends the command with exit code 1 where something does not hold."""
    if as_json:
        show_json(_document(found, output))
    else:
        show("\n".join([*(f"{doubt.file}: {doubt.what}" for doubt in found.doubts), _closing(found)]))
    if not found.holds:
        raise typer.Exit(1)


def _document(found: Verification, output: Path) -> dict[str, object]:
    """compared: how far: the files alone, the runs too, or the report made again."""
    sums = found.traced
    return {
        "experiment": found.experiment,
        "report": str(output),
        "holds": found.holds,
        "compared": "files" if sums is None else "report" if found.made_again else "runs",
        "files": found.files,
        "runs": sums.runs if sums else None,
        "values": sums.values if sums else None,
        "checkpoints": sums.checkpoints if sums else None,
        "checkpoints_gone": sums.gone if sums else None,
        "made_again": found.made_again,
        "not_compared": found.skipped,
        "doubts": [{"file": doubt.file, "what": doubt.what} for doubt in found.doubts],
    }


def _closing(found: Verification) -> str:
    """What was compared, and what could not be."""
    sums = found.traced
    if sums is None:
        compared = f"the {found.files} files of the report; its runs are not at hand, so nothing else"
        compared += f"; {found.skipped}" if found.skipped else ""
    else:
        compared = (
            f"{found.files} files of the report, {sums.values} measured values, {sums.numbers} means and "
            f"{sums.checkpoints} checkpoint files of {sums.runs} runs"
        )
        compared += f" ({sums.gone} checkpoint files are not there any more)" if sums.gone else ""
        compared += "; the report was made again and compared" if found.made_again else ""
        compared += f"; {found.skipped}" if found.skipped else ""
    if found.holds:
        return f"all holds: compared {compared}"
    return (
        f"{len(found.doubts)} {'thing does' if len(found.doubts) == 1 else 'things do'} not hold; compared {compared}"
    )
