"""A small body that would become a large table is refused before it does."""

import gzip
import io
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import COLUMNS

from filon.serve import bodies
from filon.serve.bodies import ARROW, JSON, LINES, PARQUET
from filon.serve.parquet_pages import unpacked
from filon.serve.problems import RefusedError
from filon.serve.settings import Limits

LIMITS = Limits(body_bytes=1_000_000)
MOST = 20_000_000
"""Arrow's memory for such a body: four times the limit for what is written out, and some as much again while a batch is read."""


def parquet(table: pa.Table, **how: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
        out.write_table(table)
    return sink.getvalue()


def shared(rows: int, letters: int) -> pa.Table:
    """Many rows that share one long text."""
    return pa.table({"job": pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * letters]))})


def code_of(body: bytes, kind: str) -> str:
    """The code of the refusal; what Arrow took for it on the way, in a pool that nobody else uses, is bounded."""
    usual, own = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(own)
    try:
        with pytest.raises(RefusedError) as caught:
            bodies.read(body, kind, COLUMNS, LIMITS)
    finally:
        pa.set_memory_pool(usual)
    assert (own.max_memory() or 0) < MOST
    return caught.value.error.code


LONG = pa.table({"job": ["x" * 50_000] * 2_000})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (parquet(shared(100_000, 2_000), compression="zstd"), PARQUET),
        (parquet(LONG, use_dictionary=False, column_encoding={"job": "DELTA_BYTE_ARRAY"}), PARQUET),
        (parquet(LONG, use_dictionary=False, compression="zstd"), PARQUET),
        (stream(LONG, "zstd"), ARROW),
        (stream(LONG, "lz4"), ARROW),
        (stream(shared(100_000, 2_000)), ARROW),
    ],
    ids=["shared", "delta", "packed", "zstd", "lz4", "dictionary"],
)
def test_rows_that_would_fill_the_memory_are_refused_first(body: bytes, kind: str) -> None:
    assert len(body) < 600_000
    assert code_of(body, kind) == "serve.body-too-large"


def varint(value: int, length: int = 0) -> bytes:
    """A number as a Parquet footer has it, over so many bytes."""
    value *= 2
    parts = []
    while value or len(parts) < max(length, 1):
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts[:-1], parts[-1] & 127])


def test_a_footer_that_lies_about_the_pages_is_not_believed() -> None:
    body = parquet(LONG, use_dictionary=False, compression="zstd")
    size = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).total_uncompressed_size
    honest = varint(size)
    lie = body.replace(honest, varint(1_000, len(honest)))
    facts = pq.ParquetFile(io.BytesIO(lie)).metadata.row_group(0)
    assert facts.total_byte_size == facts.column(0).total_uncompressed_size == 1_000
    assert code_of(lie, PARQUET) == "serve.body-too-large"


WAYS = [
    {},
    {"compression": "gzip", "row_group_size": 300},
    {"data_page_version": "2.0", "use_dictionary": False},
    {"data_page_size": 200, "write_page_index": True, "write_page_checksum": True},
    {"column_encoding": {"job": "DELTA_BYTE_ARRAY"}, "use_dictionary": False},
]


@pytest.mark.parametrize("how", WAYS)
def test_a_parquet_body_is_read_however_it_was_written(how: dict) -> None:
    table = pa.table({"age": [1, None] * 500, "job": ["clerk", "miner"] * 500, "member": [True] * 1_000, "empty": pa.nulls(1_000)})
    assert bodies.read(parquet(table, **how), PARQUET, COLUMNS, LIMITS).equals(table)


def test_pages_add_up_to_what_an_honest_footer_says(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    table = pa.table({"heat": draw.normal(size=50_000), "job": [f"job {number}" for number in range(50_000)], "lists": [[1, 2]] * 50_000})
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as line:
        line.register("given", table)
        line.sql("FROM given").write_parquet(str(tmp_path / "duck.parquet"), compression="zstd")
    for body in (parquet(table, row_group_size=9_000), parquet(table, data_page_size=9_000), (tmp_path / "duck.parquet").read_bytes()):
        facts = pq.ParquetFile(io.BytesIO(body)).metadata
        told = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
        assert 0.95 * told < sum(unpacked(body, facts).values()) <= told  # which counts the heads of the pages too


def test_columns_of_lists_are_left_unread_where_no_model_asks_for_them() -> None:
    table = pa.table({"lists": [[1] * 10] * 50, "age": [1] * 50})
    rows = bodies.read(parquet(table), PARQUET, COLUMNS, LIMITS)
    assert rows.column("age").to_pylist() == [1] * 50
    assert rows.column("lists").null_count == 50
    assert code_of(parquet(pa.table({"age": [[1]]})), PARQUET) == "package.column-type"


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_a_packed_stream_within_the_limit_is_read(compression: str | None) -> None:
    table = pa.table({"age": list(range(5_000)), "job": pa.array(["clerk", None] * 2_500).dictionary_encode(), "view": ["v" * 20] * 5_000})
    table = table.set_column(2, "view", table.column("view").cast(pa.string_view()))
    assert bodies.read(stream(table, compression), ARROW, COLUMNS, LIMITS).equals(table)


def test_a_stream_that_lies_about_its_buffers_is_refused() -> None:
    body = stream(pa.table({"age": list(range(5_000))}), "zstd")
    codes = set()
    for cut in range(0, len(body), 97):
        try:
            bodies.read(body[:cut] + b"\xff" * 8 + body[cut + 8 :], ARROW, COLUMNS, LIMITS)
        except RefusedError as exc:
            codes.add(exc.error.code)
    assert codes <= {"serve.body-unreadable", "serve.body-too-large", "serve.too-many-rows"}
    assert "serve.body-unreadable" in codes


@pytest.mark.parametrize(
    ("body", "kind"), [(b"[" + b"{}," * 2_000_000 + b"{}]", JSON), (b"{}\n" * 2_000_000, LINES), (b"[]\n\n" * 2_000_000, LINES)]
)
def test_millions_of_empty_rows_are_not_made_to_be_counted(body: bytes, kind: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as caught:
            bodies.read(body, kind, COLUMNS, Limits(rows=1_000))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(body)
    finally:
        tracemalloc.stop()
    assert caught.value.error.code == "serve.too-many-rows"


def test_members_of_a_gzip_body_cost_no_more_than_its_length() -> None:
    member = gzip.compress(b"row\n", mtime=0)
    assert bodies.inflate((member + b"\0" * 7) * 3_000, "gzip", LIMITS) == b"row\n" * 3_000
    with pytest.raises(RefusedError) as caught:
        bodies.inflate(gzip.compress(b"", mtime=0) * 20_000, "gzip", LIMITS)
    assert caught.value.error.code == "serve.body-unreadable"
    many = gzip.compress(b"", mtime=0) * (bodies.MEMBERS - 1) + gzip.compress(b" " * 900_000, 0, mtime=0)
    began = time.process_time()
    assert len(bodies.inflate(many, "gzip", LIMITS)) == 900_000
    assert time.process_time() - began < 1
