"""A table of the embedded engine: lazy, streamed as typed Arrow batches in a fixed order."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from filon.engines.base import Source
from filon.engines.cast import literal, quoted
from filon.engines.embedded import direct, functions
from filon.engines.embedded.deriving import bind_where
from filon.engines.embedded.fetching import localised
from filon.engines.embedded.sampling import LowestRows
from filon.engines.embedded.session import connect, executed, in_our_words, planned
from filon.engines.embedded.views import STORED, make_views, misfit_of, scan, stored_of, with_where
from filon.engines.modules import is_python
from filon.engines.storage import has_space
from filon.events import Event, Listen, silence
from filon.rows.encode import label_text
from filon.rows.hash import row_hash

if TYPE_CHECKING:
    import duckdb

__all__ = ["ROWS", "EmbeddedTable", "misfit_of", "open_table", "stored_of"]

ROWS = 1 << 16

DEFAULT_MEMORY_MIB = 2048


class EmbeddedTable:
    """Rows of a source, typed. Nothing is read until rows are asked for.

    `source` has the kinds of derived columns settled. `misfits` names the columns in which a cell may not fit its kind: their texts
    can be asked of `batches` under `misfit_of(name)`, and every source column as it stands in the files under `stored_of(name)`.
    """

    def __init__(
        self, local: Source, connection: "duckdb.DuckDBPyConnection", scratch: Path, misfits: tuple[str, ...], listen: Listen
    ) -> None:
        self._local, self._connection, self._scratch, self._listen = local, connection, scratch, listen
        self._view, self._passes = "typed", 0
        self._parquet: Source | None = local if local.format == "parquet" else None
        self.lowest: LowestRows | None = None
        self.misfits = misfits
        self.source = local

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, the source's first."""
        return tuple(column.name for column in self.source.columns)

    def batches(self, columns: Sequence[str] | None = None, rows_per_batch: int = ROWS) -> Iterator[pa.RecordBatch]:
        """Typed rows in the order of the files, in bounded memory.

        The second pass over a CSV writes its typed rows to scratch first (see `settle`).

        Parameters
        ----------
        columns : names in the order wanted, `misfit_of(name)` and `stored_of(name)` among them; None for all columns
        rows_per_batch : at most so many rows a batch

        Raises
        ------
        DataError, RecipeError, SetupError : `read.*`, while rows are read
        """
        names = self.names if columns is None else tuple(columns)
        as_stored = any(name.startswith(STORED) for name in names)
        self._passes += not as_stored
        if self._passes > 1 and not as_stored:
            self.settle()
        with in_our_words(self.source, self._scratch):
            plain = None if self._parquet is None else direct.plain(self._parquet, names)
            if plain is not None and self._parquet is not None:
                yield from direct.stream(self._parquet, plain, rows_per_batch)
                return
            view = "typed" if as_stored else self._view
            wanted = ", ".join(quoted(name) for name in names) or "1"
            with planned(self._connection, len(names)):
                reader = self._connection.cursor().sql(f"SELECT {wanted} FROM {view}").to_arrow_reader(rows_per_batch)
            for batch in reader:
                if batch.num_rows:
                    yield batch

    def rows(self) -> int:
        """Number of rows (for Parquet without a filter, from the footers alone)."""
        with in_our_words(self.source, self._scratch):
            found = executed(self._connection.cursor(), f"SELECT count(*) FROM {self._view}").fetchone()
        return int(found[0]) if found else 0

    def settle(self) -> None:
        """Write a CSV's typed rows to scratch once, so that later passes need not parse it again; Parquet stays as it is.

        Where the disk has no room for it, later passes parse again.
        """
        target = self._scratch / "typed.parquet"
        if (
            self._parquet is not None
            or self._view != "typed"
            or not has_space(self._scratch, sum(file.size_bytes for file in self.source.files))
        ):
            return
        self._listen(Event(stage="read", text="typing the rows of the CSV, once for all later passes"))
        names = (*self.names, *(misfit_of(name) for name in self.misfits))
        with in_our_words(self.source, self._scratch):
            shown = ", ".join(quoted(name) for name in names)
            copied = f"COPY (SELECT {shown} FROM {self._view}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION lz4_raw)"
            with planned(self._connection, len(names)):
                executed(self._connection, copied)
            self._connection.execute(f"CREATE VIEW settled AS SELECT * FROM read_parquet({literal(str(target))})")
        self._view = "settled"

    def sample(self, most: int, per_class: int = 0) -> pa.Table:
        """At most `most` rows with the lowest row hashes, and at least `per_class` of each class where there are that many.

        Returns
        -------
        all columns typed, in the order of the hashes
        """
        if self.lowest is not None and most <= self.lowest.most and per_class <= self.lowest.per_class:
            found = self.lowest.table(most, per_class)
            return pa.table({name: pa.nulls(0) for name in self.names}) if found is None else found.select(self.names)
        columns = self.source.columns
        features = [one.name for one in columns if one.role == "feature" and one.kind in ("number", "boolean", "category")]
        label = next(iter(self.source.names("label")), None)
        kept = LowestRows(most, per_class)
        for batch in self.batches():
            texts = None if label is None else label_text(batch.column(batch.schema.get_field_index(label)))
            kept.add(batch, row_hash(batch, features), texts)
        rows = kept.table(most, per_class)
        return pa.table({name: pa.nulls(0) for name in self.names}) if rows is None else rows

    def remember(self, lowest: LowestRows) -> None:
        """Keep the lowest rows of a pass over all columns, by the hash that `sample` takes: a small sample needs no pass then."""
        self.lowest = lowest

    def close(self) -> None:
        """Free the connection; the scratch folder is the engine's to remove."""
        self._connection.close()


