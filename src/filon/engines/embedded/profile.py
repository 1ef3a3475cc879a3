"""The profile of an embedded table: one pass over its batches."""

import time

from filon.engines.base import LabelPlan, Profile
from filon.engines.embedded.prefetch import prefetched
from filon.engines.embedded.reader import EmbeddedTable, misfit_of
from filon.engines.embedded.sampling import LowestRows
from filon.engines.profiling import Profiler
from filon.events import Event, Listen, silence

CELLS = 16 << 20
"""Cells of a batch at most (128 MB as float64): a batch of a very wide table holds fewer rows."""

MOST_ROWS, FEWEST_ROWS = 1 << 17, 2048
KEPT_ROWS, KEPT_PER_CLASS = 256, 16
"""Rows with the lowest hashes that the pass keeps aside: the golden rows of the bundle come from them, without another pass."""

QUIET_S = 2.0
"""Seconds between two signs of life (law 8 asks for one in five)."""


def profile(table: EmbeddedTable, label: LabelPlan, threads: int = 1, listen: Listen = silence) -> Profile:
    """Everything `check` wants to know, in one pass; memory grows by nine bytes a row, for the search of duplicates.

    Raises
    ------
    DataError, SetupError : `read.*`, as rows are read
    """
    columns = [column for column in table.source.columns if column.role != "dropped"]
    names = [column.name for column in columns]
    misfits = {name: misfit_of(name) for name in table.misfits if name in names}
    profiler = Profiler(columns, label, misfits=misfits, threads=threads)
    wanted = [*table.names, *misfits.values()]
    lowest = LowestRows(KEPT_ROWS, KEPT_PER_CLASS) if profiler.features and table.source.names("label") else None
    total = table.rows() if table.source.format == "parquet" else 0
    heard = time.monotonic()
    for batch in prefetched(table.batches(wanted, max(FEWEST_ROWS, min(MOST_ROWS, CELLS // len(wanted))))):
        profiler.add(batch)
        if lowest is not None:
            lowest.add(batch, profiler.hashes, profiler.classes)
        if time.monotonic() - heard > QUIET_S:
            heard = time.monotonic()
            listen(
                Event(stage="check", text=f"profile of {len(columns):,} columns: {profiler.rows:,} rows", done=profiler.rows, total=total)
            )
    if lowest is not None:
        table.remember(lowest)
    return profiler.finish()
