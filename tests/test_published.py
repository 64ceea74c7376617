"""Published data sets: as they lie, fetched once with checksums, errors that name file and way out."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import shutil
import struct
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from harness.data import sources
from harness.design.experiment import DataSettings
from harness.errors import DataError, StoreError

GENERATOR_SEED = 3
MNIST_SHA256 = "ebd38775a6a986a6514666141dbc165b26d337ad043de9db1fa4b4cc35d13c67"  # of the training images


def idx_bytes(images: np.ndarray) -> bytes:
    return struct.pack(">4I", 0x803, *images.shape) + images.tobytes()


def test_real_mnist(shared_data: Path, tmp_path: Path) -> None:
    data = DataSettings(source="mnist", root=str(shared_data))
    assert sources.is_present(data)
    sources.fetch(data)
    native = sources.load(data, 28).images
    assert native.shape == (60_000, 1, 28, 28) and native.dtype == np.uint8
    assert native.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # the mean that everyone normalizes MNIST with
    assert np.array_equal(native[:100, 0], datasets.MNIST(shared_data, train=True).data[:100].numpy())

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    shutil.copyfile(shared_data / "MNIST/raw/train-images-idx3-ubyte", raw / "train-images-idx3-ubyte")
    for root in (tmp_path, tmp_path / "MNIST"):
        moved = DataSettings(source="mnist", root=str(root))
        assert sources.content_sha256(moved) == sources.content_sha256(data) == MNIST_SHA256


def test_real_mnist_at_32(shared_data: Path) -> None:
    data = DataSettings(source="mnist", root=str(shared_data), split="test")
    native, larger = sources.load(data, 28).images, sources.load(data, 32).images
    assert larger.shape == (10_000, 1, 32, 32)
    assert larger.mean() == pytest.approx(native.mean(), rel=0.02)
    assert larger.max() == 255 and np.ptp(larger[0]) > 200


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("mnist", "MNIST/raw/t10k-images-idx3-ubyte"),
        ("fashion-mnist", "FashionMNIST/raw/t10k-images-idx3-ubyte"),
        ("cifar10", "cifar-10-batches-py/test_batch"),
    ],
)
def test_missing_published_data_say_what_goes_where(source: str, path: str, tmp_path: Path) -> None:
    data = DataSettings(source=source, root=str(tmp_path), split="test")  # type: ignore[arg-type]
    assert not sources.is_present(data)
    for use in (sources.content_sha256, partial(sources.load, resolution=32)):
        with pytest.raises(DataError) as caught:
            use(data)
        assert caught.value.where == str(tmp_path / path)
        assert "harness fetch FILE" in caught.value.remedy and Path(path).name in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (idx_bytes(np.ones((4, 5, 5), np.uint8))[:-1], "99 pixels where 4 x 5 x 5"),
        (b"\x00\x00", "16 bytes"),
        (struct.pack(">4I", 0x801, 1, 1, 1) + b"x", "0x00000801"),
        (gzip.compress(bytes(100), mtime=0), "0x1f8b"),
        (struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"x", "1 pixels where 4294967295 x"),
        (struct.pack(">4I", 0x803, 0, 28, 28), "0 pixels where 0 x"),
        (idx_bytes(np.ones((4, 5, 5), np.uint8)), "5 x 5 pixels instead of 28 x 28"),
    ],
)
def test_a_damaged_idx_file_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        sources.load(DataSettings(source="mnist", root=str(tmp_path)), 8)
    assert caught.value.where == str(file)


def test_a_sparse_file_of_terabytes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    with file.open("wb") as sparse:
        sparse.write(struct.pack(">4I", 0x803, 1, 28, 28))
        try:
            sparse.truncate(2**40)
        except OSError:
            pytest.skip("this file system has no sparse files of that size")
    with pytest.raises(DataError, match="pixels where 1 x 28 x 28"):
        sources.load_chunks(DataSettings(source="mnist", root=str(tmp_path)), 8).__next__()


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_a_pickle_that_is_not_the_published_one_is_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number in range(1, 6):
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(Evil(tmp_path / "touched")))
    with pytest.raises(DataError, match="does not match the published checksum"):
        sources.load(DataSettings(source="cifar10", root=str(tmp_path)), 8)
    assert not (tmp_path / "touched").exists()
    pickle.loads((folder / "data_batch_1").read_bytes())
    assert (tmp_path / "touched").exists()  # it would have


@dataclass(frozen=True)
class Mirror:
    """A server on this machine that stands in for the published addresses, and what it was asked for."""

    address: str
    files: Path
    asked: list[str]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "*")
    files = tmp_path / "mirror"
    files.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=files))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Mirror(f"http://127.0.0.1:{server.server_address[1]}/", files, asked)
    server.shutdown()
    thread.join()
    server.server_close()


def publish_mnist(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A tiny MNIST with torchvision's file names; returns its training images."""
    images = np.random.default_rng(GENERATOR_SEED).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    resources = []
    for name, _ in datasets.MNIST.resources:
        labels = struct.pack(">2I", 0x801, 6) + bytes(6)
        packed = gzip.compress(idx_bytes(images) if "images" in name else labels)
        (mirror.files / name).write_bytes(packed)
        resources.append((name, hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [mirror.address])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    return images


def test_fetch_downloads_once_for_all_who_ask(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = publish_mnist(mirror, monkeypatch)
    data = DataSettings(source="mnist", root=str(tmp_path / "data"))
    own = tmp_path / "data" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"what lies there is not replaced")
    threads = [threading.Thread(target=sources.fetch, args=(data,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = Counter(mirror.asked)
    assert set(asked) == {"/" + name for name, _ in datasets.MNIST.resources}
    assert max(asked.values()) <= 2  # torchvision asks for each file twice, first only to follow redirects
    assert np.array_equal(sources.load(data, 28).images[:, 0], images)
    assert own.read_bytes() == b"what lies there is not replaced"
    left = {entry.name for entry in (tmp_path / "data").iterdir()}
    assert left <= {"MNIST", ".mnist.lock"}


def test_fetch_unpacks_archives_that_lie_there(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = publish_mnist(mirror, monkeypatch)
    data = DataSettings(source="mnist", root=str(tmp_path / "data"))
    shutil.copytree(mirror.files, tmp_path / "data" / "MNIST" / "raw")
    sources.fetch(data)
    assert mirror.asked == []
    assert np.array_equal(sources.load(data, 28).images[:, 0], images)


def test_fetch_refuses_what_does_not_match_its_checksum(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_mnist(mirror, monkeypatch)
    (mirror.files / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(500)))
    data = DataSettings(source="mnist", root=str(tmp_path / "data"))
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        sources.fetch(data)
    target = tmp_path / "data" / "MNIST" / "raw"
    assert caught.value.where == str(target / "train-images-idx3-ubyte")
    assert f"train-images-idx3-ubyte (uncompressed) from another machine into {target}" in caught.value.remedy
    assert not sources.is_present(data) and not list((tmp_path / "data").rglob("*-ubyte*"))


def test_fetch_without_network_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match="Check the network"):
        sources.fetch(DataSettings(source="fashion-mnist", root=str(tmp_path)))


def test_cifar10_from_archive_to_images(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar = datasets.CIFAR10
    rng = np.random.default_rng(GENERATOR_SEED)
    build = tmp_path / "build" / "cifar-10-batches-py"
    build.mkdir(parents=True)
    batches = {name: rng.integers(0, 256, (2, 3072), dtype=np.uint8) for name, _ in cifar.train_list + cifar.test_list}
    for name, pixels in batches.items():
        (build / name).write_bytes(pickle.dumps({"data": pixels, "labels": [0, 1]}))
    (build / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a", "b"]}))
    sums = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in build.iterdir()}
    archive = mirror.files / cifar.filename
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(build, build.name)
    monkeypatch.setattr(cifar, "url", mirror.address + cifar.filename)
    monkeypatch.setattr(cifar, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(cifar, "train_list", [[name, sums[name]] for name, _ in cifar.train_list])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", cifar.meta | {"md5": sums["batches.meta"]})

    train = DataSettings(source="cifar10", root=str(tmp_path / "data"))
    test = train.model_copy(update={"split": "test"})
    sources.fetch(train)
    assert set(mirror.asked) == {"/" + cifar.filename} and sources.is_present(test)
    images = sources.load(train, 32).images
    assert images.shape == (10, 3, 32, 32)
    assert np.array_equal(images[2], batches["data_batch_2"][0].reshape(3, 32, 32))
    assert np.array_equal(sources.load(test, 32).images[1], batches["test_batch"][1].reshape(3, 32, 32))
    assert sources.content_sha256(train) != sources.content_sha256(test)

    damaged = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_3"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(DataError, match="checksum") as caught:
        sources.load(train, 32)
    assert caught.value.where == str(damaged)


def test_fetch_where_nothing_may_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="something else is where a folder must be"):
        sources.fetch(DataSettings(source="mnist", root=str(tmp_path / "data")))
