"""Bodies in columns, Parquet and Arrow streams: what they take in memory is reckoned before it is unpacked, or while it still is little."""

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column
from filon.serve.parquet_pages import unpacked
from filon.serve.problems import RefusedError, refused, too_large, too_many
from filon.serve.settings import Limits

BATCH = 8192
"""Rows of a Parquet body that are read at once, if its cells are short."""

WRITTEN_OUT = 4
"""Cells may take so many times the largest body once they are written out: a text that many rows share stands in the body only once."""

TEXTS = frozenset({"BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"})
"""Parquet's types of cells that may have any length."""

DICTIONARY, RECORD_BATCH = 2, 3
"""Kinds of an Arrow message (`MessageHeader` of its Message.fbs): only these two have buffers."""


def parquet(body: bytes, columns: Sequence[Column], limits: Limits) -> pa.Table:
    """The rows of a Parquet file; a column of lists or records, which no model takes, is left unread (all its cells missing).

    Raises
    ------
    RefusedError : `serve.too-many-rows`, `serve.body-too-large`, `package.column-type` where the model asks for such a column
    """
    import pyarrow.parquet as pq

    safe = {"thrift_string_size_limit": 1 << 24, "thrift_container_size_limit": 1 << 20, "arrow_extensions_enabled": False}
    file = pq.ParquetFile(io.BytesIO(body), **safe)
    facts, most = file.metadata, WRITTEN_OUT * limits.body_bytes
    if facts.num_rows > limits.rows:
        raise too_many(facts.num_rows, limits)
    sizes = unpacked(body, facts)
    cells = sum(facts.row_group(group).column(place).num_values for group, place in sizes)
    if sum(sizes.values()) > limits.body_bytes or 8 * cells > most:
        raise too_large(limits)
    nested = [field.name for field in file.schema_arrow if pa.types.is_nested(field.type)]
    for column in columns:
        if column.name in nested:
            raise _unfit(column.name, "lists or records")
    flat = [name for name in file.schema_arrow.names if name not in nested]
    size, batches = 0, []
    # a cell is no longer than its whole column, however the column is coded: so many rows fit for certain
    widest = max((size for (_, place), size in sizes.items() if facts.schema.column(place).physical_type in TEXTS), default=1)
    for batch in file.iter_batches(max(1, min(BATCH, most // max(widest, 1))), columns=flat, use_threads=False):
        size += _size(batch)
        if size > most:
            raise too_large(limits)
        batches.append(batch)
    table = pa.Table.from_batches(batches) if batches else file.schema_arrow.empty_table().select(flat)
    for name in dict.fromkeys(nested):
        table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def arrow(body: bytes, limits: Limits) -> pa.Table:
    """The rows of an Arrow stream.

    Raises
    ------
    RefusedError : `serve.too-many-rows`, `serve.body-too-large`, `package.column-type`
    """
    buffer = pa.py_buffer(body)
    total = 0
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(buffer)):
        total += declared(message)
        if total > limits.body_bytes:
            raise too_large(limits)
    batches, rows, size = [], 0, 0
    with pa.ipc.open_stream(pa.BufferReader(buffer)) as stream:
        for batch in stream:
            rows += batch.num_rows
            if rows > limits.rows:
                raise too_many(rows, limits)
            batch.validate(full=True)
            size += _size(batch)
            if size > WRITTEN_OUT * limits.body_bytes:
                raise too_large(limits)
            batches.append(batch)
        return pa.Table.from_batches(batches, stream.schema)


def _size(batch: pa.RecordBatch) -> int:
    return sum(written_out(cells, name) for name, cells in zip(batch.schema.names, batch.columns, strict=True))


def written_out(cells: pa.Array, name: str = "") -> int:
    """Bytes of the cells once each has its own: of a dictionary or a view, many may share one long text.

    Raises
    ------
    RefusedError : `package.column-type` for a dictionary of lists and the like, which could not be told
    """
    if isinstance(cells, pa.ExtensionArray):
        return written_out(cells.storage, name)
    kind = cells.type
    if pa.types.is_dictionary(kind):
        try:
            return int(len(cells) * max(kind.value_type.bit_width, 8) // 8)
        except ValueError:
            pass
        if not _has_length(kind.value_type):
            raise _unfit(name, str(kind))
        return int(pc.sum(pc.binary_length(cells.dictionary).take(cells.indices)).as_py() or 0) + int(cells.indices.nbytes)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        views = np.frombuffer(cells.buffers()[1], np.int32).reshape(-1, 4)[cells.offset : cells.offset + len(cells), 0]
        return int(views[cells.is_valid().to_numpy(zero_copy_only=False)].sum(dtype=np.int64)) + 16 * len(cells)
    return int(cells.nbytes)


def _has_length(kind: pa.DataType) -> bool:
    return any(told(kind) for told in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary))


def declared(message: Any) -> int:
    """Bytes that the packed buffers of an Arrow message say they will take (Arrow unpacks no more); 0 where none is packed.

    Raises
    ------
    ValueError : when the message is not what Message.fbs says

    Notes
    -----
    Source: format/Message.fbs of Apache Arrow: Message {version, header_type, header, ...}; DictionaryBatch {id, data, ...};
    RecordBatch {length, nodes, buffers, compression, ...}; a packed buffer begins with its unpacked length, -1 where it is plain.
    """
    head, total = message.metadata, 0
    try:
        root = _long(head, 0)
        kind = head[_field(head, root, 1)] if _field(head, root, 1) else 0
        if kind not in {DICTIONARY, RECORD_BATCH}:
            return 0
        batch = _follow(head, _field(head, root, 2))
        if kind == DICTIONARY:
            batch = _follow(head, _field(head, batch, 1))
        if not _field(head, batch, 3):
            return 0
        buffers = _follow(head, _field(head, batch, 2))
        for number in range(_long(head, buffers)):
            offset, length = struct.unpack_from("<qq", head, buffers + 4 + 16 * number)
            if length:
                (size,) = struct.unpack_from("<q", message.body, offset)
                if size < -1:
                    raise ValueError(f"a packed buffer of {size} bytes")
                total += length if size == -1 else size
    except (struct.error, IndexError) as exc:
        raise ValueError("a message of the stream is damaged") from exc
    return total


def _long(data: Any, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])


def _follow(data: Any, place: int) -> int:
    return place + _long(data, place)


def _field(data: Any, table: int, number: int) -> int:
    """Where a field of a flatbuffers table stands, 0 where it has none."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    size, slot = int(struct.unpack_from("<H", data, vtable)[0]), 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, vtable + slot)[0]) if slot < size else 0
    return table + offset if offset else 0


def _unfit(name: str, held: str) -> RefusedError:
    what = f'the column "{name}" holds {held} where the model takes single values'
    return refused("package.column-type", what, "a body in columns", "send one value a row", field=name)
