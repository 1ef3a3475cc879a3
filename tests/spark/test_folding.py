"""Law 1 on Spark: how many tasks and partitions there are never shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.parity.tables import awkward, truth, write_parquet
from tests.unit.engines.embedded.tables import plan_for

from filon.engines import open_engine
from filon.engines.base import Engine
from filon.engines.settings import SparkSettings
from filon.engines.spark import folding, merging, pieces
from filon.engines.spark.hashing import keys_of, murmur3
from filon.engines.spark.profile import level
from filon.read import read
from filon.read.settings import DataSettings

pytestmark = pytest.mark.spark

FEATURES = ("x", "whole", "flag", "word", "tenth")
ROWS = 1000


@pytest.fixture(scope="module")
def engine(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_engine("spark", scratch=tmp_path_factory.mktemp("scratch {v2}, año"), spark=SparkSettings(strategy="cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def wanted() -> dict[str, list[tuple[int, str]]]:
    return truth(awkward(ROWS), FEATURES, ("bad", "good"), (0.7, 0.15, 0.15), 42)


@pytest.mark.parametrize(("files", "bytes_a_partition"), [(1, 1 << 30), (7, 4000), (200, 1200)])
def test_folds_are_the_same_for_one_to_two_hundred_partitions(
    engine: Engine, wanted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, bytes_a_partition: int
) -> None:
    monkeypatch.setattr(pieces, "LEAST_BYTES", 1)
    monkeypatch.setattr(pieces, "MOST_BYTES", 1)
    monkeypatch.setattr(folding, "PART_BYTES", bytes_a_partition)
    frame = awkward(ROWS).sample(frac=1, random_state=files)
    data = DataSettings(source=str(write_parquet(frame, tmp_path / "t", files=files)), label="y")
    table: Any = engine.read(read(data, tmp_path))
    plan = plan_for(table_of(table, frame))
    assert len(table.cut.pieces) == files
    assert len(keys_of(folding._parts(table, plan))) >= min(files, 30)
    folds: Any = engine.split(table, plan)
    for name, fold in (("train", folds.fold("train")), ("valid", folds.fold("valid")), ("test", folds.open_test("parity"))):
        digest = sum(key for key, _ in wanted[name]) % 2**64
        assert folds.info[name].digest == f"{digest:016x}"
        labels = np.concatenate([block.label for block in fold.blocks()])
        assert [plan.label.classes[label] for label in labels] == [label for _, label in wanted[name]]


def table_of(table: Any, frame: Any) -> Any:
    """What `plan_for` wants to know of a table: its columns, and the label's values."""
    from dataclasses import dataclass, replace

    import pyarrow as pa

    @dataclass(frozen=True)
    class Seen:
        table: pa.Table
        source: Any

    columns = tuple(replace(one, role="label" if one.name == "y" else "feature") for one in table.source.columns)
    return Seen(pa.table({"y": pa.array(frame["y"].tolist())}), replace(table.source, columns=columns))


def test_spark_hashes_an_int_as_we_foresee(spark_session: Any) -> None:
    found = spark_session.range(0, 300, 1, 1).selectExpr("hash(cast(id - 7 as int)) as h").collect()
    assert [row["h"] for row in found] == [murmur3(k - 7) for k in range(300)]


def _joined(states: list[bytes]) -> bytes:
    return b"(" + b",".join(states) + b")"


def test_states_are_merged_in_the_order_of_the_table_whatever_their_number(engine: Any) -> None:
    for count in (1, 8, 9, 70):
        made = (
            engine.session.spark.range(0, count, 1, 3).selectExpr("id as number", "encode(string(id), 'utf-8') as state").orderBy("state")
        )
        found = merging.merged(made, count, engine.session, _joined, _joined, "numbers")
        assert found is not None
        assert [int(one) for one in found.replace(b"(", b"").replace(b")", b"").split(b",")] == list(range(count))


def test_the_sample_begins_at_a_level_it_is_sure_to_pass() -> None:
    from filon.rows.hash import mix

    for rows, most in ((100, 1000), (5000, 1000), (64_000, 1000), (1_300_001, 10_000)):
        hashes = mix(np.arange(rows, dtype=np.uint64))
        begun = level(rows, most)
        assert begun == 0 or int((hashes < np.uint64((1 << (64 - begun + 1)) - 1 if begun > 1 else 2**64 - 1)).sum()) > most
