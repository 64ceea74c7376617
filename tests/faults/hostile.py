"""Family "hostile": files, names, links and forged weights made to do harm: none is obeyed, each is answered."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from harness.store import atomic
from harness.store.commits import discard_commit, read_commit, write_commit
from harness.store.manifest import read_experiment_manifest
from harness.store.rundir import RunDirectory, experiment_directory
from tests.experiments import run_directories, statuses
from tests.faults.subject import FILE, STEPS, TEXT, Reference, assert_equal_runs, command, copy_finished, prepare
from tests.faults.trial import NotHit, Trial

INSIDE = "inside"
"""The folder that a command is started in; beside it nothing may appear."""

INLINE = ("--executor", "inline", "--threads", "1")
QUIET = ("--no-report", "--tracking-uri", "none")


def trials(count: int, reference: Reference) -> list[Trial]:
    """`count` trials spread evenly over the rows."""
    rows = {
        "hostile experiment file": _file,
        "hostile names": _names,
        "image folder that leads outside": _links,
        "forged state": _forged_state,
        "forged checkpoint": _forged_checkpoint,
    }
    names = list(rows)
    return [
        Trial(name, index // len(rows), partial(_perform, rows[name], reference))
        for index in range(count)
        for name in [names[index % len(rows)]]
    ]


Attack = Callable[[Reference, Path, random.Random], None]


def _perform(attack: Attack, reference: Reference, folder: Path, chance: random.Random) -> None:
    inside = folder / INSIDE
    inside.mkdir()
    attack(reference, inside, chance)
    assert _names_in(folder) == [INSIDE], f"something was written outside: {_names_in(folder)}"


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _answer(folder: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """What a command says; its exit code is one of `codes` and there is no traceback."""
    done = command(folder, *arguments)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode in codes, f"exit {done.returncode}:\n{done.stderr}"
    return done.stdout + done.stderr


PIECES = (
    "[", "]", "[[", "]]", "{", "}", "=", ",", ".", '"', "'", '"""', "#", "\\", "\n", "\r", "\x00", "\x1b[31m", "\u202e",
    "../", "/etc/passwd", "<script>", "=cmd()", "${x}", "%n%n", "nan", "1e999", "9" * 4000, "a." * 300, "[" * 300,
    "{a=" * 200, "[grid]\n", "[[cell]]\n", 'name = "x"\n', "seeds = [0]\n", "levels.latent_dim = [1]\n", "\ufeff", "名",
)  # fmt: skip


def _file(_reference: Reference, folder: Path, chance: random.Random) -> None:
    """A valid file with pieces put in, cut out or doubled at random places, and sometimes bytes that are no text."""
    text = TEXT
    for _ in range(chance.randint(1, 6)):
        start, length = chance.randrange(len(text)), chance.choice([0, 0, 1, 8, 60])
        text = text[:start] + chance.choice(PIECES) * chance.choice([1, 1, 2, 50]) + text[start + length :]
    content = text.encode()
    if chance.random() < 0.2:
        at = chance.randrange(len(content))
        content = content[:at] + chance.randbytes(5) + content[at:]
    (folder / FILE).write_bytes(content)
    sets = [chance.choice(["training.steps=5", "grid.0.levels.latent_dim=[3]", f"{'a.' * 200}b=1", "x", "=", "a=[[[["])]
    options = [word for text in sets[: chance.randint(0, 1)] for word in ("--set", text)]
    done = command(folder, "plan", FILE, *options)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 2), done.stderr
    if done.returncode == 2:
        assert re.match(rf"error: ({re.escape(FILE)}(:\d+)?: |--set )", done.stderr), done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout + done.stderr)
    assert _names_in(folder) == [FILE]


