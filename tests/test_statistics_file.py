"""Statistics files: pytorch-fid reads ours and we read its; others are refused with what is wrong."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_fid import fid_score

from harness.errors import DataError, ProtocolError
from harness.evaluation.frechet import frechet_distance, moments
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.evaluation.statistics_file import (
    Making,
    Origin,
    Statistics,
    differences,
    distance,
    read_statistics,
    write_statistics,
)

MAKING = Making.of("inception", INCEPTION_SHA256, "float32", None)


def statistics(seed: int, count: int = 40, dims: int = 6, making: Making | None = MAKING) -> Statistics:
    fitted = moments(np.random.default_rng(seed).standard_normal((count, dims)))
    return Statistics(Origin(f"set {seed}", dims, making), fitted.mean, fitted.covariance, fitted.count)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    written = statistics(0)
    write_statistics(tmp_path / "new" / "a.npz", written)
    found = read_statistics(tmp_path / "new" / "a.npz")
    assert np.array_equal(found.mean, written.mean) and np.array_equal(found.covariance, written.covariance)
    assert (found.count, found.origin.making) == (40, MAKING)
    assert found.origin.where.endswith("a.npz")


def test_pytorch_fid_reads_what_is_written(tmp_path: Path) -> None:
    written = statistics(0)
    write_statistics(tmp_path / "a.npz", written)
    mu, sigma = fid_score.compute_statistics_of_path(str(tmp_path / "a.npz"), None, 50, 6, "cpu")
    assert np.array_equal(mu, written.mean) and np.array_equal(sigma, written.covariance)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_pytorch_fids_files_are_read_without_count_or_making(tmp_path: Path, kind: type) -> None:
    a = statistics(0)
    np.savez_compressed(tmp_path / "a.npz", mu=a.mean.astype(kind), sigma=a.covariance.astype(kind))
    found = read_statistics(tmp_path / "a.npz")
    assert (found.count, found.origin.making, found.is_rank_deficient) == (None, None, None)
    assert found.covariance.dtype == np.float64
    np.testing.assert_allclose(found.covariance, a.covariance, rtol=1e-6)


@pytest.mark.parametrize("count", [5, 40])
def test_the_distance_does_not_need_the_counts(count: int) -> None:
    a, b = statistics(1, count, 16), statistics(2, 300, 16)
    expected = frechet_distance(a.moments(), b.moments())
    for one in (a, replace(a, count=None)):
        for other in (b, replace(b, count=None)):
            assert distance(one, other) == pytest.approx(expected, rel=1e-6)
            assert distance(other, one) == pytest.approx(expected, rel=1e-6)


def test_few_images_for_so_many_dims_are_known() -> None:
    assert [statistics(0, count, 6).is_rank_deficient for count in (6, 7)] == [True, False]


def test_different_making_is_refused_with_where_it_differs() -> None:
    other = Making.of("digits", "ab" * 32, "float32", 16)
    assert differences(MAKING, MAKING) == []
    assert differences(MAKING, other) == [
        "extractor inception and digits",
        f"extractor_sha256 {INCEPTION_SHA256[:12]}... and abababababab...",
        "resolution None and 16",
        "resize None and bilinear-antialias",
    ]
    with pytest.raises(ProtocolError, match=r"(?s)set 0 and set 1: .*differ in extractor inception and digits.*alike"):
        distance(statistics(0), statistics(1, making=other))
    assert distance(statistics(0), statistics(1, making=None)) > 0  # not known is not different


def test_other_dims_are_refused() -> None:
    with pytest.raises(DataError, match="set 0 and set 1: features of 6 and of 7 dims cannot be compared"):
        distance(statistics(0, dims=6, making=None), statistics(1, dims=7))


def test_nothing_is_overwritten_and_unknown_making_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("mine")
    with pytest.raises(DataError, match=r"a.npz: the file exists"):
        write_statistics(tmp_path / "a.npz", statistics(0))
    assert (tmp_path / "a.npz").read_text() == "mine"
    with pytest.raises(ValueError, match="known making"):
        write_statistics(tmp_path / "b.npz", statistics(0, making=None))


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "it has no array sigma; it has .'mu'."),
        ({"mean": np.zeros(3), "cov": EYE}, "no array mu and no array sigma"),
        ({"mu": np.zeros(4), "sigma": EYE}, r"mu \[4\] and sigma \[3, 3\] are not \[d\] and \[d, d\]"),
        ({"mu": np.zeros((1, 3)), "sigma": EYE}, r"mu \[1, 3\]"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"mu \[0\]"),
        ({"mu": np.array([0, np.nan, np.inf]), "sigma": EYE}, "2 of 3 values of mu are NaN or infinite"),
        ({"mu": np.zeros(3), "sigma": EYE * np.nan}, "9 of 9 values of sigma are NaN"),
        ({"mu": np.zeros(3), "sigma": -EYE}, "sigma is no covariance"),
        ({"mu": np.zeros(3), "sigma": EYE + np.triu(EYE + 1)}, "sigma is no covariance"),
        ({"mu": np.zeros(3), "sigma": EYE + 1j}, "sigma holds complex128"),
        ({"mu": np.array(["a", "b", "c"]), "sigma": EYE}, "mu holds <U1"),
        ({"mu": np.zeros(3), "sigma": EYE, "made_by": np.array("no JSON")}, "made_by is not what"),
        (
            {"mu": np.zeros(3), "sigma": EYE, "made_by": np.array('{"images": 1}')},
            "made_by is not what .* it names 1 images",
        ),
        ({"mu": np.zeros(3), "sigma": EYE, "made_by": np.array('{"images": 9, "x": 1}')}, "made_by is not what .* 'x'"),
    ],
)
def test_what_is_no_statistics_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"(?s)a.npz: not statistics.*{message}") as raised:
        read_statistics(path)
    assert "--save-stats" in raised.value.remedy


def test_files_that_are_no_archive_or_are_cut_or_missing(tmp_path: Path) -> None:
    write_statistics(tmp_path / "whole.npz", statistics(0))
    whole = (tmp_path / "whole.npz").read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    for content in (b"", b"text", whole[: len(whole) // 2], (tmp_path / "one.npy").read_bytes(), bytes(damaged)):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"bad.npz: not statistics"):
            read_statistics(tmp_path / "bad.npz")
    with pytest.raises(DataError, match=r"none.npz: there is no such file"):
        read_statistics(tmp_path / "none.npz")


class Evil:
    """Unpickled without care it would make a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_objects_in_a_file_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    evil = np.empty(1, dtype=object)
    evil[0] = Evil(tmp_path / "trace")
    path = save(tmp_path / "a.npz", mu=evil, sigma=EYE)
    with pytest.raises(DataError, match="allow_pickle=False"):
        read_statistics(path)
    assert not (tmp_path / "trace").exists()
    with np.load(path, allow_pickle=True) as archive:  # the trap works
        assert archive["mu"] is not None
    assert (tmp_path / "trace").exists()
    (tmp_path / "b.npz").write_bytes(pickle.dumps({"mu": 1}))
    with pytest.raises(DataError, match=r"no \.npz archive"):
        read_statistics(tmp_path / "b.npz")


def test_a_file_that_would_unpack_to_terabytes_is_refused_unread(tmp_path: Path) -> None:
    import zipfile

    path = save(tmp_path / "a.npz", mu=np.zeros(3), sigma=EYE)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("sigma.npy").file_size
    claimed = (2**31 + 2**20).to_bytes(4, "little")
    at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4) + 24  # the second entry of the directory
    assert content[at : at + 4] == size.to_bytes(4, "little")
    path.write_bytes(content[:at] + claimed + content[at + 4 :])
    with pytest.raises(DataError, match="sigma has more than 16384 dims"):
        read_statistics(path)


def test_made_by_is_plain_text(tmp_path: Path) -> None:
    write_statistics(tmp_path / "a.npz", statistics(0))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["made_by", "mu", "sigma"]
        document = json.loads(str(archive["made_by"][()]))
    assert document == {
        "images": 40,
        "extractor": "inception",
        "extractor_sha256": INCEPTION_SHA256,
        "precision": "float32",
        "resolution": None,
        "resize": None,
    }
    assert torch.from_numpy(read_statistics(tmp_path / "a.npz").mean).isfinite().all()
