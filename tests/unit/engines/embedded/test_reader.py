"""Rows come typed, in the order of the files, in bounded memory, whatever they are written in."""

import datetime as dt
import gzip
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines.base import Source
from filon.engines.embedded.reader import EmbeddedTable, misfit_of, open_table, stored_of
from filon.errors import DataError, FilonError, RecipeError
from filon.events import Event
from filon.read import read, read_like
from filon.read.settings import DataSettings
from filon.rows.encode import label_text
from filon.rows.hash import row_hash


def opened(folder: Path, data: str | bytes | pa.Table, name: str = "", **said: Any) -> EmbeddedTable:
    name = name or ("t.parquet" if isinstance(data, pa.Table) else "t.csv")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, pa.Table):
        pq.write_table(data, path)
    else:
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_source(folder, {"source": name, "label": "y", **said})


def open_source(folder: Path, said: dict[str, Any]) -> EmbeddedTable:
    return open_table(read(DataSettings.model_validate(said), folder), folder / "scratch")


def rows(table: EmbeddedTable, *names: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = whole(table, *names).to_pydict()
    return found


def whole(table: EmbeddedTable, *names: str) -> pa.Table:
    return pa.Table.from_batches(list(table.batches(names or None)))


def failing(folder: Path, data: str | bytes | pa.Table, name: str = "", **said: Any) -> FilonError:
    with pytest.raises(FilonError) as told:
        list(opened(folder, data, name, **said).batches())
    return told.value


BANK = "age;job;balance;on;ok;y\n30; admin. ;10,5;2020-01-31;TRUE;yes\n;NA;-2,25;;False;no\n50;admin.;;1899-12-31;;no\n"


def test_csv_cells_are_typed(tmp_path: Path) -> None:
    table = opened(tmp_path, BANK)
    found = whole(table)
    assert [str(kind) for kind in found.schema.types] == ["double", "string", "double", "timestamp[us]", "bool", "string"]
    assert found.to_pydict() == {
        "age": [30.0, None, 50.0],
        "job": ["admin.", None, "admin."],
        "balance": [10.5, -2.25, None],
        "on": [dt.datetime(2020, 1, 31), None, dt.datetime(1899, 12, 31)],
        "ok": [True, False, None],
        "y": ["yes", "no", "no"],
    }
    assert rows(table, "y", "age") == {"y": ["yes", "no", "no"], "age": [30.0, None, 50.0]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_and_gzip_give_the_same_rows(tmp_path: Path, encoding: str, packed: bool) -> None:
    data = 'año;"Temperature(°C)";y\nniño;1,5;sí\n"a;""b""\nc";2,5;no\n'.encode(encoding)
    table = opened(tmp_path, gzip.compress(data) if packed else data, "t.csv.gz" if packed else "t.csv")
    assert rows(table) == {"año": ["niño", 'a;"b"\nc'], "Temperature(°C)": [1.5, 2.5], "y": ["sí", "no"]}
    assert rows(table) == rows(table)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_do_not_matter(tmp_path: Path, end: str, last: bool) -> None:
    table = opened(tmp_path, end.join(["a,y", "1,p", "", "2,q"]) + (end if last else ""))
    assert rows(table) == {"a": [1.0, 2.0], "y": ["p", "q"]}


def test_parquet_keeps_its_number_types_and_dates_become_utc(tmp_path: Path) -> None:
    madrid = pa.timestamp("ns", tz="Europe/Madrid")
    data = pa.table(
        {
            "n": pa.array([1, None], pa.int16()),
            "x": pa.array([1.5, float("nan")], pa.float32()),
            "c": pa.array(["u", None]).dictionary_encode(),
            "at": pa.array([dt.datetime(2020, 6, 1, 10, tzinfo=dt.UTC), None]).cast(madrid),
            "on": pa.array([dt.date(1, 1, 1), dt.date(2300, 1, 1)]),
            "y": [True, False],
        }
    )
    found = whole(opened(tmp_path, data))
    assert [str(kind) for kind in found.schema.types] == ["int16", "float", "string", "timestamp[us]", "timestamp[us]", "bool"]
    assert found["at"].to_pylist() == [dt.datetime(2020, 6, 1, 10), None]
    assert found["on"].to_pylist() == [dt.datetime(1, 1, 1), dt.datetime(2300, 1, 1)]


def test_lists_structs_and_binary_come_as_they_are(tmp_path: Path) -> None:
    data = pa.table({"b": [b"x", None], "s": [{"u": 1}, None], "l": [[1, 2], []], "s.u": [5, 6], "y": ["p", "q"]})
    wanted = {name: data[name].to_pylist() for name in data.schema.names}
    assert rows(opened(tmp_path, data)) == wanted
    assert rows(opened(tmp_path, data), "y", "s.u", "l") == {name: wanted[name] for name in ("y", "s.u", "l")}
    assert rows(opened(tmp_path, data, where="y <> ''")) == wanted


def wide(count: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "f": pa.array(random.normal(size=count).astype(np.float32), mask=random.random(count) < 0.1),
            "d": pa.array(random.normal(size=count)),
            "i": pa.array(random.integers(-5, 5, count)),
            "b": pa.array(random.random(count) < 0.5),
            "c": pa.array(random.choice(["u", "v", "w"], count)),
            "at": pa.array(random.integers(0, 10**15, count)).cast(pa.timestamp("us")),
            "emp.var.rate": pa.array(random.normal(size=count)),
            "y": pa.array(random.choice(["p", "q"], count)),
        }
    )


def test_arrow_and_sql_read_the_same_parquet(tmp_path: Path) -> None:
    """Without SQL the files are streamed by Arrow, with a filter that lets all pass by DuckDB."""
    data = wide(10_000)
    direct = whole(opened(tmp_path, data))
    assert direct.equals(data)
    assert whole(opened(tmp_path, data, where="i < 100")).equals(direct)


def test_the_same_rows_have_the_same_hashes_in_csv_and_parquet(tmp_path: Path) -> None:
    from pyarrow import csv as arrow_csv

    data = wide(3_000)
    arrow_csv.write_csv(data, tmp_path / "t.csv")
    names = ["f", "d", "i", "b", "c", "at", "emp.var.rate"]
    tables = [opened(tmp_path, data), open_source(tmp_path, {"source": "t.csv", "label": "y"})]
    hashes = [np.concatenate([row_hash(batch, names) for batch in table.batches(names)]) for table in tables]
    assert (hashes[0] == hashes[1]).all()


def test_rows_keep_the_order_of_the_files(tmp_path: Path) -> None:
    for place in range(5):
        count = 30_000
        table = pa.table({"a": np.arange(count) + place * count, "y": ["p"] * count})
        (tmp_path / "d").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / f"d/{place}.parquet", row_group_size=7_000)
    for where in ({}, {"where": "a >= 0"}):
        found = [batch.column(0).to_numpy() for batch in open_source(tmp_path, {"source": "d", "label": "y", **where}).batches(["a"], 1000)]
        assert max(len(part) for part in found) <= 2048
        assert (np.concatenate(found) == np.arange(150_000)).all()


