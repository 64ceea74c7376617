"""`harness extractor train FILE`: what it writes and says, that it repeats, and that the lines it prints work."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.cli import app
from harness.data.resize import resize
from harness.data.sources import content_sha256, load
from harness.design.experiment import DataSettings, EvaluationSettings
from harness.design.experiment_file import read_experiment_file
from harness.errors import DataError, StoreError, WeightsError
from harness.evaluation.extractors import load_extractor
from harness.evaluation.trained_extractor import default_epochs, train_extractor
from harness.store.atomic import file_sha256, read_json

FILE = 'name = "x"\n[baseline]\nresolution = 8\nlatent_dim = 8\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def squares(root: Path, *, count: int = 24) -> DataSettings:
    """A folder of color images in two classes: red ones and blue ones."""
    rng = np.random.default_rng(0)
    for channel, name in ((0, "red"), (2, "blue")):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 40, (9, 9, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(root / name / f"{number:02d}.png")
    return DataSettings(source="folder", root=str(root))


def train_quietly(data: DataSettings, output: Path, *, resolution: int = 8, seed: int = 0) -> Path:
    made = train_extractor(data, resolution, output, epochs=3, seed=seed, watch=lambda _epoch, _loss: None)
    return made.file


def test_a_folder_becomes_an_extractor_that_the_file_can_use(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = squares(here / "my squares")
    source = '[data]\nsource = "folder"\nroot = "my squares"\n'
    (here / "x.toml").write_text(FILE + source)
    app(["extractor", "train", "x.toml", "--epochs", "3"], standalone_mode=False)
    shown = capsys.readouterr()
    assert "epoch 3: loss" in shown.err and "10% of each class" in shown.out
    lines = shown.out.strip().splitlines()[-2:]
    assert lines[0] == 'extractor = "trained"'
    file = Path(tomllib.loads(lines[1])["extractor_weights"])
    assert file.parent == Path("extractors")
    assert file.name == f"my-squares-{file_sha256(file)[:8]}.safetensors"

    (here / "y.toml").write_text(FILE + source + "[[evaluation]]\n" + "\n".join(lines) + "\n")
    (settings,) = read_experiment_file(here / "y.toml").experiment.evaluation
    extractor = load_extractor(settings, torch.device("cpu"))
    assert (extractor.name, extractor.classes, extractor.feature_dim) == (file.stem, ("blue", "red"), 128)
    images = torch.from_numpy(load(data, 16).images)
    names = [extractor.classes[label] for label in extractor.logits(extractor.features(images)).argmax(axis=1)]
    assert names == ["blue"] * 24 + ["red"] * 24
    gray = images[:2, :1]  # a gray image is a color image of three equal channels
    np.testing.assert_array_equal(extractor.features(gray), extractor.features(gray.expand(-1, 3, -1, -1)))
    np.testing.assert_array_equal(extractor.features(images), extractor.features(resize(images, 8)))


def test_the_note_says_what_it_was_made_of(here: Path) -> None:
    data = squares(here / "set")
    file = train_quietly(data, here / "out")
    note = read_json(file.with_suffix(".json"))
    assert note["weights_sha256"] == file_sha256(file)
    assert note["classes"] == ["blue", "red"]
    assert note["data"] == data.declared() and note["data_sha256"] == content_sha256(data)
    assert note["split"] == {"rule": "10% of each class, drawn with seed 0", "train": 44, "held out": 4}
    assert note["accuracy"]["classes"].keys() == {"blue", "red"}
    assert note["accuracy"]["held out"] == sum(each["right"] for each in note["accuracy"]["classes"].values()) / 4
    assert note["recipe"]["epochs"] == 3 and note["torch"] == torch.__version__
    assert sorted(path.name for path in (here / "out").iterdir()) == sorted([file.name, file.stem + ".json"])


def test_it_repeats_and_the_seed_counts(here: Path) -> None:
    data = squares(here / "set")
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    first = train_quietly(data, here / "a")
    assert first.name == train_quietly(data, here / "b").name
    assert first.name != train_quietly(data, here / "c", seed=1).name
    assert before[:2] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    assert torch.equal(before[2], torch.get_rng_state())


def test_json_and_resolution(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.toml").write_text(FILE)
    command = ["extractor", "train", "x.toml", "--json", "--epochs", "2", "--resolution", "16", "--output", "deep/er"]
    app(command, standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    file = Path(document["weights"])
    assert file.parent == Path("deep/er") and document["sha256"] == file_sha256(file)
    assert document["classes"].keys() == set("0123456789")
    total = sum(each["images"] for each in document["classes"].values())
    right = sum(each["right"] for each in document["classes"].values())
    assert total == 179 and document["accuracy"] == right / total > 0.5  # a tenth is chance
    assert read_json(file.with_suffix(".json"))["architecture"]["resolution"] == 16
    assert document["lines"] == ['extractor = "trained"', f'extractor_weights = "{file.as_posix()}"']


def write_mnist(raw: Path, prefix: str, count: int) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    images = rng.integers(0, 10, (count, 28, 28), dtype=np.uint8) + 20 * labels[:, None, None]
    (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + images.tobytes())
    (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels.tobytes())


def test_the_test_split_is_held_out_where_it_lies_there(here: Path) -> None:
    raw = here / "data" / "MNIST" / "raw"
    write_mnist(raw, "train", 200)
    data = DataSettings(source="mnist", root="data")
    alone = read_json(train_quietly(data, here / "alone").with_suffix(".json"))
    assert alone["split"]["train"] + alone["split"]["held out"] == 200
    write_mnist(raw, "t10k", 50)
    beside = read_json(train_quietly(data, here / "beside").with_suffix(".json"))
    assert beside["split"] == {"rule": "the test split of mnist", "train": 200, "held out": 50}
    (raw / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 3) + bytes(3))
    with pytest.raises(DataError, match="200 images and 3 labels"):
        train_quietly(data, here / "none")


@pytest.mark.parametrize(("counts", "what"), [({"a": 2, "b": 2}, "4 images are too few")])
def test_too_few_images_are_refused(here: Path, counts: dict[str, int], what: str) -> None:
    data = squares(here / "set", count=counts["a"])
    with pytest.raises(DataError, match=what):
        train_quietly(data, here / "out")
    assert not (here / "out").exists()


def test_data_without_classes_are_refused_before_anything_is_read(here: Path) -> None:
    (here / "flat").mkdir()
    (here / "flat" / "a.png").write_bytes(b"never opened")
    with pytest.raises(DataError, match="no class's sub-folder"):
        train_quietly(DataSettings(source="folder", root="flat"), here / "out")


def test_an_output_that_is_a_file_is_named(here: Path) -> None:
    (here / "out").write_text("")
    told: list[int] = []
    with pytest.raises(StoreError, match="out"):
        train_extractor(squares(here / "set"), 8, here / "out", epochs=1, watch=lambda epoch, _loss: told.append(epoch))
    assert told == []  # nothing was trained for nothing


def test_a_file_put_in_the_place_of_another_is_seen(here: Path) -> None:
    file = train_quietly(squares(here / "set"), here / "out")
    settings = EvaluationSettings(extractor="trained", extractor_weights=str(file))
    assert load_extractor(settings, torch.device("cpu")).feature_dim == 128
    other = train_quietly(DataSettings(source="folder", root=str(here / "set")), here / "other", seed=1)
    file.write_bytes(other.read_bytes())
    with pytest.raises(
        WeightsError, match=f"{file_sha256(other)}.*{read_json(file.with_suffix('.json'))['weights_sha256']}"
    ):
        load_extractor(settings, torch.device("cpu"))


def test_epochs_show_about_as_many_images_of_any_data_set() -> None:
    assert [default_epochs(count) for count in (100, 1617, 60_000, 50_000, 10**6)] == [60, 60, 10, 12, 5]


def test_help_needs_no_torch() -> None:
    code = "import sys; from harness.cli import app; app(['extractor', 'train', '--help'], standalone_mode=False); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert "--resolution" in done.stdout and done.stdout.strip().endswith("False")
