"""Captured requests to typed rows: SageMaker's JSON Lines, as `filon serve` writes them and as a SageMaker endpoint does.

A line holds what was asked (`captureData.endpointInput`: CSV or JSON as text, or anything in base64) and when (`eventMetadata`). Blocks of
lines become columns at once, by Arrow's own readers; a block that they refuse is read value by value.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Column, File
from filon.engines.bodies import MISSING, Lines, ParseRecords, one, parsed, rows_in, sorted_by_form, taken, type_of

EVENT, INFERENCE, MOMENT = "filon:event", "filon:inference", "filon:time"
"""Columns of captured rows beside the model's: the request's id (`id/2` for the third row of a request of several), the id that the caller
gave, and when it was answered."""

FIRST, LAST = (pa.scalar(moment, pa.timestamp("us")) for moment in (dt.datetime.min, dt.datetime.max))
"""Moments that a calendar holds; an offset may lead beyond them."""

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


def rows_of(
    block: bytes, columns: Sequence[Column], parse: ParseRecords | None = None, missing: Sequence[str] = MISSING
) -> tuple[pa.RecordBatch, int]:
    """Typed rows of a block of lines.

    Parameters
    ----------
    columns : source columns of the model, in the order in which a CSV has them
    parse : a faster reader of plain records than Arrow's, of an engine that has one
    missing : cells of a CSV that mean missing

    Returns
    -------
    the columns by name with EVENT, INFERENCE and MOMENT, and how many requests could not be read
    """
    lines, bad = _lines(block)
    parts = []
    for kind, chosen in sorted_by_form(lines):
        some = taken(lines, chosen)
        rows, owners, lost = rows_in(kind, some, columns, parse, missing)
        bad += lost
        parts.append(_with_marks(rows, some, owners))
    whole = pa.Table.from_batches(parts, _schema(columns)).combine_chunks().to_batches() if parts else []
    return (whole[0] if whole else pa.RecordBatch.from_pylist([], _schema(columns))), bad


def _schema(columns: Sequence[Column]) -> pa.Schema:
    marks = [(EVENT, pa.string()), (INFERENCE, pa.string()), (MOMENT, pa.timestamp("us"))]
    return pa.schema([*((column.name, type_of(column)) for column in columns), *marks])


def _lines(block: bytes) -> tuple[Lines, int]:
    try:
        table, bad = parsed(block, _LINES), 0
    except pa.ArrowInvalid:
        table, bad = _parsed_one_by_one(block)
    asked = pc.struct_field(one(table["captureData"]), "endpointInput")
    about = one(table["eventMetadata"])
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
    return (taken(lines, pc.indices_nonzero(there)) if lost else lines), bad + lost


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
            "".join(filter(None, (*texts.values(), *ids.values()))).encode()  # half a surrogate pair is no text that a column holds
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
            continue
        found.append({"captureData": {"endpointInput": texts}, "eventMetadata": ids})
    return pa.Table.from_pylist(found, _LINES), bad


def _moments(texts: pa.Array) -> pa.Array:
    """Moments in UTC; what is no moment is missing."""
    try:
        found = texts.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        held = pc.and_(pc.greater_equal(found, FIRST), pc.less_equal(found, LAST))
        return pc.if_else(held, found, pa.scalar(None, found.type))
    except pa.ArrowInvalid:
        return pa.array([_moment(text) for text in texts.to_pylist()], pa.timestamp("us"))


def _moment(text: str | None) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text or "")
        return found.astimezone(dt.UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):  # no moment, or one that UTC has no day for
        return None


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
