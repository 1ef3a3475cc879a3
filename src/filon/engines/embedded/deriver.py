"""Derived columns of rows in memory, by the reader's own views: what a served row goes through is what a training row went through."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column, Source
from filon.engines.cast import quoted
from filon.engines.embedded.functions import apply
from filon.engines.embedded.session import connect, in_our_words
from filon.engines.embedded.views import make_views
from filon.engines.modules import is_python
from filon.errors import DataError
from filon.rows.cells import is_text

if TYPE_CHECKING:
    import duckdb

MEMORY_MIB = 1024


class Deriver:
    """Adds derived columns to typed source rows. The views are made once per schema: a call then takes milliseconds."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._open: dict[str, duckdb.DuckDBPyConnection] = {}
        self._one_at_a_time = threading.Lock()
        self._scratch = Path(tempfile.mkdtemp(prefix="filon-derive-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Source and derived columns, in the order given.

        Parameters
        ----------
        batch : source columns by name, typed (not-a-number counts as missing)

        Raises
        ------
        RecipeError : `read.derive-sql`; DataError, EngineError : `read.*`, when a row's values break an expression, or a text where
            a date belongs is none
        """
        batch = _without_nan(batch)
        source = self._source(batch.schema)
        wanted = ", ".join(quoted(column.name) for column in self.columns if not is_python(column.sql))
        with self._one_at_a_time, in_our_words(source, self._scratch):
            connection = self._connection(batch, source)
            connection.register("raw", batch)
            try:
                found = connection.sql(f"SELECT {wanted} FROM typed").to_arrow_table()
            finally:
                connection.unregister("raw")
        rows = pa.RecordBatch.from_arrays([cells.combine_chunks() for cells in found.columns], names=found.column_names)
        self._refuse_no_dates(batch, rows)
        given = [column.name for column in self.columns if not column.sql]
        calculated = apply(rows.select(given), self.columns, base="")  # the modules of a served model are installed ones
        every = {
            **dict(zip(rows.schema.names, rows.columns, strict=True)),
            **dict(zip(calculated.schema.names, calculated.columns, strict=True)),
        }
        return pa.RecordBatch.from_arrays([every[column.name] for column in self.columns], names=[column.name for column in self.columns])

    def _refuse_no_dates(self, batch: pa.RecordBatch, rows: pa.RecordBatch) -> None:
        """An expression over such a cell would take it for a missing one."""
        for column in self.columns:
            if column.sql or column.kind != "date" or not is_text(batch.schema.field(column.name).type):
                continue
            texts = pc.utf8_trim_whitespace(batch.column(column.name).cast(pa.large_string()))
            lost = pc.and_kleene(pc.not_equal(texts, ""), pc.is_null(rows.column(column.name)))
            if pc.any(lost).as_py():
                first = pc.filter(texts, lost)[0].as_py()
                form = f"in the format {column.format}" if column.format else "as 2026-01-31 or 2026-01-31T12:00:00Z"
                why = f"it is {first[:80]!r}, and data.derive calculates with it"
                raise DataError(
                    "read.derive-failed", f'a cell of "{column.name}" is not a date', why, f"write it {form}; leave it empty where unknown"
                )

    def _source(self, schema: pa.Schema) -> Source:
        """The columns, each source column as the rows have it now."""
        columns = tuple(column if column.sql else replace(column, stored=str(schema.field(column.name).type)) for column in self.columns)
        return Source(format="parquet", files=(), dialect=None, columns=columns, origin="the rows given")

    def _connection(self, batch: pa.RecordBatch, source: Source) -> "duckdb.DuckDBPyConnection":
        key = str(batch.schema)
        if key not in self._open:
            connection = connect(self._scratch, 1, MEMORY_MIB)
            connection.register("raw", batch)
            make_views(connection, source, self._scratch)
            self._open[key] = connection
        return self._open[key]


def _without_nan(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = []
    for cells in batch.columns:
        floating = pa.types.is_floating(cells.type)
        arrays.append(pa.array(cells.to_numpy(zero_copy_only=False), cells.type, from_pandas=True) if floating else cells)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
