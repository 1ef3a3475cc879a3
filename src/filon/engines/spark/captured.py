"""Captured requests as a table of the Spark engine: each file is read and parsed in a task."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from filon.engines.base import Source
from filon.engines.embedded.captured import CapturedTable
from filon.engines.spark.reader import ROWS, Work, environment, spark_schema
from filon.engines.spark.session import Session
from filon.engines.spark.words import telling
from filon.events import silence


class SparkCapture:
    """Rows of captured requests; what `SparkTable` offers to scoring and counting. A server begins a new file each hour and 256 MiB."""

    misfits: tuple[str, ...] = ()

    def __init__(self, session: Session, source: Source) -> None:
        self.session, self.source = session, source
        self.cut = SimpleNamespace(pieces=source.files)

    def map(self, work: Work, schema: pa.Schema, columns: Sequence[str] | None = None, rows: int = ROWS) -> Any:
        """A lazy DataFrame of what `work` makes of each file (see `SparkTable.map`)."""
        names = tuple(column.name for column in self.source.columns) if columns is None else tuple(columns)
        task = CaptureTask(source=self.source, names=names, rows=rows, work=work, environment=environment(self.source))
        count = len(self.source.files)
        return self.session.spark.range(0, count, 1, count).mapInArrow(task, spark_schema(schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTask:
    """What a task does: parse the files whose numbers it is given, and work on their rows."""

    source: Source
    names: tuple[str, ...]
    rows: int
    work: Work
    environment: dict[str, str]

    def __call__(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers of files to rows."""
        return telling(self._work(numbers))

    def _work(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                table = CapturedTable(replace(self.source, files=(self.source.files[number],)), 1, silence)
                yield from self.work((0, rows) for rows in table.batches(self.names, self.rows))
