"""From the recipe's words to a source: formats, columns, kinds, roles, and errors that offer the nearest name."""

import datetime as dt
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import filon
from filon.api import init
from filon.engines.base import Column, Source
from filon.errors import DataError, FilonError, RecipeError
from filon.read import read, read_like
from filon.read.settings import DataSettings

BANK = "age;job;balance;day;deposit\n30;admin.;10,5;3;yes\n40;services;-2,25;4;no\n50;admin.;0,0;5;no\n"


def settings(**said: object) -> DataSettings:
    return DataSettings.model_validate({"source": "t.csv", "label": "deposit", **said})


def csv(folder: Path, text: str | bytes = BANK, name: str = "t.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refused(folder: Path, **said: object) -> FilonError:
    with pytest.raises(FilonError) as told:
        read(settings(**said), folder)
    return told.value


def roles(source: Source) -> dict[str, str]:
    return {column.name: column.role for column in source.columns}


def kinds(source: Source) -> dict[str, str]:
    return {column.name: column.kind for column in source.columns}


def test_a_csv_is_seen_as_it_is(tmp_path: Path) -> None:
    source = read(settings(), csv(tmp_path))
    assert source.dialect is not None
    assert (source.format, source.dialect.separator, source.dialect.decimal) == ("csv", ";", ",")
    assert kinds(source) == {"age": "number", "job": "category", "balance": "number", "day": "number", "deposit": "category"}
    assert [column.whole for column in source.columns] == [True, False, False, True, False]
    assert roles(source) == {"age": "feature", "job": "feature", "balance": "feature", "day": "feature", "deposit": "label"}
    assert (source.files[0].size_bytes, source.origin, source.base) == (len(BANK), "t.csv", str(tmp_path))


def test_a_file_without_a_header_says_what_its_columns_are_called(tmp_path: Path) -> None:
    heard: list[str] = []
    source = read(settings(label="column_2"), csv(tmp_path, "1,p\n2,q\n"), lambda event: heard.append(event.text))
    assert [column.name for column in source.columns] == ["column_1", "column_2"]
    assert "the columns are named column_1 to column_2" in heard[-1]


def test_the_recipe_gives_types_and_roles(tmp_path: Path) -> None:
    said = settings(columns={"day": "category"}, drop="balance", key="job", weight="age", derive={"old": "age > 60"}, where="age < 90")
    source = read(said, csv(tmp_path))
    assert roles(source) == {"age": "weight", "job": "key", "balance": "dropped", "day": "feature", "deposit": "label", "old": "feature"}
    assert kinds(source)["day"] == "category"
    assert (source.columns[-1].sql, source.where) == ("age > 60", "age < 90")


def test_a_key_is_known_by_its_text(tmp_path: Path) -> None:
    source = read(settings(key=["age"]), csv(tmp_path))
    assert kinds(source)["age"] == "category"


def test_free_text_and_dates_are_no_features_and_say_why(tmp_path: Path) -> None:
    lines = [f"2020-01-{k % 28 + 1:02},Mr. John Smith the {k}th of his name,{k},{k % 2}" for k in range(60)]
    source = read(settings(label="y"), csv(tmp_path, "on,who,n,y\n" + "\n".join(lines)))
    assert roles(source) == {"on": "left-out", "who": "left-out", "n": "feature", "y": "label"}
    assert all(column.why for column in source.columns if column.role == "left-out")
    again = read(settings(label="y", time="on", columns={"who": "category"}), tmp_path)
    assert roles(again) == {"on": "time", "who": "feature", "n": "feature", "y": "label"}


def test_a_file_sorted_by_its_label_is_seen_whole(tmp_path: Path) -> None:
    """The head holds whole numbers only, and the last tenth of the file words and another class."""
    head = [f"{k},{k},no" for k in range(150_000)]
    tail = [f"{k}.5,w{k % 3},yes" for k in range(20_000)]
    source = read(settings(label="y"), csv(tmp_path, "a,b,y\n" + "\n".join(head + tail) + "\n"))
    assert kinds(source) == {"a": "number", "b": "category", "y": "category"}
    assert not source.columns[0].whole


def test_the_middle_of_a_gzip_file_is_seen_too(tmp_path: Path) -> None:
    head = [f"{k},{k},no" for k in range(150_000)]
    tail = [f"{k},w{k % 3},yes" for k in range(60_000)]
    written = gzip.compress(("a,b,y\n" + "\n".join(head + tail)).encode())
    source = read(settings(label="y", source="t.csv.gz"), csv(tmp_path, written, "t.csv.gz"))
    assert kinds(source)["b"] == "category"
    assert source.dialect is not None
    assert source.dialect.compression == "gzip"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": pa.array([1, 2], pa.int16()),
            "x": pa.array([1.5, None], pa.float32()),
            "d": pa.array([1, 2], pa.decimal128(9, 2)),
            "b": [True, None],
            "c": pa.array(["u", "v"]).dictionary_encode(),
            "digits": ["1", "2"],
            "on": pa.array([dt.date(2020, 1, 1), None]),
            "at": pa.array([dt.datetime(2020, 1, 1), None], pa.timestamp("ns", tz="Europe/Madrid")),
            "list": [[1], [2]],
            "bytes": [b"a", b"b"],
            "none": pa.nulls(2),
            "y": ["p", "q"],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = read(settings(source="t.parquet", label="y"), tmp_path)
    assert kinds(source) == {
        "n": "number", "x": "number", "d": "number", "b": "boolean", "c": "category", "digits": "category", "on": "date", "at": "date",
        "list": "other", "bytes": "other", "none": "category", "y": "category",
    }  # fmt: skip
    assert [column.stored for column in source.columns][:5] == ["int16", "float", "decimal128(9, 2)", "bool", "string"]
    assert source.dialect is None


def test_parquet_of_a_folder_may_differ_in_order_and_width_only(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "y": ["p"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"y": ["q"], "a": pa.array([2.5])}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"y": ["q"], "a": pa.nulls(1)}), tmp_path / "3.parquet")
    source = read(settings(source=".", label="y"), tmp_path)
    assert [(column.name, column.stored) for column in source.columns] == [("a", "double"), ("y", "string")]
    for odd in (pa.table({"a": ["text"], "y": ["p"]}), pa.table({"y": ["p"]}), pa.table({"a": [1], "b": [1], "y": ["p"]})):
        pq.write_table(odd, tmp_path / "4.parquet")
        assert refused(tmp_path, source=".", label="y").code == "read.schemas-differ"