NAMES = (
    "../../up", "/etc/passwd", "..", ".", "~root",
    "a/b\\\\c", "C:\\\\x", "con", "nul.txt", "=cmd|' /C calc'!A0",
    "+1+1", "@SUM(A1)", "-rf", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "[link](javascript:alert(1))",
    "![x](http://x)", "`tick`", "| pipe |", "# head", "**bold**", "$x^2$", "${PATH}", "$(id)", "%s%n", "{{ 7 * 7 }}",
    "{% raw %}", "'; DROP TABLE runs; --", "a'b", "--help", "名前", "e\u0301", "\u200bzero", "🏳️‍🌈", "x" * 120,
    "a" * 119 + "/", "key = 'value'", "&amp;", "\\\\alpha", "_under_", "CON.", " lead", "trail ",
)  # fmt: skip
"""Legal names of cells, as a basic TOML string spells them."""


def _names(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Names that are legal and nasty go through folders, log, MLflow, report, CSV and status as plain words."""
    first, second = chance.sample(NAMES, 2)
    label = chance.choice(NAMES)
    text = TEXT.split("[[grid]]")[0].replace(f"steps = {STEPS}", "steps = 24").replace("every = 60", "every = 24")
    text += f'\n[[cell]]\nname = "{first}"\narchitecture = "mlp"\n[[cell]]\nname = "{second}"\nlatent_dim = 5\n'
    path = prepare(folder, reference, text + f'\n[labels]\n"{first}" = "{label}"\n')
    _answer(folder, "run", FILE, *INLINE)
    assert {status.state for status in statuses(path).values()} == {"complete"}
    report = (folder / "reports" / "tiny" / "report.md").read_text(encoding="utf-8")
    page = re.sub(r"(?ms)^(`{3,}).*?^\1$|(`+)[^`].*?\2", "", report)  # without what stands in code
    assert not re.search(r"<(script|img)|\]\(javascript|!\[x\]", page), page
    document = json.loads(_answer(folder, "status", FILE, "--json", "--explain").split("\nnote:")[0])
    assert [run["state"] for run in document["runs"]] == ["complete"] * 3
    for name in (first, second):
        spelled = json.loads(f'"{name}"')
        assert spelled in {run["cell"] for run in document["runs"]}
        _answer(folder, "sample", FILE, f"--cell={spelled}")
    assert "0 points were new" in _answer(folder, "sync", FILE)
    # `sample` puts its pictures into the current folder
    others = [name for name in _names_in(folder) if not name.endswith(".png")]
    assert sorted(others) == ["reports", "runs", FILE], others


def _links(_reference: Reference, folder: Path, chance: random.Random) -> None:
    if sys.platform == "win32":
        raise NotHit("links need a privilege on Windows")
    images = folder / "images"
    (images / "sub").mkdir(parents=True)
    (folder / "outside").mkdir()
    for number in range(40):
        Image.new("L", (8, 8), 6 * number).save(images / "sub" / f"{number:02d}.png")
    Image.new("L", (8, 8), 77).save(folder / "outside" / "secret.png")
    place = chance.choice([images, images / "sub"])
    up = "../" * (len(place.relative_to(folder).parts))
    target = chance.choice([
        f"{up}outside", f"{up}outside/secret.png", str(folder / "outside"), "/", "/etc", f"{up}images/../outside",
        "..", ".", "self", f"{up}", "/proc/self/root", "hop",
    ])  # fmt: skip
    if target == "hop":
        (place / "hop").symlink_to(f"{up}outside")
    link = place / ("self" if target == "self" else chance.choice(["link", "link.png"]))
    link.symlink_to(target)
    data = '[data]\nsource = "folder"\nroot = "images"\ncolor = "gray"\n'
    (folder / FILE).write_text(TEXT.replace("[baseline]", f"{data}[baseline]").replace("= 200", "= 30"), "utf-8")
    is_harmless = not link.is_dir() and link.suffix != ".png"  # no folder and no image's name: nothing is read
    four = ("--set", "training.steps=4")
    said = _answer(folder, "run", FILE, *QUIET, *INLINE, *four, codes=(0,) if is_harmless else (2,))
    if is_harmless:
        assert {status.state for status in statuses(folder / FILE, four[1]).values()} == {"complete"}, said
        counts = read_experiment_manifest(experiment_directory(folder / "runs", "tiny"))
        assert counts is not None and list(counts.image_counts.values()) == [40]
        return
    assert re.search(r"outside the image folder|leads back|cannot be read", said), f"{target}: {said}"
    assert not list((folder / "runs" / "tiny").glob("*--*"))


class _Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, (f"open({str(self.path)!r}, 'w')", "")[:1]  # type: ignore[return-value]


def _poison(folder: Path, chance: random.Random) -> tuple[bytes, Path]:
    """Pickles that act, headers that lie, plain noise; and the file that a pickle would make."""
    touched = folder / "touched"
    acting = pickle.dumps(_Touch(touched), protocol=chance.randint(2, 4))
    header = (2 ** chance.randint(20, 62)).to_bytes(8, "little") + b"{}"
    nested = b'{"__metadata__":' + b"[" * 5000 + b"]" * 5000 + b"}"
    lying = len(nested).to_bytes(8, "little") + nested
    return chance.choice([acting, acting, header, chance.randbytes(300), b"", lying]), touched


def _forged_state(reference: Reference, folder: Path, chance: random.Random) -> None:
    """A state whose checksums were made to fit, in runs that were stopped there: never executed, trained again."""
    path = copy_finished(folder, reference)
    content, touched = _poison(folder, chance)
    forged = [_forge_state(run, content) for run in run_directories(path).values()]
    said = _answer(folder, "run", FILE, *QUIET, *INLINE)
    assert not touched.exists(), "the pickle was executed"
    for state in forged:
        log = (state.parents[1] / "log.txt").read_text(encoding="utf-8")
        assert f"{state}: the state " in log and "the state before takes over" in log, said
    assert_equal_runs(path, reference.finished)


def _forge_state(run: RunDirectory, content: bytes) -> Path:
    """Leaves the run as a kill would before its last state, and forges the one that it stands at."""
    newest, before = run.committed_steps()
    discard_commit(run, newest)
    commit = read_commit(run, before)
    atomic.write_bytes(run.state(before), content)
    write_commit(run, replace(commit, state_sha256=hashlib.sha256(content).hexdigest()))
    return run.state(before)


def _forged_checkpoint(reference: Reference, folder: Path, chance: random.Random) -> None:
    """A checkpoint whose checksums were made to fit: never executed, each run fails by name, and the remedy helps."""
    path = copy_finished(folder, reference)
    content, touched = _poison(folder, chance)
    forged = [_forge_checkpoint(run, content) for run in run_directories(path).values()]
    said = _answer(folder, "run", FILE, *QUIET, *INLINE, codes=(1,))
    assert not touched.exists(), "the pickle was executed"
    failed = re.findall(r"^failed: (.*) seed 0: (.*): the file is no checkpoint of this harness", said, re.MULTILINE)
    assert sorted(named for _, named in failed) == sorted(map(str, forged)), said
    assert said.count("Remove it; `harness run` makes it again.") >= len(forged), said
    for checkpoint in forged:
        checkpoint.unlink()
    _answer(folder, "run", FILE, *QUIET, *INLINE)
    assert not touched.exists(), "the pickle was executed"
    assert_equal_runs(path, reference.finished)


def _forge_checkpoint(run: RunDirectory, content: bytes) -> Path:
    """The last checkpoint, in its note and in every commit; its evaluation and picture are gone, so that it is used."""
    step = STEPS
    digest = atomic.write_hashed(run.checkpoint(step), content)
    for committed in run.committed_steps():
        document = atomic.read_json(run.commit(committed))
        if str(step) in document["checkpoints"]:
            document["checkpoints"][str(step)] = digest
            atomic.write_json(run.commit(committed), document)
    run.samples(step).unlink()
    for evaluation in run.evaluations.glob(f"step-{step:06d}--*.json"):
        evaluation.unlink()
    return run.checkpoint(step)
