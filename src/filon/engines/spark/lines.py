"""Where a large CSV may be cut: at the ends of lines, when no quoted cell runs over one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import File, Source
from filon.engines.embedded.fetching import UTF8
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.session import Session
from filon.engines.spark.words import Telling
from filon.engines.storage import opened

RANGE_BYTES = 32 << 20
"""Bytes of a range, about; a file of less than two is read whole."""

BLOCK = 1 << 20
NEWLINE = 10

FOUND = pa.schema([("file", pa.int32()), ("asked", pa.int64()), ("start", pa.int64()), ("sure", pa.bool_())])
SQL = "file int, asked bigint, start bigint, sure boolean"


def ranges(source: Source, session: Session) -> dict[str, tuple[tuple[int, int], ...]]:
    """By path, the byte ranges of files that can be read by several tasks; the others are read whole.

    A line with an odd number of quotation marks belongs to a cell of several lines (or to a mark that stands for itself): then nobody
    knows where rows begin without reading from the start, and the file is one range.
    """
    dialect = source.dialect
    if dialect is None or dialect.compression or dialect.encoding.lower() not in UTF8:
        return {}
    large = [file for file in source.files if file.size_bytes >= 2 * RANGE_BYTES]
    if not large:
        return {}
    asked = [(place, start) for place, file in enumerate(large) for start in range(0, file.size_bytes, RANGE_BYTES)]
    from filon.engines.spark.reader import environment

    work = Look(files=tuple(large), asked=tuple(asked), quote=dialect.quote, environment=environment(source))
    numbers = session.spark.range(0, len(asked), 1, min(len(asked), 4 * session.parallel))
    found = fetched(numbers.mapInArrow(Telling(work), SQL), session, source.origin).to_pylist()
    return {
        file.path: cuts for place, file in enumerate(large) if len(cuts := _cuts(file, [one for one in found if one["file"] == place])) > 1
    }


def _cuts(file: File, found: Sequence[dict[str, Any]]) -> tuple[tuple[int, int], ...]:
    if not all(one["sure"] for one in found):
        return ((0, file.size_bytes),)
    starts = sorted({int(one["start"]) for one in found if one["start"] < file.size_bytes})
    return tuple(zip(starts, [*starts[1:], file.size_bytes], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The work of a task: the first line that begins in each range, and whether all its lines have their marks in pairs."""

    files: tuple[File, ...]
    asked: tuple[tuple[int, int], ...]
    quote: str
    environment: dict[str, str]

    def __call__(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers of ranges to what is found there."""
        import os

        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        for batch in numbers:
            rows = [self._look(*self.asked[number]) for number in batch.column(0).to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=FOUND)

    def _look(self, place: int, asked: int) -> dict[str, Any]:
        file = self.files[place]
        start, sure = look(file, asked, min(asked + RANGE_BYTES, file.size_bytes), self.quote)
        return {"file": place, "asked": asked, "start": start, "sure": sure}


def look(file: File, begin: int, end: int, quote: str) -> tuple[int, bool]:
    """The place of the first line that begins in [begin, end) (the file's size when none does), and whether quotation marks come in pairs
    on every line from there to the one that ends after `end`."""
    mark = ord(quote) if quote else -1
    start, odd, at = (0 if begin == 0 else -1), 0, max(0, begin - 1)
    with opened(file) as handle:
        handle.seek(at)  # one byte before: a range that begins with a line knows it by the newline there
        while data := handle.read(BLOCK):
            block = np.frombuffer(data, np.uint8)
            ends = np.flatnonzero(block == NEWLINE)
            first = 0
            if start < 0:
                if not len(ends):
                    at += len(data)
                    continue
                first = int(ends[0]) + 1
                start, ends = at + first, ends[1:]
                if start >= end:
                    return file.size_bytes, True
            marks = np.append(0, np.cumsum(block[first:] == mark)) if mark >= 0 else np.zeros(len(block) - first + 1, np.int64)
            upto = marks[ends - first + 1] + odd
            last = at + ends >= end - 1  # the line that is still ours ends here
            if last.any():
                upto = upto[: int(np.argmax(last)) + 1]
            if (upto % 2).any():
                return start, False
            if last.any():
                return start, True
            odd = (odd + int(marks[-1])) % 2
            at += len(data)
    return (file.size_bytes if start < 0 else start), odd % 2 == 0
