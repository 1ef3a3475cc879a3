"""A source cut into pieces: what one task reads, and how it reads it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column, File, Source
from filon.engines.cast import quoted
from filon.engines.embedded import direct, functions
from filon.engines.embedded.deriving import mentions
from filon.engines.embedded.fetching import localised
from filon.engines.embedded.session import connect, in_our_words, planned
from filon.engines.embedded.views import MISFIT, STORED, make_views, scan, with_where
from filon.engines.modules import is_python
from filon.engines.storage import opened
from filon.errors import DataError
from filon.events import silence

LEAST_BYTES, MOST_BYTES = 4 << 20, 64 << 20
"""Bytes of a piece: enough that a task's start does not count, and few enough that a lost task costs little."""

TASK_MIB = 1280
"""Memory of the query that types a task's rows; it streams, so a wide row group is what needs most of it (and a gzipped CSV, for which
DuckDB takes a little more than a gibibyte)."""


FILTER_MIB = 256
COPIED_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of one file: its row groups from `first` up to `last` (Parquet), its bytes from `first` up to `last` (CSV), or all of it
    (`last` 0). `rows` is -1 when not known."""

    file: File
    first: int = 0
    last: int = 0
    rows: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Consecutive parts, read by one task. `place` is the number of its first row in the table, -1 when not known."""

    parts: tuple[Part, ...]
    place: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A source in pieces, in the order of its rows. `stored` is the schema that all files of a Parquet source are brought to."""

    pieces: tuple[Piece, ...]
    stored: pa.Schema | None = None
    rows: int = -1


Ranges = Mapping[str, Sequence[tuple[int, int]]]
"""By path, the byte ranges of large CSV files (see `lines`)."""


def cut(source: Source, parallel: int, ranges: Ranges) -> Cut:
    """Pieces of a source: files or ranges of their lines for CSV, row groups for Parquet, neighbours together.

    Raises
    ------
    DataError : `read.parquet-damaged`
    """
    if source.format == "parquet":
        return _cut_parquet(source, parallel)
    atoms: list[tuple[Part, int]] = []
    for file in source.files:
        if file.path in ranges:
            atoms += [(Part(file=file, first=first, last=last), last - first) for first, last in ranges[file.path]]
        else:
            atoms.append((Part(file=file), file.size_bytes))
    return Cut(pieces=tuple(Piece(parts=tuple(parts)) for parts in _packed(atoms, parallel)))


def _cut_parquet(source: Source, parallel: int) -> Cut:
    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(_footer, source.files))
    atoms: list[tuple[Part, int]] = []
    for file, (_schema, groups) in zip(source.files, seen, strict=True):
        atoms += [(Part(file=file, first=place, last=place + 1, rows=rows), size) for place, (rows, size) in enumerate(groups)]
    pieces, before = [], 0
    for parts in _packed(atoms, parallel):
        pieces.append(Piece(parts=tuple(_joined(parts)), place=before))
        before += sum(part.rows for part in parts)
    return Cut(pieces=tuple(pieces), stored=_widest([schema for schema, _groups in seen]), rows=before)


def _footer(file: File) -> tuple[pa.Schema, list[tuple[int, int]]]:
    """Schema, and rows and bytes of each row group."""
    import pyarrow.parquet as pq

    try:
        with opened(file) as handle, pq.ParquetFile(handle) as parquet:
            about = parquet.metadata
            groups = [about.row_group(place) for place in range(about.num_row_groups)]
            return parquet.schema_arrow, [(group.num_rows, group.total_byte_size) for group in groups]
    except (pa.ArrowException, OSError, EOFError) as exc:
        raise _damaged(file.path, exc) from exc


def _damaged(path: str, exc: Exception) -> DataError:
    return DataError(
        "read.parquet-damaged",
        f"{path} is not a whole Parquet file",
        " ".join(str(exc).split())[:200],
        "write it again; a Parquet file ends with the bytes PAR1, and one that was cut does not",
    )


def _packed(atoms: Sequence[tuple[Part, int]], parallel: int) -> Iterator[list[Part]]:
    """Neighbours together until they are as large as a piece should be."""
    total = sum(size for _part, size in atoms)
    wanted = min(MOST_BYTES, max(LEAST_BYTES, total // (2 * parallel)))
    held: list[Part] = []
    size = 0
    for part, bytes_ in atoms:
        if held and size + bytes_ > wanted:
            yield held
            held, size = [], 0
        held.append(part)
        size += bytes_
    if held:
        yield held


def _joined(parts: Sequence[Part]) -> Iterator[Part]:
    """Row groups of one file that follow each other become one part."""
    last: Part | None = None
    for part in parts:
        if last is not None and part.file == last.file and part.first == last.last:
            last = replace(last, last=part.last, rows=last.rows + part.rows)
            continue
        if last is not None:
            yield last
        last = part
    if last is not None:
        yield last


def _widest(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The first file's schema, each column in a type that holds those of all files (`read` has refused what does not go together)."""
    fields = []
    for field in schemas[0]:
        kinds = dict.fromkeys(_plain(schema.field(field.name).type) for schema in schemas)
        known = [kind for kind in kinds if not pa.types.is_null(kind)] or [pa.null()]
        fields.append(pa.field(field.name, known[0] if len(known) == 1 else _common(known)))
    return pa.schema(fields)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type a query sees: dictionaries decoded, half floats and wide decimals as DuckDB itself reads them, in lists and structs too.

    >>> _plain(pa.list_(pa.float16())), _plain(pa.struct([("price", pa.decimal256(50, 2))]))
    (ListType(list<item: float>), StructType(struct<price: double>))
    """
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal256(kind):
        return pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field)) if pa.types.is_map(kind) else kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    return pa.float64() if all(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) for kind in kinds) else kinds[0]


def rows_of(
    source: Source, piece: Piece, stored: pa.Schema | None, names: Sequence[str], rows: int, folder: Path
) -> Iterator[pa.RecordBatch]:
    """Typed rows of a piece in their order, by the very code of the embedded engine's reader.

    Parameters
    ----------
    source : with the kinds of all columns settled
    names : columns wanted, in order; `misfit_of` and `stored_of` of the embedded reader are understood
    rows : at most so many a batch
    folder : scratch of this task's own

    Raises
    ------
    DataError, RecipeError, SetupError : `read.*`
    """
    mine = replace(source, files=tuple(part.file for part in piece.parts))
    with in_our_words(source, folder):
        plain = direct.plain(source, names)
        if plain is not None:
            groups = [range(part.first, part.last) for part in piece.parts]
            yield from direct.stream(mine, plain, rows, groups)
            return
        if source.format == "csv" and any(part.last for part in piece.parts):
            yield from _lines(source, piece, names, rows, folder)
            return
        yield from _queried(_narrowed(mine, names), piece, stored, names, rows, folder)


def _lines(source: Source, piece: Piece, names: Sequence[str], rows: int, folder: Path) -> Iterator[pa.RecordBatch]:
    """Rows of ranges of lines: each becomes a file of its own for the time of the task."""
    assert source.dialect is not None
    for number, part in enumerate(piece.parts):
        dialect = source.dialect if part.first == 0 else replace(source.dialect, header=False)
        file = _extracted(part, folder / f"lines-{number}") if part.last else part.file
        mine = replace(source, files=(file,), dialect=dialect)
        try:
            yield from _queried(mine, Piece(parts=(replace(part, file=file),)), None, names, rows, folder)
        except Exception:  # DuckDB's own, which names a line of the range
            _told_of_the_whole(source, part.file, folder)
            raise
        if part.last:
            Path(file.path).unlink()


def _extracted(part: Part, folder: Path) -> File:
    """A range of a file as a file, in folders of the same names (hive values live in the path)."""
    kept = Path(part.file.path).parts[-1 - len(part.file.partition) : -1] if part.file.partition else ()
    target = folder.joinpath(*kept, Path(part.file.path).name)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = part.last - part.first
    with opened(part.file) as source, target.open("wb") as out:
        source.seek(part.first)
        while left and (data := source.read(min(left, COPIED_BYTES))):
            out.write(data)
            left -= len(data)
    return replace(part.file, path=str(target))


def _told_of_the_whole(source: Source, file: File, folder: Path) -> None:
    """What is wrong with a range is told with the line of the file: read it from its start, up to there."""
    connection = connect(folder, 1, TASK_MIB)
    mine = replace(source, files=(file,))
    try:
        with in_our_words(mine, folder):
            connection.execute(f"CREATE VIEW raw AS SELECT * FROM {scan(localised(mine, folder, silence))}")
            plain = ", ".join(quoted(column.name) for column in source.columns if not column.sql)
            for _batch in connection.sql(f"SELECT {plain} FROM raw").to_arrow_reader(1 << 16):
                pass
    finally:
        connection.close()


def _narrowed(source: Source, names: Sequence[str]) -> Source:
    """Only the columns that are wanted, or that the recipe's SQL may look at; a CSV's lines have all of them anyway."""
    if source.format == "csv" or any(is_python(column.sql) for column in source.columns):
        return source
    wanted = {name.removeprefix(MISFIT).removeprefix(STORED) for name in names}
    derived = [column for column in source.columns if column.sql and (column.name in wanted or source.where)]
    looking = replace(source, columns=tuple(derived))
    kept = [
        column
        for column in source.columns
        if column in derived or (not column.sql and (column.name in wanted or mentions(column.name, looking)))
    ]
    first = next(column for column in source.columns if not column.sql)
    return replace(source, columns=tuple(kept) if any(not column.sql for column in kept) else (first, *kept))


def _queried(
    source: Source, piece: Piece, stored: pa.Schema | None, names: Sequence[str], rows: int, folder: Path
) -> Iterator[pa.RecordBatch]:
    connection = connect(folder, 1, TASK_MIB)
    try:
        open_raw(connection, source, piece, stored, rows, folder)
        make_views(connection, source, folder)
        python = [column for column in source.columns if is_python(column.sql)]
        if not python:
            wanted = ", ".join(quoted(name) for name in names) or "1"
            with planned(connection, len(names)):
                reader = connection.sql(f"SELECT {wanted} FROM typed").to_arrow_reader(rows)
            yield from (batch for batch in reader if batch.num_rows)
            return
        # While the rows stream, the connection is taken: the filter has one of its own
        with connect(folder, 1, FILTER_MIB) as filtering:
            for batch in connection.sql("SELECT * FROM typed").to_arrow_reader(rows):
                if batch.num_rows and (found := calculated(batch, source, filtering)).num_rows:
                    yield found.select(list(names))
    finally:
        connection.close()


def open_raw(connection: Any, source: Source, piece: Piece, stored: pa.Schema | None, rows: int, folder: Path) -> None:
    """Make the view `raw` over a piece's files: read by DuckDB (CSV), or by Arrow row group by row group (Parquet)."""
    if source.format == "csv":
        connection.execute(f"CREATE VIEW raw AS SELECT * FROM {scan(localised(source, folder, silence))}")
        return
    assert stored is not None
    plain = [column for column in source.columns if not column.sql]
    hive = {name for name, _value in source.files[0].partition}
    schema = pa.schema([pa.field(one.name, pa.string() if one.name in hive else stored.field(one.name).type) for one in plain])
    connection.register("raw", pa.RecordBatchReader.from_batches(schema, _parquet(piece.parts, schema, hive, rows)))


