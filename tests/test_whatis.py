"""`harness whatis`: what a picture shows is read back from the file alone; hostile files are refused or harmless."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from report_data import Story, lived, small_plan

from harness.cli.app import app
from harness.design.expansion import Plan
from harness.errors import DamagedFileError, HarnessError, StoreError
from harness.store.picture_file import PictureOrigin, picture_origin
from harness.store.png import picture_texts

AWKWARD = '宽 <b>"&'
HOSTILE = "\x1b[31mred\x1b[0m\x07"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A plan with an awkward name, and the folder that holds its runs and its report."""
    cells = [{"name": AWKWARD, "latent_dim": 64}, {"name": "plain", "normalization": "none"}]
    shown = {"samples": 16, "sections": ["against-step", "loss-crossings", "samples"]}
    plan = small_plan(grid=[], cell=cells, seeds=[0, 1], report=shown)
    folder = tmp_path_factory.mktemp("told")
    lived(plan, folder, {"plain": Story(fid=30)})
    return plan, folder


def call(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def evidence_of(folder: Path, path: str) -> list[dict[str, Any]]:
    pictures = json.loads((folder / "report" / "report.json").read_text())["pictures"]
    found: list[dict[str, Any]] = next(picture["sources"] for picture in pictures if picture["path"] == path)
    return found


@pytest.mark.parametrize("name", ["fid-digits-against-step.png", "fid-digits-against-step.svg", "samples.png"])
def test_a_picture_of_a_report_names_the_sources_that_its_evidence_names(told: tuple[Plan, Path], name: str) -> None:
    plan, folder = told
    origin = picture_origin(folder / "report" / "figures" / name)
    cells = {run.key: run.cell.name for run in plan.runs}
    sources = evidence_of(folder, f"figures/{Path(name).stem}.png")
    named = [{"cell": cells[source["key"]], **source} if "key" in source else source for source in sources]
    assert list(origin.sources) == named
    assert origin.experiment == "small" and origin.title
    assert origin.cells["plain"] == {"normalization": "none"}
    assert origin.cells["baseline"] == {}
    assert origin.baseline["latent_dim"] == "16"
    assert origin.training == {"steps": 400, "log_every": 10, "checkpoint_every": 200}


def test_the_text_names_cell_seed_step_key_checkpoint_and_protocol(
    told: tuple[Plan, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plan, folder = told
    call("whatis", str(folder / "report" / "figures" / "fid-digits-last.png"))
    shown = capsys.readouterr().out
    run = next(run for run in plan.runs if run.name == "plain seed 1")
    source = next(s for s in evidence_of(folder, "figures/fid-digits-last.png") if s["key"] == run.key)
    row = next(line for line in shown.splitlines() if line.startswith("plain") and f" {run.key[:12]}" in line)
    hashes = [source["checkpoint_sha256"][:12], source["protocol_sha256"][:12]]
    assert row.split() == ["plain", "1", "400", run.key[:12], *hashes]
    assert AWKWARD in shown
    assert "  plain: normalization=none" in shown.splitlines()


def test_json_has_whole_hashes(told: tuple[Plan, Path], capsys: pytest.CaptureFixture[str]) -> None:
    plan, folder = told
    call("whatis", str(folder / "report" / "figures" / "losses.png"), "--json")
    found = document(capsys)
    assert {source["cell"] for source in found["sources"]} == {cell.name for cell in plan.cells}
    assert all(len(source["key"]) == 64 and source["records_to_step"] == 400 for source in found["sources"])


def test_a_workers_picture_finds_its_run_beside_it(told: tuple[Plan, Path], capsys: pytest.CaptureFixture[str]) -> None:
    plan, folder = told
    path = next((folder / "runs" / "small").glob("plain--s0--*/samples/step-000200.png"))
    call("whatis", str(path), "--json")
    found = document(capsys)
    run = next(run for run in plan.runs if run.name == "plain seed 0")
    (source,) = found["sources"]
    assert (source["cell"], source["seed"], source["step"], source["key"]) == ("plain", 0, 200, run.key)
    assert found["settings"] == {"samples": "16"}
    assert found["cells"]["plain"]["generator_normalization"] == "none"


def test_a_picture_elsewhere_is_looked_up_by_its_key(
    told: tuple[Plan, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = told
    path = next((folder / "runs" / "small").glob("plain--s1--*/samples/step-000400.png"))
    (tmp_path / "moved.png").write_bytes(path.read_bytes())
    call("whatis", str(tmp_path / "moved.png"), "--json", "--runs-dir", str(tmp_path))
    assert "cell" not in document(capsys)["sources"][0]
    call("whatis", str(tmp_path / "moved.png"), "--json", "--runs-dir", str(folder / "runs"))
    assert document(capsys)["sources"][0]["cell"] == "plain"


def png(**texts: str) -> bytes:
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name.replace("__", ":"), text)
    buffer = io.BytesIO()
    Image.new("L", (3, 3)).save(buffer, format="PNG", pnginfo=about)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(content: bytes, name: bytes, data: bytes) -> bytes:
    """The PNG with one more chunk behind its header."""
    return content[:33] + chunk(name, data) + content[33:]


@pytest.mark.parametrize(
    ("content", "kind", "what"),
    [
        (png(), StoreError, "not a picture of harness"),
        (png(Title="a photo", Software="other"), StoreError, "not a picture of harness"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", StoreError, "not a picture of harness"),
        (b"", StoreError, "neither PNG nor SVG"),
        (b"GIF89a", StoreError, "neither PNG nor SVG"),
        (b"\x89PN", DamagedFileError, "not whole"),
        (png(harness__key="a")[:-20], DamagedFileError, "not whole"),
        (png(harness__key="a").replace(b"harness:key", b"harness:kex"), DamagedFileError, "CRC-32"),
        (b"<svg><metadata>", DamagedFileError, "not whole"),
        (with_chunk(png(), b"zTXt", b"harness:key\0\0broken"), DamagedFileError, "damaged"),
    ],
)
def test_other_files_are_refused_with_what_is_wrong(
    tmp_path: Path, content: bytes, kind: type[HarnessError], what: str
) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(kind, match=what) as refused:
        picture_origin(path)
    assert refused.value.exit_code == 2 and str(path) in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        picture_origin(tmp_path / "none.png")
    with pytest.raises(StoreError, match="a folder"):
        picture_origin(tmp_path)


def test_all_three_kinds_of_text_are_read_and_a_bomb_is_not() -> None:
    text = "x" * 5000
    content = with_chunk(png(plain="a", wide="宽"), b"zTXt", b"long\0\0" + zlib.compress(text.encode()))
    packed = b"both\0\1\0zh\0\xe5\xae\xbd\0" + zlib.compress("宽".encode())
    assert picture_texts(with_chunk(content, b"iTXt", packed)) == {
        "both": "宽", "long": text, "plain": "a", "wide": "宽",
    }  # fmt: skip
    bomb = zlib.compress(bytes(70 * 2**20))
    assert picture_texts(with_chunk(png(), b"zTXt", b"bomb\0\0" + bomb)) is None


@pytest.mark.parametrize("text", ["[[[", "{}", "[1, null, []]", '{"a": [' + "[" * 100_000])
def test_texts_that_are_no_lists_of_objects_name_no_sources(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(png(Title=HOSTILE, harness__sources=text, harness__cells=text))
    assert picture_origin(path) == PictureOrigin(HOSTILE, None, ())


def test_hostile_texts_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.png"
    sources = json.dumps([{"cell": HOSTILE, "seed": {"a": HOSTILE}, "step": HOSTILE, "key": [HOSTILE]}])
    cells = json.dumps({"cells": {HOSTILE: {HOSTILE: HOSTILE}}, "baseline": {"a": HOSTILE}, "training": [HOSTILE]})
    path.write_bytes(png(Title=f"{HOSTILE}\nline", harness__sources=sources, harness__cells=cells))
    for options in ([], ["--json"]):
        call("whatis", str(path), *options)
        assert not set(capsys.readouterr().out) & {"\x1b", "\x07"}


def test_it_loads_neither_torch_nor_pandas_nor_matplotlib(told: tuple[Plan, Path]) -> None:
    _, folder = told
    script = (
        "import sys; from harness.cli.app import app; app(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'torch', 'pandas', 'matplotlib', 'mlflow'} & set(sys.modules)), file=sys.stderr)"
    )
    picture = folder / "report" / "figures" / "samples.png"
    done = subprocess.run([sys.executable, "-c", script, "whatis", str(picture)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
