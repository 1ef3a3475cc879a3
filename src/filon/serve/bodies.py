"""Bodies of requests to rows: CSV, JSON in four forms, JSON Lines, Parquet and Arrow; each bounded before it is unpacked."""

import io
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from filon.engines.base import Column
from filon.engines.cast import NUMBER
from filon.errors import some
from filon.serve import columnar
from filon.serve.problems import refused, too_large, too_many, unreadable
from filon.serve.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

Rows: TypeAlias = "list[Any] | pa.Table"
"""Rows by name: plain Python ones (a list of dicts, or of what a client sent in their place), or a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """In the place of a row that cannot be read, beside others that can."""

    why: str


CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
KINDS = {
    CSV: CSV,
    JSON: JSON,
    LINES: LINES,
    "application/x-ndjson": LINES,
    "application/jsonl": LINES,
    PARQUET: PARQUET,
    "application/x-parquet": PARQUET,
    ARROW: ARROW,
}

PIECE = 1 << 16
MEMBERS = 10_000
"""Members of a gzip body: `bgzip` makes one of 64 kB, a client that joins files one a file; an empty one is 20 bytes of work for us."""

BRACKETS = 1_000_000
"""Opening brackets of a JSON body that are always read; beyond, it may have four a row (texts may hold some)."""

TEXTS, RAGGED = b"filon:texts", b"filon:ragged"
"""What a table read from an odd CSV says of itself, in its metadata."""

_PADDING = re.compile(rb"\0*")


def media_kind(content_type: str) -> str:
    """The kind of a Content-Type; JSON where a client names none.

    Raises
    ------
    RefusedError : `serve.media-type`
    """
    plain = content_type.partition(";")[0].strip().lower() or JSON
    if plain in KINDS:
        return KINDS[plain]
    raise refused("serve.media-type", "the body is of a type this server does not read", f"it is {plain[:80]!r}", f"send {some(KINDS, 8)}")


def inflate(body: bytes, encoding: str, limits: Limits) -> bytes:
    """The body as it was before Content-Encoding; never more than the limit is unpacked.

    Raises
    ------
    RefusedError : `serve.media-type`, `serve.body-unreadable`, `serve.body-too-large`
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise refused("serve.media-type", "the body is packed in a way this server does not read", f"it is {encoding[:40]!r}", "send gzip")
    parts: list[bytes] = []
    left, at, members = limits.body_bytes, 0, 0
    whole = memoryview(body)
    try:
        while at < len(body):
            unpacker = zlib.decompressobj(wbits=31)
            while not unpacker.eof:
                piece = whole[at : at + PIECE]  # what follows a member is copied by the unpacker: all of it, again and again, were it given
                if not piece:
                    raise refused("serve.body-unreadable", "the gzip body ends too soon", f"{len(body)} packed bytes came", "send it whole")
                parts.append(unpacker.decompress(piece, left + 1))
                left -= len(parts[-1])
                if left < 0:
                    raise too_large(limits)
                at += len(piece) - len(unpacker.unused_data)
            members += 1
            if members > MEMBERS:
                raise refused("serve.body-unreadable", "the gzip body has too many members", f"more than {MEMBERS:,}", "pack it in one")
            at = _PADDING.match(body, at).end()  # type: ignore[union-attr] # it matches everywhere
    except zlib.error as exc:
        raise refused("serve.body-unreadable", "the body is not gzip", str(exc)[:100], "leave out Content-Encoding, or pack it") from exc
    return b"".join(parts)


def read(
    body: bytes, kind: str, columns: Sequence[Column], limits: Limits, *, missing: Sequence[str] = ("",), header: bool = False
) -> Rows:
    """Rows of a body.

    Parameters
    ----------
    kind : as `media_kind` gives it; columns : what a row must have, in the order of a CSV
    missing : cells of a CSV that count as missing; header : the CSV's first line has names

    Raises
    ------
    RefusedError : `serve.body-unreadable`, `serve.too-many-rows`, `serve.body-too-large`, `package.column-twice`
    """
    readers: dict[str, Callable[[], Rows]] = {
        JSON: lambda: _json(body, columns, limits),
        LINES: lambda: _lines(body, limits),
        CSV: lambda: _csv(body, columns, limits, list(missing), header=header),
        PARQUET: lambda: columnar.parquet(body, columns, limits),
        ARROW: lambda: columnar.arrow(body, limits),
    }
    try:
        rows = readers[kind]()
    except (pa.ArrowException, ValueError, RecursionError, OSError, MemoryError) as exc:
        raise unreadable(kind, exc) from exc
    count = rows.num_rows if isinstance(rows, pa.Table) else len(rows)
    if count > limits.rows:
        raise too_many(count, limits)
    if not count:
        raise refused("serve.body-unreadable", "the body has no rows", f"it has {len(body)} bytes", "send at least one row")
    return rows


def _loads(text: bytes) -> Any:
    return json.loads(text)


