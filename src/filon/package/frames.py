"""Rows as callers have them, pandas, polars, Arrow or plain Python, to Arrow columns by name, and answers back in kind."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from filon.errors import DataError

TAKES = "a pandas or polars DataFrame, a pyarrow Table or RecordBatch, a list of dicts, or a dict of columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller gave: its column names, its columns as they are asked for, and the way its answer goes back.

    `column` raises DataError `package.column-unreadable` for cells of no single type; `back` turns the answer into the caller's kind.
    """

    rows: int
    names: tuple[str, ...]
    column: Callable[[str], pa.Array]
    back: Callable[[pa.Table], Any]


def take(frame: object) -> Given:
    """Any table-like object; columns that nobody asks for are not even looked at.

    Raises
    ------
    DataError : `package.not-a-table`
    """
    if isinstance(frame, (pa.Table, pa.RecordBatch)):
        return _arrow(pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else frame)
    if type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
        return _pandas(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return _streamed(frame)
    if isinstance(frame, Mapping):
        return _mapping(frame)
    if isinstance(frame, Sequence) and not isinstance(frame, (str, bytes)) and all(isinstance(row, Mapping) for row in frame):
        return _rows(frame)
    why = f"it is a {type(frame).__name__}"
    raise DataError("package.not-a-table", "predict was given something that is no table", why, f"give {TAKES}")


def _as_it_is(answer: pa.Table) -> pa.Table:
    return answer


def _arrow(table: pa.Table) -> Given:
    def column(name: str) -> pa.Array:
        return one_chunk(table.column(table.schema.names.index(name)))

    return Given(rows=table.num_rows, names=tuple(table.schema.names), column=column, back=_as_it_is)


def _streamed(frame: object) -> Given:
    try:
        return _arrow(pa.table(frame))
    except (pa.ArrowException, TypeError, ValueError) as exc:  # a column alone, of pandas (a row of a frame, too) or of polars
        why = f"it is a {type(frame).__name__}: {str(exc).split('. ')[0][:200]}"
        fix = f"give {TAKES}; of a pandas frame one row is frame.iloc[[0]] or dict(frame.iloc[0])"
        raise DataError("package.not-a-table", "predict was given something that is no table", why, fix) from exc


def _pandas(frame: Any) -> Given:
    names = tuple(str(name) for name in frame.columns)

    def column(name: str) -> pa.Array:
        return _array(name, lambda: _series(frame.iloc[:, names.index(name)]))

    def back(answer: pa.Table) -> Any:
        return answer.to_pandas().set_axis(frame.index, axis="index")

    return Given(rows=len(frame), names=names, column=column, back=back)


def _mapping(frame: Mapping[Any, Any]) -> Given:
    """A dict of columns, or of plain values: then it is one row."""
    if not any(_is_column(value) for value in frame.values()):
        return _rows([frame])
    columns = {str(name): value for name, value in frame.items()}
    lengths = {name: len(value) if _is_column(value) else -1 for name, value in columns.items()}
    if len(set(lengths.values())) > 1:
        evidence = ", ".join(f"{name}: {length if length >= 0 else 'one value'}" for name, length in list(lengths.items())[:5])
        raise DataError("package.not-a-table", "the columns are not of one length", evidence, f"give {TAKES}")

    def column(name: str) -> pa.Array:
        return _array(name, lambda: pa.array(columns[name], from_pandas=True))

    return Given(rows=next(iter(lengths.values())), names=tuple(columns), column=column, back=_as_it_is)


def _is_column(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping))


def _rows(rows: Sequence[Mapping[Any, Any]]) -> Given:
    """A key that only some rows have is missing in the others."""
    names = tuple(dict.fromkeys(str(name) for row in rows for name in row))

    def column(name: str) -> pa.Array:
        return _array(name, lambda: _cells([row.get(name) for row in rows]))

    return Given(rows=len(rows), names=names, column=column, back=_as_it_is)


def _cells(values: list[Any]) -> pa.Array:
    """Plain values; whole numbers beyond 64 bits as floating ones, which is what a model takes."""
    try:
        return pa.array(values, from_pandas=True)
    except OverflowError:
        return pa.array([float(value) if type(value) is int else value for value in values], from_pandas=True)


def _series(cells: Any) -> pa.Array:
    """A column of pandas; sparse ones (of `get_dummies`) written out, which Arrow does not do."""
    if hasattr(cells.dtype, "fill_value") and hasattr(cells, "sparse"):
        cells = cells.sparse.to_dense()
    try:
        return pa.array(cells, from_pandas=True)
    except OverflowError:
        return _cells(list(cells))


def _array(name: str, make: Callable[[], Any]) -> pa.Array:
    try:
        made = make()
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as exc:
        why = str(exc).split(". ")[0][:200]
        fix = f"make the cells of {name!r} all numbers, all texts or all true/false; None where missing"
        raise DataError("package.column-unreadable", f'the column "{name}" has cells of no single type', why, fix) from exc
    return one_chunk(made)


def one_chunk(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The cells as one array; extension types as what they are stored as."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.chunk(0) if cells.num_chunks == 1 else pa.concat_arrays(_alike(cells.chunks, cells.type))
    return cells.storage if isinstance(cells, pa.ExtensionArray) else cells


def _alike(chunks: Iterable[pa.Array], kind: pa.DataType) -> list[pa.Array]:
    """Chunks that can be joined: dictionaries differ from chunk to chunk, so their values are written out."""
    if pa.types.is_dictionary(kind):
        return [chunk.dictionary_decode() for chunk in chunks] or [pa.array([], kind.value_type)]
    return list(chunks) or [pa.array([], kind)]
