"""What Python workers do between tasks."""

import gc
import os
import sys
import zipimport
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from filon.engines.spark.resting import rest
from filon.engines.spark.words import Telling

pytestmark = [pytest.mark.spark]


def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The worker as a task finds it; the task imports something, by which the path is walked."""
    for _ in batches:
        pass
    zips = sum(isinstance(one, zipimport.zipimporter) for one in sys.path_importer_cache.values())
    found = {"pid": os.getpid(), "zips": zips, "frozen": gc.get_freeze_count()}
    import wave  # noqa: F401 : whatever no other task has imported

    yield pa.RecordBatch.from_pydict({name: [value] for name, value in found.items()})


def test_a_worker_that_is_used_again_has_no_zips_to_list_and_nothing_to_collect(spark_session: Any) -> None:
    seen: dict[int, list[Any]] = {}
    for _ in range(6):
        (row,) = spark_session.range(0, 1, 1, 1).mapInArrow(Telling(look), "pid long, zips long, frozen long").collect()
        seen.setdefault(row["pid"], []).append(row)
    again = [row for rows in seen.values() for row in rows[1:]]
    assert len(again) >= 4, "Spark uses its workers again"
    assert all(row["zips"] == 0 and row["frozen"] > 10_000 for row in again), again


def test_the_driver_is_left_alone() -> None:
    before = gc.get_freeze_count()
    rest()
    assert gc.get_freeze_count() == before
