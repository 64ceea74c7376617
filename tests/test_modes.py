"""Verdicts on class counts, each rule from both sides of its bound."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.modes import modes_verdict

DIGITS = [str(digit) for digit in range(10)]
EVEN = [1000] * 10


def test_shares_as_in_the_data() -> None:
    found = modes_verdict([110, 95, 100, 105, 90, 100, 102, 98, 120, 80], EVEN, DIGITS)
    assert (found.kind, found.verdict) == ("covered", "all classes, shares as in the data")
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


def test_draws_from_the_datas_own_shares_are_hardly_ever_called_uneven() -> None:
    generator = np.random.default_rng(0)
    real = generator.integers(100, 1000, size=10)
    draws = [generator.multinomial(count, real / real.sum()) for count in (60, 200, 1000) for _ in range(300)]
    verdicts = [modes_verdict(draw, real, DIGITS).kind for draw in draws]
    assert sum(kind in ("uneven", "collapsed") for kind in verdicts) <= 3
    assert sum(kind == "missing" for kind in verdicts) <= 9  # at most e^-5 of the classes that are just judged


def test_missing_classes_are_named_also_where_others_are_uneven() -> None:
    found = modes_verdict([400, 0, 0, 86, 86, 86, 86, 86, 85, 85], EVEN, DIGITS)
    assert (found.kind, found.verdict) == ("missing", "classes missing: 1, 2")
    assert found.missing == ("1", "2")
    assert found.common == ("0",)
    assert "1" not in found.rare
    assert found.present == 8


def test_absence_counts_from_five_images_to_be_expected() -> None:
    real = [950, 50]
    assert modes_verdict([100, 0], real, ["a", "b"]).kind == "missing"
    found = modes_verdict([98, 0], real, ["a", "b"])  # 4.9
    assert (found.kind, found.missing, found.unjudged) == ("covered", (), ("b",))
    assert found.verdict == "all classes, shares as in the data (too few images to judge b)"


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
