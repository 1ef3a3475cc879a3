"""Captured requests to typed rows: SageMaker's JSON Lines, as `filon serve` writes them and as a SageMaker endpoint does.

A line holds what was asked (`captureData.endpointInput`: CSV or JSON as text, or anything in base64) and when (`eventMetadata`). Blocks of
lines become columns at once, by Arrow's own readers; a block that they refuse is read value by value.
"""

import base64
import datetime as dt
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column, File
from filon.engines.cast import FALSE, NUMBER, TRUE
from filon.rows.cells import is_text
from filon.rows.encode import label_text

EVENT, INFERENCE, MOMENT = "filon:event", "filon:inference", "filon:time"
"""Columns of captured rows beside the model's: the request's id (`id/2` for the third row of a request of several), the id that the caller
gave, and when it was answered."""

BLOCK_BYTES = 8 << 20
"""Lines parsed at a time."""

_TEXTS = pa.struct([("data", pa.string()), ("encoding", pa.string()), ("observedContentType", pa.string())])
_LINES = pa.schema(
    [
        ("captureData", pa.struct([("endpointInput", _TEXTS)])),
        ("eventMetadata", pa.struct([("eventId", pa.string()), ("inferenceId", pa.string()), ("inferenceTime", pa.string())])),
    ]
)
_HOUR = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]*$")
LISTED = ("instances", "dataframe_records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some captured requests: bodies with their ids and moments, all (n,)."""

    bodies: pa.Array
    encodings: pa.Array
    kinds: pa.Array
    events: pa.Array
    inferences: pa.Array
    moments: pa.Array


def marked(columns: Sequence[Column]) -> tuple[Column, ...]:
    """A model's columns and those that every captured row has."""
    return (
        *(column for column in columns if not column.sql),
        Column(name=EVENT, kind="text", role="dropped", stored="string"),
        Column(name=INFERENCE, kind="text", role="dropped", stored="string"),
        Column(name=MOMENT, kind="date", role="time", stored="timestamp[us]"),
        *(column for column in columns if column.sql),
    )


def recent(files: Sequence[File], since: float | None) -> tuple[File, ...]:
    """Files whose folder's hour (…/YYYY/MM/DD/HH/) has not ended before a moment, in seconds since 1970 UTC; others are kept."""
    return tuple(file for file in files if since is None or _ends(file.path) > since)


def _ends(path: str) -> float:
    found = _HOUR.search(path.replace("\\", "/"))
    if found is None:
        return float("inf")
    try:
        return dt.datetime.strptime("".join(found.groups()), "%Y%m%d%H").replace(tzinfo=dt.UTC).timestamp() + 3600
    except ValueError:
        return float("inf")


def blocks(stream: BinaryIO, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Whole lines, about so many bytes at a time; a last line that was cut off (a server that was killed) is left out."""
    rest = b""
    while part := stream.read(size):
        end = part.rfind(b"\n") + 1
        if end:
            yield rest + part[:end]
            rest = part[end:]
        else:
            rest += part
    if rest.strip() and rest.rstrip().endswith(b"}"):
        yield rest + b"\n"


def rows_of(block: bytes, columns: Sequence[Column]) -> tuple[pa.RecordBatch, int]:
    """Typed rows of a block of lines.

    Parameters
    ----------
    columns : source columns of the model, in the order in which a CSV has them

    Returns
    -------
    the columns by name with EVENT, INFERENCE and MOMENT, and how many requests could not be read
    """
    lines, bad = _lines(block)
    parts = []
    for kind, chosen in _sorted_by_form(lines):
        some = _taken(lines, chosen)
        rows, owners, lost = _rows(kind, some, columns)
        bad += lost
        parts.append(_with_marks(rows, some, owners))
    whole = pa.Table.from_batches(parts, _schema(columns)).combine_chunks().to_batches() if parts else []
    return (whole[0] if whole else pa.RecordBatch.from_pylist([], _schema(columns))), bad


def _schema(columns: Sequence[Column]) -> pa.Schema:
    marks = [(EVENT, pa.string()), (INFERENCE, pa.string()), (MOMENT, pa.timestamp("us"))]
    return pa.schema([*((column.name, _type(column)) for column in columns), *marks])


def _type(column: Column) -> pa.DataType:
    if column.kind == "number":
        return pa.float64()
    return pa.bool_() if column.kind == "boolean" else pa.string()


def _lines(block: bytes) -> tuple[Lines, int]:
    try:
        table, bad = _parsed(block, _LINES), 0
    except pa.ArrowInvalid:
        table, bad = _parsed_one_by_one(block)
    asked = pc.struct_field(_one(table["captureData"]), "endpointInput")
    about = _one(table["eventMetadata"])
    data = pc.struct_field(asked, "data")
    lines = Lines(
        bodies=data,
        encodings=pc.utf8_upper(pc.fill_null(pc.struct_field(asked, "encoding"), "")),
        kinds=pc.fill_null(pc.struct_field(asked, "observedContentType"), ""),
        events=pc.struct_field(about, "eventId"),
        inferences=pc.struct_field(about, "inferenceId"),
        moments=_moments(pc.struct_field(about, "inferenceTime")),
    )
    there = pc.is_valid(data)
    lost = len(data) - int(pc.sum(there).as_py() or 0)
    return (_taken(lines, pc.indices_nonzero(there)) if lost else lines), bad + lost


def _parsed(block: bytes, schema: pa.Schema) -> pa.Table:
    from pyarrow import json as lines_reader

    read = lines_reader.ReadOptions(use_threads=False, block_size=len(block) + 1)
    parse = lines_reader.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return lines_reader.read_json(io.BytesIO(block), read_options=read, parse_options=parse)


def _parsed_one_by_one(block: bytes) -> tuple[pa.Table, int]:
    """As `_parsed`, leaving out the lines that are no capture."""
    found, bad = [], 0
    for line in block.splitlines():
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            asked, about = given["captureData"]["endpointInput"], given["eventMetadata"]
            texts = {
                name: asked.get(name) if isinstance(asked.get(name), str) else None for name in ("data", "encoding", "observedContentType")
            }
            ids = {name: about[name] if isinstance(about.get(name), str) else None for name in ("eventId", "inferenceId", "inferenceTime")}
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
            continue
        found.append({"captureData": {"endpointInput": texts}, "eventMetadata": ids})
    return pa.Table.from_pylist(found, _LINES), bad


def _moments(texts: pa.Array) -> pa.Array:
    """Moments in UTC; what is no moment is missing."""
    try:
        return texts.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return pa.array([_moment(text) for text in texts.to_pylist()], pa.timestamp("us"))


def _moment(text: str | None) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(dt.UTC).replace(tzinfo=None) if found.tzinfo else found


def _sorted_by_form(lines: Lines) -> Iterator[tuple[str, pa.Array]]:
    """Forms of bodies, each with the places of its requests: records and lists of JSON, CSV, and what must be read one by one."""
    csv = pc.or_(pc.equal(lines.encodings, "CSV"), pc.starts_with(lines.kinds, "text/csv"))
    packed = pc.equal(lines.encodings, "BASE64")
    trimmed = pc.utf8_ltrim_whitespace(lines.bodies)
    listed = pc.starts_with(trimmed, "[")
    whole = pc.and_(pc.match_substring(trimmed, "\n"), pc.starts_with(trimmed, "{"))  # JSON Lines, or a record over several lines
    nested = pc.match_substring(lines.bodies, "[")
    if pc.any(nested).as_py():  # the pattern costs as much as all the rest, and few bodies need it
        nested = pc.match_substring_regex(lines.bodies, '":[ \\t]*\\[')
    form = pc.if_else(pc.or_(whole, nested), "odd", "record")
    form = pc.if_else(packed, "packed", pc.if_else(csv, "csv", pc.if_else(listed, "list", form)))
    for kind in pc.unique(form).to_pylist():
        yield kind, pc.indices_nonzero(pc.equal(form, kind))


def _taken(lines: Lines, places: pa.Array) -> Lines:
    if len(places) == len(lines.bodies):
        return lines
    return Lines(**{name: getattr(lines, name).take(places) for name in Lines.__slots__})


Rows = tuple[pa.RecordBatch, np.ndarray, int]
"""Typed rows, the place of each one's request, and how many requests were lost."""


def _rows(kind: str, lines: Lines, columns: Sequence[Column]) -> Rows:
    try:
        if kind == "csv":
            return _of_csv(lines, columns)
        if kind == "record":
            return _of_records(lines, columns)
        if kind == "list":
            return _of_lists(lines, columns)
    except (pa.ArrowException, ValueError):
        pass  # an odd request among them: each by itself
    return _one_by_one(lines, columns)


def _of_csv(lines: Lines, columns: Sequence[Column]) -> Rows:
    bodies = pc.utf8_rtrim_whitespace(lines.bodies)
    owners = np.repeat(np.arange(len(bodies)), pc.add(pc.count_substring(bodies, "\n"), 1).to_numpy(zero_copy_only=False))
    rows = _read_csv("\n".join(bodies.to_pylist()).encode(), columns)
    if rows.num_rows != len(owners):
        raise ValueError("cells of a CSV hold line ends, or lines are empty")
    return rows, owners, 0


def _read_csv(body: bytes, columns: Sequence[Column]) -> pa.RecordBatch:
    from pyarrow import csv

    kinds = {column.name: pa.float64() if column.kind == "number" else pa.string() for column in columns}
    table = csv.read_csv(
        io.BytesIO(body + b"\n"),
        read_options=csv.ReadOptions(column_names=[column.name for column in columns], use_threads=False, block_size=len(body) + 2),
        parse_options=csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=kinds, null_values=["", "NA", "NaN", "nan", "null"], strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )
    return _typed({name: _one(table[name]) for name in table.column_names}, columns, table.num_rows)


def _of_records(lines: Lines, columns: Sequence[Column]) -> Rows:
    table = _parsed("\n".join(lines.bodies.to_pylist()).encode(), _schema_of_json(columns))
    if table.num_rows != len(lines.bodies):
        raise ValueError("a body holds more than one record")
    return _typed({name: _one(table[name]) for name in table.column_names}, columns, table.num_rows), np.arange(table.num_rows), 0


def _of_lists(lines: Lines, columns: Sequence[Column]) -> Rows:
    """Lists of records: each is wrapped, so that Arrow's reader of lines takes it."""
    fields = pa.struct(list(_schema_of_json(columns)))
    wrapped = '{"r":' + '}\n{"r":'.join(pc.replace_substring(lines.bodies, "\n", " ").to_pylist()) + "}"
    table = _parsed(wrapped.encode(), pa.schema([("r", pa.list_(fields))]))
    lists = _one(table["r"])
    if len(lists) != len(lines.bodies):
        raise ValueError("a body holds more than one list")
    flat = lists.flatten()
    owners = np.repeat(np.arange(len(lists)), pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))
    if flat.null_count:
        raise ValueError("a row of a list is no record")
    return _typed({column.name: pc.struct_field(flat, column.name) for column in columns}, columns, len(flat)), owners, 0


def _schema_of_json(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([(column.name, _type(column)) for column in columns])


def _one_by_one(lines: Lines, columns: Sequence[Column]) -> Rows:
    """Every body by Python's own readers; one that cannot be read is lost, a cell that does not fit is missing."""
    rows: list[Mapping[str, Any]] = []
    owners: list[int] = []
    lost = 0
    every = zip(lines.bodies.to_pylist(), lines.encodings.to_pylist(), lines.kinds.to_pylist(), strict=True)
    for place, (body, encoding, kind) in enumerate(every):
        try:
            found = records_of(body, encoding, kind, columns)
        except (ValueError, KeyError, TypeError, RecursionError, pa.ArrowException):
            lost += 1
            continue
        rows += found
        owners += [place] * len(found)
    cells = {column.name: pa.array([_plain(row.get(column.name), column) for row in rows], _type(column)) for column in columns}
    return _typed(cells, columns, len(rows)), np.asarray(owners, np.int64), lost


def records_of(body: str, encoding: str, kind: str, columns: Sequence[Column]) -> list[Mapping[str, Any]]:
    """Rows of one body, whatever its form.

    Raises
    ------
    ValueError : when it has none
    """
    plain = base64.b64decode(body) if encoding == "BASE64" else body.encode()
    base = kind.partition(";")[0].strip().lower()
    if encoding == "CSV" or base == "text/csv":
        return _csv_records(plain.decode("utf-8", "replace"), columns)
    if "parquet" in base:
        import pyarrow.parquet as pq

        return list(pq.read_table(io.BytesIO(plain), partitioning=None).to_pylist())
    if "arrow" in base:
        return list(pa.ipc.open_stream(pa.BufferReader(plain)).read_all().to_pylist())
    names = [column.name for column in columns]
    try:
        given = json.loads(plain)
    except ValueError:
        given = [json.loads(line) for line in plain.splitlines() if line.strip()]
    if isinstance(given, dict):
        split = given.get("dataframe_split", given)
        listed = next((given[key] for key in LISTED if isinstance(given.get(key), list) and key not in names), None)
        if listed is not None:
            given = listed
        elif isinstance(split, dict) and isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
            given, names = split["data"], [str(name) for name in split["columns"]]
        else:
            given = [given]
    rows = [dict(zip(names, row, strict=True)) if isinstance(row, list) else row for row in given]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no records")
    return rows


def _csv_records(text: str, columns: Sequence[Column]) -> list[Mapping[str, Any]]:
    import csv

    names = [column.name for column in columns]
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain(value: Any, column: Column) -> Any:
    """One cell as its column takes it; None where it does not fit."""
    if column.kind == "number":
        if isinstance(value, (int, float)):
            return float(value)
        return float(value) if isinstance(value, str) and re.match(NUMBER, value) else None
    if value is None or isinstance(value, (dict, list)):
        return None
    if column.kind == "boolean":
        word = str(value).strip().lower()
        return True if word in TRUE else False if word in FALSE else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(label_text(pa.array([value]))[0].as_py()) if isinstance(value, (int, float)) else str(value)


def _typed(cells: Mapping[str, pa.Array], columns: Sequence[Column], rows: int) -> pa.RecordBatch:
    """Cells as the engines' reader types them; a column that is not there is missing."""
    arrays = []
    for column in columns:
        given = cells.get(column.name)
        given = pa.nulls(rows, _type(column)) if given is None else given
        if column.kind == "boolean" and is_text(given.type):
            low = pc.utf8_lower(pc.utf8_trim_whitespace(given))
            true, false = (pc.is_in(low, value_set=pa.array(words, low.type)) for words in (TRUE, FALSE))
            given = pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))
        elif column.kind == "category" and is_text(given.type):
            given = pc.utf8_trim(given, " ")
            given = pc.if_else(pc.equal(given, ""), pa.scalar(None, pa.string()), given)
        arrays.append(given.cast(_type(column)))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _with_marks(rows: pa.RecordBatch, lines: Lines, owners: np.ndarray) -> pa.RecordBatch:
    """The rows with the id and moment of their request."""
    events = lines.events.take(pa.array(owners))
    counts = np.bincount(owners, minlength=len(lines.bodies))
    if len(owners) and counts.max() > 1:
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        number = pa.array(np.arange(len(owners)) - starts).cast(pa.string())
        several = pa.array(counts[owners] > 1)
        events = pc.if_else(several, pc.binary_join_element_wise(events, number, "/"), events)
    marks = [events, lines.inferences.take(pa.array(owners)), lines.moments.take(pa.array(owners))]
    return pa.RecordBatch.from_arrays([*rows.columns, *marks], names=[*rows.schema.names, EVENT, INFERENCE, MOMENT])


def _one(cells: pa.ChunkedArray) -> pa.Array:
    found = cells.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
