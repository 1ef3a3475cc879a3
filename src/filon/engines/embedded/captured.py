"""Captured requests as a table of the embedded engine: blocks of lines are parsed side by side, rows come in the order of the files."""

import gzip
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from filon.engines.base import Column, File, Source
from filon.engines.bodies import MISSING
from filon.engines.captures import blocks, rows_of
from filon.engines.embedded.deriver import Deriver
from filon.engines.embedded.records import RecordParser
from filon.engines.s3 import ask, filesystem, is_remote, key_of
from filon.errors import DERIVE_FAILED, FilonError, SetupError
from filon.events import Event, Listen

FEW_REFUSED, MOST_REFUSED = 100, 5000
"""Rows that are looked for one by one; where most fail, or so many, it is no odd row but another table (or a column that is hashed)."""


class CapturedTable:
    """Rows of captured requests, typed; nothing is read until rows are asked for.

    `unread` counts requests that could not be read, `refused` rows on which an expression of the recipe fails.
    """

    def __init__(self, source: Source, threads: int, listen: Listen) -> None:
        self.source, self.threads, self._listen = source, threads, listen
        self.unread = self.refused = self.kept = 0
        self._plain: tuple[Column, ...] = tuple(
            column for column in source.columns if not column.sql and not column.name.startswith("filon:")
        )
        derived = tuple(column for column in source.columns if column.sql)
        self._derive: Callable[[pa.RecordBatch], pa.RecordBatch] | None = Deriver((*self._plain, *derived)) if derived else None

    def batches(self, columns: Sequence[str] | None = None, rows_per_batch: int = 1 << 16) -> Iterator[pa.RecordBatch]:
        """Typed rows, in bounded memory: at most a few blocks are in work at a time."""
        names = [column.name for column in self.source.columns] if columns is None else list(columns)
        parse = RecordParser(self._plain)
        missing = MISSING if self.source.dialect is None else self.source.dialect.missing
        with ThreadPoolExecutor(max(1, self.threads), thread_name_prefix="filon-capture") as pool:
            waiting: deque[Future[tuple[pa.RecordBatch, int]]] = deque()
            for block in self._blocks():
                waiting.append(pool.submit(rows_of, block, self._plain, parse, missing))
                if len(waiting) > 2 * self.threads:
                    yield from self._ready(waiting.popleft(), names, rows_per_batch)
            while waiting:
                yield from self._ready(waiting.popleft(), names, rows_per_batch)
        if self.unread:
            self._listen(Event(stage="watch", text=f"{self.unread:,} captured requests could not be read and are left out"))
        if self.refused:
            why = "an expression of data.derive fails on them, as it did when they were asked"
            self._listen(Event(stage="watch", text=f"{self.refused:,} captured rows are left out: {why}"))

    def close(self) -> None:
        """Nothing is kept open."""

    def _ready(self, done: "Future[tuple[pa.RecordBatch, int]]", names: Sequence[str], most: int) -> Iterator[pa.RecordBatch]:
        batch, bad = done.result()
        self.unread += bad
        for part in self._derived(batch):
            chosen = part.select(list(names))
            for start in range(0, chosen.num_rows, most):
                yield chosen.slice(start, most)

    def _derived(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """With derived columns. Where one cannot be calculated the halves are tried, down to the row that stands in the way."""
        if self._derive is None or not batch.num_rows:
            yield batch
            return
        try:
            whole = self._derive(batch.select([column.name for column in self._plain]))
        except FilonError as exc:
            if exc.code not in DERIVE_FAILED:
                raise
            if batch.num_rows == 1:
                self.refused += 1
                if self.refused > MOST_REFUSED or (self.refused > FEW_REFUSED and self.refused > self.kept):
                    raise
                return
            half = batch.num_rows // 2
            yield from self._derived(batch.slice(0, half))
            yield from self._derived(batch.slice(half))
            return
        self.kept += batch.num_rows
        marks = [name for name in batch.schema.names if name not in whole.schema.names]
        yield pa.RecordBatch.from_arrays([*whole.columns, *(batch.column(name) for name in marks)], names=[*whole.schema.names, *marks])

    def _blocks(self) -> Iterator[bytes]:
        for file in self.source.files:
            with _opened(file) as stream:
                yield from blocks(stream)


def _opened(file: File) -> BinaryIO:
    try:
        if is_remote(file.path):
            raw = cast(BinaryIO, ask(lambda: filesystem().open_input_stream(key_of(file.path), compression=None), file.path))
        else:
            raw = Path(file.path).open("rb")  # noqa: SIM115 (closed by whoever reads the blocks)
    except OSError as exc:
        raise SetupError(
            "read.file-refused", f"the file {file.path} cannot be read", exc.strerror or str(exc), "give yourself the right to read it"
        ) from exc
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if file.path.endswith(".gz") else raw
