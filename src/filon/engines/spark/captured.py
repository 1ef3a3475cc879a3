"""Captured requests as a table of the Spark engine: each file is read and parsed in a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from filon.engines.base import Source
from filon.engines.embedded.captured import CapturedTable
from filon.engines.spark.reader import ROWS, Located, Work, mapped
from filon.engines.spark.session import Session
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
        return mapped(self.session, self.source, len(self.source.files), partial(_file, self.source, names, rows), work, schema)


def _file(source: Source, names: tuple[str, ...], rows: int, number: int, _folder: Path) -> Located:
    table = CapturedTable(replace(source, files=(source.files[number],)), 1, silence)
    return ((0, batch) for batch in table.batches(names, rows))
