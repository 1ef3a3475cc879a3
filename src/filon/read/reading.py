"""From the recipe's `[data]` to a `Source`: files, format, dialect and columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filon.engines import lake
from filon.engines.base import Column, Dialect, File, Source
from filon.engines.storage import below, find_files, piece
from filon.errors import DataError, some
from filon.events import Event, Listen, silence
from filon.read import dialect as csv_dialect
from filon.read import kinds, parquet, sampling
from filon.read.columns import assign, declare, refuse_alike, require
from filon.read.settings import DataSettings

CELLS = 1 << 20
"""Cells judged at most, over all columns: a second for the widest table."""


def read(settings: DataSettings, base: Path, listen: Listen = silence) -> Source:
    """Look at the source: which files, how they are written, what each column is and what the recipe wants of it.

    Parameters
    ----------
    base : folder at which relative paths start (the recipe's own)

    Raises
    ------
    RecipeError, DataError, SetupError : `read.*`; the label's absence offers the nearest column
    """
    source = look(settings, base, listen)
    return replace(source, columns=assign(declare(source.columns, settings), settings))


def read_like(columns: Sequence[Column], settings: DataSettings, base: Path, listen: Listen = silence, arrived: str = "") -> Source:
    """Look at new data as a trained model's columns say: their kinds hold, the label may be absent, further columns are dropped.

    Parameters
    ----------
    columns : source and derived columns of the training, with their roles; those with role "dropped" or "left-out" may be absent
    settings : `source`, `csv` and `missing` are used, nothing else
    arrived : the folder or glob under which the files of `source` have arrived, whose folders name columns

    Raises
    ------
    DataError : `read.columns-lacking`, and those of `read`
    """
    found = look(settings, base, listen, arrived)
    before = {column.name: column for column in columns}
    here = {column.name for column in found.columns}
    lacking = [column.name for column in columns if not column.sql and column.role == "feature" and column.name not in here]
    if lacking:
        raise DataError(
            "read.columns-lacking",
            f"{found.origin} lacks columns the model was trained on",
            f"{some(lacking)}; it has {some(sorted(here))}",
            "give those columns (empty if need be), under the names they had in training",
        )
    kept = [_like(column, before.get(column.name)) for column in found.columns]
    return replace(found, columns=(*kept, *(column for column in columns if column.sql)))


def _like(column: Column, before: Column | None) -> Column:
    """A found column in the part it played in training; a date keeps its own way of being written."""
    if before is None:
        return replace(column, role="dropped")
    kept_format = column.format if column.kind == before.kind == "date" else before.format
    return replace(
        column, kind=before.kind, role=before.role, why=before.why, format=kept_format, whole=before.whole and column.stored == "text"
    )


def look(settings: DataSettings, base: Path, listen: Listen = silence, arrived: str = "") -> Source:
    """Files, format, dialect and columns with their guessed kinds; every column is a feature here, none is derived."""
    origins = (settings.source,) if isinstance(settings.source, str) else settings.source
    files = tuple(
        file for origin in origins for file in (lake.find(origin, base) if lake.names_table(origin) else find_files(origin, base))
    )
    files = below(files, arrived, base) if arrived else files
    origin = origins[0] if len(origins) == 1 else f"{origins[0]} and {len(origins) - 1} more"
    listen(
        Event(
            stage="read",
            text=f"looking at {len(files):,} file{'s' * (len(files) > 1)}, {sum(file.size_bytes for file in files) / 2**20:,.1f} MiB",
        )
    )
    full = tuple(file for file in files if file.size_bytes)
    if not full:
        raise DataError(
            "read.empty",
            f"{origin} is empty",
            f"{len(files)} file{'s' * (len(files) > 1)} of 0 bytes",
            "point data.source at a file with data",
        )
    seen = _look_parquet if parquet.is_parquet(piece(full[0], 0, 4)) else _look_csv
    return replace(seen(full, settings, origin, listen), base=str(base))


def _look_parquet(files: tuple[File, ...], settings: DataSettings, origin: str, _listen: Listen) -> Source:
    _refuse_mixed(files, origin, parquet_first=True)
    seen = parquet.footers(files)
    if not sum(rows for _schema, rows in seen):
        raise DataError(
            "read.no-rows",
            f"{origin} has no rows",
            f"{len(files)} Parquet file(s) with {len(seen[0][0])} columns and 0 rows",
            "point data.source at a file with data",
        )
    schema = parquet.one_schema(files, seen)
    refuse_alike(schema.names, origin)
    texts = [field.name for field in schema if parquet.stored_name(field.type) == "string"]
    cells = parquet.sample_texts(files, texts)
    columns = []
    for field in schema:
        kind = parquet.kind_of(field.type)
        form = ""
        if found := cells.get(field.name):
            guessed = kinds.guess(found, ())
            kind = "text" if guessed.kind == "text" else "category"
            form = guessed.format
        columns.append(Column(name=field.name, kind=kind, stored=parquet.stored_name(field.type), format=form))
    return Source(
        format="parquet",
        files=files,
        dialect=None,
        columns=_with_partitions(columns, files, settings),
        where=settings.where or "",
        origin=origin,
    )


def _look_csv(files: tuple[File, ...], settings: DataSettings, origin: str, listen: Listen) -> Source:
    _refuse_mixed(files, origin, parquet_first=False)
    dialect, names, rows = _sniff(files, settings, origin)
    refuse_alike(names, origin)
    if not dialect.header and not settings.csv.names:
        said = f"line one of {origin} holds data: the columns are named column_1 to column_{len(names)}, or by data.csv.names"
        listen(Event(stage="read", text=said))
    if dialect.header:
        for file in files[1:]:
            _same_header(file, files[0], dialect, names)
    if len(names) == 1 and not settings.derive and not files[0].partition:
        raise DataError(
            "read.one-column",
            f"{origin} has one column",
            f'"{names[0]}"; no separator cuts its lines',
            "set data.csv.separator if there are more, or bring columns to learn from",
        )
    most = max(200, CELLS // len(names))
    step = max(1, len(rows) // most)
    picked = rows[::step]
    columns = []
    for place, name in enumerate(names):
        guess = kinds.guess((row[place] for row in picked if place < len(row)), dialect.missing, dialect.decimal)
        columns.append(Column(name=name, kind=guess.kind, format=guess.format, whole=guess.whole))
    return Source(
        format="csv",
        files=files,
        dialect=dialect,
        columns=_with_partitions(columns, files, settings),
        where=settings.where or "",
        origin=origin,
    )


def _sniff(files: tuple[File, ...], settings: DataSettings, origin: str) -> tuple[Dialect, tuple[str, ...], list[list[str]]]:
    """Dialect, names and sampled rows; a head that ends within the first row is taken again, eight times as long."""
    head = sampling.HEAD
    while True:
        found = sampling.pieces(files, head=head)
        try:
            return csv_dialect.sniff(found, settings, origin, gzip=sampling.is_gzip(files[0]))
        except DataError as exc:
            if exc.code != "read.no-rows" or len(found[0]) < head or head >= sampling.MOST_HEAD:
                raise
            head *= 8


def _refuse_mixed(files: Sequence[File], origin: str, *, parquet_first: bool) -> None:
    odd = [
        file
        for file in files[1:]
        if file.path.endswith((".parquet", ".pq")) != parquet_first and parquet.is_parquet(piece(file, 0, 4)) != parquet_first
    ]
    if odd:
        raise DataError(
            "read.formats-mixed",
            f"{origin} mixes CSV and Parquet",
            f"{files[0].path} is one, {odd[0].path} the other",
            "name one format in data.source, e.g. 'folder/**/*.parquet'",
        )


def _same_header(file: File, first: File, dialect: Dialect, names: Sequence[str]) -> None:
    texts = csv_dialect.decode([sampling.first_bytes(file)], dialect.encoding, file.path)
    head = csv_dialect.parse(texts[0], dialect.separator, dialect.quote)[:1]
    found = [cell.strip() or f"column_{place}" for place, cell in enumerate(head[0], 1)] if head else []
    if head and found != list(names) and not dialect.names:
        lacking, extra = [name for name in names if name not in found], [name for name in found if name not in names]
        why = f"lacks {some(lacking)}" if lacking else f"adds {some(extra)}" if extra else "has them in another order"
        raise DataError(
            "read.schemas-differ",
            "the files of the source do not have the same columns",
            f"{file.path} {why}, against {first.path}",
            "name the files that belong together in data.source, or write them again with one header",
        )


def _with_partitions(columns: Sequence[Column], files: Sequence[File], settings: DataSettings) -> tuple[Column, ...]:
    """The columns with those of the folders' names (year=2024/); a folder's value stands before a column of the same name."""
    names = tuple(name for name, _value in files[0].partition)
    for file in files:
        if tuple(name for name, _value in file.partition) != names:
            raise DataError(
                "read.schemas-differ",
                "the folders of the source do not name the same columns",
                f"{files[0].path} has {some(names)}, {file.path} has {some(name for name, _value in file.partition)}",
                "point data.source at one level of folders",
            )
    found = []
    for place, name in enumerate(names):
        guess = kinds.guess((file.partition[place][1] for file in files), settings.missing)
        found.append(Column(name=name, kind=guess.kind, stored="text", format=guess.format, whole=guess.whole))
    kept = [column for column in columns if column.name not in names]
    refuse_alike([column.name for column in (*kept, *found)], "the source")
    return (*kept, *found)


__all__ = ["look", "read", "read_like", "require"]