def test_csv_files_of_a_folder_share_one_header(tmp_path: Path) -> None:
    csv(tmp_path, BANK, "d/1.csv")
    csv(tmp_path, BANK, "d/2.csv")
    assert len(read(settings(source="d"), tmp_path).files) == 2
    csv(tmp_path, BANK.replace("age;job", "job;age"), "d/2.csv")
    assert "another order" in refused(tmp_path, source="d").why
    csv(tmp_path, BANK.replace("age", "edad"), "d/2.csv")
    assert 'lacks "age"' in refused(tmp_path, source="d").why


def test_folders_become_columns(tmp_path: Path) -> None:
    for year, zone in ((2023, "north"), (2024, "south")):
        csv(tmp_path, "a,y\n1,p\n2,q\n", f"t/year={year}/zone={zone}/a.csv")
    source = read(settings(source="t", label="y", key="zone"), tmp_path)
    assert [(column.name, column.kind, column.role) for column in source.columns] == [
        ("a", "number", "feature"), ("y", "category", "label"), ("year", "number", "feature"), ("zone", "category", "key"),
    ]  # fmt: skip
    csv(tmp_path, "a,y\n1,p\n", "t/year=2025/a.csv")
    assert refused(tmp_path, source="t", label="y").code == "read.schemas-differ"


