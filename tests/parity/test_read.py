"""Law 2: the same cells, the same derived columns and the same errors on every engine, whatever the file looks like."""

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines.base import Engine
from filon.read import read
from filon.read.settings import DataSettings

LABELS = ["yes", "no", "yes", "no"]


def rows_of(engine: Engine, source: Path, **data: Any) -> list[dict[str, Any]]:
    """All rows of a source as the engine types them, in the order of the column "row"."""
    table = engine.read(read(DataSettings(source=str(source), label="y", **data), source.parent))
    return sorted(engine.sample(table, 1000).to_pylist(), key=lambda row: row["row"])


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [None if row[name] != row[name] else row[name] for row in rows]  # NaN is missing


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_quoted_cells_hold_lines_separators_and_marks(engine: Engine, tmp_path: Path, name: str) -> None:
    text = 'row,said,y\n0,"two\nlines",yes\n1,"a, b",no\n2,"the ""mark""",yes\n3,plain,no\n'
    rows = rows_of(engine, write(tmp_path / name, text), columns={"said": "category"})
    assert column(rows, "said") == ["two\nlines", "a, b", 'the "mark"', "plain"]


def test_another_alphabet_a_decimal_comma_and_words_for_missing(engine: Engine, tmp_path: Path) -> None:
    text = "row;precio;ciudad;y\n0;1,5;Córdoba;sí\n1;-0,25;NA;no\n2;;Ávila;sí\n3;1e3;León;no\n4;7,25;Ávila;no\n5;8;Ávila;sí\n"
    rows = rows_of(engine, write(tmp_path / "t.csv", text, "cp1252"), csv={"encoding": "cp1252", "separator": ";", "decimal": ","})
    assert column(rows, "precio") == [1.5, -0.25, None, 1000.0, 7.25, 8.0]
    assert column(rows, "ciudad") == ["Córdoba", None, "Ávila", "León", "Ávila", "Ávila"]


def test_cells_that_do_not_fit_are_missing_and_never_raise(engine: Engine, tmp_path: Path) -> None:
    odd = ["1d", "0x1p3", "1_000", "12 €", "1e999", "-inf", "NaN", " 7 "]
    text = "row,n,when,flag,y\n" + "".join(f"{k},{cell},2020-13-45,maybe,{LABELS[k % 4]}\n" for k, cell in enumerate(odd))
    kinds = {"n": "number", "when": "date", "flag": "boolean"}
    rows = rows_of(engine, write(tmp_path / "t.csv", text), columns=kinds)
    assert column(rows, "n") == [None, None, None, None, float("inf"), float("-inf"), None, 7.0]
    assert column(rows, "when") == column(rows, "flag") == [None] * 8


def test_stored_types_come_out_as_they_went_in(engine: Engine, tmp_path: Path) -> None:
    zoned = [
        dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC),
        dt.datetime(1582, 10, 4, tzinfo=dt.UTC),
        None,
        dt.datetime(9000, 1, 1, tzinfo=dt.UTC),
    ]
    table = pa.table(
        {
            "row": pa.array(range(4), pa.int32()),
            "price": pa.array([Decimal("1.10"), Decimal("-0.05"), None, Decimal("12345678.90")], pa.decimal128(12, 2)),
            "zoned": pa.array(zoned, pa.timestamp("us", tz="Europe/Madrid")),
            "fine": pa.array([1, 2, None, 4], pa.timestamp("ns")),
            "big": pa.array([2**63 + 2, 0, None, 7], pa.uint64()),
            "half": pa.array([0.5, None, -2.0, 8.0], pa.float16()),
            "wide": pa.array([Decimal("1.10"), Decimal(10) ** 30, None, Decimal("-0.05")], pa.decimal256(50, 2)),
            "vector": pa.array([[0.5, 2.0], None, [], [8.0]], pa.list_(pa.float16())),
            "word": pa.array(["ñ", None, "日本", ""]).dictionary_encode(),
            "zero": pa.array([0.0, -0.0, float("nan"), None]),
            "none": pa.nulls(4),
            "y": LABELS,
        }
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2, version="2.6")
    rows = rows_of(engine, tmp_path / "t.parquet", derive={"first": "vector[1]"})
    assert column(rows, "wide") == [1.1, 1e30, None, -0.05]
    assert column(rows, "first") == [0.5, None, None, 8.0]
    assert column(rows, "price") == [1.10, -0.05, None, 12345678.90]
    assert column(rows, "zoned") == [None if one is None else one.replace(tzinfo=None) for one in zoned]
    assert column(rows, "fine") == [dt.datetime(1970, 1, 1)] * 2 + [None] + [dt.datetime(1970, 1, 1)]
    assert column(rows, "big") == [2**63 + 2, 0, None, 7]
    assert column(rows, "half") == [0.5, None, -2.0, 8.0]
    assert column(rows, "word") == ["ñ", None, "日本", ""]
    assert column(rows, "zero") == [0.0, 0.0, None, None]
    assert column(rows, "none") == [None] * 4


