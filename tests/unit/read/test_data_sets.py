"""The public tables read right: dialect, columns, kinds, rows and missing cells as their publishers wrote them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from filon.engines.embedded.reader import open_table
from filon.read import read
from filon.read.settings import DataSettings
from filon.rows.encode import label_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a table: `kinds` counts its columns by kind; `positives` are the rows of the class `positive`."""

    path: str
    label: str
    rows: int
    positive: str
    positives: int
    kinds: dict[str, int]
    separator: str = ","
    encoding: str = "utf-8"
    header: bool = True
    missing: dict[str, int] = field(default_factory=dict)


SHOPPERS = ["Administrative", "Administrative_Duration", "Informational", "Informational_Duration"]
SHOPPERS += ["ProductRelated", "ProductRelated_Duration", "BounceRates", "ExitRates"]

TABLES = [
    Known(path="bank-kaggle/bank.csv", label="deposit", rows=11162, positive="yes", positives=5289, kinds={"number": 7, "category": 10}),
    Known(
        path="bank-uci/bank.csv", label="y", rows=4521, positive="yes", positives=521, kinds={"number": 7, "category": 10}, separator=";"
    ),
    Known(
        path="bank-uci/bank-full.csv.gz",
        label="y",
        rows=45211,
        positive="yes",
        positives=5289,
        kinds={"number": 7, "category": 10},
        separator=";",
    ),
    Known(
        path="bank-uci/bank-additional-full.csv.gz",
        label="y",
        rows=41188,
        positive="yes",
        positives=4640,
        kinds={"number": 10, "category": 11},
        separator=";",
    ),
    Known(
        path="higgs-small/binary.train.gz",
        label="column_1",
        rows=7000,
        positive="1",
        positives=3716,
        kinds={"number": 29},
        separator="\t",
        header=False,
    ),
    Known(
        path="higgs-small/binary.test",
        label="column_1",
        rows=500,
        positive="1",
        positives=272,
        kinds={"number": 29},
        separator="\t",
        header=False,
    ),
    Known(
        path="titanic/train.csv",
        label="Survived",
        rows=891,
        positive="1",
        positives=342,
        kinds={"number": 7, "category": 4, "text": 1},
        missing={"Age": 177, "Cabin": 687, "Embarked": 2},
    ),
    Known(
        path="german-credit/german.data",
        label="column_21",
        rows=1000,
        positive="2",
        positives=300,
        kinds={"number": 8, "category": 13},
        separator=" ",
        header=False,
    ),
    Known(
        path="hotel-bookings/hotel_bookings.csv.gz",
        label="is_canceled",
        rows=119390,
        positive="1",
        positives=44224,
        kinds={"number": 20, "category": 11, "date": 1},
        missing={"children": 4, "country": 488, "agent": 16340, "company": 112593},
    ),
    Known(
        path="online-shoppers/online_shoppers_intention.csv.gz",
        label="Revenue",
        rows=12330,
        positive="true",
        positives=1908,
        kinds={"number": 14, "category": 2, "boolean": 2},
        missing=dict.fromkeys(SHOPPERS, 14),
    ),
    Known(path="mushroom/mushrooms.csv", label="class", rows=8124, positive="p", positives=3916, kinds={"category": 23}),
    Known(
        path="seoul-bike/SeoulBikeData.csv",
        label="Functioning Day",
        rows=8760,
        positive="No",
        positives=295,
        kinds={"number": 10, "category": 3, "date": 1},
        encoding="cp1252",
    ),
    Known(
        path="ai4i-2020/ai4i2020.csv",
        label="Machine failure",
        rows=10000,
        positive="1",
        positives=339,
        kinds={"number": 12, "category": 2},
        encoding="utf-8-sig",
    ),
    Known(path="wine/wine.data", label="column_1", rows=178, positive="3", positives=48, kinds={"number": 14}, header=False),
    Known(
        path="wine-quality/winequality-red.csv", label="quality", rows=1599, positive="8", positives=18, kinds={"number": 12}, separator=";"
    ),
    Known(
        path="wine-quality/winequality-white.csv",
        label="quality",
        rows=4898,
        positive="9",
        positives=5,
        kinds={"number": 12},
        separator=";",
    ),
    Known(
        path="landsat/sat.trn",
        label="column_37",
        rows=4435,
        positive="7",
        positives=1038,
        kinds={"number": 37},
        separator=" ",
        header=False,
    ),
    Known(
        path="landsat/sat.tst",
        label="column_37",
        rows=2000,
        positive="7",
        positives=470,
        kinds={"number": 37},
        separator=" ",
        header=False,
    ),
]


@pytest.mark.parametrize("known", [pytest.param(known, id=known.path) for known in TABLES])
def test_a_public_table_reads_as_it_was_written(known: Known, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = shared_data(known.path)
    source = read(DataSettings(source=str(path), label=known.label), tmp_path)
    assert source.dialect is not None
    dialect = source.dialect
    assert (dialect.separator, dialect.encoding, dialect.header, dialect.decimal) == (known.separator, known.encoding, known.header, ".")
    kinds = [column.kind for column in source.columns]
    assert {kind: kinds.count(kind) for kind in kinds} == known.kinds
    table = open_table(source, tmp_path / "scratch", threads=1)
    found = pa.Table.from_batches(list(table.batches()))
    assert found.num_rows == known.rows
    assert {name: found[name].null_count for name in found.schema.names if found[name].null_count} == known.missing
    texts = label_text(found[known.label].combine_chunks())
    assert pc.sum(pc.equal(texts, known.positive)).as_py() == known.positives


def test_signs_in_names_survive_a_windows_file(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = shared_data("seoul-bike/SeoulBikeData.csv")
    table = open_table(read(DataSettings(source=str(path), label="Functioning Day"), tmp_path), tmp_path / "scratch")
    assert {"Temperature(°C)", "Dew point temperature(°C)", "Solar Radiation (MJ/m2)"} <= set(table.names)
    first = next(iter(table.batches(["Date", "Temperature(°C)"]))).slice(0, 1).to_pylist()[0]
    assert (first["Date"].isoformat(), first["Temperature(°C)"]) == ("2017-12-01T00:00:00", -5.2)


def test_doubled_quotes_and_commas_inside_quotes_survive(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = shared_data("titanic/train.csv")
    table = open_table(read(DataSettings(source=str(path), label="Survived"), tmp_path), tmp_path / "scratch")
    names = pa.Table.from_batches(list(table.batches(["Name"])))["Name"].to_pylist()
    assert names[0] == "Braund, Mr. Owen Harris"
    assert any('"' in name for name in names)
    assert not any('""' in name for name in names)