def test_csv_and_parquet_side_by_side_are_refused(tmp_path: Path) -> None:
    csv(tmp_path, BANK, "d/1.csv")
    pq.write_table(pa.table({"a": [1], "y": ["p"]}), tmp_path / "d/2.parquet")
    assert refused(tmp_path, source="d").code == "read.formats-mixed"
    (tmp_path / "d/2.parquet").rename(tmp_path / "d/0.parquet")
    assert refused(tmp_path, source="d").code == "read.formats-mixed"


def test_a_missing_label_offers_the_nearest_column(tmp_path: Path) -> None:
    told = refused(csv(tmp_path), label="deposits")
    assert isinstance(told, RecipeError)
    assert (told.code, told.fix) == ("read.label-missing", 'set data.label = "deposit"')
    assert 'set data.label = "deposit"' in refused(tmp_path, label="DEPOSIT").fix
    assert "balance" in refused(tmp_path, label="zzz").why


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"drop": "balanc"}, "read.column-unknown"),
        ({"key": ["client"]}, "read.column-unknown"),
        ({"columns": {"Age": "category"}}, "read.column-unknown"),
        ({"weight": "w"}, "read.column-unknown"),
        ({"time": "date"}, "read.column-unknown"),
        ({"drop": "deposit"}, "read.role-twice"),
        ({"key": "age", "weight": "age"}, "read.role-twice"),
        ({"derive": {"AGE": "1"}}, "read.derive-name"),
        ({"csv": {"names": ["a", "b"]}}, "read.names-count"),
        ({"csv": {"encoding": "klingon"}}, "read.encoding-unknown"),
    ],
)
def test_what_the_recipe_has_wrong_is_told_by_code(tmp_path: Path, said: dict[str, object], code: str) -> None:
    told = refused(csv(tmp_path), **said)
    assert isinstance(told, RecipeError)
    assert told.code == code
    assert told.fix


def test_a_near_name_is_offered_for_every_role(tmp_path: Path) -> None:
    assert refused(csv(tmp_path), drop="balanc").fix == 'write "balance" in data.drop'
    assert refused(tmp_path, columns={"Age": "category"}).fix == 'write "age" in data.columns.Age'


@pytest.mark.parametrize("header", ["a,a,y", "a,A,y", "a,b,A"])
def test_names_that_sql_cannot_tell_apart_are_refused(tmp_path: Path, header: str) -> None:
    assert refused(csv(tmp_path, f"{header}\n1,2,3\n"), label="y").code in {"read.columns-alike"}
    renamed = read(settings(label="y", csv={"names": ["p", "q", "y"], "header": True}), tmp_path)
    assert [column.name for column in renamed.columns] == ["p", "q", "y"]


def test_parquet_names_that_differ_by_case_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "A": [1], "y": [1]}), tmp_path / "t.parquet")
    assert refused(tmp_path, source="t.parquet", label="y").code == "read.columns-alike"


def test_odd_names_are_kept(tmp_path: Path) -> None:
    names = ["Temperature(°C)", "Air temperature [K]", "año", 'a "quoted" one', "emp.var.rate", "%", "tab\there", "select"]
    csv(tmp_path, ";".join('"' + name.replace('"', '""') + '"' for name in [*names, "y"]) + "\n" + ";".join("12345678") + ";p\n")
    assert [column.name for column in read(settings(label="y"), tmp_path).columns] == [*names, "y"]


def test_empty_and_cut_files_are_told_by_code(tmp_path: Path) -> None:
    assert refused(csv(tmp_path, b"")).code == "read.empty"
    assert refused(csv(tmp_path, b"deposit\n1\n0\n")).code == "read.one-column"
    whole = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(1000)), "deposit": ["p"] * 1000}), whole)
    cut = whole.read_bytes()
    csv(tmp_path, cut[: len(cut) // 2], "cut.parquet")
    told = refused(tmp_path, source="cut.parquet")
    assert isinstance(told, DataError)
    assert told.code == "read.parquet-damaged"
    pq.write_table(pa.table({"a": pa.array([], pa.int64()), "deposit": pa.array([], pa.string())}), whole)
    assert refused(tmp_path, source="t.parquet").code == "read.no-rows"


def test_lists_cannot_become_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [[1], [2]], "y": [1, 2]}), tmp_path / "t.parquet")
    source = read(settings(source="t.parquet", label="y"), tmp_path)
    assert (source.columns[0].kind, source.columns[0].role) == ("other", "left-out")
    assert refused(tmp_path, source="t.parquet", label="y", columns={"a": "number"}).code == "read.type-impossible"


