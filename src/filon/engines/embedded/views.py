"""The SQL views of a table: `raw` rows as they stand in the files, `cells` typed, `derived` with the recipe's columns, `typed` for use."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from filon.engines.base import Column, Source
from filon.engines.cast import FRACTIONAL, literal, misfit, quoted, typed
from filon.engines.embedded.deriving import as_kind, bind, bind_where, kind_of, mentioned, settled, sql_of
from filon.engines.embedded.session import executed, in_our_words
from filon.engines.kinds import is_free_text
from filon.engines.modules import is_python

if TYPE_CHECKING:
    import duckdb

MISFIT = "misfit:"
"""Prefix of the columns that hold the text of cells which do not fit their kind (NULL where they do)."""

STORED = "stored:"
"""Prefix of the source columns as they stand in the files: what is kept beside scores must come out as it went in ("007", not 7.0)."""

MAX_LINE = 64 << 20
LOOK = 4000
"""Rows of a derived text looked at to tell free text from categories."""


def misfit_of(name: str) -> str:
    """Name under which `EmbeddedTable.batches` gives the texts that do not fit the column of that name."""
    return MISFIT + name


def stored_of(name: str) -> str:
    """Name under which `EmbeddedTable.batches` gives a source column as it stands in the files (CSV: text)."""
    return STORED + name


def scan(source: Source) -> str:
    """The table function that reads the files, CSV cells as text."""
    paths = "[" + ", ".join(literal(_exact(file.path)) for file in source.files) + "]"
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


def _exact(path: str) -> str:
    """A path whose signs of a pattern stand for themselves: DuckDB would take them for a glob, and read another file."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def make_views(connection: "duckdb.DuckDBPyConnection", source: Source, scratch: Path) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Make `cells`, `derived` and `typed` over the view `raw`.

    Columns derived by Python functions are left to the caller, and so is the filter when there are any (it may name them).

    Returns
    -------
    the columns with the kinds of derived ones settled, and the names of source columns that may hold misfits

    Raises
    ------
    RecipeError : `read.derive-sql`, `read.derive-not-rowwise`
    """
    plain = [column for column in source.columns if not column.sql]
    derived = [column for column in source.columns if column.sql and not is_python(column.sql)]
    functions = [column for column in source.columns if column.sql and is_python(column.sql)]
    misfits = tuple(column.name for column in plain if misfit(column, source.dialect) != "FALSE")
    said = sql_of(source)
    _make_cells(connection, source, plain, misfits, said)
    names = [column.name for column in plain]
    types = {column.name: bind(connection, column, "cells", names, [one.name for one in derived]) for column in derived}
    added = [f"(\n{column.sql}\n) AS {quoted(column.name)}" for column in derived]
    connection.execute(f"CREATE VIEW derived AS SELECT {', '.join(['*', *added])} FROM cells")
    derived = [_settle(connection, column, types[column.name], source, scratch) for column in derived]
    where = ""
    if source.where and not functions:
        bind_where(connection, source.where, "derived", names)
        where = f" WHERE (\n{source.where}\n)"
    shown = [
        f"CAST({quoted(c.name)} AS DOUBLE) AS {quoted(c.name)}" if c.whole and mentioned(c.name, said) else quoted(c.name) for c in plain
    ]
    shown += [f"{as_kind(column, types[column.name])} AS {quoted(column.name)}" for column in derived]
    shown += [quoted(misfit_of(name)) for name in misfits] + [quoted(stored_of(column.name)) for column in plain]
    connection.execute(f"CREATE VIEW typed AS SELECT {', '.join(shown)} FROM derived{where}")
    kinds = {column.name: column for column in derived}
    return tuple(kinds.get(column.name, column) for column in source.columns), misfits


def _make_cells(connection: "duckdb.DuckDBPyConnection", source: Source, plain: list[Column], misfits: tuple[str, ...], said: str) -> None:
    odd = frozenset(misfits)
    shown = [f"{_seen(column, source, said)} AS {quoted(column.name)}" for column in plain]
    shown += [_misfit(column, source) for column in plain if column.name in odd]
    shown += [f"{quoted(column.name)} AS {quoted(stored_of(column.name))}" for column in plain]
    connection.execute(f"CREATE VIEW cells AS SELECT {', '.join(shown)} FROM raw")


def _misfit(column: Column, source: Source) -> str:
    return f"CASE WHEN {misfit(column, source.dialect)} THEN {quoted(column.name)} ELSE NULL END AS {quoted(misfit_of(column.name))}"


def _seen(column: Column, source: Source, said: str) -> str:
    """The typed cell, in columns that the recipe's SQL names with NaN as NULL (which compares as missing, not as the largest number).

    A whole number is a BIGINT there, and a cell with decimals among them an error, not a silent loss."""
    cell = typed(column, source.dialect)
    if column.kind != "number" or not mentioned(column.name, said):
        return cell
    if column.stored == "text" or column.stored in FRACTIONAL:
        cell = f"CASE WHEN isnan({cell}) THEN NULL ELSE {cell} END"
    if not column.whole:
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
            cells = executed(connection, f"SELECT {quoted(column.name)} FROM derived LIMIT {LOOK}").fetchall()
        kind = "text" if is_free_text(Counter(str(cell[0]) for cell in cells if cell[0] is not None)) else "category"
    return settled(column, kind, sql_type)


def with_where(source: Source) -> str:
    """The filter as an SQL suffix ("" without one)."""
    return f" WHERE (\n{source.where}\n)" if source.where else ""