def test_csv_keeps_its_order_over_many_blocks(tmp_path: Path) -> None:
    table = opened(tmp_path, "a,t,y\n" + "".join(f"{k},{'x' * (k % 90)},p\n" for k in range(120_000)))
    for _again in range(2):
        assert (np.concatenate([batch.column(0).to_numpy() for batch in table.batches(["a"])]) == np.arange(120_000)).all()


def test_an_in_list_does_not_disturb_the_order(tmp_path: Path) -> None:
    """DuckDB makes a join of a long IN list, and the order of the rows was lost with it."""
    (tmp_path / "d").mkdir()
    for place in range(20):
        (tmp_path / f"d/{place:02}.csv").write_text("a,c,y\n" + "".join(f"{place * 1000 + k},{'uvw'[k % 3]},p\n" for k in range(1000)))
    listed = "c IN (" + ", ".join(f"'{letter}'" for letter in "abcdefghijklmnopqrstuv") + ")"
    table = open_source(tmp_path, {"source": "d", "label": "y", "derive": {"known": listed}, "where": f"NOT ({listed} AND a < 0)"})
    for _again in range(3):
        found = rows(table, "a", "known")
        assert found["a"] == list(range(20_000))
        assert found["known"] == [k % 1000 % 3 != 2 for k in range(20_000)]


