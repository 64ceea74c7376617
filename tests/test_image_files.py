"""Folders of images for `harness fid`: which files, in which order, with which pixels, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pytorch_fid.fid_score import ImagePathDataset
from torchvision.transforms import ToTensor

from harness.data.image_folder import IMAGE_EXTENSIONS
from harness.data.resize import resize
from harness.errors import DataError
from harness.evaluation.image_files import READ_AT_ONCE, ImageFiles, find_images


def noise(path: Path, seed: int = 0, *, size: tuple[int, int] = (9, 6), mode: str = "RGB") -> Path:
    """A file of random pixels; size: (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    Image.fromarray(pixels.squeeze(axis=2) if bands == 1 else pixels, mode=None).convert(mode).save(path)
    return path


def read(images: ImageFiles, readers: int = 1) -> torch.Tensor:
    return torch.cat(list(images.batches(readers)))


def pytorch_fids(images: ImageFiles) -> torch.Tensor:
    """The same files as pytorch-fid reads them, float32 in [0, 1]."""
    dataset = ImagePathDataset(list(images.files), transforms=ToTensor())
    return torch.stack([dataset[index] for index in range(len(dataset))])


def test_every_extension_in_any_case_also_nested_in_the_order_of_names(tmp_path: Path) -> None:
    for number, extension in enumerate(IMAGE_EXTENSIONS):
        name = f"{extension[1:]}{extension.upper() if number % 2 else extension}"
        noise(tmp_path / ("b/deep/down" if number % 3 else "a") / name, mode="L" if extension == ".pgm" else "RGB")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "png").write_text("no extension")
    names = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path).files]
    assert len(names) == len(IMAGE_EXTENSIONS) == 9
    assert names == sorted(names)
    assert "b/deep/down/jpeg.JPEG" in names


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK"])
def test_pixels_are_pytorch_fids(tmp_path: Path, mode: str) -> None:
    for seed in range(3):
        noise(tmp_path / f"{seed}.{'tif' if mode == 'CMYK' else 'png'}", seed, mode=mode)
    images = find_images(tmp_path)
    assert images.size == (9, 6)
    pixels = read(images)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (3, 1 if mode in ("L", "LA", "1") else 3, 6, 9)
    torch.testing.assert_close(pixels.expand(-1, 3, -1, -1) / 255, pytorch_fids(images), rtol=0, atol=0)


def test_transparent_palettes_keep_their_colors(tmp_path: Path) -> None:
    for seed in range(2):
        image = Image.open(noise(tmp_path / f"{seed}.png", seed)).quantize(16)
        image.save(tmp_path / f"{seed}.png", transparency=bytes(range(0, 256, 16)), pnginfo=PngInfo())
    images = find_images(tmp_path)
    with pytest.warns(UserWarning, match="Palette images with Transparency"):
        theirs = pytorch_fids(images)
    torch.testing.assert_close(read(images) / 255, theirs, rtol=0, atol=0)


def test_a_folder_with_one_colored_image_is_read_in_color(tmp_path: Path) -> None:
    noise(tmp_path / "a.png", mode="L")
    noise(tmp_path / "b.png", mode="RGB")
    images = find_images(tmp_path)
    assert not images.gray
    assert read(images).shape == (2, 3, 6, 9)


@pytest.mark.parametrize("readers", [1, 3])
def test_batches_hold_every_image_once_in_order(tmp_path: Path, readers: int) -> None:
    count = 2 * READ_AT_ONCE + 5
    for index in range(count):
        Image.new("L", (2, 2), index).save(tmp_path / f"{index:03d}.png")
    images = find_images(tmp_path)
    assert [len(batch) for batch in images.batches(readers)] == [READ_AT_ONCE, READ_AT_ONCE, 5]
    assert read(images, readers)[:, 0, 0, 0].tolist() == list(range(count))


def test_no_more_than_two_batches_are_read_ahead(tmp_path: Path) -> None:
    count = 6 * READ_AT_ONCE
    for index in range(count):
        Image.new("L", (2, 2), index % 256).save(tmp_path / f"{index:03d}.png")
    images = find_images(tmp_path)
    for file in images.files[3 * READ_AT_ONCE :]:
        file.write_bytes(b"damaged")
    batches = images.batches()
    assert len(next(batches)) == len(next(batches)) == READ_AT_ONCE
    with pytest.raises(DataError, match=f"{3 * READ_AT_ONCE:03d}.png: this image cannot be read"):
        list(batches)


def test_a_resolution_takes_mixed_sizes_and_is_the_harness_filter(tmp_path: Path) -> None:
    noise(tmp_path / "a.png", 0, size=(9, 6))
    noise(tmp_path / "b.png", 1, size=(20, 20))
    images = find_images(tmp_path, resolution=8)
    assert (images.size, len(images)) == (None, 2)
    with Image.open(tmp_path / "a.png") as image:
        plain = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    torch.testing.assert_close(read(images)[:1], resize(plain, 8), rtol=0, atol=0)


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    noise(tmp_path / "elsewhere" / "b.png", 1)
    root = tmp_path / "root"
    noise(root / "a.png", 0)
    (root / "circle").symlink_to(root, target_is_directory=True)
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "z.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    names = [file.relative_to(root).as_posix() for file in find_images(root).files]
    assert names == ["a.png", "linked/b.png", "z.png"]


def test_folders_that_hold_too_little_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing: there is no such folder"):
        find_images(tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"file: this is neither a folder of images nor an .npz file"):
        find_images(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"(?s)empty: the folder holds no images; .*at least 2.*\.webp"):
        find_images(tmp_path / "empty")
    noise(tmp_path / "one" / "a.png")
    with pytest.raises(DataError, match="one: the folder holds one image; a covariance needs at least 2"):
        find_images(tmp_path / "one")


def test_mixed_sizes_name_two_files_and_their_sizes(tmp_path: Path) -> None:
    noise(tmp_path / "a.png", size=(9, 6))
    noise(tmp_path / "b.png", size=(9, 6))
    noise(tmp_path / "deep" / "c.png", size=(6, 9))
    with pytest.raises(DataError, match=r"(?s)different sizes: a.png 9x6 and deep/c.png 6x9.*--resolution R"):
        find_images(tmp_path)


def test_unreadable_images_are_named_before_or_while_reading(tmp_path: Path) -> None:
    noise(tmp_path / "a.png", size=(64, 64))
    whole = noise(tmp_path / "b.png", size=(64, 64)).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    cut = find_images(tmp_path)  # the header is whole
    with pytest.raises(DataError, match=r"b.png: this image cannot be read"):
        read(cut)
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"b.png: this image cannot be read"):
        find_images(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_with_an_images_name_is_not_waited_on(tmp_path: Path) -> None:
    noise(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png: this image cannot be read: not a regular file"):
        find_images(tmp_path)


def test_sixteen_bits_are_refused_rather_than_clipped_to_white(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"(?s)a.png: .*more than 8 bits a value.*Scale"):
        find_images(tmp_path)
