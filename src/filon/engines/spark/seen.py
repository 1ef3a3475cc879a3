"""What a worker says of itself when it is asked once, before anything depends on it: the folder we share, its machine's memory."""

from __future__ import annotations

import importlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from filon.engines.spark.words import Telling

if TYPE_CHECKING:
    from filon.engines.spark.session import Session

SAID = pa.schema([("sees", pa.bool_()), ("memory_mib", pa.float64())])
SQL = "sees boolean, memory_mib double"

SPREAD = 1 << 12
"""Rows of the range that asks: Spark cuts it into as many tasks as it runs at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """tasks : that Spark runs at the same time, by its own default; memory_mib : of the smallest machine, 0 when nobody was asked; sees :
    all of them see the work folder, or it is in a store that has no paths."""

    tasks: int = 0
    memory_mib: float = 0.0
    sees: bool = True


def asked(session: Session) -> Workers:
    """One small job over Spark's default number of tasks.

    Raises
    ------
    SetupError : `engines.workers-lack`, `engines.python-differs`
    """
    mark = Path(folder) / f"seen-{uuid.uuid4().hex[:8]}" if (folder := session.work_path) else None
    if mark is not None:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    try:
        with session.in_our_words("its workers"):
            look = Look(path=str(mark or ""), fits=not session.local)
            rows = session.spark.range(SPREAD).mapInArrow(Telling(look), SQL).collect()
    finally:
        if mark is not None:
            mark.unlink(missing_ok=True)
    return Workers(tasks=len(rows), memory_mib=min(row["memory_mib"] for row in rows), sees=all(row["sees"] for row in rows))


@dataclass(frozen=True, slots=True)
class Look:
    """The work of a task: one row about the machine that it runs on."""

    path: str
    fits: bool
    """The worker gets ready for fits while it waits for its next task. On the driver's own cores that would only be in the way."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Whatever comes in, one row goes out."""
        from filon.engines.spark.capacity import memory_mib

        for _ in batches:
            pass
        sees = not self.path or Path(self.path).exists()
        yield pa.RecordBatch.from_pydict({"sees": [sees], "memory_mib": [memory_mib()]}, schema=SAID)
        if self.fits:
            threading.Thread(target=_get_ready, name="filon-ready", daemon=True).start()


def _get_ready() -> None:
    """Load what takes a second; Spark keeps its Python workers, so the first fit need not."""
    with suppress(Exception):  # whatever is missing is told by the task that needs it
        for library in ("xgboost", "filon.engines.trainer.fitting"):
            importlib.import_module(library)