def test_files_of_other_widths_and_column_orders_are_brought_together(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "y": ["p"]}), tmp_path / "d/1.parquet")
    pq.write_table(pa.table({"y": ["q"], "a": pa.array([2.5])}), tmp_path / "d/2.parquet")
    pq.write_table(pa.table({"y": ["r"], "a": pa.nulls(1)}), tmp_path / "d/3.parquet")
    for said in ({}, {"where": "y <> ''"}):
        assert rows(open_source(tmp_path, {"source": "d", "label": "y", **said})) == {"a": [1.0, 2.5, None], "y": ["p", "q", "r"]}


@pytest.mark.parametrize("form", ["csv", "parquet", "cp1252"])
def test_folders_become_columns(tmp_path: Path, form: str) -> None:
    for year, zone, value in ((2023, "Le%C3%B3n", 1), (2024, "__HIVE_DEFAULT_PARTITION__", 2)):
        folder = tmp_path / f"t/year={year}/zone={zone}"
        folder.mkdir(parents=True)
        if form == "parquet":
            pq.write_table(pa.table({"a": [value], "ñ": ["é"], "y": ["p"]}), folder / "a.parquet")
        else:
            (folder / "a.csv").write_text(f"a,ñ,y\n{value},é,p\n", encoding="utf-8" if form == "csv" else form)
    found = rows(open_source(tmp_path, {"source": "t", "label": "y"}))
    assert found == {"a": [1, 2], "ñ": ["é", "é"], "y": ["p", "p"], "year": [2023.0, 2024.0], "zone": ["León", None]}


def test_cells_that_do_not_fit_are_missing_and_can_be_asked_for(tmp_path: Path) -> None:
    lines = [f"{k},2020-01-01,p" for k in range(500)]
    lines[400] = "oops,soon,q"
    lines[401] = "NA,,q"
    table = opened(tmp_path, "a,on,y\n" + "\n".join(lines))
    assert table.misfits == ("a", "on")
    for _again in range(2):
        found = rows(table, "a", misfit_of("a"), misfit_of("on"))
        assert found["a"][399:402] == [399.0, None, None]
        assert [(row, text) for row, text in enumerate(found["misfit:a"]) if text] == [(400, "oops")]
        assert [(row, text) for row, text in enumerate(found["misfit:on"]) if text] == [(400, "soon")]


def test_cells_can_be_had_as_they_stand_in_the_file(tmp_path: Path) -> None:
    table = opened(tmp_path, "a,y\n007, p\n1e3,q\n")
    assert rows(table) == {"a": [7.0, 1000.0], "y": ["p", "q"]}
    assert rows(table, stored_of("a"), "a", stored_of("y")) == {"stored:a": ["007", "1e3"], "a": [7.0, 1000.0], "stored:y": [" p", "q"]}


def test_later_passes_over_a_csv_do_not_need_the_file(tmp_path: Path) -> None:
    table = opened(tmp_path, BANK)
    first = whole(table)
    assert whole(table).equals(first)
    (tmp_path / "t.csv").unlink()
    assert whole(table).equals(first)
    assert table.rows() == 3


@pytest.mark.parametrize("name", ["t [1]*.csv", "t?.csv", "día 'x' {a,b}.csv", "http:x.csv"])
def test_a_name_that_looks_like_a_pattern_names_its_own_file(tmp_path: Path, name: str) -> None:
    for other in ("t 1x.csv", "tx.csv", "día 'x' a.csv"):
        (tmp_path / other).write_text("a,y\n2,q\n")
    assert rows(opened(tmp_path, "a,y\n1,p\n", name)) == {"a": [1.0], "y": ["p"]}


def test_rows_are_counted(tmp_path: Path) -> None:
    assert opened(tmp_path, wide(5_000)).rows() == 5_000
    assert opened(tmp_path, BANK).rows() == 3
    assert opened(tmp_path, BANK, where="age > 40").rows() == 1


