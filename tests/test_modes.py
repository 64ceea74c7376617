"""Verdicts on class counts, each rule from both sides of its bound."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.modes import modes_verdict

DIGITS = [str(digit) for digit in range(10)]
EVEN = [1000] * 10


def test_shares_as_in_the_data() -> None:
    found = modes_verdict([110, 95, 100, 105, 90, 100, 102, 98, 120, 80], EVEN, DIGITS)
    assert (found.kind, found.verdict) == ("covered", "all classes there")
    assert (found.missing, found.rare, found.common, found.unjudged) == ((), (), (), ())
    assert (found.largest, found.largest_share) == ("8", pytest.approx(0.12))
    assert (found.present, found.judged) == (10, 10)


def test_shares_are_compared_with_the_datas_own() -> None:
    """A class that is rare among real images, too, is not uneven."""
    assert modes_verdict([900, 100], [9000, 1000], ["a", "b"]).kind == "covered"
    assert modes_verdict([900, 100], [5000, 5000], ["a", "b"]).kind == "uneven"


def test_uneven_names_both_sides_with_the_largest_ratio_first() -> None:
    found = modes_verdict([300, 30, 84, 84, 84, 84, 84, 84, 83, 83], EVEN, DIGITS)
    assert found.kind == "uneven"
    assert found.verdict == "uneven: 0: 30 % (real: 10 %), 1: 3.0 % (real: 10 %)"
    assert (found.common, found.rare) == (("0",), ("1",))


def test_twice_and_half_are_not_uneven() -> None:
    others = [1031, 1031, 1032, 1032, 1032, 1032, 1032]  # of 10,000 images, 1111.1 each were to be expected
    assert modes_verdict([2222, 556, *others], EVEN[:9], DIGITS[:9]).kind == "covered"
    beyond = modes_verdict([2223, 555, *others], EVEN[:9], DIGITS[:9])
    assert (beyond.kind, beyond.common, beyond.rare) == ("uneven", ("0",), ("1",))


def test_what_chance_would_do_is_not_uneven() -> None:
    """Of 8 images to be expected three may come; of 800 not three hundred."""
    assert modes_verdict([3, 8, 8, 8, 8, 9, 9, 9, 9, 9], EVEN, DIGITS).kind == "covered"
    assert modes_verdict([300, 800, 800, 800, 800, 900, 900, 900, 900, 900], EVEN, DIGITS).kind == "uneven"


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_chance_hardly_ever_brings_a_verdict(classes: int, even: bool) -> None:
    """Generated and real images drawn alike: less than 1 % over all numbers of images, from too few to many each."""
    generator = np.random.default_rng(classes)
    shares = np.ones(classes) if even else 1 / np.arange(1, classes + 1)
    shares /= shares.sum()
    names = [str(name) for name in range(classes)]
    kinds = [
        modes_verdict(
            generator.multinomial(n * classes, shares), generator.multinomial(m * classes, shares), names
        ).kind
        for n in (6, 8, 10, 14, 20, 100, 2000)
        for m in (4, 10, 60, 1000)
        for _ in range(15)
    ]
    assert sum(kind not in ("covered", "undecided") for kind in kinds) / len(kinds) < 0.01
    assert kinds.count("covered") / len(kinds) > 0.4


@pytest.mark.parametrize("images", [4100, 5500, 8000])
def test_a_thousand_classes_are_not_missing_by_chance(images: int) -> None:
    """So many images that five or eight of each class were to be expected leave a class out nearly always."""
    generator = np.random.default_rng(images)
    names = [str(name) for name in range(1000)]
    draws = [generator.multinomial(images, np.full(1000, 1e-3)) for _ in range(50)]
    assert sum(draw.min() == 0 for draw in draws) >= 10
    assert {modes_verdict(draw, np.full(1000, 50), names).kind for draw in draws} == {"undecided"}


def test_one_of_a_thousand_classes_is_missed_once_there_are_images_enough() -> None:
    shares = np.full(1000, 1e-3)
    shares[[7, 8]] = 0, 2e-3
    made = np.random.default_rng(0).multinomial(100_000, shares)
    found = modes_verdict(made, np.full(1000, 60), [str(name) for name in range(1000)])
    assert (found.kind, found.missing, found.judged) == ("missing", ("7",), 1000)


def test_few_real_images_are_no_measure_of_a_share() -> None:
    """One of 60 real images, and one generated image in twenty: no difference, however many are generated."""
    assert modes_verdict([500, 9500], [1, 59], ["a", "b"]).kind == "covered"
    assert modes_verdict([500, 9500], [100, 5900], ["a", "b"]).kind == "uneven"


def test_missing_classes_are_named_also_where_others_are_uneven() -> None:
    found = modes_verdict([400, 0, 0, 86, 86, 86, 86, 86, 85, 85], EVEN, DIGITS)
    assert (found.kind, found.verdict) == ("missing", "classes missing: 1, 2")
    assert found.missing == ("1", "2")
    assert found.common == ("0",)
    assert "1" not in found.rare
    assert found.present == 8


def test_absence_counts_where_it_is_no_chance() -> None:
    """Two classes and many real images: from ln(4 / 0.01) = 5.99 to be expected."""
    real = [950_000, 50_000]
    assert modes_verdict([120, 0], real, ["a", "b"]).kind == "missing"
    found = modes_verdict([119, 0], real, ["a", "b"])
    assert (found.kind, found.missing, found.unjudged) == ("covered", (), ("b",))
    assert found.verdict == "all classes there (too few images to judge b)"


def test_collapse_is_fewer_than_half_of_the_classes() -> None:
    half = modes_verdict([200] * 5 + [0] * 5, EVEN, DIGITS)
    assert half.kind == "missing"
    fewer = modes_verdict([970, 10, 10, 10, 0, 0, 0, 0, 0, 0], EVEN, DIGITS)
    assert (fewer.kind, fewer.present, fewer.judged) == ("collapsed", 4, 10)
    assert fewer.verdict == "collapsed: 4 of 10 classes, 97 % of the images are 0"
    assert fewer.missing == ("4", "5", "6", "7", "8", "9")


def test_a_few_wrongly_classified_images_hide_no_collapse() -> None:
    """A tenth of its real share makes a class count as there."""
    assert modes_verdict([919] + [9] * 9, EVEN, DIGITS).kind == "collapsed"
    assert modes_verdict([910] + [10] * 9, EVEN, DIGITS).kind == "uneven"


def test_missing_and_there_are_one_definition() -> None:
    """2 of 1000 images of a class with a share of 10 % are as good as none; 10 are there, and rare."""
    found = modes_verdict([2, 10, 123, 123, 123, 123, 124, 124, 124, 124], EVEN, DIGITS)
    assert (found.kind, found.missing, found.rare, found.present) == ("missing", ("0",), ("1",), 9)


def test_classes_without_a_real_image_count_for_nothing() -> None:
    found = modes_verdict([480, 470, 50], [500, 500, 0], ["a", "b", "c"])
    assert (found.kind, found.judged, found.unjudged) == ("covered", 2, ())


def test_too_few_images_tell_nothing() -> None:
    found = modes_verdict([4, 0, 0, 0, 0, 0, 0, 0, 0, 0], EVEN, DIGITS)
    assert (found.kind, found.verdict) == ("undecided", "too few images to tell")
    assert len(found.unjudged) == 10


@pytest.mark.parametrize(
    ("generated", "real", "classes"),
    [([1, 2], [1, 2], ["a"]), ([1, 2], [1], ["a", "b"]), ([0, 0], [1, 2], ["a", "b"]), ([1, 2], [0, 0], ["a", "b"]),
     ([3, -1], [1, 2], ["a", "b"])],
)  # fmt: skip
def test_counts_that_do_not_fit_are_refused(generated: list[int], real: list[int], classes: list[str]) -> None:
    with pytest.raises(ValueError, match="count"):
        modes_verdict(generated, real, classes)
