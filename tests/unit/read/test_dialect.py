"""How a CSV is written is found from its bytes."""

import csv
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.engines.base import Dialect
from filon.errors import DataError, RecipeError
from filon.read.dialect import detect_encoding, looks_like_header, sniff
from filon.read.settings import CsvSettings, DataSettings


def look(text: str | bytes, label: str = "label", **said: object) -> tuple[Dialect, tuple[str, ...], list[list[str]]]:
    data = text if isinstance(text, bytes) else text.encode()
    settings = DataSettings(source="x.csv", label=label, csv=CsvSettings(**said))  # type: ignore[arg-type]
    return sniff([data], settings, "x.csv", gzip=False)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="�"), min_size=1, max_size=12).filter(
    lambda word: word.strip() == word
)


@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.integers(2, 6),
    st.lists(st.lists(WORDS, min_size=6, max_size=6), min_size=3, max_size=20),
    st.sampled_from(["\n", "\r\n"]),
)
def test_separator_and_quoting_of_any_written_csv_are_found_by_its_label(
    separator: str, width: int, cells: list[list[str]], end: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end)
    writer.writerow(["label", *(f"c{i}" for i in range(width - 1))])
    writer.writerows(row[:width] for row in cells)
    dialect, names, rows = look(out.getvalue())
    assert (dialect.separator, dialect.header, len(names)) == (separator, True, width)
    assert rows == [row[:width] for row in cells]


def test_a_decimal_comma_does_not_pass_for_a_separator() -> None:
    dialect, names, rows = look("1,5;2,25\n3,5;4,75\n0,5;1,0\n", label="column_2")
    assert (dialect.separator, dialect.decimal, dialect.header) == (";", ",", False)
    assert names == ("column_1", "column_2")
    assert rows[0] == ["1,5", "2,25"]


def test_a_list_in_a_cell_does_not_pass_for_a_separator() -> None:
    dialect, _, _ = look("id,genre,label\n1,Action|Drama,a\n2,War|Noir,b\n3,Kids|Noir,a\n")
    assert dialect.separator == ","


def test_free_text_with_commas_between_semicolons() -> None:
    lines = [f"{k};one, two, {'and, ' * (k % 4)}three;{k % 2}" for k in range(50)]
    assert look("id;said;label\n" + "\n".join(lines) + "\n")[0].separator == ";"


def test_dates_with_times_do_not_make_the_space_a_separator() -> None:
    lines = [f"2020-01-{k:02} 10:00:00,{k},x" for k in range(1, 20)]
    assert look("at,n,label\n" + "\n".join(lines) + "\n")[0].separator == ","


def test_spaces_separate_when_nothing_else_does() -> None:
    dialect, names, _ = look("A11 6 A34 1\nA12 48 A32 2\nA14 12 A34 1\n", label="column_4")
    assert (dialect.separator, dialect.header, names[-1]) == (" ", False, "column_4")


def test_apostrophes_quote_where_they_stand_around_cells() -> None:
    dialect, _, rows = look("a,label\n'x, y','p'\n'z','q'\n")
    assert dialect.quote == "'"
    assert rows[0] == ["x, y", "p"]


def test_line_breaks_and_doubled_marks_inside_quotes_belong_to_the_cell() -> None:
    _, _, rows = look('a,label\n"two\nlines, and ""marks""",1\nb,2\n')
    assert rows == [['two\nlines, and "marks"', "1"], ["b", "2"]]


def test_what_the_recipe_says_is_not_sniffed() -> None:
    dialect, names, _ = look("1;2,5\n3;4,5\n", label="y", separator=",", names=("x", "y"))
    assert (dialect.separator, dialect.header, names) == (",", False, ("x", "y"))
    dialect, names, rows = look("p,q\n3,4\n", label="y", header=True, names=("x", "y"))
    assert (dialect.header, names, dialect.names, rows) == (True, ("x", "y"), ("x", "y"), [["3", "4"]])


def test_an_unnamed_column_is_named_by_its_place() -> None:
    assert look(",a,label\n0,5,x\n1,6,y\n")[1] == ("column_1", "a", "label")