def open_table(source: Source, scratch: Path, threads: int = 2, memory_mib: int = 0, listen: Listen = silence) -> EmbeddedTable:
    """A lazy table over the source's files.

    Parameters
    ----------
    scratch : a folder in which the table makes one of its own, for copies and spills
    memory_mib : most that queries may hold, 0 for a default

    Raises
    ------
    RecipeError : `read.derive-*`
    SetupError, DataError : while files are copied
    """
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="table-", dir=scratch))
    local = localised(source, folder, listen)
    connection = connect(folder, threads, memory_mib or DEFAULT_MEMORY_MIB)
    with in_our_words(source, folder):
        connection.execute(f"CREATE VIEW raw AS SELECT * FROM {scan(local)}")
        columns, misfits = make_views(connection, local, folder)
    local = replace(local, columns=columns)
    if any(is_python(column.sql) for column in columns):
        local = _with_functions(connection, local, misfits, folder)
    table = EmbeddedTable(local, connection, folder, misfits, listen)
    table.source = replace(source, columns=local.columns)
    return table


def _with_functions(connection: "duckdb.DuckDBPyConnection", local: Source, misfits: tuple[str, ...], folder: Path) -> Source:
    """Run the Python functions once over all rows, into scratch, and put the view `typed` over that."""
    import pyarrow.parquet as pq

    plain = [column for column in local.columns if not column.sql]
    of_sql = [column for column in local.columns if column.sql and not is_python(column.sql)]
    names = [column.name for column in (*plain, *of_sql)] + [misfit_of(name) for name in misfits] + [stored_of(one.name) for one in plain]
    wanted = ", ".join(quoted(name) for name in names)
    target = folder / "functions.parquet"
    writer = None
    columns = local.columns
    with in_our_words(local, folder):
        with planned(connection, len(names)):
            reader = connection.cursor().sql(f"SELECT {wanted} FROM typed").to_arrow_reader(ROWS)
        for batch in reader:
            seen = batch.select([column.name for column in plain])
            if writer is None:
                columns = tuple(functions.settle(one, seen, local.base) if is_python(one.sql) else one for one in columns)
            whole = functions.apply(seen, columns, local.base)
            added = [name for name in whole.schema.names if name not in seen.schema.names]
            rows = pa.RecordBatch.from_arrays([*batch.columns, *(whole.column(name) for name in added)], names=[*names, *added])
            writer = writer or pq.ParquetWriter(target, rows.schema, compression="lz4")
            writer.write_batch(rows)
        if writer is None:
            return local
        writer.close()
        connection.execute(f"CREATE VIEW calculated AS SELECT * FROM read_parquet({literal(str(target))})")
        if local.where:
            bind_where(connection, local.where, "calculated", [column.name for column in columns])
        connection.execute(f"CREATE OR REPLACE VIEW typed AS SELECT * FROM calculated{with_where(local)}")
    return replace(local, columns=columns)
