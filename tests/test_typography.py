"""Blanks inside numbers do not break; code, links and words are left alone."""

from __future__ import annotations

import pytest

from harness.report.typography import NO_BREAK, in_chinese, unbroken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a 95 % interval", "a 95~% interval"),
        ("× 0.54 (× > 1000)", "×~0.54 (×~>~1000)"),
        ("72 ± 14 and 3 ± –", "72~±~14 and 3~±~–"),
        ("p = 0.04, p < 0.001; p of 4", "p~=~0.04, p~<~0.001; p of 4"),
        ("map = 5", "map =~5"),
        ("`p = 0.04` and ``a ` 5 %`` but 5 %", "`p = 0.04` and ``a ` 5 %`` but 5~%"),
        ("[5 %](a 5 %.png)", "[5~%](a 5 %.png)"),
        ("two words", "two words"),
    ],
)
def test_a_number_and_its_sign_stay_on_one_line(text: str, shown: str) -> None:
    assert unbroken(text) == shown.replace("~", NO_BREAK)


def test_fenced_code_is_as_it_was() -> None:
    text = "5 %\n````toml\nlr = 5 # 5 %\n```\n5 %\n````\n5 %"
    assert unbroken(text) == text.replace("5 %", "5~%", 1).replace("````\n5 %", "````\n5~%").replace("~", NO_BREAK)


def test_chinese_sets_no_blank_before_a_percent_sign() -> None:
    assert in_chinese("占 12 %，p = 0.04，`5 %`") == "占 12%，p~=~0.04，`5 %`".replace("~", NO_BREAK)