@pytest.mark.parametrize(
    ("first", "rows", "header"),
    [
        (["class", "shape"], [["p", "x"], ["e", "x"], ["e", "b"]], True),
        (["p", "x"], [["e", "x"], ["p", "b"], ["e", "s"]], False),
        (["a", "2019", "2020"], [["Lima", "3", "4"], ["Cusco", "5", "6"]], False),
        (["id", "2019", "2020"], [["1", "3", "4"], ["2", "5", "6"]], False),
        (["x", "y"], [["1", "2"], ["3", "4"]], True),
        (["?", "2"], [["1", "2"], ["3", "4"]], False),
        (["1,5", "2"], [["1,7", "2"], ["3,1", "4"]], False),
        (["name", "age"], [["Ana", ""], ["Luis", "3"]], True),
    ],
)
def test_a_header_is_told_from_data(first: list[str], rows: list[list[str]], header: bool) -> None:
    assert looks_like_header(first, rows) is header


def test_a_label_named_in_line_one_makes_it_a_header() -> None:
    assert look("2019,2020,label\n1,2,3\n4,5,6\n")[0].header
    assert look("p,x\ne,x\np,b\n", label="x")[0].header


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("año,label\nsí,1\n".encode(), "utf-8"),
        ("﻿año,label\nsí,1\n".encode(), "utf-8-sig"),
        ("año,label\nsí,1\n".encode("cp1252"), "cp1252"),
        ("precio €,label\n“sí”,1\n".encode("cp1252"), "cp1252"),
        (b"a,label\n\x81\x8d,1\n", "latin-1"),
        ("año,label\nsí,1\n".encode("utf-16"), "utf-16"),
        ("año,label\nsí,1\n".encode("utf-16-le"), "utf-16-le"),
        ("año,label\nsí,1\n".encode("utf-16-be"), "utf-16-be"),
        ("año,label\nsí,1\n".encode("utf-32"), "utf-32"),
        (b"a,label\nb,1\n", "utf-8"),
    ],
)
def test_encodings_are_found(data: bytes, encoding: str) -> None:
    dialect, names, rows = look(data)
    assert dialect.encoding == encoding
    assert names[-1] == "label"
    assert rows[0][-1] == "1"


@given(st.integers(0, 3), st.integers(0, 3))
def test_characters_cut_at_the_ends_of_pieces_are_still_utf8(begin: int, end: int) -> None:
    data = "ñ€𝄞".encode() * 50
    assert detect_encoding([b"a;b\n", data[begin : len(data) - end]], "x") == "utf-8"


def test_one_foreign_byte_in_a_later_piece_is_seen() -> None:
    assert detect_encoding([b"a,b\n1,2\n" * 10, b"3,caf\xe9\n4,5\n"], "x") == "cp1252"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\n\n\n", "read.empty"),
        (b"a,label\n", "read.no-rows"),
        (random.Random(0).randbytes(4000), "read.binary"),
        (b"a,label\n1,\x00\x002\n", "read.binary"),
        (b"PK\x03\x04" + bytes(500), "read.not-a-table"),
        (b"a,b,label\n1,2,3\n4,5\n6,7,8\n", "read.ragged"),
        (b"a,b,label\n1,2,3\n4,5,6,7\n", "read.ragged"),
    ],
)
def test_what_is_no_table_is_refused_by_code(data: bytes, code: str) -> None:
    with pytest.raises(DataError) as told:
        look(data)
    assert told.value.code == code


def test_ragged_lines_are_named() -> None:
    with pytest.raises(DataError, match=r"record 3 has 2"):
        look("a,b,label\n1,2,3\n4,5\n6,7,8\n")


@pytest.mark.parametrize(
    ("above", "fix"),
    [
        ("sep=;\n", "take the line above the header out"),
        ("# of our SAP\n# 2024\na;b;label\n", "take the 2 lines above the header out"),
        ("a;b\n", "give the header the name that it lacks"),
    ],
)
def test_what_makes_the_beginning_differ_is_told(above: str, fix: str) -> None:
    with pytest.raises(DataError, match=r"read\.ragged") as told:
        look(above + "1;2;x\n" * 20)
    assert fix in told.value.fix


def test_wrong_words_of_the_recipe_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"read\.encoding-unknown"):
        look("a,label\n1,2\n", encoding="utf-9")
    with pytest.raises(RecipeError, match=r"read\.names-count"):
        look("1,2\n3,4\n", names=("a", "b", "c"))
    with pytest.raises(DataError, match=r"read\.encoding"):
        look("año,label\n".encode("cp1252") + "señor,1\n".encode("cp1252") * 40, encoding="utf-8")


def test_a_cell_larger_than_the_piece_is_no_end_of_the_table() -> None:
    dialect, names, rows = look('a,label\n1,"' + "x" * 300_000 + '"\n2,y\n')
    assert (names, len(rows), dialect.separator) == (("a", "label"), 2, ",")
