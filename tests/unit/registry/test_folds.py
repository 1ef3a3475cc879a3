"""The test fold, computed again from the rows, is the one the engine made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines import open_engine
from filon.engines.base import Column, File, LabelPlan, Source, SplitPlan
from filon.registry.folds import test_fold as fold_of

COLUMNS = (
    Column(name="a", kind="number", stored="double"),
    Column(name="b", kind="category", stored="string"),
    Column(name="who", kind="text", role="key", stored="string"),
    Column(name="day", kind="number", role="time", stored="int64"),
    Column(name="y", kind="category", role="label", stored="string"),
)


def table(rows: int) -> pa.Table:
    """Rows of which many are equal in their features and differ in their label, some without a label."""
    draw = np.random.default_rng(5)
    return pa.table(
        {
            "a": draw.integers(0, 40, rows).astype(float),
            "b": draw.choice(["x", "y", "z"], rows),
            "who": draw.integers(0, rows // 5, rows).astype(str),
            "day": draw.integers(0, 500, rows),
            "y": pa.array(draw.choice(["no", "yes", "huh"], rows, p=[0.7, 0.27, 0.03]), mask=draw.random(rows) < 0.02),
        }
    )


def plan(by: str, *, stratify: bool = True) -> SplitPlan:
    label = LabelPlan(column="y", classes=("no", "yes"))
    features = tuple(column for column in COLUMNS if column.role == "feature")
    how = {"by": by, "stratify": stratify, "key": ("who",), "time": "day"}
    return SplitPlan(shares=(0.7, 0.15, 0.15), seed=11, label=label, features=features, **how)


@pytest.mark.parametrize("how", [plan("row"), plan("row", stratify=False), plan("key"), plan("time")], ids=lambda one: one.by)
def test_the_digest_is_that_of_the_split(how: SplitPlan, tmp_path: Path) -> None:
    rows = table(4000)
    pq.write_table(rows, tmp_path / "rows.parquet")
    files = (File(path=str(tmp_path / "rows.parquet"), size_bytes=1),)
    source = Source(format="parquet", files=files, dialect=None, columns=COLUMNS, origin="rows")
    with open_engine("embedded", scratch=tmp_path / "scratch", threads=1, memory_mib=1024) as engine:
        info = engine.split(engine.read(source), how).info["test"]
    shuffled = rows.take(np.random.default_rng(1).permutation(rows.num_rows))
    found = fold_of(shuffled, how, whole=True)
    assert found.digest == info.digest
    assert int(found.rows.sum()) == info.rows


@pytest.mark.parametrize("by", ["row", "key", "time"])
def test_of_a_sample_only_rows_that_are_surely_in_the_fold_are_taken(by: str) -> None:
    rows = table(60_000).set_column(0, "a", pa.array(np.random.default_rng(2).normal(size=60_000)))
    how = plan(by)
    exact = fold_of(rows, how, whole=True).rows
    part = np.sort(np.random.default_rng(3).permutation(rows.num_rows)[:20_000])
    found = fold_of(rows.take(part), how, whole=False).rows
    assert found.any()
    assert exact[part][found].all()
    assert found.sum() > 0.7 * exact[part].sum()


def test_another_seed_is_another_fold() -> None:
    rows = table(2000)
    assert fold_of(rows, plan("key"), whole=True).digest != fold_of(rows, replace(plan("key"), seed=12), whole=True).digest
