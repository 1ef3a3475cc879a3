"""Columns a caller gave against the columns a bundle was sealed with: all there, each of a usable type."""

import difflib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column
from filon.engines.cast import FALSE, TRUE
from filon.errors import DataError, some
from filon.package.frames import Given
from filon.rows.cells import is_text, numbers64
from filon.rows.encode import label_text

EMPTY = {"number": pa.float64(), "boolean": pa.bool_(), "category": pa.large_string(), "date": pa.timestamp("us")}
"""Types of columns in which no cell is there to tell: SQL over them must see what it would see of others."""


def typed(given: Given, columns: Sequence[Column]) -> pa.RecordBatch:
    """The columns by name, each as the engine's reader types it: numbers, boolean, text, or (for derived columns only) as given.

    Raises
    ------
    DataError : `package.column-missing`, `package.column-twice`, `package.column-type`, `package.column-unreadable`
    """
    missing = [column.name for column in columns if column.name not in given.names]
    if missing:
        raise _missing(missing, given.names)
    twice = [column.name for column in columns if given.names.count(column.name) > 1]
    if twice:
        why = f"{some(twice)} stand more than once among the {len(given.names)} columns"
        raise DataError("package.column-twice", "a column the model needs is there twice", why, "rename or drop one of the two")
    arrays = [_typed(given.column(column.name), column) for column in columns]
    if not arrays:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * given.rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _missing(missing: Sequence[str], names: Sequence[str]) -> DataError:
    first = missing[0]
    lowered = {name.lower().strip(): name for name in reversed(names)}
    close = difflib.get_close_matches(first.lower().strip(), list(lowered), n=1, cutoff=0.6)
    near = f'; the nearest is "{lowered[close[0]]}"' if close else ""
    what = f'the column "{first}" is missing' if len(missing) == 1 else f"{len(missing)} columns are missing: {some(missing)}"
    give = f'give the column "{first}" (its cells may be missing, the column may not)'
    fix = f'rename "{lowered[close[0]]}" to "{first}"' if close else give
    return DataError("package.column-missing", what, f"the rows have {some(names)}{near}", fix)


def _typed(cells: pa.Array, column: Column) -> pa.Array:
    kind = cells.type
    if pa.types.is_dictionary(kind) and not is_text(kind):
        cells = cells.dictionary_decode()
        kind = cells.type
    if pa.types.is_null(kind):
        return cells.cast(EMPTY.get(column.kind, pa.string()))
    if column.kind in {"date", "text", "other"}:
        return cells
    if column.kind == "number":
        return _number(cells, column)
    return _boolean(cells, column) if column.kind == "boolean" else _category(cells, column)


def _number(cells: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_temporal(cells.type) and column.stored.startswith(("date", "timestamp")):
        return pc.divide(cells.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    if not _is_number(cells.type) and not pa.types.is_boolean(cells.type):
        raise _wrong(cells, column, "numbers", f'for pandas: frame["{column.name}"] = pandas.to_numeric(frame["{column.name}"])')
    if pa.types.is_float16(cells.type) or pa.types.is_decimal256(cells.type):
        cells = cells.cast(pa.float64())  # SQL over the columns takes neither
    if column.whole and pa.types.is_floating(cells.type):
        return _whole(cells)
    return cells


def _whole(cells: pa.Array) -> pa.Array:
    """A column that had no decimals in training, as integers again where pandas made it float64 for its missing cells."""
    values = numbers64(cells)
    known = values[values == values]
    if (abs(known) < 2.0**53).all() and (known % 1 == 0).all():
        return pa.array(values, from_pandas=True).cast(pa.int64())
    return cells


def _boolean(cells: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_boolean(cells.type):
        return cells
    if _is_number(cells.type):
        return pc.not_equal(pa.array(numbers64(cells), from_pandas=True), 0.0)
    if not is_text(cells.type):
        raise _wrong(cells, column, "true/false", "give booleans, 0/1, or the words of the training data")
    low = pc.utf8_lower(pc.utf8_trim_whitespace(_plain(cells)))
    true, false = (pc.is_in(low, value_set=pa.array(words, low.type)) for words in (TRUE, FALSE))
    return pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))


def _category(cells: pa.Array, column: Column) -> pa.Array:
    if is_text(cells.type):
        return pc.utf8_trim(_plain(cells), " ") if column.stored == "text" else _plain(cells)
    if _is_number(cells.type) or pa.types.is_boolean(cells.type):
        return label_text(cells)
    if pa.types.is_date(cells.type):
        return cells.cast(pa.date32()).cast(pa.string())
    if pa.types.is_timestamp(cells.type):
        return pc.strftime(cells.cast(pa.timestamp("s"), safe=False), format="%Y-%m-%d %H:%M:%S")
    raise _wrong(cells, column, "texts", f'for pandas: frame["{column.name}"] = frame["{column.name}"].astype(str)')


def _plain(cells: pa.Array) -> pa.Array:
    return cells.cast(pa.large_string())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _wrong(cells: pa.Array, column: Column, wanted: str, fix: str) -> DataError:
    what = f'the column "{column.name}" holds {_word(cells.type)} where the model takes {wanted}'
    return DataError("package.column-type", what, f"its type is {cells.type}; in training it was {column.kind} ({column.stored})", fix)


def _word(kind: pa.DataType) -> str:
    if is_text(kind):
        return "texts"
    return "dates" if pa.types.is_temporal(kind) else f"cells of type {kind}"
