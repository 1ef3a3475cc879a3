"""Columns derived by Python functions of the user: `module:function`, from a batch of typed rows to an array of as many cells."""

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from filon.engines.base import Column, Kind
from filon.engines.embedded.deriving import settled
from filon.engines.kinds import is_free_text
from filon.engines.modules import is_python
from filon.errors import RecipeError
from filon.rows.cells import is_text

ARROW = {"number": pa.float64(), "boolean": pa.bool_(), "date": pa.timestamp("us"), "category": pa.string(), "text": pa.string()}


def apply(batch: pa.RecordBatch, columns: Sequence[Column], base: str) -> pa.RecordBatch:
    """The batch with the columns that functions derive of it added, in the columns' kinds.

    Parameters
    ----------
    batch : typed rows
    columns : derived columns of which only those of Python functions are looked at, with settled kinds
    base : folder in which modules are looked for first (the recipe's)

    Raises
    ------
    RecipeError : `read.derive-python`
    """
    added = {column.name: call(column, batch, base) for column in columns if column.sql and is_python(column.sql)}
    cells = {name: _as_kind(array, column_of(columns, name)) for name, array in added.items()}
    names = [name for name in batch.schema.names if name not in cells]
    return pa.RecordBatch.from_arrays([*(batch.column(name) for name in names), *cells.values()], names=[*names, *cells])


def column_of(columns: Sequence[Column], name: str) -> Column:
    """The column of that name."""
    return next(column for column in columns if column.name == name)


def call(column: Column, batch: pa.RecordBatch, base: str) -> pa.Array:
    """What the function of a column makes of a batch.

    Raises
    ------
    RecipeError : `read.derive-python`
    """
    function = _function(column, base)
    try:
        found = function(batch)
        array = found if isinstance(found, pa.Array) else found.combine_chunks() if isinstance(found, pa.ChunkedArray) else pa.array(found)
    except Exception as exc:  # the user's own code may raise anything
        raise _failed(column, f"it raised {type(exc).__name__}: {exc}") from exc
    if len(array) != batch.num_rows:
        raise _failed(column, f"it gave {len(array)} cells for {batch.num_rows} rows")
    return array


def _function(column: Column, base: str) -> Callable[[pa.RecordBatch], Any]:
    module, _, name = column.sql.partition(":")
    try:
        with _importable_from(base):
            found = getattr(importlib.import_module(module), name)
    except Exception as exc:  # a module may raise anything while it is imported
        raise _failed(column, f"it cannot be imported: {type(exc).__name__}: {exc}") from exc
    if not callable(found):
        raise _failed(column, f"{name} is a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


@contextmanager
def _importable_from(base: str) -> Iterator[None]:
    if not base or base in sys.path:
        yield
        return
    sys.path.insert(0, base)
    try:
        yield
    finally:
        sys.path.remove(base)


def settle(column: Column, batch: pa.RecordBatch, base: str) -> Column:
    """The column with its kind: declared, or of the type the function gives for some rows.

    Raises
    ------
    RecipeError : `read.derive-python`, `read.derive-not-rowwise` (halves of the rows give other cells than the whole)
    """
    whole = call(column, batch, base)
    half = batch.num_rows // 2
    if half:
        parts = [call(column, batch.slice(0, half), base), call(column, batch.slice(half), base)]
        if pa.chunked_array([part.cast(whole.type) for part in parts]).combine_chunks() != whole and not _close(parts, whole):
            raise RecipeError(
                "read.derive-not-rowwise",
                f"data.derive.{column.name} looks beyond its row",
                f"{column.sql} gives other cells for halves of the rows than for all of them",
                "write a function of one row's columns, without means, ranks or counts over the batch",
            )
    kind = column.kind if column.stored else _kind(whole)
    return settled(column, kind, str(whole.type))


def _close(parts: Sequence[pa.Array], whole: pa.Array) -> bool:
    """Whether numbers agree but for NaN, which equals nothing."""
    import numpy as np

    if not pa.types.is_floating(whole.type):
        return False
    left = np.concatenate([part.cast(pa.float64()).to_numpy(zero_copy_only=False) for part in parts])
    return bool(np.allclose(left, whole.cast(pa.float64()).to_numpy(zero_copy_only=False), rtol=1e-6, equal_nan=True))


def _kind(array: pa.Array) -> Kind:
    kind = array.type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    if is_text(kind):
        return "text" if is_free_text(Counter(str(cell) for cell in array.to_pylist() if cell is not None)) else "category"
    return "other"


def _as_kind(array: pa.Array, column: Column) -> pa.Array:
    wanted = ARROW.get(column.kind)
    try:
        return array if wanted is None or array.type == wanted else array.cast(wanted, safe=False)
    except pa.ArrowException as exc:
        raise _failed(column, f"its cells of type {array.type} cannot become a {column.kind}: {exc}") from exc


def _failed(column: Column, reason: str) -> RecipeError:
    return RecipeError(
        "read.derive-python",
        f"the function of data.derive.{column.name} did not work",
        f"{column.sql}: {reason}"[:400],
        "the function takes a pyarrow.RecordBatch of the source's columns and returns an array with one cell a row",
    )