class TestDerived:
    """SQL over the typed source columns: one row in, one cell out."""

    def test_kinds_come_from_the_expressions(self, tmp_path: Path) -> None:
        derive = {
            "month": "month(strptime(m, '%b'))",
            "late": "delay > 30",
            "on": "make_date(year, 2, day)",
            "who": "m || '-' || y",
            "half": "CAST(day AS DECIMAL(9, 1)) / 2",
            "parts": "[day, year]",
        }
        data = "year,day,m,delay,y\n2020,29,Jan,31,p\n2020,1,Dec,,q\n"
        table = opened(tmp_path, data, derive=derive, time="on")
        assert {column.name: (column.kind, column.role) for column in table.source.columns if column.sql} == {
            "month": ("number", "feature"),
            "late": ("boolean", "feature"),
            "on": ("date", "time"),
            "who": ("category", "feature"),
            "half": ("number", "feature"),
            "parts": ("other", "left-out"),
        }
        found = rows(table, "month", "late", "on", "who", "half", "year")
        assert found == {
            "month": [1, 12],
            "late": [True, None],
            "on": [dt.datetime(2020, 2, 29), dt.datetime(2020, 2, 1)],
            "who": ["Jan-p", "Dec-q"],
            "half": [14.5, 0.5],
            "year": [2020.0, 2020.0],
        }
        assert pa.types.is_floating(whole(table, "half").schema.types[0])

    def test_a_declared_type_holds(self, tmp_path: Path) -> None:
        table = opened(tmp_path, "a,y\n1,p\n2,q\n", derive={"b": "a + 1"}, columns={"b": "category"})
        assert rows(table, "b") == {"b": ["2", "3"]}
        assert table.source.columns[-1].kind == "category"

    def test_a_derived_label(self, tmp_path: Path) -> None:
        table = opened(tmp_path, "a,delay\n1,40\n2,20\n", label="late", derive={"late": "delay > 30"}, drop="delay")
        assert table.source.names("label") == ("late",)
        assert label_text(whole(table, "late")["late"].combine_chunks()).to_pylist() == ["true", "false"]

    def test_free_text_made_by_sql_is_left_out(self, tmp_path: Path) -> None:
        data = "a,y\n" + "".join(f"{k},p\n" for k in range(100))
        table = opened(tmp_path, data, derive={"said": "'the number of this row is ' || a"})
        assert (table.source.columns[-1].kind, table.source.columns[-1].role) == ("text", "left-out")

    def test_a_filter_sees_derived_columns(self, tmp_path: Path) -> None:
        assert rows(opened(tmp_path, "a,y\n1,p\n2,q\n3,p\n", derive={"b": "a * 2"}, where="b >= 4 -- big ones"), "a") == {"a": [2.0, 3.0]}

    def test_not_a_number_is_missing_for_sql(self, tmp_path: Path) -> None:
        data = pa.table({"x": [1.0, float("nan"), float("inf")], "y": ["p", "q", "p"]})
        assert rows(opened(tmp_path, data, derive={"big": "x > 5"}), "big") == {"big": [False, None, True]}
        assert rows(opened(tmp_path, data, where="x > 5"), "y") == {"y": ["p"]}

    @pytest.mark.parametrize(
        ("sql", "code", "said"),
        [
            ("agee + 1", "read.derive-sql", "agee"),
            ("age +", "read.derive-sql", "age +"),
            ("age + 1) FROM raw --", "read.derive-sql", ""),
            ("no_such_function(age)", "read.derive-sql", "no_such_function"),
            ("month(age)", "read.derive-sql", "month"),
            ("avg(age)", "read.derive-not-rowwise", "AVG"),
            ("row_number() OVER ()", "read.derive-not-rowwise", "ROW_NUMBER"),
            ("(SELECT max(age) FROM raw)", "read.derive-not-rowwise", ""),
            ("random()", "read.derive-not-rowwise", ""),
            ("age > epoch(now())", "read.derive-not-rowwise", "now"),
            ("DROP TABLE raw", "read.derive-sql", ""),
        ],
    )
    def test_bad_sql_is_refused_before_any_row_is_read(self, tmp_path: Path, sql: str, code: str, said: str) -> None:
        for where in ({"derive": {"x": sql}}, {"where": sql}):
            with pytest.raises(RecipeError) as told:
                opened(tmp_path, "age,y\n1,p\n2,q\n", **where)
            assert told.value.code in {code, "read.derive-not-rowwise"}
            assert said in told.value.why
            assert "stored:" not in told.value.why
            assert ("data.where" if "where" in where else "data.derive.x") in f"{told.value.what}{told.value.fix}"

    def test_an_expression_that_fails_on_a_later_row_is_told(self, tmp_path: Path) -> None:
        data = "m,y\n" + "Jan,p\n" * 5000 + "Smarch,q\n"
        told = failing(tmp_path, data, derive={"month": "month(strptime(m, '%b'))"})
        assert isinstance(told, RecipeError)
        assert told.code == "read.derive-failed"
        assert "Smarch" in told.why
        assert failing(tmp_path, data, derive={"n": "CAST(m AS INTEGER)"}).code == "read.derive-failed"

    def test_decimals_among_whole_numbers_are_told_not_lost(self, tmp_path: Path) -> None:
        lines = [f"{k % 12 + 1},p" for k in range(400_000)]
        lines[-40_000] = "2.5,p"
        data = "a,y\n" + "\n".join(lines) + "\n"
        told = failing(tmp_path, data, derive={"on": "make_date(2020, a, 1)"})
        assert (told.code, '"a"' in told.what) == ("read.derive-not-whole", True)
        assert 2.5 in rows(opened(tmp_path, data), "a")["a"]
        assert rows(opened(tmp_path, data, derive={"b": "a * 2"}, columns={"a": "number"}), "b")["b"][-40_000] == 5.0


