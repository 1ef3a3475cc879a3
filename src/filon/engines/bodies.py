"""Bodies of captured requests to typed rows: many at once by readers that work on columns, odd ones one by one by Python's own."""

import base64
import datetime as dt
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column
from filon.engines.cast import FALSE, NUMBER, TRUE
from filon.rows.cells import is_text
from filon.rows.encode import label_text

LISTED = ("instances", "dataframe_records")
"""Names under which clients of other servers send a list of records."""

MISSING = ("", "NA", "NaN", "nan", "null")
"""Cells of a CSV that mean missing, where nobody says which do."""

HEADED = "header=present"
"""Of a content type: the first line of the CSV has names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some captured requests: bodies with their ids and moments, all (n,)."""

    bodies: pa.Array
    encodings: pa.Array
    kinds: pa.Array
    events: pa.Array
    inferences: pa.Array
    moments: pa.Array


def sorted_by_form(lines: Lines) -> Iterator[tuple[str, pa.Array]]:
    """Forms of bodies, each with the places of its requests: records and lists of JSON, CSV, and what must be read one by one.

    What no body holds is looked for in all of them at once, which costs next to nothing; patterns by row are for blocks that have it.
    """
    every = pa.array(np.arange(len(lines.bodies)))
    csv = pc.or_(pc.equal(lines.encodings, "CSV"), pc.starts_with(lines.kinds, "text/csv"))
    headed = pc.match_substring(lines.kinds, HEADED)
    if len(every) and pc.all(pc.and_not(csv, headed)).as_py():
        yield "csv", every
        return
    packed = pc.equal(lines.encodings, "BASE64")
    first = pc.utf8_slice_codeunits(lines.bodies, 0, 1)
    if not pc.all(pc.is_in(first, value_set=pa.array(["{", "["])), min_count=0).as_py():
        first = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(lines.bodies), 0, 1)
    listed, text = pc.equal(first, "["), _text(lines.bodies)
    odd: Any = False
    if b"\n" in text:  # JSON Lines, or a record over several lines
        odd = pc.and_(pc.match_substring(pc.utf8_ltrim_whitespace(lines.bodies), "\n"), pc.equal(first, "{"))
    if b"[" in text and not pc.all(listed, min_count=0).as_py():
        odd = pc.or_(odd, pc.match_substring_regex(lines.bodies, '":[ \\t]*\\['))
    odd = pc.or_(odd, pc.not_equal(first, "{"))
    form = pc.if_else(listed, "list", pc.if_else(odd, "odd", "record"))
    form = pc.if_else(packed, "packed", pc.if_else(csv, pc.if_else(headed, "odd", "csv"), form))
    for kind in pc.unique(form).to_pylist():
        yield kind, pc.indices_nonzero(pc.equal(form, kind))


def _text(cells: pa.Array) -> bytes:
    """All bytes of some texts, and perhaps of their neighbours."""
    return b"".join(bytes(part) for part in cells.buffers()[2:] if part is not None)


def _joined(bodies: pa.Array, between: str) -> bytes:
    """Texts in one, without a detour through Python's strings."""
    several = pa.LargeListArray.from_arrays(pa.array([0, len(bodies)], pa.int64()), bodies.cast(pa.large_string()))
    return bytes(pc.binary_join(several, pa.scalar(between, pa.large_string()))[0].as_buffer())


def taken(lines: Lines, places: pa.Array) -> Lines:
    """Some of the requests; all of them are not copied."""
    if len(places) == len(lines.bodies):
        return lines
    return Lines(**{name: getattr(lines, name).take(places) for name in Lines.__slots__})


Rows = tuple[pa.RecordBatch, np.ndarray, int]
"""Typed rows, the place of each one's request, and how many requests were lost."""


class ParseRecords(Protocol):
    """An engine's own reader of JSON: cells by column of bodies that are plain records, or lists of them (and then how many rows each has).
    ValueError where they are not so."""

    def __call__(self, bodies: pa.Array, *, listed: bool) -> tuple[Mapping[str, pa.Array], pa.Array | None]: ...


FEW = 256
"""So many requests are read one by one where an odd one is among them; of more, the half that has none is still read at once."""


