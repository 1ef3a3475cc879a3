"""A table of the Spark engine: lazy, typed in the tasks by the code that types the rows of the embedded engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from filon.engines.base import File, Source
from filon.engines.embedded import functions
from filon.engines.embedded.deriving import bind_where
from filon.engines.embedded.fetching import localised
from filon.engines.embedded.sampling import LowestRows
from filon.engines.embedded.session import connect, in_our_words
from filon.engines.embedded.views import LOOK, make_views, misfit_of, scan
from filon.engines.modules import is_python
from filon.engines.modules import sources as sources_of
from filon.engines.s3 import is_remote
from filon.engines.spark.lines import ranges
from filon.engines.spark.pieces import Cut, cut, python_columns, rows_of
from filon.engines.spark.session import Session
from filon.engines.spark.words import telling
from filon.events import Event, Listen, silence

ROWS = 1 << 16
DRIVER_MIB = 1024
CARRIED_BYTES = 8 << 20
"""A table of this machine that is no larger goes to the workers of a cluster with their tasks."""

Located = Iterator[tuple[int, pa.RecordBatch]]
"""Batches with the number of their first row in the table (from the start of the piece when the table's rows are not counted)."""

Work = Callable[[Located], Iterator[pa.RecordBatch]]
"""What a task makes of the rows of its piece."""


class SparkTable:
    """Rows of a source, typed. Nothing is read until somebody asks.

    `asked` is the source as it was given, `source` has the kinds of derived columns settled; `schema` are the Arrow types of all columns,
    misfits included.
    """

    def __init__(
        self, session: Session, asked: Source, source: Source, misfits: tuple[str, ...], schema: pa.Schema, pieces: Cut, listen: Listen
    ) -> None:
        self.session, self.asked, self.source, self.misfits, self.schema, self.cut = session, asked, source, misfits, schema, pieces
        self.lowest: LowestRows | None = None
        self._listen = listen
        self._counted: list[int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, the source's first."""
        return tuple(column.name for column in self.source.columns)

    @cached_property
    def frame(self) -> Any:
        """A lazy DataFrame of all columns, typed (numbers as they are stored or double, dates timestamp_ntz in UTC)."""
        schema = pa.schema([pa.field(name, wire(self.schema.field(name).type)) for name in self.names])
        return self.map(partial(_as_schema, schema), schema)

    def map(self, work: Work, schema: pa.Schema, columns: Sequence[str] | None = None, rows: int = ROWS) -> Any:
        """A lazy DataFrame of what `work` makes of each piece, reading and working in the same task.

        Parameters
        ----------
        work : a function of a module that the workers have, or a `partial` of one
        schema : of what it makes
        columns : names to read, misfits among them; None for all columns
        rows : at most so many a batch
        """
        names = self.names if columns is None else tuple(columns)
        opened: Opened = partial(_piece, self.source, self.cut, names, rows)
        if self.carried:
            opened = partial(_carried_piece, self.carried, self.source, self.cut, names, rows)
        return mapped(self.session, self.source, len(self.cut.pieces), opened, work, schema)

    @cached_property
    def carried(self) -> dict[str, bytes]:
        """Content by path of a small table of this machine, which goes to the workers with their tasks: their disks are not ours."""
        files = self.source.files
        if self.session.local or sum(file.size_bytes for file in files) > CARRIED_BYTES or any(is_remote(file.path) for file in files):
            return {}
        return {file.path: Path(file.path).read_bytes() for file in files}

    def count(self) -> int:
        """Number of rows (for Parquet without a filter, from the footers alone)."""
        if self.cut.rows >= 0 and (self._counted is not None or not self.source.where):
            return self.cut.rows
        return sum(self._counts())

    def located(self) -> SparkTable:
        """This table, now that the place of each piece's first row is known: one pass that counts, where the files do not say it."""
        if self._counted is not None or (not self.source.where and all(piece.place >= 0 for piece in self.cut.pieces)):
            return self
        self._listen(Event(stage="read", text="counting the rows of each file"))
        counts = self._counts()
        pieces, before = [], 0
        for piece, rows in zip(self.cut.pieces, counts, strict=True):
            pieces.append(replace(piece, place=before))
            before += rows
        self.cut = replace(self.cut, pieces=tuple(pieces), rows=before)
        return self

    def remember(self, lowest: LowestRows) -> None:
        """Keep the lowest rows of a pass over all columns: a small sample needs no pass then."""
        self.lowest = lowest

    def _counts(self) -> list[int]:
        if self._counted is None:
            schema = pa.schema([("place", pa.int64()), ("rows", pa.int64())])
            first = next(column.name for column in self.source.columns if not column.sql)
            apart = replace(self.cut, pieces=tuple(replace(piece, place=place << 40) for place, piece in enumerate(self.cut.pieces)))
            table = SparkTable(self.session, self.asked, self.source, self.misfits, self.schema, apart, self._listen)
            with self.session.in_our_words(self.source.origin):
                found = table.map(_count, schema, [first]).collect()
            counts = {int(row["place"]): int(row["rows"]) for row in found}
            self._counted = [counts.get(place, 0) for place in range(len(self.cut.pieces))]
        return self._counted


Opened = Callable[[int, Path], Located]
"""Opens one part of a table by its number, with a folder for what is unpacked there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a task does: open the parts whose numbers it is given, and work on their rows."""

    opened: Opened
    work: Work
    environment: dict[str, str]

    def __call__(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers of parts to rows."""
        return telling(self._work(numbers))

    def _work(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                folder = Path(tempfile.mkdtemp(prefix="filon-task-"))
                try:
                    yield from self.work(self.opened(number, folder))
                finally:
                    shutil.rmtree(folder, ignore_errors=True)


def mapped(session: Session, source: Source, parts: int, opened: Opened, work: Work, schema: pa.Schema) -> Any:
    """A lazy DataFrame of what `work` makes of each of so many parts, one task a part."""
    task = Task(opened=opened, work=work, environment=environment(source))
    return session.spark.range(0, parts, 1, parts).mapInArrow(task, spark_schema(schema))


def _piece(source: Source, cut: Cut, names: tuple[str, ...], rows: int, number: int, folder: Path) -> Located:
    piece = cut.pieces[number]
    place = max(0, piece.place)
    for batch in rows_of(source, piece, cut.stored, names, rows, folder):
        yield place, batch
        place += batch.num_rows


def _carried_piece(
    contents: Mapping[str, bytes], source: Source, cut: Cut, names: tuple[str, ...], rows: int, number: int, folder: Path
) -> Located:
    """A piece of files that came with the task."""
    here = laid_down(contents, folder)
    pieces = tuple(
        replace(piece, parts=tuple(replace(part, file=here(part.file)) for part in piece.parts)) if place == number else piece
        for place, piece in enumerate(cut.pieces)
    )
    return _piece(moved(source, here), replace(cut, pieces=pieces), names, rows, number, folder)


def laid_down(contents: Mapping[str, bytes], folder: Path) -> Callable[[File], File]:
    """Files that came with a task, written where it works: where each of them is now (the others are where they were)."""
    places: dict[str, str] = {}
    for number, (path, content) in enumerate(contents.items()):
        here = folder / f"carried-{number}" / Path(path).name
        here.parent.mkdir(parents=True)
        here.write_bytes(content)
        places[path] = str(here)
    return lambda file: replace(file, path=places.get(file.path, file.path))


def moved(source: Source, where: Callable[[File], File]) -> Source:
    """A source whose files are elsewhere."""
    return replace(source, files=tuple(where(file) for file in source.files))


def environment(*sources: Source) -> dict[str, str]:
    """Variables by which tasks reach S3 as this process does (workers do not inherit them)."""
    if not any(is_remote(file.path) for source in sources for file in source.files):
        return {}
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _count(located: Located) -> Iterator[pa.RecordBatch]:
    first, rows = -1, 0
    for place, batch in located:
        first = place >> 40 if first < 0 else first
        rows += batch.num_rows
    if first >= 0:
        yield pa.RecordBatch.from_pydict(
            {"place": [first], "rows": [rows]}, schema=pa.schema([("place", pa.int64()), ("rows", pa.int64())])
        )


def _as_schema(schema: pa.Schema, located: Located) -> Iterator[pa.RecordBatch]:
    for _place, batch in located:
        yield fitted(batch, schema)


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of a schema, in its types."""
    cells = [batch.column(field.name) for field in schema]
    cells = [one if one.type == field.type else one.cast(field.type, safe=False) for one, field in zip(cells, schema, strict=True)]
    return pa.RecordBatch.from_arrays(cells, schema=schema)


def wire(kind: pa.DataType) -> pa.DataType:
    """The Arrow type in which Spark takes a column."""
    if pa.types.is_unsigned_integer(kind):
        return {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}[kind.bit_width]
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return pa.timestamp("us") if pa.types.is_date64(kind) else kind


def spark_schema(schema: pa.Schema) -> Any:
    """An Arrow schema as Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def open_table(session: Session, source: Source, listen: Listen = silence) -> SparkTable:
    """A lazy table over the source's files; derived columns are bound here, on a few rows.

    Raises
    ------
    RecipeError : `read.derive-*`
    DataError : `read.parquet-damaged`
    """
    pieces = cut(source, session.parallel, ranges(source, session))
    folder = Path(tempfile.mkdtemp(prefix="table-", dir=session.folder))
    settled, misfits, schema = _settled(source, pieces, folder)
    if not session.local:  # their disks are not ours
        session.send_modules(sources_of((column.sql for column in source.columns), source.base))
    return SparkTable(session, source, settled, misfits, schema, pieces, listen)


def _settled(source: Source, pieces: Cut, folder: Path) -> tuple[Source, tuple[str, ...], pa.Schema]:
    """The source with the kinds of all columns, the names of columns with misfits, and the types of the typed rows.

    Rows are looked at only where the kind of a derived column depends on them."""
    connection = connect(folder, 1, DRIVER_MIB)
    with in_our_words(source, folder):
        connection.register("raw", _no_rows(source, pieces.stored))
        columns, misfits = make_views(connection, source, folder)
        schema = connection.sql("SELECT * FROM typed").to_arrow_table().schema
    connection.close()
    given = {column.name: column for column in source.columns}
    open_kinds = [column for column in columns if column.sql and not given[column.name].stored and column.kind == "category"]
    settled = replace(source, columns=columns)
    if open_kinds or python_columns(source):
        settled, added = _looked_at(source, settled, pieces, folder)
        schema = pa.schema([*schema, *added])
    return settled, misfits, schema


def _no_rows(source: Source, stored: pa.Schema | None) -> pa.Table:
    plain = [column.name for column in source.columns if not column.sql]
    hive = {name for name, _value in source.files[0].partition}
    kinds = [pa.string() if stored is None or name in hive else stored.field(name).type for name in plain]
    return pa.schema(list(zip(plain, kinds, strict=True))).empty_table()


def _looked_at(source: Source, settled: Source, pieces: Cut, folder: Path) -> tuple[Source, list[pa.Field]]:
    """Kinds that the first rows decide: derived texts, and what Python functions give."""
    local = localised(replace(source, files=_first_files(source, pieces)), folder, silence)
    connection = connect(folder, 1, DRIVER_MIB)
    added = []
    try:
        with in_our_words(source, folder):
            connection.execute(f"CREATE VIEW raw AS SELECT * FROM {scan(local)}")
            columns, _misfits = make_views(connection, local, folder)
            names = [column.name for column in columns if not column.sql]
            if python_columns(source):
                seen = next(islice(connection.sql("SELECT * FROM typed").to_arrow_reader(ROWS), 1), None)
                if seen is None:
                    return settled, []
                columns = tuple(functions.settle(one, seen.select(names), source.base) if is_python(one.sql) else one for one in columns)
                found = functions.apply(seen.select(names).slice(0, 100), columns, source.base)
                added = [field for field in found.schema if field.name not in names]
                if source.where:
                    connection.register("calculated", pa.schema([*seen.schema, *added]).empty_table())
                    bind_where(connection, source.where, "calculated", [column.name for column in columns])
    finally:
        connection.close()
    return replace(settled, columns=columns), added


def _first_files(source: Source, pieces: Cut) -> tuple[File, ...]:
    """The files that hold the first rows of the table: those of another store are not fetched for a look at some."""
    if not any(is_remote(file.path) for file in source.files):
        return source.files
    known: Counter[str] = Counter()
    for part in (part for piece in pieces.pieces for part in piece.parts):
        known[part.file.path] += max(0, part.rows)
    files: list[File] = []
    rows = size = 0
    for file in source.files:
        files.append(file)
        rows, size = rows + known[file.path], size + file.size_bytes
        if rows >= LOOK or (source.format == "csv" and size >= CARRIED_BYTES):
            break
    return tuple(files)


__all__ = ["Located", "SparkTable", "fitted", "misfit_of", "open_table", "spark_schema", "wire"]
