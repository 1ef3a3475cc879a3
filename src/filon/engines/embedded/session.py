"""A DuckDB connection that touches nothing but its scratch folder, and its errors in Filon's words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filon import interrupts
from filon.engines.base import Source
from filon.engines.storage import disk_full
from filon.errors import DataError, EngineError, FilonError, RecipeError, SetupError

if TYPE_CHECKING:
    import duckdb

WIDE = 500
"""Columns of a statement above which planning it costs more than it saves."""


def connect(scratch: Path, threads: int, memory_mib: int) -> "duckdb.DuckDBPyConnection":
    """A connection in memory: no home folder, no extension fetched, spilling to scratch, rows in the order of the files, times in UTC."""
    import duckdb

    spill = scratch / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": max(1, threads),
        "memory_limit": f"{memory_mib}MiB",
        "temp_directory": str(spill),
        "extension_directory": str(scratch / "extensions"),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    }
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    # A long IN list becomes a join, and a join gives up the order of the rows (seen in DuckDB 2.0)
    connection.execute("SET disabled_optimizers = 'in_clause'")
    return connection


def executed(connection: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.DuckDBPyConnection":
    """The same connection with the result of a statement that may take long; Ctrl-C ends it."""
    with interrupts.by(connection.interrupt):
        return connection.execute(sql)


@contextmanager
def planned(connection: "duckdb.DuckDBPyConnection", columns: int) -> Iterator[None]:
    """For the statement of a pass over so many columns: a very wide one goes without DuckDB's optimizer.

    Nothing is gained by one where all columns are asked for, and its time grows with their square: minutes for 3,000 columns of a CSV.
    """
    if columns <= WIDE:
        yield
        return
    connection.execute("SET enable_optimizer = false")
    try:
        yield
    finally:
        connection.execute("SET enable_optimizer = true")


@contextmanager
def in_our_words(source: Source, scratch: Path) -> Iterator[None]:
    """Translate what DuckDB raises while rows are read."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except FilonError:
        raise
    except (duckdb.Error, pa.ArrowException, OSError) as exc:  # a query's stream raises Arrow's errors
        raise translated(exc, source, scratch) from exc


def translated(exc: Exception, source: Source, scratch: Path) -> FilonError:
    """A coded error for what DuckDB raised while it read `source`."""
    said = str(exc)
    low = said.lower()
    if (found := _of_sql(said, source)) is not None:
        return found
    line = re.search(r"CSV Error on Line: (\d+)", said)
    where = f"line {int(line[1]):,}" if line else "some line"
    file = re.search(r"^\s*file = (.+)$", said, re.MULTILINE)
    name = Path(file[1]).name if file else source.origin
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said)
    fix = "quote the cells that hold the separator, or set data.csv.separator and data.csv.quote"
    if counts:
        return DataError(
            "read.ragged",
            f"the lines of {source.origin} do not have the same number of cells",
            f"{where} of {name} has {counts[2]} cells, not {counts[1]}",
            fix,
        )
    if "unterminated quote" in low or "quote should be followed" in low:
        return DataError(
            "read.quote",
            f"a quotation mark in {source.origin} is not closed",
            f"{where} of {name} opens or closes one in the wrong place",
            'double the marks inside quoted cells, or set data.csv.quote = ""',
        )
    if "unicode" in low or "utf-8" in low or "utf8" in low:
        return DataError(
            "read.encoding",
            f"{source.origin} is not written in UTF-8",
            f"{where} of {name} holds bytes that are no UTF-8",
            'set data.csv.encoding = "cp1252" (or what the file was saved as)',
        )
    if "maximum line size" in low:
        return DataError(
            "read.line-too-long",
            f"a line of {source.origin} is longer than Filon reads",
            f"{where} of {name} is longer than 64 MiB",
            "look for a quotation mark that is never closed, or drop the column with the huge cells",
        )
    if "gzip" in low or "zlib" in low or "miniz" in low or "decompress" in low or "deflate" in low:
        return DataError(
            "read.gzip-damaged",
            f"{source.origin} is not a whole gzip file",
            _first(said),
            "fetch it again; `gzip -t FILE` tells whether it is whole",
        )
    if "hive partition mismatch" in low:
        return DataError(
            "read.schemas-differ",
            "the folders of the source do not name the same columns",
            _first(said),
            "name each folder column=value, an equals sign in the value as %3D",
        )
    if "parquet" in low or "thrift" in low or "snappy" in low or "magic bytes" in low:
        return DataError(
            "read.parquet-damaged",
            f"{source.origin} holds a Parquet file that is not whole",
            _first(said),
            "write it again; a Parquet file ends with the bytes PAR1, and one that was cut does not",
        )
    if "no space left" in low or "disk is full" in low or "could not write" in low or "failed to offload" in low:
        return disk_full(scratch, sum(one.size_bytes for one in source.files), _first(said))
    if "out of memory" in low:
        return SetupError(
            "read.memory",
            "there is not memory enough to read the table",
            _first(said),
            "give it more memory, or drop columns the model does not need",
        )
    if "csv error" in low:
        return DataError(
            "read.csv-damaged", f"{source.origin} cannot be read as CSV", f"{where} of {name}: {_first(said.split(chr(10), 2)[-1])}", fix
        )
    return EngineError("read.failed", f"{source.origin} could not be read", _first(said), "run with --debug and look at the file")


def _of_sql(said: str, source: Source) -> FilonError | None:
    """The error of an expression of the recipe that failed on some row, if it is one."""
    whole = re.search(r"filon: \"(.+)\" is not whole", said)
    if whole:
        return RecipeError(
            "read.derive-not-whole",
            f'the column "{whole[1]}" was taken for whole numbers, and some cell has decimals',
            "the cells sampled had none, so the recipe's SQL sees a BIGINT",
            f"declare it: [data.columns] {whole[1]!r} = 'number'",
        )
    written = source.where or any(column.sql for column in source.columns)
    if written and re.search(r"(Conversion|Out of Range|Invalid Input) Error", said) and "CSV Error" not in said:
        fix = "use a form that gives NULL instead: TRY_CAST(x AS DOUBLE), try_strptime(x, '%d/%m/%Y'), CASE WHEN ..."
        return RecipeError("read.derive-failed", "an expression of data.derive or data.where failed on some row", _first(said), fix)
    return None


def _first(said: str) -> str:
    """The first line that says something, without the class of the error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return re.sub(r"^[A-Z][\w ]* Error: ", "", lines[0])[:300] if lines else "nothing more is known"