def test_folders_and_a_filter(engine: Engine, tmp_path: Path) -> None:
    for year, zone in ((2023, "León"), (2024, "Jaén"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "d" / f"year={year}" / f"zone={zone}"
        folder.mkdir(parents=True)
        base = year * 10 + len(zone)
        pq.write_table(pa.table({"row": [base, base + 1, base + 2, base + 3], "y": LABELS}), folder / "p.parquet")
    rows = rows_of(engine, tmp_path / "d", where="year = 2024 AND row % 2 = 0")
    assert [(row["row"], row["year"], row["zone"]) for row in rows] == [
        (20244, 2024.0, "Jaén"),
        (20246, 2024.0, "Jaén"),
        (20266, 2024.0, None),
        (20268, 2024.0, None),
    ]


DERIVED: dict[str, tuple[str, list[Any]]] = {
    "month": ("month(strptime(mon, '%b'))", [1, 5, 12, None]),
    "day": ("dayofweek(d)", [1, 4, 3, None]),
    "days": ("date_diff('day', d, DATE '2024-03-01')", [60, 29, -299, None]),
    "later": ("strftime(d + INTERVAL 1 MONTH, '%Y-%m-%d')", ["2024-02-01", "2024-03-01", "2025-01-25", None]),
    "digits": ("regexp_extract(code, '([0-9]+)', 1)", ["12", "", "7", None]),
    "matches": ("regexp_matches(code, '^[A-Z]{2}-')", [True, False, True, None]),
    "size": ("CASE WHEN n > 10 THEN 'large' WHEN n > 1 THEN 'small' ELSE 'none' END", ["small", "large", "none", "none"]),
    "filled": ("coalesce(n, -1)", [2.5, 40.0, 0.0, -1.0]),
    "ratio": ("n / nullif(n - 40, 0)", [2.5 / -37.5, None, 0.0, None]),
    "whole": ("5 // 2 + row % 3", [2, 3, 4, 2]),
    "rounded": ("round(n, 0)", [3.0, 40.0, 0.0, None]),
    "tried": ("TRY_CAST(code AS INTEGER)", [None, None, None, None]),
    "part": ("split_part(code, '-', 2)", ["12", "", "x7", None]),
    "upper": ("upper(mon) || coalesce(code, '?')", ["JANAB-12", "MAYab", "DECZZ-x7", None]),
    "least_": ("greatest(n, 1)", [2.5, 40.0, 1.0, 1]),
    "log": ("round(ln(n + 1), 6)", [1.252763, 3.713572, 0.0, None]),
}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_functions_people_derive_with(engine: Engine, tmp_path: Path, form: str) -> None:
    days = [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 12, 25), None]
    cells = {
        "row": [0, 1, 2, 3],
        "mon": ["Jan", "May", "Dec", None],
        "d": days,
        "code": ["AB-12", "ab", "ZZ-x7", None],
        "n": [2.5, 40.0, 0.0, None],
    }
    path = tmp_path / f"t.{form}"
    if form == "parquet":
        pq.write_table(pa.table({**cells, "y": LABELS}), path)
    else:
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in zip(*cells.values(), LABELS, strict=True)]
        write(path, "\n".join([",".join([*cells, "y"]), *lines]) + "\n")
    kinds = {"d": "date", "mon": "category", "code": "category", "n": "number"}
    rows = rows_of(engine, path, columns=kinds, derive={name: sql for name, (sql, _) in DERIVED.items()})
    for name, (_sql, wanted) in DERIVED.items():
        assert column(rows, name) == pytest.approx(wanted), name


FUNCTIONS = """
import pyarrow.compute as pc

def double(batch):
    return pc.multiply(batch.column("n"), 2)

def name(batch):
    return pc.utf8_upper(batch.column("c"))
"""


def test_python_functions_on_batches(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "my_features_of_parity.py").write_text(FUNCTIONS)
    pq.write_table(
        pa.table({"row": [0, 1, 2, 3], "n": [1.5, None, 3.0, 4.0], "c": ["a", "b", None, "a"], "y": LABELS}), tmp_path / "t.parquet"
    )
    derive = {"two": "my_features_of_parity:double", "big": "my_features_of_parity:name", "plus": "n + 1"}
    rows = rows_of(engine, tmp_path / "t.parquet", derive=derive, where="two IS NOT NULL")
    assert column(rows, "two") == [3.0, 6.0, 8.0]
    assert column(rows, "big") == ["A", None, "A"]
    assert column(rows, "plus") == [2.5, 4.0, 5.0]
