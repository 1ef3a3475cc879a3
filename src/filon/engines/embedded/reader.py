"""A table of the embedded engine: a lazy DuckDB view over the files, streamed as typed Arrow batches in a fixed order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from filon.engines.base import Column, Source
from filon.engines.cast import literal, misfit, quoted, typed
from filon.engines.embedded.deriving import as_kind, bind, bind_where, is_python, kind_of, mentions, settled
from filon.engines.embedded.fetching import localised
from filon.engines.embedded.session import connect, in_our_words
from filon.engines.kinds import is_free_text
from filon.events import Event, Listen, silence

if TYPE_CHECKING:
    import duckdb

MISFIT = "misfit:"
"""Prefix of the columns that hold the text of cells which do not fit their kind (NULL where they do)."""

STORED = "stored:"
"""Prefix of the source columns as they stand in the files: what is kept beside scores must come out as it went in ("007", not 7.0)."""

ROWS = 1 << 16
MAX_LINE = 64 << 20
LOOK = 4000
"""Rows of a derived text looked at to tell free text from categories."""


class EmbeddedTable:
    """Rows of a source, typed. Nothing is read until rows are asked for.

    `source` has the kinds of derived columns settled. `misfits` names the columns in which a cell may not fit its kind: their texts
    can be asked of `batches` under `misfit_of(name)`.
    """

    def __init__(self, source: Source, connection: "duckdb.DuckDBPyConnection", scratch: Path, view: str, misfits: tuple[str, ...]) -> None:
        self._source, self._connection, self._scratch, self._view = source, connection, scratch, view
        self.misfits = misfits

    @property
    def source(self) -> Source:
        """Files and columns; the kinds of derived columns are settled."""
        return self._source

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, the source's first."""
        return tuple(column.name for column in self._source.columns)

    def batches(self, columns: Sequence[str] | None = None, rows_per_batch: int = ROWS) -> Iterator[pa.RecordBatch]:
        """Typed rows in the order of the files, in bounded memory.

        Parameters
        ----------
        columns : names in the order wanted, `misfit_of(name)` and `stored_of(name)` among them; None for all columns
        rows_per_batch : at most so many rows a batch

        Raises
        ------
        DataError, RecipeError, SetupError : `read.*`, while rows are read
        """
        names = self.names if columns is None else columns
        wanted = ", ".join(quoted(name) for name in names)
        view = "typed" if any(name.startswith(STORED) for name in names) else self._view
        with in_our_words(self._source, self._scratch):
            cursor = self._connection.cursor()
            reader = cursor.sql(f"SELECT {wanted or '1'} FROM {view}").to_arrow_reader(rows_per_batch)
            for batch in reader:
                if batch.num_rows:
                    yield batch

    def rows(self) -> int:
        """Number of rows (for Parquet without a filter, from the footers alone)."""
        with in_our_words(self._source, self._scratch):
            found = self._connection.cursor().execute(f"SELECT count(*) FROM {self._view}").fetchone()
        return int(found[0]) if found else 0

    def settle(self, listen: Listen = silence) -> None:
        """Write a CSV's typed rows to scratch once, so that later passes need not parse it again; Parquet stays as it is."""
        target = self._scratch / "typed.parquet"
        if self._source.format == "parquet" or target.exists():
            return
        listen(Event(stage="read", text="typing the rows of the CSV, once for all passes"))
        with in_our_words(self._source, self._scratch):
            names = ", ".join(quoted(name) for name in (*self.names, *(misfit_of(name) for name in self.misfits)))
            rows = f"SELECT {names} FROM {self._view}"
            self._connection.execute(f"COPY ({rows}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION lz4_raw)")
            self._connection.execute(f"CREATE OR REPLACE VIEW settled AS SELECT * FROM read_parquet({literal(str(target))})")
        self._view = "settled"

    def close(self) -> None:
        """Free the connection; the scratch folder is the engine's to remove."""
        self._connection.close()


def misfit_of(name: str) -> str:
    """Name under which `EmbeddedTable.batches` gives the texts that do not fit the column of that name."""
    return MISFIT + name


def stored_of(name: str) -> str:
    """Name under which `EmbeddedTable.batches` gives a source column as it stands in the files (CSV: text)."""
    return STORED + name


def open_table(source: Source, scratch: Path, threads: int = 2, memory_mib: int = 2048, listen: Listen = silence) -> EmbeddedTable:
    """A lazy table over the source's files.

    Parameters
    ----------
    scratch : a folder of this table's own, for copies and spills
    memory_mib : most that DuckDB may hold

    Raises
    ------
    RecipeError : `read.derive-*`
    SetupError, DataError : while files are copied
    """
    scratch.mkdir(parents=True, exist_ok=True)
    local = localised(source, scratch, listen)
    connection = connect(scratch, threads, memory_mib)
    with in_our_words(source, scratch):
        connection.execute(f"CREATE VIEW raw AS SELECT * FROM {_scan(local)}")
    columns, misfits = _views(connection, local, scratch)
    return EmbeddedTable(replace(source, columns=columns), connection, scratch, "typed", misfits)


