"""Small results of Spark as Arrow: counts, samples, states. Never the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from filon.engines.spark.session import Session

IPC = pa.schema([("ipc", pa.binary())])
SQL = "ipc binary"


def table(frame: Any, session: Session, origin: str = "the table") -> pa.Table:
    """A small DataFrame as an Arrow table, in its order: one job."""
    from pyspark.sql.pandas.types import to_arrow_schema

    with session.in_our_words(origin):
        parts = [_unpacked(row) for row in frame.mapInArrow(_packed, SQL).collect()]
    return pa.concat_tables(parts) if parts else to_arrow_schema(frame.schema).empty_table()


def tables(frame: Any, session: Session, origin: str = "the table") -> Iterator[pa.Table]:
    """A DataFrame as Arrow tables, one partition (and one job) at a time, in its order; what was ordered stays so."""
    with session.in_our_words(origin):
        for row in frame.mapInArrow(_packed, SQL).toLocalIterator():
            yield _unpacked(row)


def _unpacked(row: Any) -> pa.Table:
    with pa.ipc.open_stream(bytes(row["ipc"])) as stream:
        return stream.read_all()


def _packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Each batch as a row of bytes: the one form that Spark 3.5, 4 and Connect all hand over without pandas."""
    for batch in batches:
        if batch.num_rows:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue().to_pybytes()], pa.binary())], schema=IPC)
