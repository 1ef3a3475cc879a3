"""Cells of one Arrow column as numpy: the conversions that hash and encoder share, so that they can never disagree."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.errors import DataError, some


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The column of that name.

    Raises
    ------
    DataError : `rows.column-missing`
    """
    place = batch.schema.get_field_index(name)
    if place < 0:
        raise column_missing(name, batch.schema.names)
    return batch.column(place)


def column_missing(name: str, names: Sequence[str]) -> DataError:
    """The error for rows that lack a column; `names` are those they have."""
    return DataError(
        "rows.column-missing",
        f'the rows lack the column "{name}"',
        f"they have {some(names)}",
        f'give the column "{name}" (a missing value is fine, a missing column is not)',
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of that Arrow type are texts (plain, large, view or dictionary-encoded)."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def numbers64(cells: pa.Array) -> np.ndarray:
    """Cells of any Arrow number or boolean, missing as NaN: (rows,) float64 (read-only where Arrow's memory is used as it is).

    Raises
    ------
    TypeError : the cells are not numbers
    """
    return _floats(cells, pa.float64())


def as_float32(cells: pa.Array) -> np.ndarray:
    """As `numbers64`, as float32: every type but float32 itself goes through float64, so that integer width and format don't matter.

    Values beyond float32 become infinities. (rows,) float32.
    """
    if cells.type == pa.float32():
        return _floats(cells, pa.float32())
    with np.errstate(over="ignore"):
        return numbers64(cells).astype(np.float32)


def _floats(cells: pa.Array, kind: pa.DataType) -> np.ndarray:
    given = cells.type
    if pa.types.is_dictionary(given):
        cells = cells.dictionary_decode()
        given = cells.type
    if pa.types.is_null(given):
        return np.full(len(cells), np.nan, kind.to_pandas_dtype())
    if not (pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_boolean(given) or pa.types.is_decimal(given)):
        raise TypeError(f"cells of type {given} are not numbers")
    if pa.types.is_boolean(given):
        cells = cells.cast(pa.uint8())
    values = cells if cells.type == kind else cells.cast(kind, safe=False)
    if values.null_count:
        values = pc.fill_null(values, pa.scalar(float("nan"), kind))
    return np.asarray(values.to_numpy(zero_copy_only=False))
