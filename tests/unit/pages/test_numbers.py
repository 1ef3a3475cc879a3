"""Numbers as readers of each language write them."""

import math

import pytest

from filon.pages import Numbers

EN, ES = Numbers("en"), Numbers("es")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (EN.integer(1234567), "1,234,567"),
        (ES.integer(1234567), "1\u202f234\u202f567"),
        (ES.integer(1234), "1234"),
        (EN.number(-0.5, 1), "−0.5"),
        (EN.number(-0.0001, 2), "0.00"),
        (ES.number(12345.678, 2), "12\u202f345,68"),
        (EN.percent(0.123), "12.3%"),
        (ES.percent(0.123), "12,3\u202f%"),
        (EN.signed(0.25, 2), "+0.25"),
        (ES.seconds(3.25), "3,25\u202fs"),
        (EN.seconds(3599), "59\u202fmin 59\u202fs"),
        (EN.bytes(1536), "1.5\u202fKiB"),
        (EN.significant(0), "0"),
        (EN.significant(0.35), "0.35"),
        (ES.significant(1e-7, 2), "1e-7"),
        (EN.significant(3.2e20, 2), "3.2e20"),
    ],
)
def test_formats(said, expected):
    assert said == expected


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(value):
    for numbers in (EN, ES):
        assert {
            f(value) for f in (numbers.number, numbers.integer, numbers.percent, numbers.seconds, numbers.significant, numbers.bytes)
        } == {"–"}
