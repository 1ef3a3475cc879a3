"""Kinds are judged by samples, and a few odd cells do not hide them."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.read.kinds import Guess, guess, is_number
from filon.read.settings import MISSING_WORDS


def kind(*cells: str, decimal: str = ".") -> Guess:
    return guess(cells, MISSING_WORDS, decimal)


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.integers()), min_size=1))
def test_whatever_python_writes_of_a_number_is_a_number(values: list[float]) -> None:
    assert kind(*(str(value) for value in values), "", "NA").kind == "number"


def test_whole_numbers_are_told_from_decimals() -> None:
    assert kind("1", "-2", "", "NULL").whole
    assert not kind("1", "2.0").whole
    assert not kind("1e3").whole
    assert not kind("1" * 19).whole  # beyond what DOUBLE holds exactly


def test_java_and_python_spellings_are_no_numbers() -> None:
    for word in ("1d", "1f", "0x1F", "1_000", "1,000", "$5", "5%", "--1", "٣"):
        assert not is_number(word, ".")
        assert kind(word).kind != "number"


def test_decimal_commas_count_where_the_file_has_them() -> None:
    assert kind("1,5", "2", "-0,25", decimal=",").kind == "number"
    assert kind("1.5", "2.5", decimal=",").kind == "category"
    assert kind("1,5", "2,5", decimal=".").kind == "category"


def test_one_unknown_word_among_numbers_means_missing() -> None:
    assert kind(*[str(k) for k in range(60)], *["?"] * 40).kind == "number"
    assert kind(*[str(k) for k in range(60)], *["A", "B"] * 20).kind == "category"
    assert kind(*[str(k) for k in range(200)], "oops").kind == "number"


def test_true_and_false_make_a_boolean_yes_and_no_a_category() -> None:
    assert kind("TRUE", "False", "").kind == "boolean"
    assert kind("yes", "no").kind == "category"
    assert kind("0", "1").kind == "number"
    assert kind("true", "false", "maybe").kind == "category"


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2020-02-29", "1899-12-31", "0001-01-01"], ""),
        (["2020-02-29T10:00:00Z", "2020-02-29 10:00", "2020-02-29 10:00:00.123+02:00"], ""),
        (["01/12/2017", "31/12/2017"], "%d/%m/%Y"),
        (["01/02/2017", "03/04/2017"], "%d/%m/%Y"),
        (["01/13/2017", "12/31/2017"], "%m/%d/%Y"),
        (["31-12-2017 10:30"], "%d-%m-%Y %H:%M"),
        (["31.12.2017", ""], "%d.%m.%Y"),
        (["2017/12/31"], "%Y/%m/%d"),
        (["05-Jan-2020", "31-Dec-2020"], "%d-%b-%Y"),
        (["31/12/99", "01/01/00"], "%d/%m/%y"),
    ],
)
def test_dates_are_found_with_their_format(cells: list[str], form: str) -> None:
    assert kind(*cells) == Guess(kind="date", format=form)


@given(st.lists(st.dates(dt.date(1000, 1, 1)), min_size=1))
def test_iso_dates_are_never_read_otherwise(days: list[dt.date]) -> None:
    assert kind(*(day.isoformat() for day in days)) == Guess(kind="date")


def test_codes_and_times_are_no_dates() -> None:
    for cells in (["A/5 21171", "PC 17599"], ["10:30", "11:45"], ["2020-13-45"], ["12-34"]):
        assert kind(*cells).kind == "category"


def test_free_text_is_told_from_codes() -> None:
    names = [f"Braund, Mr. Owen Harris the {k}th" for k in range(100)]
    assert kind(*names).kind == "text"
    assert kind(*[f"A/5 {k}" for k in range(100)]).kind == "category"
    assert kind(*["technician", "blue-collar"] * 50).kind == "category"
    assert kind(*[f"{k:032x}" for k in range(100)]).kind == "category"
    assert kind("x" * 10_000).kind == "text"


def test_a_column_without_cells_is_a_category() -> None:
    assert kind("", "NA", "null") == Guess(kind="category")