def _lines(body: bytes, limits: Limits) -> list[Any]:
    rows: list[Any] = []
    for line in io.BytesIO(body):
        if line.strip():
            if len(rows) == limits.rows:
                raise too_many(limits.rows + 1, limits)
            rows.append(_line(line))
    return rows


def _line(text: bytes) -> Any:
    try:
        return _loads(text)
    except (ValueError, RecursionError) as exc:
        return Unread(why=f"its line is not JSON: {str(exc)[:100]}")


def _json(body: bytes, columns: Sequence[Column], limits: Limits) -> list[Any]:
    """One record, a list of records, {"instances": [...]}, {"columns": [...], "data": [...]}, and the two forms of MLflow."""
    if len(body) > BRACKETS and body.count(b"{") + body.count(b"[") > BRACKETS + 4 * limits.rows:
        raise too_many(limits.rows + 1, limits)  # an empty record is two bytes of a body and a hundred of memory
    given = _loads(body)
    names = [column.name for column in columns]
    if isinstance(given, dict):
        for key in ("instances", "dataframe_records"):
            if isinstance(given.get(key), list) and key not in names:
                return _rows(given[key], names)
        split = given.get("dataframe_split", given)
        if isinstance(split, dict) and isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
            return _rows(split["data"], [str(name) for name in split["columns"]])
        return [given]
    if isinstance(given, list):
        return _rows(given, names)
    raise ValueError(f"a JSON {type(given).__name__} is neither a record nor a list of records")


def _rows(rows: list[Any], names: list[str]) -> list[Any]:
    """Lists of values become records; what is of another length stays as it is, to be refused by its row."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        why = f"among {len(names)} names"
        raise refused("package.column-twice", f'the column "{twice}" is there twice', why, "send it once", field=twice)
    width = len(names)
    return [dict(zip(names, row, strict=True)) if isinstance(row, list) and len(row) == width else row for row in rows]


def _csv(body: bytes, columns: Sequence[Column], limits: Limits, missing: list[str], *, header: bool) -> pa.Table:
    lines = body.count(b"\n")
    if lines > 2 * limits.rows + 1:  # cells may hold line ends: twice the limit is too many in any table, the exact count comes later
        raise too_many(lines, limits)
    names = [] if header else [column.name for column in columns]
    try:
        return _read_csv(body, names, columns, missing, texts=False)
    except pa.ArrowInvalid:
        return _odd_csv(body, names, columns, missing)


def _odd_csv(body: bytes, names: list[str], columns: Sequence[Column], missing: list[str]) -> pa.Table:
    """A CSV with cells that are no numbers, or rows that are too short or too long: all as texts, so that bad rows are told from good ones.

    Rows of another width are rows of missing cells, named in the metadata; see `ragged_rows`.
    """
    ragged: list[tuple[int, int, int]] = []

    def odd(row: Any) -> str:
        if "\n" in row.text:  # a quote that nothing closes takes the lines that follow with it: nobody knows which rows were meant
            return "error"
        ragged.append((row.number - 1 if names else row.number - 2, row.actual_columns, row.expected_columns))
        return "skip"

    table = _read_csv(body, names, columns, missing, texts=True, odd=odd)
    if ragged:
        whole = np.ones(table.num_rows + len(ragged), bool)
        whole[[row for row, _, _ in ragged]] = False
        table = table.take(pa.array(np.cumsum(whole) - 1, mask=~whole))
    return table.replace_schema_metadata({TEXTS: b"1", RAGGED: json.dumps(ragged).encode()})


def ragged_rows(table: pa.Table) -> list[tuple[int, int, int]]:
    """Rows of a CSV that have another width than the others: number, cells, cells there should be."""
    return [tuple(row) for row in json.loads((table.schema.metadata or {}).get(RAGGED, b"[]"))]


def _read_csv(
    body: bytes,
    names: list[str],
    columns: Sequence[Column],
    missing: list[str],
    *,
    texts: bool,
    odd: "Callable[[Any], str] | None" = None,
) -> pa.Table:
    from pyarrow import csv

    kinds = {column.name: pa.string() if texts or column.kind != "number" else pa.float64() for column in columns}
    convert = csv.ConvertOptions(column_types=kinds, null_values=missing, strings_can_be_null=True, quoted_strings_can_be_null=True)
    how = csv.ReadOptions(column_names=names or None, use_threads=False, block_size=max(len(body) + 1, 1024))
    parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(columns) > 1, invalid_row_handler=odd)
    return csv.read_csv(io.BytesIO(body), read_options=how, parse_options=parse, convert_options=convert)


def numbers_of_texts(cells: pa.ChunkedArray) -> tuple[pa.Array, list[int]]:
    """Numbers of a CSV column that holds something else too, and the rows of what is no number (missing there)."""
    import pyarrow.compute as pc

    texts = cells.combine_chunks()
    fits = pc.match_substring_regex(texts, NUMBER)
    bad = pc.indices_nonzero(pc.fill_null(pc.invert(fits), False)).to_pylist()
    good = pc.if_else(pc.fill_null(fits, False), pc.utf8_trim_whitespace(texts), pa.scalar(None, pa.string()))
    return good.cast(pa.float64()), bad
