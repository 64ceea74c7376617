"""The command that prints what became of the file's claims."""

from __future__ import annotations

from harness.cli.console import say, show, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, open_file
from harness.cli.results import note_absence
from harness.tracking.integrity import require_intact
from harness.tracking.snapshot import read_snapshot


def claims(file: File, sets: Sets = None, runs_dir: RunsDir = RUNS, as_json: Json = False) -> None:
    """Print each claim of the file with its answer: estimate, 95 % interval, p-values, verdict."""
    view = read_snapshot(open_file(file, sets).plan, runs_dir)
    note_absence(view.directory)
    require_intact(view)
    from harness.report.claims import answers, claims_document, family_text, plain
    from harness.report.content import gather

    content = gather(view)
    if as_json:
        show_json(claims_document(content))
        return
    found = answers(content)
    say(plain(family_text(content)))
    if not found:
        say("there is nothing to compare: the file has no [[evaluation]], no baseline, or no other cell")
        return
    show("\n".join(plain(answer.sentence) for answer in found))
