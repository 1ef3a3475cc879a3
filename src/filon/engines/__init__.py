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
    import numpy as np
    import pyarrow as pa

    from filon.engines.base import Written
    from filon.engines.spark.streaming import Streamed


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
    memory_mib : resident memory to stay within; when 0 the embedded engine takes half of what is free, and Spark's own settings count there
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


def open_stream(
    engine: Engine,
    score: "Callable[[tuple[str, ...], int], Written]",
    *,
    data: str,
    checkpoint: str,
    out: str,
    identity: dict[str, str],
    columns: Sequence[Column],
    once: bool,
) -> "Streamed":
    """Score what keeps arriving (see `engines.spark.streaming`); only the engine "spark" can.

    Raises
    ------
    RecipeError : `predict.stream-option`, `predict.stream-checkpoint`, `predict.stream-output`
    """
    from filon.engines.spark import SparkEngine
    from filon.engines.spark.streaming import Stream

    computing: object = engine
    if not isinstance(computing, SparkEngine):
        raise RecipeError("predict.stream-option", "only Spark scores a stream", f"the engine is {engine.name}", "--stream --engine spark")
    what = Stream(data=data, checkpoint=checkpoint, out=out, identity=identity, columns=tuple(columns), once=once)
    return computing.stream(what, score)


def spark_udf(
    answer: "Callable[[object], np.ndarray]", classes: int, columns: "Sequence[str]", *, name: str = "", spark: object = None
) -> object:
    """A vectorized UDF of Spark over structs (see `engines.spark.udf`), registered for SQL where a name is given.

    Parameters
    ----------
    answer : probability by class of the rows of a pandas DataFrame or an Arrow RecordBatch, (rows, classes) float32; pickled to the workers
    columns : those that the answer depends on
    spark : the session to register with; the active one when left out
    """
    from filon.engines.spark.udf import udf

    return udf(answer, classes, columns, name=name, spark=spark)
