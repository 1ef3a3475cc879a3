"""States of tasks, each of bounded size, merged in a tree on the executors: the driver sees the last one only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.hashing import keys_of
from filon.engines.spark.session import Session
from filon.engines.spark.words import Telling

STATE = pa.schema([("number", pa.int64()), ("state", pa.binary())])
SQL = "number bigint, state binary"

FAN = 8
"""States that one task merges."""

Join = Callable[[list[bytes]], bytes]
"""Joins states in the order of the table; a function of a module that the workers have."""


def merged(states: Any, count: int, session: Session, join: Join, finish: Join, origin: str) -> bytes | None:
    """One outcome of all states.

    Parameters
    ----------
    states : DataFrame of `number` (below `count`, ascending with the table's order) and `state`
    join : joins some states into one
    finish : joins the last states into the outcome
    """
    from pyspark.sql import functions as F  # noqa: N812

    while count > FAN:
        count = -(-count // FAN)
        keys = F.array(*map(F.lit, keys_of(count)))
        states = (
            states.withColumn("group", F.floor(F.col("number") / FAN).cast("int"))
            .repartition(count, F.element_at(keys, F.col("group") + 1))
            .mapInArrow(Telling(Merge(join)), SQL)
        )
    found = fetched(states.repartition(1).mapInArrow(Telling(Merge(finish)), SQL), session, origin)
    return bytes(found.column("state")[0].as_py()) if found.num_rows else None


@dataclass(frozen=True, slots=True)
class Merge:
    """The work of a task: all states of a partition to one, in their order."""

    join: Join

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers and states to one of each."""
        held = [(row["number"], row["state"]) for batch in batches for row in batch.to_pylist()]
        if held:
            held.sort(key=lambda one: one[0])
            yield state(held[0][0] // FAN, self.join([one[1] for one in held]))


def state(number: int, content: bytes) -> pa.RecordBatch:
    """A state as a row."""
    return pa.RecordBatch.from_arrays([pa.array([number], pa.int64()), pa.array([content], pa.binary())], schema=STATE)