def _scan(source: Source) -> str:
    """The table function that reads the files, CSV cells as text."""
    paths = "[" + ", ".join(literal(file.path) for file in source.files) + "]"
    hive = f", hive_partitioning = {'true' if source.files[0].partition else 'false'}, hive_types_autocast = false"
    if source.format == "parquet":
        return f"read_parquet({paths}{hive}{', union_by_name = true' if len(source.files) > 1 else ''})"
    dialect = source.dialect
    assert dialect is not None
    inside = {name for name, _value in source.files[0].partition}
    stored = [column.name for column in source.columns if not column.sql and column.name not in inside]
    names = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in stored)
    options = {
        "columns": "{" + names + "}",
        "header": "true" if dialect.header else "false",
        "delim": literal(dialect.separator),
        "quote": literal(dialect.quote),
        "escape": literal(dialect.quote),
        "compression": literal(dialect.compression or "none"),
        "max_line_size": str(MAX_LINE),
        "auto_detect": "false",
    }
    return f"read_csv({paths}, {', '.join(f'{key} = {value}' for key, value in options.items())}{hive})"


def _views(connection: "duckdb.DuckDBPyConnection", source: Source, scratch: Path) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Make the view `typed` over `raw`; the columns with settled kinds, and the names that may hold misfits."""
    plain = [column for column in source.columns if not column.sql]
    derived = [column for column in source.columns if column.sql]
    whole = {column.name for column in plain if column.whole and mentions(column.name, source)}
    cells = [f"{_seen(column, source, whole)} AS {quoted(column.name)}" for column in plain]
    misfits = tuple(column.name for column in plain if misfit(column, source.dialect) != "FALSE")
    odd = [
        f"CASE WHEN {misfit(c, source.dialect)} THEN {quoted(c.name)} ELSE NULL END AS {quoted(misfit_of(c.name))}"
        for c in plain
        if c.name in misfits
    ]
    stored = [f"{quoted(column.name)} AS {quoted(stored_of(column.name))}" for column in plain]
    connection.execute(f"CREATE VIEW cells AS SELECT {', '.join([*cells, *odd, *stored])} FROM raw")
    names = [column.name for column in plain]
    types = {column.name: bind(connection, column, "cells", names) for column in derived if not is_python(column.sql)}
    added = [f"(\n{column.sql}\n) AS {quoted(column.name)}" for column in derived if column.name in types]
    connection.execute(f"CREATE VIEW derived AS SELECT {', '.join(['*', *added])} FROM cells")
    derived = [_settle(connection, column, types[column.name], source, scratch) for column in derived if column.name in types]
    if source.where:
        bind_where(connection, source.where, "derived", names)
    shown = [f"CAST({quoted(c.name)} AS DOUBLE) AS {quoted(c.name)}" if c.name in whole else quoted(c.name) for c in plain]
    shown += [f"{as_kind(column, types[column.name])} AS {quoted(column.name)}" for column in derived]
    shown += [quoted(misfit_of(name)) for name in misfits] + [quoted(stored_of(column.name)) for column in plain]
    where = f" WHERE (\n{source.where}\n)" if source.where else ""
    connection.execute(f"CREATE VIEW typed AS SELECT {', '.join(shown)} FROM derived{where}")
    return (*plain, *derived), misfits


def _seen(column: Column, source: Source, whole: set[str]) -> str:
    """The typed cell; a whole number that the recipe's SQL names is a BIGINT there, and one with decimals an error, not a silent loss."""
    cell = typed(column, source.dialect)
    if column.name not in whole:
        return cell
    said = literal(f'filon: "{column.name}" is not whole')
    return f"CASE WHEN ({cell}) IS NULL OR ({cell}) = floor({cell}) THEN CAST({cell} AS BIGINT) ELSE error({said}) END"


def _settle(connection: "duckdb.DuckDBPyConnection", column: Column, sql_type: str, source: Source, scratch: Path) -> Column:
    """A derived column with its kind: declared, or of DuckDB's type and (texts) of the first rows."""
    if column.stored:
        return settled(column, column.kind, sql_type)
    kind = kind_of(sql_type)
    if kind == "category":
        with in_our_words(source, scratch):
            cells = connection.execute(f"SELECT {quoted(column.name)} FROM derived LIMIT {LOOK}").fetchall()
        kind = "text" if is_free_text(Counter(str(cell[0]) for cell in cells if cell[0] is not None)) else "category"
    return settled(column, kind, sql_type)