@pytest.mark.parametrize(
    "cells", [pa.array([[1], [2]]), pa.array([{"b": 1}, {"b": 2}]), pa.array([b"\xff", b"\xfe"])], ids=lambda cells: str(cells.type)
)
def test_what_is_neither_counted_nor_compared_is_no_label_and_no_key(tmp_path: Path, cells: pa.Array) -> None:
    pq.write_table(pa.table({"a": cells, "x": [1.0, 2.0], "y": [1, 2]}), tmp_path / "t.parquet")
    for given, role in (({"label": "a"}, "label"), ({"label": "y", "key": ["a"]}, "key"), ({"label": "y", "time": "a"}, "time")):
        told = refused(tmp_path, source="t.parquet", **given)
        assert (told.code, f"cannot be the {role}" in told.what) == ("read.type-impossible", True)
        derived = told.fix.partition("x = '")[2].partition("'")[0]
        looked = filon.check({"name": "t", "data": {"source": str(tmp_path / "t.parquet"), "label": "y", "derive": {"z": derived}}})
        assert "z" in [column.name for column in looked.checked.source.columns]
    with pytest.raises(FilonError) as caught:
        init(tmp_path / "new", data=str(tmp_path / "t.parquet"), label="a")
    assert caught.value.code == "read.type-impossible"


def test_three_thousand_columns_are_looked_at_in_seconds(tmp_path: Path) -> None:
    import time

    line = ",".join(str(k) for k in range(2999))
    csv(tmp_path, ",".join(f"c{k}" for k in range(2999)) + ",y\n" + "".join(f"{line},{k % 2}\n" for k in range(500)))
    start = time.monotonic()
    assert len(read(settings(label="y"), tmp_path).columns) == 3000
    assert time.monotonic() - start < 10  # 1.5 s on an idle laptop


class TestNewData:
    """Data for a trained model: its columns' kinds hold, whatever the new cells look like."""

    def trained(self, folder: Path) -> tuple[Column, ...]:
        return read(settings(drop="day", derive={"old": "age > 60"}), csv(folder)).columns

    def test_kinds_hold_and_the_label_may_be_absent(self, tmp_path: Path) -> None:
        columns = self.trained(tmp_path)
        csv(tmp_path, "job;age;balance;new\n1;30;a;x\n2;31;b;x\n", "n.csv")
        source = read_like(columns, settings(source="n.csv"), tmp_path)
        assert kinds(source) == {"job": "category", "age": "number", "balance": "number", "new": "category", "old": "number"}
        assert roles(source) == {"job": "feature", "age": "feature", "balance": "feature", "new": "dropped", "old": "feature"}

    def test_a_lacking_feature_is_named_a_lacking_dropped_column_is_not(self, tmp_path: Path) -> None:
        columns = self.trained(tmp_path)
        csv(tmp_path, "job;balance;deposit\na;1,5;yes\n", "n.csv")
        with pytest.raises(DataError, match=r'read\.columns-lacking[\s\S]*"age"'):
            read_like(columns, settings(source="n.csv"), tmp_path)

    def test_parquet_serves_a_model_trained_on_csv(self, tmp_path: Path) -> None:
        columns = self.trained(tmp_path)
        pq.write_table(pa.table({"age": [30], "job": [5], "balance": [1.5]}), tmp_path / "n.parquet")
        source = read_like(columns, settings(source="n.parquet"), tmp_path)
        assert {column.name: (column.kind, column.stored) for column in source.columns if not column.sql} == {
            "age": ("number", "int64"), "job": ("category", "int64"), "balance": ("number", "double"),
        }  # fmt: skip
