"""What computes: `open_engine` makes an engine, `base` says what it can do."""

import typing  # `cast` is also the name of a module of this room
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filon.engines.base import Column, Engine
from filon.engines.settings import SparkSettings
from filon.errors import RecipeError
from filon.events import Listen, silence

if TYPE_CHECKING:
    import pyarrow as pa


ENGINES = ("embedded", "spark")


def open_engine(
    name: str,
    *,
    scratch: Path,
    threads: int = 0,
    memory_mib: int = 0,
    spark: SparkSettings = SparkSettings(),  # noqa: B008 (frozen)
    listen: Listen = silence,
) -> Engine:
    """An engine by its name, to be used as a context manager.

    Parameters
    ----------
    name : one of `ENGINES`
    scratch : folder in which the engine makes one of its own, removed when it is left
    threads : cores to use, 0 for all
    memory_mib : resident memory to stay within, 0 for no limit of our own
    spark : how Spark is reached and used; only the engine "spark" looks at it
    listen : hears what a long step says

    Raises
    ------
    RecipeError : `engines.unknown`
    """
    if name == "embedded":
        from filon.engines.embedded import EmbeddedEngine

        # an engine is handed its own tables only, which the interface cannot say: it takes any
        return typing.cast("Engine", EmbeddedEngine(scratch=scratch, threads=threads, memory_mib=memory_mib, listen=listen))
    if name == "spark":
        from filon.engines.spark import SparkEngine

        return typing.cast("Engine", SparkEngine(scratch=scratch, settings=spark, threads=threads, memory_mib=memory_mib, listen=listen))
    raise RecipeError("engines.unknown", f'there is no engine "{name}"', f"the engines are {', '.join(ENGINES)}", "--engine embedded")


def open_deriver(columns: Sequence[Column]) -> "Callable[[pa.RecordBatch], pa.RecordBatch]":
    """What adds derived columns to typed source rows in memory, as the engines' reader does; it keeps its connection between calls.

    Parameters
    ----------
    columns : source columns first, then derived ones, their kinds settled
    """
    from filon.engines.embedded.deriver import Deriver

    return Deriver(columns)