MODULE = """
import pyarrow.compute as pc
import pyarrow as pa

def double(batch):
    return pc.multiply(batch.column("a"), 2)

def words(batch):
    return ["even" if a % 2 == 0 else "odd" for a in batch.column("a").to_pylist()]

def rank(batch):
    return pc.rank(batch.column("a"))

def short(batch):
    return [1]

def broken(batch):
    raise KeyError("no such thing")

constant = 3
"""


class TestFunctions:
    """Python functions of the user, called once over all rows."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        name = f"ours_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(MODULE)
        self.module = name
        return tmp_path

    def test_their_cells_are_typed_and_filtered(self, folder: Path) -> None:
        data = "a,y\n" + "".join(f"{k},p\n" for k in range(100_000))
        derive = {"b": f"{self.module}:double", "w": f"{self.module}:words", "c": "a + 1"}
        table = opened(folder, data, derive=derive, where="b >= 199990 AND c < 99999")
        assert {column.name: column.kind for column in table.source.columns} == {
            "a": "number", "y": "category", "b": "number", "w": "category", "c": "number",
        }  # fmt: skip
        assert rows(table) == {
            "a": [99995.0, 99996.0, 99997.0],
            "y": ["p"] * 3,
            "b": [199990.0, 199992.0, 199994.0],
            "w": ["odd", "even", "odd"],
            "c": [99996, 99997, 99998],
        }
        assert rows(table, stored_of("a"), "w") == {"stored:a": ["99995", "99996", "99997"], "w": ["odd", "even", "odd"]}

    @pytest.mark.parametrize(
        ("function", "code"),
        [
            ("{}:rank", "read.derive-not-rowwise"),
            ("{}:short", "read.derive-python"),
            ("{}:broken", "read.derive-python"),
            ("{}:constant", "read.derive-python"),
            ("{}:nothing", "read.derive-python"),
            ("no_module_of_this_name:f", "read.derive-python"),
        ],
    )
    def test_what_goes_wrong_in_them_is_told(self, folder: Path, function: str, code: str) -> None:
        with pytest.raises(RecipeError) as told:
            opened(folder, "a,y\n1,p\n2,q\n3,q\n", derive={"x": function.format(self.module)})
        assert told.value.code == code
        assert "data.derive.x" in told.value.what


@pytest.mark.parametrize(
    ("tail", "code", "said"),
    [
        (b"1,2,p\n", "read.ragged", "3 cells, not 2"),
        (b"1\n", "read.ragged", "1 cells, not 2"),
        (b'1,"p\n2,q\n', "read.quote", ""),
        (b"1,caf\xe9\n", "read.encoding", "no UTF-8"),
    ],
)
def test_what_is_wrong_far_behind_the_samples_is_told_with_its_line(tmp_path: Path, tail: bytes, code: str, said: str) -> None:
    good = b"7,p\n" * 1_000_000
    data = b"a,y\n" + good[: len(good) // 2 + 2] + b"\n" * ((len(good) // 2 + 2) % 4 != 0) + tail + good
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,y\n" + good[: 4 * 620_000] + tail + good)
    with pytest.raises(DataError) as told:
        list(open_source(tmp_path, {"source": "t.csv", "label": "y"}).batches())
    assert told.value.code == code
    assert said in told.value.why
    assert "line " in told.value.why or code == "read.quote"
    assert data


def test_a_cut_gzip_file_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,y\n" + os.urandom(300_000).hex().encode() + b",p\n" + b"1,q\n" * 100_000)
    told = failing(tmp_path, packed[: len(packed) // 2], "t.csv.gz")
    assert told.code in {"read.gzip-damaged", "read.one-column", "read.no-rows", "read.quote", "read.ragged"}
    lines = b"".join(b"%d,p\n" % (k * 7919 % 10007) for k in range(400_000))
    packed = gzip.compress(b"a,y\n" + lines)
    assert failing(tmp_path, packed[: len(packed) * 9 // 10], "t.csv.gz").code == "read.gzip-damaged"


def test_parquet_cut_inside_its_data_is_told(tmp_path: Path) -> None:
    opened(tmp_path, wide(50_000))
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[4:-10_000] = os.urandom(len(data) - 10_004)  # the footer stands
    (tmp_path / "t.parquet").write_bytes(bytes(data))
    for said in ({}, {"where": "i < 100"}):
        with pytest.raises(FilonError) as told:
            list(open_source(tmp_path, {"source": "t.parquet", "label": "y", **said}).batches(["f"]))
        assert told.value.code == "read.parquet-damaged"


def test_a_ten_megabyte_cell_is_read(tmp_path: Path) -> None:
    table = opened(tmp_path, f'a,t,y\n1,"{"x" * 10_000_000}",p\n2,z,q\n')
    assert [len(text) for text in rows(table, "t")["t"]] == [10_000_000, 1]


def test_a_cell_past_all_measure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.engines.embedded.views.MAX_LINE", 1 << 20)
    data = "a,t,y\n1,z,p\n2," + "x" * 3_000_000 + ",q\n3,z,p\n"
    assert failing(tmp_path, data).code == "read.line-too-long"


def test_text_in_a_number_column_on_row_900_000_is_missing_and_found(tmp_path: Path) -> None:
    lines = ["5,p\n"] * 1_000_000
    lines[899_999] = "five,p\n"
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(lines))
    table = open_source(tmp_path, {"source": "t.csv", "label": "y"})
    found = whole(table, "a", misfit_of("a"))
    assert found["a"].null_count == 1
    assert found["misfit:a"][899_999].as_py() == "five"


def test_bytes_that_are_not_of_the_declared_encoding_are_told(tmp_path: Path) -> None:
    data = b"a,y\n" + b"1,p\n" * 600_000 + "2,niño\n".encode("cp1252") + b"1,p\n" * 600_000
    assert failing(tmp_path, data, csv={"encoding": "ascii"}).code == "read.encoding"


class TestSample:
    """Rows with the lowest hashes, whatever their order in the file."""

    def test_a_sample_does_not_depend_on_the_order_of_rows(self, tmp_path: Path) -> None:
        data = wide(5_000).drop_columns(["at"])
        table = opened(tmp_path, data)
        shuffled = opened(tmp_path, data.take(np.random.default_rng(1).permutation(5_000)), "s.parquet")
        first, second = table.sample(100), shuffled.sample(100)
        assert first.num_rows == 100
        assert first.equals(second)

    def test_rare_classes_are_in_it(self, tmp_path: Path) -> None:
        data = pa.table({"a": np.arange(20_000.0), "y": ["p"] * 19_990 + ["q"] * 8 + [None] * 2})
        sample = opened(tmp_path, data).sample(50, per_class=5)
        assert sample["y"].to_pylist().count("q") >= 5
        assert 50 <= sample.num_rows <= 60
        few = opened(tmp_path, data).sample(50, per_class=500)
        assert few["y"].to_pylist().count("q") == 8

    def test_fewer_rows_than_asked(self, tmp_path: Path) -> None:
        sample = opened(tmp_path, "a,y\n1,p\n2,q\n").sample(50, per_class=5)
        assert sorted(sample["a"].to_pylist()) == [1.0, 2.0]


def test_tables_share_a_scratch_folder(tmp_path: Path) -> None:
    left, right = (opened(tmp_path, f"a,y\n{k},p\n", f"{k}.csv") for k in (1, 2))
    assert [rows(left, "a"), rows(right, "a"), rows(left, "a"), rows(right, "a")] == [{"a": [1.0]}, {"a": [2.0]}] * 2


def test_nothing_is_written_outside_the_scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    table = opened(tmp_path, BANK, derive={"m": 'month("on")'})
    whole(table)
    whole(table)
    assert not list(home.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"home", "scratch", "t.csv"}


def test_a_model_trained_on_csv_reads_parquet(tmp_path: Path) -> None:
    trained = opened(tmp_path, BANK, derive={"older": "age > 35"}).source
    columns = {"age": [30, 40], "job": ["a", None], "balance": [1.5, 2], "ok": [True, False], "on": ["2020-01-01", None]}
    pq.write_table(pa.table(columns), tmp_path / "n.parquet")
    source: Source = read_like(trained.columns, DataSettings(source="n.parquet", label="y"), tmp_path)
    found = rows(open_table(source, tmp_path / "scratch"))
    assert found["older"] == [False, True]
    assert found["on"] == [dt.datetime(2020, 1, 1), None]


def test_copying_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.engines.embedded.fetching.SAY_EVERY_S", 0.0)
    heard: list[Event] = []
    (tmp_path / "t.csv").write_bytes(("a,y\n" + "ñ,p\n" * 10_000).encode("cp1252"))
    source = read(DataSettings(source="t.csv", label="y"), tmp_path)
    open_table(source, tmp_path / "scratch", listen=heard.append)
    assert heard
    assert (heard[-1].done, heard[-1].total) == (source.files[0].size_bytes, source.files[0].size_bytes)


def test_a_served_row_goes_through_the_same_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filon.engines.embedded.deriver import Deriver

    name = f"served_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    table = opened(tmp_path, "a,y\n1,p\n2,q\n", derive={"b": f"{name}:double", "w": f"{name}:words", "c": "a + 1"})
    derived = Deriver(table.source.columns)(next(iter(table.batches(["a", "y"]))))
    assert derived.to_pydict() == rows(table)


@pytest.mark.slow
def test_the_columns_of_a_wide_csv_cost_no_square_of_their_number(tmp_path: Path) -> None:
    wide = 1500
    names = ",".join(f"x{place}" for place in range(wide))
    line = ",".join(f"{place}.5" for place in range(wide))
    table = opened(tmp_path, f"{names},y\n" + f"{line},a\n{line},b\n" * 30)
    begun = time.process_time()
    found = sum(batch.num_rows for batch in table.batches([*table.names, *map(misfit_of, table.misfits)]))
    assert (found, len(table.misfits)) == (60, wide)
    assert time.process_time() - begun < 8  # DuckDB's optimizer alone takes more than twenty


def test_an_equals_sign_in_a_folders_value_is_told(tmp_path: Path) -> None:
    for value in ("a", "x=y"):
        (tmp_path / "t" / f"zone={value}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0], "y": ["a"]}), tmp_path / "t" / f"zone={value}" / "a.parquet")
    with pytest.raises(DataError, match=r"read\.schemas-differ") as told:
        whole(open_source(tmp_path, {"source": "t", "label": "y"}))
    assert "%3D" in told.value.fix


def test_a_derived_column_that_names_another_is_told_to_write_it_out(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"read\.derive-sql") as told:
        opened(tmp_path, "x,y\n1,a\n2,b\n", derive={"twice": "x * 2", "more": "twice + 1"})
    assert 'the expression of "twice"' in told.value.fix
