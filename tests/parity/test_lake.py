"""Delta and Iceberg tables, written by their makers' libraries (see tests/lake/make.py), on every engine."""

from collections import Counter
from pathlib import Path

import pytest

from filon.engines import avro
from filon.engines.base import Engine
from filon.engines.lake import find
from filon.errors import FilonError
from filon.read import read
from filon.read.settings import DataSettings

LAKE = Path(__file__).parents[1] / "lake"


def rows_of(engine: Engine, source: str) -> list[tuple[int, str | None]]:
    table = engine.read(read(DataSettings(source=source, label="y"), LAKE))
    return sorted((row["row"], row["town"]) for row in engine.sample(table, 1000).to_pylist())


def wanted(rows: int, *gone: str) -> list[tuple[int, str | None]]:
    every = [(k, ("León", "Jaén", None)[k % 3]) for k in range(rows)]
    return [row for row in every if row[1] not in gone]


def test_a_delta_table_is_its_last_version(engine: Engine) -> None:
    assert rows_of(engine, "delta:delta") == wanted(90, "Jaén")


def test_an_iceberg_table_that_was_copied_is_its_current_snapshot(engine: Engine) -> None:
    assert rows_of(engine, f"iceberg:{LAKE}/iceberg") == wanted(90)


@pytest.mark.parametrize(("version", "files"), [(0, 1), (1, 2)])
def test_a_delta_table_at_a_version(version: int, files: int) -> None:
    # version 1 is also what the checkpoint says, version 0 comes from before it
    found = find(f"delta:{LAKE}/delta@{version}", Path())
    assert Counter(file.partition[0][1] for file in found) == dict.fromkeys(("León", "Jaén", ""), files)


def test_the_first_snapshot_of_an_iceberg_table_is_still_there() -> None:
    files = {
        len(find(f"iceberg:{LAKE}/iceberg@{path.name.split('-')[1]}", Path())) for path in (LAKE / "iceberg" / "metadata").glob("snap-*")
    }
    assert files == {1, 2}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("delta:nowhere", "read.lake-missing"),
        ("delta:delta@7", "read.lake-missing"),
        ("iceberg:delta", "read.lake-missing"),
        ("iceberg:iceberg@5", "read.lake-missing"),
        ("iceberg:prod.sales.orders", "read.lake-catalog"),
        ("iceberg:renamed", "read.lake-unsupported"),
    ],
)
def test_what_cannot_be_read_is_told(source: str, code: str) -> None:
    with pytest.raises(FilonError) as caught:
        find(source, LAKE)
    assert caught.value.code == code


def test_deletion_vectors_and_a_damaged_log_are_told(tmp_path: Path) -> None:
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    commit = log / f"{0:020d}.json"
    commit.write_text('{"add": {"path": "a.parquet", "size": 1, "partitionValues": {}, "deletionVector": {"storageType": "u"}}}\n')
    with pytest.raises(FilonError, match="deletion vectors"):
        find(f"delta:{tmp_path}/t", Path())
    commit.write_text('{"add": {"path": "a.par')
    with pytest.raises(FilonError, match="lake-damaged"):
        find(f"delta:{tmp_path}/t", Path())


def test_a_cut_manifest_is_no_manifest() -> None:
    data = next((LAKE / "iceberg" / "metadata").glob("*-m0.avro")).read_bytes()
    assert all("data_file" in entry for entry in avro.records(data))
    with pytest.raises((EOFError, ValueError)):
        list(avro.records(data[:-20]))
    with pytest.raises(ValueError, match="no Avro"):
        list(avro.records(b"PAR1" + data))
