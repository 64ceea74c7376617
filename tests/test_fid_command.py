"""`harness fid`: from files to one number, equal to pytorch-fid's; every wrong input named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score, inception

from experiments import harness
from harness.cli.app import app
from harness.errors import DataError, DeviceError, HarnessError, ProtocolError, StoreError, WeightsError
from harness.evaluation import fid_of_files
from harness.evaluation.frechet import moments
from harness.evaluation.peer import PytorchFid, peer_distance, statistics_of
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.evaluation.shipped import DIGITS_WEIGHTS


def call(*arguments: object) -> None:
    app(["fid", *map(str, arguments)], standalone_mode=False)


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON document of one call in this process."""
    call(*arguments, "--json")
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def draw(
    folder: Path, names: list[str], *, bright: float, size: tuple[int, int] = (20, 24), gray: bool = False
) -> Path:
    """Images of noise around `bright`, one for each name."""
    for seed, name in enumerate(names):
        random = np.random.default_rng([seed, int(bright)])
        shape = (size[1], size[0]) if gray else (size[1], size[0], 3)
        pixels = np.clip(random.normal(bright, 40, shape), 0, 255).astype(np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two folders of gray images, a and b."""
    monkeypatch.chdir(tmp_path)
    draw(Path("a"), [f"{i}.png" for i in range(80)], bright=90, gray=True)
    draw(Path("b"), [f"{i}.png" for i in range(70)], bright=120, gray=True)
    return tmp_path


def frechet_by_pytorch_fid(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """pytorch-fid's distance in coordinates that span all features: the same number from small matrices."""
    middle = a.mean(axis=0)
    basis, _ = np.linalg.qr(np.concatenate([a, b]).T - middle[:, None])
    low = [(x - middle) @ basis for x in (a, b)]
    return peer_distance(statistics_of(low[0]), statistics_of(low[1]))


def test_images_of_many_kinds_give_pytorch_fids_number(
    tmp_path: Path, random_inception: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = draw(tmp_path / "a", ["1.png", "2.JPG", "3.WebP", "deep/4.Png", "deep/er/5.bmp"], bright=90)
    b = draw(tmp_path / "b", [f"{i}.png" for i in range(6)], bright=130, size=(32, 32), gray=True)
    weights = ("--weights", random_inception, "--allow-unverified-weights")
    document = called(capsys, a, b, *weights, "--device", "cpu", "--save-stats", tmp_path / "a.npz")
    network = PytorchFid(random_inception.read_bytes(), torch.device("cpu"), workers=0)
    theirs = [network.activations(sorted(file for file in folder.rglob("*.*") if file.is_file())) for folder in (a, b)]
    assert document["fid"] == pytest.approx(frechet_by_pytorch_fid(*theirs), rel=1e-3)
    assert document["extractor"] == "inception" and document["verified"] is False
    assert document["weights_sha256"] == hashlib.sha256(random_inception.read_bytes()).hexdigest()
    assert (document["dims"], document["precision"], document["resolution"]) == (2048, "float32", None)
    assert [(side["images"], side["rank_deficient"]) for side in document["sources"]] == [(5, True), (6, True)]
    notes = "\n".join(document["notes"])
    assert "too few for a covariance of 2,048 dims" in notes
    assert "not pytorch-fid's weights" in notes
    assert "images of different sizes, 20x24 and 32x32" in notes
    mu, sigma = fid_score.compute_statistics_of_path(str(tmp_path / "a.npz"), None, 50, 2048, "cpu")
    np.testing.assert_allclose(mu, theirs[0].mean(axis=0), rtol=1e-3, atol=1e-3 * np.abs(theirs[0]).mean())
    np.testing.assert_allclose(np.trace(sigma), np.trace(np.cov(theirs[0], rowvar=False)), rtol=1e-3)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The `disp` argument", "ignore:Matrix is singular")
def test_two_folders_give_what_python_m_pytorch_fid_gives(
    tmp_path: Path, random_inception: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = draw(tmp_path / "a", [f"{i}.png" for i in range(30)], bright=90)
    b = draw(tmp_path / "b", [f"{i}.png" for i in range(24)], bright=120)
    state = torch.load(random_inception, weights_only=True)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_args, **_options: state)
    theirs = fid_score.calculate_fid_given_paths([str(a), str(b)], 50, torch.device("cpu"), 2048, num_workers=0)
    capsys.readouterr()
    call(
        a, b, "--weights", random_inception, "--allow-unverified-weights", "--device", "cpu", "--against", "pytorch-fid"
    )
    ours, peer, difference, seconds = capsys.readouterr().out.splitlines()
    assert ours.startswith("FID (inception, unverified weights): ")
    assert float(ours.split()[-1]) == pytest.approx(theirs, rel=1e-3)
    assert float(peer.removeprefix("pytorch-fid: ")) == pytest.approx(theirs, rel=1e-6)
    assert float(difference.split()[-1]) < 1e-3
    assert seconds.startswith("seconds: ")


def test_one_number_and_what_it_rests_on(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("a", "b", "--extractor", "digits")
    shown = capsys.readouterr()
    assert shown.out.startswith("FID (digits): ") and shown.out.count("\n") == 1
    assert float(shown.out.split()[-1]) > 1
    assert "note: FID (digits) compares only with numbers of the same weights" in shown.err
    assert "too few" not in shown.err
    digest = hashlib.sha256(DIGITS_WEIGHTS.read_bytes()).hexdigest()
    assert f"A: 80 images, B: 70 images, digits {digest[:8]}..., float32" in shown.err.splitlines()
    assert "of other images it gives a number without meaning" in shown.err
    call("a", "b", "--extractor", "digits", "--json")
    assert capsys.readouterr().err.startswith("A: 80 images, B: 70 images, digits ")


@pytest.mark.parametrize("folder", ["file/deep", "/proc/nothing"])
def test_where_statistics_cannot_be_written_is_said_before_anything_is_measured(two: Path, folder: str) -> None:
    Path("file").write_text("in the way")
    if not Path("/proc").is_dir() and folder.startswith("/proc"):
        pytest.skip("no /proc here")
    Path("b", "0.png").write_bytes(Path("b", "0.png").read_bytes()[:60])  # reading it would be another error
    with pytest.raises(StoreError):
        call("a", "b", "--extractor", "digits", "--save-stats", f"{folder}/a.npz")


def test_the_number_is_shown_though_its_statistics_cannot_be_written(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure_and_lose_the_folder(*arguments: Any, **options: Any) -> Any:
        sides = measure(*arguments, **options)
        Path("out").rmdir()
        Path("out").write_text("in the way")
        return sides

    measure = fid_of_files.measure
    monkeypatch.setattr(fid_of_files, "measure", measure_and_lose_the_folder)
    with pytest.raises(StoreError):
        call("a", "b", "--extractor", "digits", "--save-stats", "out/a.npz")
    shown = capsys.readouterr()
    assert shown.out.startswith("FID (digits): ")
    assert "mean and covariance" not in shown.err


def test_statistics_stand_for_their_folder(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = ("--extractor", "digits")
    expected = called(capsys, "a", "b", *digits)["fid"]
    saved = called(capsys, "a", *digits, "--save-stats", "a.npz")
    assert saved["saved"] == "a.npz" and "fid" not in saved
    called(capsys, "b", *digits, "--save-stats", "b.npz")
    for sides in (("a.npz", "b"), ("a", "b.npz"), ("a.npz", "b.npz")):
        document = called(capsys, *sides, *digits)
        assert document["fid"] == pytest.approx(expected, rel=1e-9)
        assert document["extractor"] == "digits"
        assert [side["images"] for side in document["sources"]] == [80, 70]
    assert called(capsys, "a", "b", *digits, "--save-stats", "again.npz")["fid"] == expected
    assert Path("again.npz").read_bytes() == Path("a.npz").read_bytes()


def test_files_of_pytorch_fid_are_taken_with_a_note(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "b", "--extractor", "digits", "--save-stats", "b.npz")
    with np.load("b.npz") as archive:
        np.savez_compressed("theirs.npz", mu=archive["mu"], sigma=archive["sigma"])
    document = called(capsys, "a", "theirs.npz", "--extractor", "digits")
    assert document["fid"] == pytest.approx(called(capsys, "a", "b", "--extractor", "digits")["fid"], rel=1e-6)
    assert document["notes"][0].startswith("theirs.npz does not say which extractor made it")
    assert document["verified"] is None
    assert [side["extractor"] for side in document["sources"]] == ["digits", None]
    call("a", "theirs.npz", "--extractor", "digits")
    shown = capsys.readouterr()
    assert shown.out.startswith("FID (digits; theirs.npz: not stated): ")
    assert shown.err.startswith("A: 80 images, B: number of images not stated, digits ")
    call("theirs.npz", "theirs.npz")
    shown = capsys.readouterr()
    assert shown.out.startswith("FID (extractor not known): ")
    assert shown.err.startswith("A: number of images not stated, B: number of images not stated, extractor not stated")


def test_pytorch_fids_number_stands_beside_ours(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [moments(np.random.default_rng(seed).standard_normal((200, 16)) + seed) for seed in range(2)]
    for name, side in zip("ab", sides, strict=True):
        np.savez(f"{name}.npz", mu=side.mean, sigma=side.covariance)
    document = called(capsys, "a.npz", "b.npz", "--against", "pytorch-fid")
    peer = document["against"]
    assert peer["fid"] == pytest.approx(document["fid"], rel=1e-6)
    assert peer["difference"] == document["fid"] - peer["fid"]
    assert peer["relative_difference"] < 1e-6
    assert peer["seconds"] > 0 and document["seconds"] > 0


def test_a_resolution_takes_mixed_sizes_and_says_so(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("b"), ["large.png"], bright=120, size=(50, 40), gray=True)
    with pytest.raises(DataError, match=r"(?s)b: .*0.png 20x24 and large.png 50x40.*--resolution R"):
        call("a", "b", "--extractor", "digits")
    document = called(capsys, "a", "b", "--extractor", "digits", "--resolution", "12")
    assert document["resolution"] == 12
    assert any("brought to 12x12 first: not pytorch-fid's number" in note for note in document["notes"])


def test_files_made_differently_are_refused_before_anything_is_measured(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "a", "--extractor", "digits", "--save-stats", "a.npz")
    Path("b", "0.png").write_bytes(Path("b", "0.png").read_bytes()[:60])  # reading it would fail
    with pytest.raises(ProtocolError, match="differ in resolution None and 12, resize None and bilinear-antialias"):
        call("a.npz", "b", "--extractor", "digits", "--resolution", "12")
    with pytest.raises(ProtocolError, match="differ in precision float32 and float64"):
        call("a.npz", "b", "--extractor", "digits", "--precision", "float64")
    np.savez("five.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(DataError, match="features of 5 and of 64 dims cannot be compared"):
        call("five.npz", "b", "--extractor", "digits")
    with pytest.raises(DataError, match=r"b/0.png: this image cannot be read"):
        call("a.npz", "b", "--extractor", "digits")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["a"], HarnessError, r"(?s)nothing to compare A with.*--save-stats"),
        (["a", "--against", "pytorch-fid", "--save-stats", "x.npz"], HarnessError, "nothing to compare A with"),
        (["a", "missing"], DataError, "missing: there is no such folder"),
        (["a", "empty"], DataError, "empty: the folder holds no images"),
        (["a", "one"], DataError, "one: the folder holds one image"),
        (["a", "nan.npz"], DataError, "nan.npz: not statistics .* 2 of 2 values of mu are NaN"),
        (["a", "text.npz"], DataError, "text.npz: not statistics in pytorch-fid's format: it is no .npz archive"),
        (["a", "none.npz"], DataError, "none.npz: there is no such file"),
        (
            ["a", "b", "--extractor", "vgg"],
            HarnessError,
            "'vgg' is no extractor; allowed: digits, mnist, inception, tr",
        ),
        (["a", "b", "--precision", "int8"], HarnessError, "'int8' is no precision; allowed: float32, float64, bfl"),
        (["a", "b", "--device", "tpu"], HarnessError, "'tpu' is no device"),
        (["a", "b", "--extractor", "digits", "--weights", "w"], HarnessError, "weights of digits ship with harness"),
        (["a", "b", "--extractor", "trained"], HarnessError, "(?s)--extractor trained.*--weights FILE"),
        (["a", "b", "--extractor", "digits", "--allow-unverified-weights"], HarnessError, "only inception has weights"),
        (["a", "b", "--weights", "none.pth"], WeightsError, "(?s)none.pth: .*missing.*--weights FILE"),
        (["a", "b", "--against", "clean-fid"], HarnessError, "'clean-fid' is no peer; allowed: pytorch-fid"),
        (["a", "b", "--against", "pytorch-fid", "--extractor", "digits"], HarnessError, "the extractor inception only"),
        (["a", "b", "--against", "pytorch-fid", "--resolution", "8"], HarnessError, "images at their own size"),
        (["a", "--save-stats", "x.txt"], HarnessError, "x.txt: statistics are an .npz file"),
        (["a", "--save-stats", "nan.npz"], HarnessError, "nan.npz: the file exists"),
        (["nan.npz", "--save-stats", "y.npz"], DataError, "values of mu are NaN"),
        (["good.npz", "--save-stats", "y.npz"], HarnessError, "good.npz: A holds statistics already"),
    ],
)
def test_wrong_input_is_named(two: Path, arguments: list[str], kind: type[HarnessError], message: str) -> None:
    Path("empty").mkdir()
    draw(Path("one"), ["0.png"], bright=100)
    np.savez("nan.npz", mu=np.full(2, np.nan), sigma=np.eye(2))
    np.savez("good.npz", mu=np.zeros(2), sigma=np.eye(2))
    Path("text.npz").write_text("text")
    before = sorted(two.rglob("*"))
    with pytest.raises(kind, match=message) as raised:
        call(*arguments)
    assert raised.value.exit_code == 2
    assert sorted(two.rglob("*")) == before


def test_other_weights_are_refused_with_both_hashes_and_this_commands_option(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.pth").write_bytes(b"other")
    with pytest.raises(WeightsError) as raised:
        call("a", "b", "--weights", "other.pth")
    for part in (hashlib.sha256(b"other").hexdigest(), INCEPTION_SHA256, "--allow-unverified-weights", "other.pth"):
        assert part in str(raised.value)
    assert "unverified_weights = true" not in str(raised.value)
    with pytest.raises(WeightsError, match=r"other.pth: not weights of pytorch-fid's Inception"):
        call("a", "b", "--weights", "other.pth", "--allow-unverified-weights")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("error")
def test_cut_off_weights_are_named_without_torchs_own_texts(two: Path, zipped: bool) -> None:
    state = {f"layer.{index}": torch.zeros(40, 40) for index in range(4)}
    torch.save(state, "whole.pth", _use_new_zipfile_serialization=zipped)
    whole = Path("whole.pth").read_bytes()
    contents = [whole, *(whole[: len(whole) * tenths // 10] for tenths in range(10)), b"<html>Not found</html>"]
    contents += [whole[:1] + bytes([protocol]) + whole[2:] for protocol in (9, 200)]
    for content in contents:
        Path("w.pth").write_bytes(content)
        with pytest.raises(WeightsError) as raised:
            call("a", "b", "--weights", "w.pth", "--allow-unverified-weights")
        assert raised.value.what == (
            "not weights of pytorch-fid's Inception network: cut off, or another file "
            f"(SHA-256 {hashlib.sha256(content).hexdigest()}; pytorch-fid's is {INCEPTION_SHA256})"
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use a GPU here")
def test_a_device_that_is_not_there_is_an_error(two: Path) -> None:
    with pytest.raises(DeviceError, match="--device cuda"):
        call("a", "b", "--extractor", "digits", "--device", "cuda")


def test_an_error_ends_with_exit_code_2_and_no_traceback(two: Path) -> None:
    Path("empty").mkdir()
    done = harness("fid", "a", "empty", cwd=two)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: empty: the folder holds no images")
    assert "Traceback" not in done.stderr