def rows_in(kind: str, lines: Lines, columns: Sequence[Column], parse: ParseRecords | None, missing: Sequence[str] = MISSING) -> Rows:
    """Rows of requests of one form (see `sorted_by_form`): at once where they are plain, in halves where some are odd.

    Parameters
    ----------
    missing : cells of a CSV that mean missing
    """
    if kind in {"csv", "record", "list"}:
        of_csv = partial(_of_csv, missing)
        for read in (partial(_of_plain, parse), of_csv if kind == "csv" else _of_records if kind == "record" else _of_lists):
            try:
                return read(kind, lines, columns)
            except (pa.ArrowException, ValueError):
                continue
        if len(lines.bodies) > FEW:
            half = len(lines.bodies) // 2
            parts = [(0, _sliced(lines, 0, half)), (half, _sliced(lines, half, len(lines.bodies)))]
            found = [(start, rows_in(kind, some, columns, parse, missing)) for start, some in parts]
            rows = pa.Table.from_batches([rows for _, (rows, _, _) in found]).combine_chunks().to_batches()
            owners = np.concatenate([owners + start for start, (_, owners, _) in found])
            return rows[0] if rows else found[0][1][0], owners, sum(lost for _, (_, _, lost) in found)
    return _one_by_one(lines, columns, missing)


def _sliced(lines: Lines, start: int, stop: int) -> Lines:
    return Lines(**{name: getattr(lines, name).take(pa.array(np.arange(start, stop))) for name in Lines.__slots__})


def _of_plain(parse: ParseRecords | None, kind: str, lines: Lines, columns: Sequence[Column]) -> Rows:
    if parse is None or kind == "csv" or not len(lines.bodies):
        raise ValueError("there is no faster reader")
    cells, counts = parse(lines.bodies, listed=kind == "list")
    every = np.arange(len(lines.bodies))
    owners = every if counts is None else np.repeat(every, _whole(counts))
    return _typed(cells, columns, len(owners)), owners, 0


def _of_csv(missing: Sequence[str], _: str, lines: Lines, columns: Sequence[Column]) -> Rows:
    bodies = pc.utf8_rtrim_whitespace(lines.bodies)
    owners = np.repeat(np.arange(len(bodies)), pc.add(pc.count_substring(bodies, "\n"), 1).to_numpy(zero_copy_only=False))
    rows = _read_csv(_joined(bodies, "\n"), columns, missing)
    if rows.num_rows != len(owners):
        raise ValueError("cells of a CSV hold line ends, or lines are empty")
    return rows, owners, 0


def _read_csv(body: bytes, columns: Sequence[Column], missing: Sequence[str]) -> pa.RecordBatch:
    from pyarrow import csv

    kinds = {column.name: pa.float64() if column.kind == "number" else pa.string() for column in columns}
    table = csv.read_csv(
        io.BytesIO(body + b"\n"),
        read_options=csv.ReadOptions(column_names=[column.name for column in columns], use_threads=False, block_size=len(body) + 2),
        parse_options=csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=kinds, null_values=list(missing), strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )
    return _typed({name: one(table[name]) for name in table.column_names}, columns, table.num_rows)


def _of_records(_: str, lines: Lines, columns: Sequence[Column]) -> Rows:
    table = parsed(_joined(lines.bodies, "\n"), _schema_of_json(columns))
    if table.num_rows != len(lines.bodies):
        raise ValueError("a body holds more than one record")
    return _typed({name: one(table[name]) for name in table.column_names}, columns, table.num_rows), np.arange(table.num_rows), 0


def _of_lists(_: str, lines: Lines, columns: Sequence[Column]) -> Rows:
    """Lists of records: each is wrapped, so that Arrow's reader of lines takes it."""
    fields = pa.struct(list(_schema_of_json(columns)))
    wrapped = b'{"r":' + _joined(pc.replace_substring(lines.bodies, "\n", " "), '}\n{"r":') + b"}"
    table = parsed(wrapped, pa.schema([("r", pa.list_(fields))]))
    lists = one(table["r"])
    if len(lists) != len(lines.bodies):
        raise ValueError("a body holds more than one list")
    flat = lists.flatten()
    owners = np.repeat(np.arange(len(lists)), _whole(pc.fill_null(pc.list_value_length(lists), 0)))
    if flat.null_count:
        raise ValueError("a row of a list is no record")
    return _typed({column.name: pc.struct_field(flat, column.name) for column in columns}, columns, len(flat)), owners, 0


def _whole(counts: pa.Array) -> np.ndarray:
    found: np.ndarray = counts.to_numpy(zero_copy_only=False)
    if not found.all():
        raise ValueError("a list has no rows")
    return found


