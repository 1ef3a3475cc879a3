"""Writes the tables of this folder with their makers' own libraries: pip install deltalake "pyiceberg[sql-sqlite,pyarrow]"."""

import shutil
from pathlib import Path

import pyarrow as pa

HERE = Path(__file__).parent
LAKE = Path("/tmp/lake")
"""Iceberg keeps the place it was made in; the tests read it from another, as somebody who copied it would."""


def rows(first: int, count: int) -> pa.Table:
    """Numbers from `first` on, a town and a label."""
    numbers = range(first, first + count)
    towns = [("León", "Jaén", None)[k % 3] for k in numbers]
    return pa.table({"row": pa.array(numbers, pa.int64()), "town": pa.array(towns), "y": pa.array([str(k % 2) for k in numbers])})


def delta() -> None:
    """Three versions: written, added to, one part deleted; a checkpoint at the second."""
    from deltalake import DeltaTable, write_deltalake

    place = LAKE / "delta"
    write_deltalake(place, rows(0, 60), partition_by=["town"])
    write_deltalake(place, rows(60, 30), mode="append")
    DeltaTable(place).create_checkpoint()
    DeltaTable(place).delete("town = 'Jaén'")


def iceberg() -> None:
    """Two snapshots, and a table that has been renamed a column in."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("c", uri=f"sqlite:///{LAKE}/catalog.db", warehouse=f"file://{LAKE}")
    catalog.create_namespace("db")
    table = catalog.create_table("db.iceberg", rows(0, 1).schema, location=f"file://{LAKE}/iceberg")
    table.append(rows(0, 60))
    table.append(rows(60, 30))
    other = catalog.create_table("db.renamed", rows(0, 1).schema, location=f"file://{LAKE}/renamed")
    other.append(rows(0, 60))
    with other.update_schema() as change:
        change.rename_column("town", "city")


if __name__ == "__main__":
    shutil.rmtree(LAKE, ignore_errors=True)
    LAKE.mkdir(parents=True)
    delta()
    iceberg()
    for name in ("delta", "iceberg", "renamed"):
        shutil.rmtree(HERE / name, ignore_errors=True)
        shutil.copytree(LAKE / name, HERE / name)