def _parquet(parts: Sequence[Part], schema: pa.Schema, hive: set[str], rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    stored = [name for name in schema.names if name not in hive]
    for part in parts:
        values = dict(part.file.partition)
        with opened(part.file) as handle, pq.ParquetFile(handle, buffer_size=direct.BUFFER, pre_buffer=False) as parquet:
            columns = stored or parquet.schema_arrow.names[:1]
            for group in range(part.first, part.last):
                for batch in parquet.iter_batches(rows, row_groups=[group], columns=columns):
                    cells = [_hive(values[f.name], batch.num_rows) if f.name in hive else _as(batch.column(f.name), f.type) for f in schema]
                    yield pa.RecordBatch.from_arrays(cells, schema=schema)


def _hive(value: str, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.string()) if value == "" else pa.repeat(pa.scalar(value, pa.string()), rows)


def _as(cells: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return cells if cells.type == wanted else pc.cast(cells, wanted, safe=False)


def calculated(batch: pa.RecordBatch, source: Source, connection: Any) -> pa.RecordBatch:
    """A batch of the view `typed` with the columns of Python functions, and the filter that may name them."""
    plain = [column.name for column in source.columns if not column.sql]
    found = functions.apply(batch.select(plain), source.columns, source.base)
    added = [name for name in found.schema.names if name not in plain]
    whole = pa.RecordBatch.from_arrays([*batch.columns, *(found.column(name) for name in added)], names=[*batch.schema.names, *added])
    if not source.where:
        return whole
    connection.register("calculated", whole)
    try:
        kept = connection.sql(f"SELECT * FROM calculated{with_where(source)}").to_arrow_table().combine_chunks()
    finally:
        connection.unregister("calculated")
    return kept.to_batches()[0] if kept.num_rows else whole.slice(0, 0)


def python_columns(source: Source) -> list[Column]:
    """Columns that functions of the user derive."""
    return [column for column in source.columns if is_python(column.sql)]
