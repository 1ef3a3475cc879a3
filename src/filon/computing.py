"""An engine for as long as a command lasts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filon.engines.settings import SparkSettings
from filon.events import Listen, silence

if TYPE_CHECKING:
    from filon.engines.base import Engine


@contextmanager
def computing(
    name: str,
    *,
    scratch: Path | None = None,
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Iterator[Engine]:
    """Open an engine, which works in a folder of its own within the scratch folder and leaves nothing there.

    Parameters
    ----------
    name : one of `engines.ENGINES`
    scratch : where FILON_SCRATCH does not say it; the system's temporary folder when left out
    threads, memory_mib : cores, and resident memory in MiB, to stay within; all cores and half of the free memory when left out

    Raises
    ------
    SetupError : `places.outside-lane`, versions that do not go together
    """
    from filon.engines import lake, open_engine

    if name == "spark":
        from filon.places.lanes import own_versions, require_lane

        require_lane(own_versions())
    root = Path(os.environ.get("FILON_SCRATCH") or scratch or tempfile.gettempdir())
    opened = open_engine(
        name, scratch=root, threads=threads or 0, memory_mib=memory_mib or 0, spark=spark or SparkSettings(), listen=listen
    )
    with opened as engine:
        before = lake.CATALOG.set(getattr(engine, "catalog", None))  # Spark's alone has one
        try:
            yield engine
        finally:
            lake.CATALOG.reset(before)
