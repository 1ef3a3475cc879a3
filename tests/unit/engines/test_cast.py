"""The cast rules: both forms of the number rule take the same texts, and every kind takes what it should."""

import datetime as dt
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filon.engines.base import Column, Dialect, Kind
from filon.engines.cast import Numbers, literal, misfit, quoted, typed
from filon.read.kinds import is_number

NUMBERISH = st.text(st.sampled_from("0123456789.,eE+-_ \t\ndfxinatyINF'"), max_size=10)


CONNECTION = duckdb.connect()
CONNECTION.execute("SET TimeZone = 'UTC'")


def values(expression: str, cells: list[object], name: str, sql: str) -> list[object]:
    rows = CONNECTION.execute(f"SELECT {expression} FROM (SELECT unnest(?::{sql}[]) AS {quoted(name)})", [cells]).fetchall()
    return [row[0] for row in rows]


def cast(
    cells: list[object], column: Column, dialect: Dialect | None = None, numbers: Numbers = "quick", sql: str = "VARCHAR"
) -> list[object]:
    return values(typed(column, dialect, numbers), cells, column.name, sql)


def odd(cells: list[object], column: Column, dialect: Dialect | None = None) -> list[bool]:
    return [bool(value) for value in values(misfit(column, dialect), cells, column.name, "VARCHAR")]


NUMBER = Column(name="x", kind="number")
CSV = Dialect(missing=("", "NA", "-999"))
COMMA = Dialect(decimal=",", missing=("",))


@settings(max_examples=60)
@given(st.lists(NUMBERISH, min_size=1, max_size=80), st.sampled_from([CSV, COMMA]))
@example(["1d", "1_000", "0x1F", "nan", "-inf", "Infinity", "+.5e-3", "1.", ".", "", " 7 "], CSV)
@example(["\t1\n", "1e400", "1e-400", "5-", "+", "١"], CSV)
def test_quick_and_portable_numbers_agree(cells: list[str], dialect: Dialect) -> None:
    quick, portable = (cast(list(cells), NUMBER, dialect, how) for how in ("quick", "portable"))  # type: ignore[arg-type]
    assert [str(value) for value in quick] == [str(value) for value in portable]


@settings(max_examples=40)
@given(st.lists(NUMBERISH, min_size=1, max_size=80), st.sampled_from([".", ","]))
def test_what_the_sampler_takes_for_a_number_casts_to_one(cells: list[str], decimal: str) -> None:
    found = cast(list(cells), NUMBER, Dialect(decimal=decimal, missing=()))  # type: ignore[arg-type]
    for cell, value in zip(cells, found, strict=True):
        if cell == cell.strip() and "nan" not in cell.lower():
            assert (value is not None) == is_number(cell, decimal), cell


def test_the_rules_can_be_said_in_spark() -> None:
    import sqlglot

    for column in (
        NUMBER,
        Column(name="x", kind="boolean"),
        Column(name="x", kind="date"),
        Column(name="x", kind="date", format="%d/%m/%Y"),
    ):
        for dialect in (CSV, COMMA):
            said = sqlglot.transpile(
                f"SELECT {typed(column, dialect, 'portable')} FROM t",
                read="duckdb",
                write="spark",
                unsupported_level=sqlglot.ErrorLevel.RAISE,
            )[0]
            assert "TRY_CAST" in said or column.kind != "number"
            assert sqlglot.parse_one(said, dialect="spark")


def test_numbers_of_text() -> None:
    assert cast(["1", " 2.5 ", "-.5", "1e3", "NA", "", None, "oops", "-999", "-999.5", "1,5"], NUMBER, CSV) == [
        1.0, 2.5, -0.5, 1000.0, None, None, None, None, None, -999.5, None,
    ]  # fmt: skip
    assert cast(["1,5", "2", "1.5", "1.234,5"], NUMBER, COMMA) == [1.5, 2.0, None, None]


def test_misfits_are_cells_that_are_there_and_do_not_fit() -> None:
    cells: list[object] = ["1", "oops", "NA", " ", "", None, "-999", "nan", "1_0"]
    assert odd(cells, NUMBER, CSV) == [False, True, False, False, False, False, False, False, True]
    assert misfit(Column(name="x", kind="category"), CSV) == "FALSE"
    assert misfit(Column(name="x", kind="number", stored="double"), None) == "FALSE"
    assert odd(["2020-01-01", "soon"], Column(name="x", kind="date"), CSV) == [False, True]


