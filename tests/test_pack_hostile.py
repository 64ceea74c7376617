"""Zips from elsewhere: whatever they hold, nothing of theirs lands but the files of a whole pack."""

from __future__ import annotations

import json
import random
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pack_data import Change, call, contents, edit_manifest, forged, home_of, only_run, refusal, signed, trained

from harness.errors import HarnessError
from harness.store import atomic, pack_reading
from harness.store.pack_layout import collisions, is_experiment_name, trouble_with_name

RUN = "runs/tiny/baseline--s0--0123abcd"


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another machine with a pack of one run."""
    place = tmp_path_factory.mktemp("away")
    trained(place)
    call(place, "pack", "tiny.toml", "-o", "results.zip")
    return place


@pytest.fixture
def home(away: Path, tmp_path: Path) -> Path:
    return home_of(away, tmp_path / "home")


def refused(home: Path, zip_file: Path) -> str:
    """The message; nothing may have been written anywhere."""
    before = contents(home.parent)
    told = refusal(home, "unpack", str(zip_file))
    assert contents(home.parent) == before
    assert not (home / "runs").exists() or not list((home / "runs").iterdir())
    return told


def entry(away: Path, end: str) -> str:
    """The name in the pack that ends so."""
    with zipfile.ZipFile(away / "results.zip") as archive:
        return next(name for name in archive.namelist() if name.endswith(end))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "runs/tiny/../../../evil.txt",
        "/etc/evil",
        "C:/evil.txt",
        "runs\\tiny\\experiment.toml",
        "runs/tiny/experiment.toml:stream",
        "runs/other/experiment.toml",
        "runs/tiny/evil.py",
        "runs/tiny/lock",
        "runs/tiny/source/0123abcd/../../../../nets.py",
        "runs/tiny/source/0123abcd/nets.so",
        f"{RUN}/tracking/0123abcd.json",
        f"{RUN}/checkpoints/step-000012.pt",
        f"{RUN}/state/step-000012.pt/evil",
        f"{RUN}/unpacked.json",
        "reports/tiny/notes/../../evil.md",
        "reports/tiny/.hidden",
        "reports/tiny/live.exe",
        "runs/tiny/pictures/CON",
        "nets.py",
        "tiny.toml",
        "runs//tiny/experiment.toml",
        "runs/tiny/experiment.toml ",
        "runs/tiny/source/0123abcd/aux.py",
        "runs/tiny/source/0123abcd/" + "x" * 300 + ".py",
        "runs/tiny/source/0123abcd/a\udce4.py",
    ],
)
def test_no_name_leads_anywhere_else(name: str) -> None:
    assert trouble_with_name(name, "tiny")


@pytest.mark.parametrize(
    "name",
    [
        "runs/tiny/experiment.toml",
        "runs/tiny/source/0123abcd/parts/nets.py",
        "runs/tiny/pictures/real-32.png",
        f"{RUN}/run.json",
        f"{RUN}/state/step-1000000.json",
        f"{RUN}/pictures/step-000012--interpolations.png",
        f"{RUN}/evaluations/step-000012--0123abcd.json",
        "runs/tiny/größe=ä, w.o. norm--s12--0123abcd/log.txt",
        "reports/tiny/figures/fid-digits-last.svg",
        "reports/tiny/notes/what I think.md",
    ],
)
def test_what_packs_hold_is_let_in(name: str) -> None:
    assert trouble_with_name(name, "tiny") == ""


def test_experiments_are_called_as_folders_may_be() -> None:
    assert all(map(is_experiment_name, ("tiny", "my gan.v2", "größe-1")))
    assert not any(map(is_experiment_name, ("", "..", "a/b", "nul", "a" * 65, "a.", ".hidden", "a\\b", "c:")))


def test_names_that_some_system_takes_for_one_are_found() -> None:
    assert collisions(["a/b", "a/c"]) == []
    assert collisions(["a/b", "A/b"]) == ["A/b"]
    assert collisions(["a/b", "a/B"]) == ["a/B"]
    assert collisions(["A/b", "a/c"]) == ["a/c"]
    assert collisions(["a/b", "a/b/c"]) == ["a/b/c"]
    assert collisions(["a/b/c", "a/b"]) == ["a/b"]
    assert collisions(["a/\u00e9", "a/e\u0301"]) == ["a/e\u0301"]


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "runs/tiny/../../evil", "C:\\evil", "tiny.toml"])
@pytest.mark.parametrize("honest", [False, True], ids=["planted", "named"])
def test_an_entry_that_leads_out_stops_everything(
    name: str, honest: bool, away: Path, home: Path, tmp_path: Path
) -> None:
    bad = forged(away / "results.zip", tmp_path / "bad.zip", lambda e: e.update({name: b"evil"}), honest=honest)
    assert "nothing was unpacked" in refused(home, bad)


def _drop(end: str) -> Change:
    return lambda entries: entries.pop(next(name for name in entries if name.endswith(end))) and None


def _set(end: str, content: bytes) -> Change:
    return lambda entries: entries.update({next(name for name in entries if name.endswith(end)): content})


def _document(end: str, **changes: Any) -> Change:
    """A JSON document of a run that was changed and signed again."""

    def change(entries: dict[str, bytes]) -> None:
        name = next(name for name in entries if name.endswith(end))
        body = {key: value for key, value in {**json.loads(entries[name]), **changes}.items() if key != "sha256"}
        signed_body = {**body, "sha256": atomic.sha256_of(atomic.canonical_json(body))}
        entries[name] = (json.dumps(signed_body, indent=1, ensure_ascii=False) + "\n").encode()

    return change


LIES: dict[str, tuple[Change, bool, str]] = {
    "a file more": (lambda e: e.update({f"{RUN}/log.txt": b"x"}), False, "is not in its manifest"),
    "a run more": (lambda e: e.update({f"{RUN}/log.txt": b"x"}), True, "names other runs"),
    "a file less": (_drop("log.txt"), False, "is missing in it"),
    "other bytes": (_set("log.txt", b""), False, "not as large as its manifest says"),
    "no manifest": (_drop("manifest.json"), False, "none of `harness pack`"),
    "no run.json": (_drop("run.json"), True, "run.json is missing"),
    "no experiment.json": (_drop("experiment.json"), True, "no experiment.json"),
    "no experiment.toml": (_drop("experiment.toml"), True, "no experiment.json or no experiment.toml"),
    "no commit": (_drop("state/step-000024.json"), True, "manifest.json says step 24, and it stands at 0"),
    "one checkpoint": (_drop("step-000012.safetensors"), True, "the checkpoint is missing"),
    "other weights": (_set("step-000012.safetensors", b"weights"), True, "the checkpoint does not match"),
    "other records": (_set("metrics.jsonl", b""), True, "do not match their SHA-256"),
    "torn attempts": (_set("attempts.jsonl", b"{}\n"), True, "line 1 does not hold"),
    "no evaluation": (_document("step-000024--1a02aea8.json", values={"fid": "low"}), True, "not an evaluation"),
    "no picture": (_set("samples/step-000024.png", b"<script>"), True, "samples/step-000024.png"),
    "no real images": (_set("real-8.png", b"<script>"), True, "the picture is not whole"),
    "another run's": (_document("run.json", key="b" * 64), True, "of another run"),
    "another experiment's": (_document("run.json", experiment="other"), True, "of another run"),
    "a commit of text": (_document("state/step-000024.json", step="24"), True, "stands at 0"),
    "threads of text": (_document("experiment.json", threads="four"), True, "first run writes"),
    "hashes of lists": (_document("experiment.json", data_sha256=[]), True, "first run writes"),
    "another name": (_document("experiment.json", name="other"), True, "of the experiment 'other'"),
    "newer runs": (_document("experiment.json", format=2), True, "written in format 2"),
    "newer": (lambda e: edit_manifest(e, format=2, made_with={"harness": "9.9"}), False, "format 2 by harness 9.9"),
    "no format": (lambda e: edit_manifest(e, format=None), False, "in format None"),
    "no JSON": (_set("manifest.json", b"[" * 100_000), False, "manifest.json does not hold"),
    "a list": (_set("manifest.json", b"[]"), False, "manifest.json does not hold"),
    "an odd name": (lambda e: edit_manifest(e, experiment="../evil"), False, "manifest.json does not hold"),
    "odd files": (lambda e: edit_manifest(e, files=[["a", -1, "b" * 64]]), False, "manifest.json does not hold"),
    "odd runs": (lambda e: edit_manifest(e, runs=[{"folder": "../x--01234567"}]), False, "manifest.json does not hold"),
    "unsigned": (lambda e: e.update({"manifest.json": e["manifest.json"].replace(b"24", b"25")}), False, "SHA-256"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_before_anything_lands(lie: str, away: Path, home: Path, tmp_path: Path) -> None:
    change, honest, told = LIES[lie]
    bad = forged(away / "results.zip", tmp_path / "bad.zip", change, honest=honest)
    assert told in refused(home, bad)


def test_a_forged_zip_that_tells_the_truth_is_taken(away: Path, home: Path, tmp_path: Path) -> None:
    """The other tests of this page would pass, too, if every forged zip were refused."""
    assert call(home, "unpack", str(forged(away / "results.zip", tmp_path / "x.zip", dict, honest=True))).code == 0


def test_a_zip_that_ends_too_early_is_refused(away: Path, home: Path, tmp_path: Path) -> None:
    whole = (away / "results.zip").read_bytes()
    for size in sorted({0, 1, 4, 30, *random.Random(0).sample(range(len(whole)), 30), len(whole) - 22, len(whole) - 1}):
        (tmp_path / "cut.zip").write_bytes(whole[:size])
        assert "the zip is not whole" in refused(home, tmp_path / "cut.zip"), size


def test_a_changed_bit_is_found_or_changes_nothing(away: Path, home: Path, tmp_path: Path) -> None:
    """What says nothing of the content, such as a date, may be another."""
    whole = (away / "results.zip").read_bytes()
    dice = random.Random(1)
    call(home, "unpack", str(away / "results.zip"))
    expected = contents(home / "runs")
    found = 0
    for trial in range(60):
        changed = bytearray(whole)
        changed[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        (tmp_path / "bit.zip").write_bytes(changed)
        place = home_of(away, tmp_path / f"trial-{trial}")
        try:
            assert call(place, "unpack", str(tmp_path / "bit.zip")).code == 0
            assert contents(place / "runs") == expected
        except HarnessError as error:
            assert "bit.zip" in str(error), repr(error)
            assert not list((place / "runs").glob("*")), repr(error)
            found += 1
    assert found > 40


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_links_and_devices_are_refused(kind: int, away: Path, home: Path, tmp_path: Path) -> None:
    log = entry(away, "log.txt")

    def mark(info: zipfile.ZipInfo) -> None:
        if info.filename == log:
            info.external_attr = (kind | 0o777) << 16

    assert "no ordinary file" in refused(home, _rewritten(away, tmp_path / "bad.zip", mark))


def test_other_compression_and_encryption_are_refused(away: Path, home: Path, tmp_path: Path) -> None:
    def mark(info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_LZMA if info.filename.endswith("log.txt") else info.compress_type

    assert "compressed as no pack is" in refused(home, _rewritten(away, tmp_path / "bad.zip", mark))
    content = bytearray((away / "results.zip").read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(content)
    assert "is encrypted" in refused(home, tmp_path / "secret.zip")


def _rewritten(away: Path, target: Path, mark: Callable[[zipfile.ZipInfo], None]) -> Path:
    with zipfile.ZipFile(away / "results.zip") as source, zipfile.ZipFile(target, "w") as archive:
        for info in source.infolist():
            content = source.read(info)
            mark(info)
            archive.writestr(info, content)
    return target


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_refused(away: Path, home: Path, tmp_path: Path) -> None:
    bad = forged(away / "results.zip", tmp_path / "bad.zip", dict)
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(entry(away, "log.txt"), "again")
    assert "holds a file twice" in refused(home, bad)


def test_names_that_differ_in_case_are_refused(away: Path, home: Path, tmp_path: Path) -> None:
    def change(entries: dict[str, bytes]) -> None:
        entries["runs/tiny/source/0123abcd/Nets.py"] = entries["runs/tiny/source/0123abcd/nets.py"] = b""

    bad = forged(away / "results.zip", tmp_path / "bad.zip", change, honest=True)
    assert "the name of another file on some systems" in refused(home, bad)


def test_a_bomb_is_stopped_by_what_it_says(
    away: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_reading, "ALWAYS_ALLOWED_BYTES", 1 << 20)
    bomb = forged(away / "results.zip", tmp_path / "bomb.zip", _set("log.txt", bytes(16 << 20)), honest=True)
    assert bomb.stat().st_size < 1 << 17
    assert "as no runs do" in refused(home, bomb)


def test_a_bomb_that_says_it_is_small_gives_not_a_byte_more(away: Path, home: Path, tmp_path: Path) -> None:
    """Both directories of the zip and the manifest say 5 bytes; the stream holds 8 MiB."""
    log = entry(away, "log.txt")
    bad = forged(away / "results.zip", tmp_path / "bad.zip", _set("log.txt", bytes(8 << 20)), honest=True)
    with zipfile.ZipFile(bad) as archive:
        document = json.loads(archive.read("manifest.json"))
    for file in document["files"]:
        file[1:] = [5, atomic.sha256_of(bytes(5))] if file[0] == log else file[1:]
    forged(bad, tmp_path / "bomb.zip", lambda e: e.update({"manifest.json": signed(document)}))
    content = (tmp_path / "bomb.zip").read_bytes().replace((8 << 20).to_bytes(4, "little"), (5).to_bytes(4, "little"))
    (tmp_path / "bomb.zip").write_bytes(content)
    assert "log.txt" in refused(home, tmp_path / "bomb.zip")


def test_more_than_the_disk_has_is_refused(away: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_reading, "KEPT_FREE_BYTES", 1 << 60)
    assert "are free" in refused(home, away / "results.zip")


def test_what_is_no_zip_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "folder.zip").mkdir()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "the zip is not whole" in refused(home, tmp_path / "text.zip")
    assert "a folder is where a file must be" in refused(home, tmp_path / "folder.zip")
    assert "none of `harness pack`" in refused(home, tmp_path / "other.zip")
    assert "no such file" in refused(home, tmp_path / "nothing.zip")


def test_what_a_zip_says_cannot_steer_a_terminal(away: Path, home: Path, tmp_path: Path) -> None:
    def change(entries: dict[str, bytes]) -> None:
        edit_manifest(entries, own_files={"\x1b[31mnets.py": "runs/tiny/source/x"})

    said = call(home, "unpack", str(forged(away / "results.zip", tmp_path / "red.zip", change)))
    assert said.code == 0
    assert "\x1b" not in said.err
    assert "nets.py, which is not here" in said.err


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_folder_that_lies_elsewhere_stays_there(away: Path, home: Path, tmp_path: Path) -> None:
    """People move large folders to another disk and leave a link."""
    call(home, "unpack", str(away / "results.zip"))
    for folder in (only_run(home).root, home / "runs" / "tiny"):
        folder.rename(tmp_path / folder.name)
        folder.symlink_to(tmp_path / folder.name)
    only_run(home).log.unlink()
    assert call(home, "unpack", str(away / "results.zip")).out == "tiny: 1 runs: 1 completed\n"
    assert only_run(home).log.read_bytes() == only_run(away).log.read_bytes()
    assert (home / "runs" / "tiny").is_symlink()
    assert only_run(home).root.is_symlink()
