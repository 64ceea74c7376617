"""Image folders: order, squares, colors, corrupt images, links, hashes."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torchvision import datasets
from torchvision.datasets.folder import IMG_EXTENSIONS

from harness.data import image_folder, sources
from harness.design.experiment import DataSettings
from harness.errors import DataError

GENERATOR_SEED = 3


def folder(root: Path, **settings: str) -> DataSettings:
    return DataSettings(source="folder", root=str(root), **settings)  # type: ignore[arg-type]


def save_image(path: Path, value: int = 100, size: tuple[int, int] = (12, 9), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 255 - value)).save(path)


@pytest.mark.parametrize("name", ["emoji", "hands"])
def test_real_folders_at_64(name: str, shared_data: Path, tmp_path: Path) -> None:
    for file in sorted((shared_data / name / "all").iterdir())[:30]:
        (tmp_path / "all").mkdir(exist_ok=True)
        shutil.copyfile(file, tmp_path / "all" / file.name)
    shutil.copyfile(shared_data / name / "LICENSE", tmp_path / "LICENSE")
    loaded = sources.load(folder(tmp_path), 64)
    assert loaded.images.shape == (30, 3, 64, 64) and loaded.skipped == ()
    peer = datasets.ImageFolder(tmp_path)
    for index in (0, 7, 29):
        small = np.asarray(peer[index][0].resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert np.abs(loaded.images[index].astype(int) - small).max() <= 2  # Pillow rounds after each direction


def test_names_give_the_order_whatever_the_layout(tmp_path: Path) -> None:
    for name, value in [
        ("b/2.png", 30),
        ("c.png", 40),
        ("a-/1.png", 5),
        ("a/z/1.JPG", 0),
        ("a/x.webp", 10),
        ("b/10.png", 20),
    ]:
        save_image(tmp_path / name, value)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    files = image_folder.image_files(tmp_path)
    assert [file.name for file in files] == ["a-/1.png", "a/x.webp", "a/z/1.JPG", "b/10.png", "b/2.png", "c.png"]
    images = sources.load(folder(tmp_path), 8).images
    assert images[3:, 0].max(axis=(1, 2)).tolist() == [20, 30, 40]


def test_gray_and_rgb(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", 200)
    gray = sources.load(folder(tmp_path, color="gray"), 8).images
    rgb = sources.load(folder(tmp_path, color="rgb"), 8).images
    assert rgb[0, :, 0, 0].tolist() == [200, 0, 55]
    assert gray.shape == (1, 1, 8, 8)
    assert abs(int(gray[0, 0, 0, 0]) - round(0.299 * 200 + 0.114 * 55)) <= 1


def test_center_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60), np.uint8)
    pixels[:, 20:40] = 250
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert np.all(sources.load(folder(tmp_path, color="gray"), 20).images == 250)


def test_16_bit_gray_is_scaled_and_float_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 32_896, np.uint16)).save(tmp_path / "a.png")
    assert np.all(sources.load(folder(tmp_path), 8).images == 128)
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(DataError, match="8-bit"):
        sources.load(folder(tmp_path), 8)


def test_palette_with_transparency_reads_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    assert sources.load(folder(tmp_path), 8).images[0, :, 0, 0].tolist() == [10, 20, 30]


def damaged_png() -> bytes:
    buffer = BytesIO()
    noise = np.random.default_rng(GENERATOR_SEED).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()[:400]


@pytest.mark.parametrize("content", [b"", b"not an image", damaged_png()])
def test_a_corrupt_image_is_named_or_skipped(content: bytes, tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        save_image(tmp_path / name, ord(name[0]))
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as caught:
        sources.load(folder(tmp_path), 8)
    assert caught.value.where == str(tmp_path / "b.png") and 'corrupt = "skip"' in caught.value.remedy
    loaded = sources.load(folder(tmp_path, corrupt="skip"), 8)
    assert loaded.skipped == ("b.png",)
    assert loaded.images[:, 0, 0, 0].tolist() == [ord("a"), ord("c")]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow says of some of the damage
def test_any_damage_is_a_data_error(tmp_path: Path) -> None:
    """Every format, cut and overwritten at many places: an image or a DataError, never another exception."""
    rng = np.random.default_rng(GENERATOR_SEED)
    pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    refused = 0
    for extension in ("jpg", "png", "bmp", "ppm", "webp", "tif"):
        path = tmp_path / f"a.{extension}"
        Image.fromarray(pixels).save(path)
        whole = path.read_bytes()
        for _ in range(30):
            damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for place in rng.integers(0, min(len(damaged), 200), 6):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            try:
                image_folder.read_square(image_folder.ImageFile(path.name, path), "rgb", 16)
            except DataError:
                refused += 1
    assert refused > 60


def test_all_corrupt_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of the folder's 1 images"):
        sources.load(folder(tmp_path, corrupt="skip"), 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are files only on Unix")
def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for use in (sources.content_sha256, partial(sources.load, resolution=8)):
        with pytest.raises(DataError, match="not a regular file"):
            use(folder(tmp_path))
    assert sources.content_sha256(folder(tmp_path, corrupt="skip"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_links_that_leave_the_folder_are_refused(kind: str, tmp_path: Path) -> None:
    save_image(tmp_path / "elsewhere" / "secret.png")
    save_image(tmp_path / "mine" / "a.png")
    link = tmp_path / "mine" / ("linked" if kind == "folder" else "b.png")
    link.symlink_to(tmp_path / "elsewhere" / ("" if kind == "folder" else "secret.png"))
    for use in (sources.fetch, sources.content_sha256, partial(sources.load, resolution=8)):
        with pytest.raises(DataError, match="outside the image folder") as caught:
            use(folder(tmp_path / "mine", corrupt="skip"))
        assert caught.value.where == str(link)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_inside_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "images"
    save_image(root / "a" / "1.png")
    (root / "b.png").symlink_to(root / "a" / "1.png")
    (tmp_path / "link").symlink_to(root)
    assert sources.load(folder(tmp_path / "link"), 8).images.shape[0] == 2
    (root / "a" / "up").symlink_to(root)
    with pytest.raises(DataError, match="leads back"):
        sources.load(folder(root), 8)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_dangling_link_is_an_unreadable_image(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "c.png")
    for use in (sources.content_sha256, partial(sources.load, resolution=8)):
        with pytest.raises(DataError, match="cannot be read"):
            use(folder(tmp_path))
    assert sources.content_sha256(folder(tmp_path, corrupt="skip"))
    assert sources.load(folder(tmp_path, corrupt="skip"), 8).skipped == ("b.png", "c.png")


@pytest.mark.parametrize(("name", "what"), [("gone", "no such"), ("empty", "no images"), ("file", "a file")])
def test_missing_and_empty_folders(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "empty" / "class").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    data = folder(tmp_path / name)
    assert sources.is_present(data) == (name == "empty")
    for use in (sources.fetch, sources.content_sha256, partial(sources.load, resolution=8)):
        with pytest.raises(DataError, match=what) as caught:
            use(data)
        assert caught.value.where == str(tmp_path / name) and caught.value.remedy


def test_folder_hash_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    save_image(tmp_path / "one" / "a.png", 1)
    save_image(tmp_path / "one" / "k" / "b.png", 2)
    before = sources.content_sha256(folder(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    os.utime(tmp_path / "two" / "a.png", (1, 1))
    (tmp_path / "two" / "README").write_text("not used")
    assert sources.content_sha256(folder(tmp_path / "two")) == before
    (tmp_path / "two" / "a.png").rename(tmp_path / "two" / "c.png")
    renamed = sources.content_sha256(folder(tmp_path / "two"))
    save_image(tmp_path / "two" / "c.png", 3)
    assert len({before, renamed, sources.content_sha256(folder(tmp_path / "two"))}) == 3


def test_extensions_are_torchvisions() -> None:
    assert image_folder.IMAGE_EXTENSIONS == IMG_EXTENSIONS


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("hops", ["..", "../..", "a/../..", "a/chain"])
def test_chains_of_links_and_dots_that_leave_the_folder_are_refused(hops: str, tmp_path: Path) -> None:
    root = tmp_path / "above" / "mine"
    save_image(tmp_path / "above" / "secret.png")
    save_image(root / "a" / "1.png")
    (root / "a" / "chain").symlink_to("../b")
    (root / "b").symlink_to("../mine2")
    shutil.copytree(root / "a", tmp_path / "above" / "mine2", symlinks=True)
    (root / "z").symlink_to(hops)
    with pytest.raises(DataError, match=r"outside the image folder|leads back") as caught:
        image_folder.image_files(root)
    assert Path(caught.value.where).is_relative_to(root)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_neighbor_whose_name_only_begins_alike_is_outside(tmp_path: Path) -> None:
    save_image(tmp_path / "mine-too" / "secret.png")
    save_image(tmp_path / "mine" / "a.png")
    (tmp_path / "mine" / "b.png").symlink_to("../mine-too/secret.png")
    with pytest.raises(DataError, match="outside the image folder"):
        image_folder.image_files(tmp_path / "mine")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_that_multiply_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"{level:02d}").mkdir()
        for name in "ab":
            (tmp_path / f"{level:02d}" / name).symlink_to(f"../{level + 1:02d}")
    save_image(tmp_path / "40" / "1.png")
    with pytest.raises(DataError, match="in more than 16 ways"):
        image_folder.image_files(tmp_path)


def test_folders_too_deep_are_one_message(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"a" * 150)
    deep.mkdir(parents=True)
    with pytest.raises(DataError, match="more than 100 deep"):
        image_folder.image_files(tmp_path)


@pytest.mark.parametrize("pixels", [90_000_000, 190_000_000])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_unread(pixels: int, tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", pixels // 1000, 1000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(DataError, match=r"bomb.png.*decompression bomb"):
        sources.load(folder(tmp_path), 8)
    save_image(tmp_path / "fine.png")
    assert sources.load(folder(tmp_path, corrupt="skip"), 8).skipped == ("bomb.png",)


def test_a_text_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text("comment", "x" * 50_000_000, zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=text)
    assert (tmp_path / "a.png").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"a.png: this image cannot be read: .*(text|Decompressed)"):
        sources.load(folder(tmp_path), 8)