def test_booleans_take_the_words_of_two_languages() -> None:
    column = Column(name="x", kind="boolean")
    assert cast(["TRUE", "no", " Sí ", "0", "1.0", "maybe", "NA", None], column, CSV) == [True, False, True, False, True, None, None, None]


def test_dates_of_text() -> None:
    iso = Column(name="x", kind="date")
    found = cast(["2020-02-29", "1899-12-31T10:30", "2020-01-01 00:00:00+02:00", "2020-02-30", "20200101", "0001-01-01", "NA"], iso, CSV)
    assert [str(value) for value in found] == [
        "2020-02-29 00:00:00", "1899-12-31 10:30:00", "2019-12-31 22:00:00", "None", "None", "0001-01-01 00:00:00", "None",
    ]  # fmt: skip
    spanish = Column(name="x", kind="date", format="%d/%m/%Y")
    assert [str(value) for value in cast(["01/12/2017", "31/11/2017", ""], spanish, CSV)] == ["2017-12-01 00:00:00", "None", "None"]


def test_categories_of_text_lose_blanks_around_them_and_missing_words() -> None:
    assert cast([" a ", "NA", "", "b c", None], Column(name="x", kind="category"), CSV) == ["a", None, None, "b c", None]


@pytest.mark.parametrize(
    ("sql", "stored", "kind", "cells", "wanted"),
    [
        ("BIGINT", "int64", "number", [1, None], [1, None]),
        ("DECIMAL(9,2)", "decimal128(9, 2)", "number", [1.25, None], [1.25, None]),
        ("BIGINT", "int64", "category", [1, None], ["1", None]),
        ("DOUBLE", "double", "category", [1.0, 2.5, None], ["1", "2.5", None]),
        ("BOOLEAN", "bool", "category", [True], ["true"]),
        ("BOOLEAN", "bool", "number", [True, None], [1.0, None]),
        ("BIGINT", "int64", "boolean", [1, 0, None], [True, False, None]),
        ("VARCHAR", "string", "number", ["1", "x"], [1.0, None]),
        ("VARCHAR", "string", "boolean", ["yes", "x"], [True, None]),
        ("VARCHAR", "string", "category", [" NA ", ""], [" NA ", ""]),
        ("DATE", "date32[day]", "number", ["1970-01-02"], [86400.0]),
        ("DATE", "date32[day]", "text", ["1970-01-02"], ["1970-01-02"]),
    ],
)
def test_stored_types_become_the_kinds_the_recipe_declares(
    sql: str, stored: str, kind: str, cells: list[object], wanted: list[object]
) -> None:
    assert cast(cells, Column(name="a b", kind=kind, stored=stored), None, sql=sql) == wanted  # type: ignore[arg-type]


@given(st.text(min_size=1))
def test_any_name_and_text_can_be_written_in_sql(text: str) -> None:
    text = text.replace("\0", "")
    assert CONNECTION.execute(f"SELECT {literal(text)}").fetchone() == (text,)
    if text:
        assert CONNECTION.execute(f"SELECT 1 AS {quoted(text)}").description[0][0] == text


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/Lima"])
@pytest.mark.parametrize("kind", ["date", "number"])
def test_stored_times_of_each_unit_and_zone_are_the_same_moment(unit: str, zone: str | None, kind: Kind, tmp_path: Path) -> None:
    moments = pa.array([1_700_000_000, None], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    table = pa.table({"t": moments if zone is None else moments.cast(pa.timestamp(unit, zone))})
    pq.write_table(table, tmp_path / "t.parquet")
    stored = str(pq.read_schema(tmp_path / "t.parquet").field("t").type)
    expression = typed(Column(name="t", kind=kind, stored=stored), None)
    seen = CONNECTION.execute(f"SELECT {expression} FROM read_parquet({literal(str(tmp_path / 't.parquet'))})").fetchall()
    assert seen == [(dt.datetime(2023, 11, 14, 22, 13, 20) if kind == "date" else 1.7e9,), (None,)]