def _schema_of_json(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([(column.name, type_of(column)) for column in columns])


def _one_by_one(lines: Lines, columns: Sequence[Column], missing: Sequence[str]) -> Rows:
    """Every body by Python's own readers; one that cannot be read is lost, a cell that does not fit is missing."""
    rows: list[Mapping[str, Any]] = []
    owners: list[int] = []
    lost = 0
    every = zip(lines.bodies.to_pylist(), lines.encodings.to_pylist(), lines.kinds.to_pylist(), strict=True)
    for place, (body, encoding, kind) in enumerate(every):
        try:
            given = records_of(body, encoding, kind, columns, missing)
            found = [{column.name: _plain(row.get(column.name), column) for column in columns} for row in given]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, pa.ArrowException):
            lost += 1
            continue
        rows += found
        owners += [place] * len(found)
    cells = {column.name: pa.array([row[column.name] for row in rows], type_of(column)) for column in columns}
    return _typed(cells, columns, len(rows)), np.asarray(owners, np.int64), lost


def records_of(body: str, encoding: str, kind: str, columns: Sequence[Column], missing: Sequence[str] = MISSING) -> list[Mapping[str, Any]]:
    """Rows of one body, whatever its form.

    Parameters
    ----------
    missing : cells of a CSV that mean missing

    Raises
    ------
    ValueError : when it has none
    """
    plain = base64.b64decode(body) if encoding == "BASE64" else body.encode()
    base = kind.partition(";")[0].strip().lower()
    if encoding == "CSV" or base == "text/csv":
        return _csv_records(plain.decode("utf-8", "replace"), [] if HEADED in kind else [column.name for column in columns], missing)
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


def _csv_records(text: str, names: list[str], missing: Sequence[str]) -> list[Mapping[str, Any]]:
    """Records of a CSV; without names, its first line has them."""
    import csv

    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    names, rows = (names, rows) if names else (rows[0], rows[1:])
    return [{name: None if cell in missing else cell for name, cell in zip(names, row, strict=True)} for row in rows]


def _plain(value: Any, column: Column) -> Any:
    """One cell as its column takes it; None where it does not fit.

    Raises
    ------
    ValueError, OverflowError : a text that is none in UTF-8 (half a surrogate pair), a whole number beyond all that is counted with
    """
    if column.kind == "number":
        if isinstance(value, (int, float, Decimal)):
            return float(value)
        if column.stored.startswith(("date", "timestamp")):
            return _seconds(value)
        return float(value) if isinstance(value, str) and re.match(NUMBER, value) else None
    if value is None or isinstance(value, (dict, list)):
        return None
    if column.kind == "boolean":
        word = str(value).strip().lower()
        return True if word in TRUE else False if word in FALSE else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(label_text(pa.array([value]))[0].as_py()) if isinstance(value, (int, float)) else str(value).encode().decode()


def _seconds(value: Any) -> float | None:
    """Seconds since 1970 of a date that the model sees as a number, naive ones being UTC; None for what is no date."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.date):
        return None
    moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _typed(cells: Mapping[str, pa.Array], columns: Sequence[Column], rows: int) -> pa.RecordBatch:
    """Cells as the engines' reader types them; a column that is not there is missing."""
    arrays = []
    for column in columns:
        given = cells.get(column.name)
        given = pa.nulls(rows, type_of(column)) if given is None else given
        if column.kind == "boolean" and is_text(given.type):
            low = pc.utf8_lower(pc.utf8_trim_whitespace(given))
            true, false = (pc.is_in(low, value_set=pa.array(words, low.type)) for words in (TRUE, FALSE))
            given = pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))
        elif column.kind == "category" and is_text(given.type):
            given = pc.utf8_trim(given, " ")
            given = pc.if_else(pc.equal(given, ""), pa.scalar(None, pa.string()), given)
        arrays.append(given.cast(type_of(column)))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def type_of(column: Column) -> pa.DataType:
    """How a column's cells are held."""
    if column.kind == "number":
        return pa.float64()
    return pa.bool_() if column.kind == "boolean" else pa.string()


def parsed(block: bytes, schema: pa.Schema) -> pa.Table:
    """Records of JSON, one a line, by Arrow's reader; it raises `pa.ArrowInvalid` where one does not fit."""
    from pyarrow import json as lines_reader

    read = lines_reader.ReadOptions(use_threads=False, block_size=len(block) + 1)
    parse = lines_reader.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return lines_reader.read_json(io.BytesIO(block), read_options=read, parse_options=parse)


def one(cells: pa.ChunkedArray) -> pa.Array:
    """The cells in one piece."""
    found = cells.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
