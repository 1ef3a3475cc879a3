"""The same folds twice: as the embedded engine keeps them, and as Spark does, row by row the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filon.check import check
from filon.engines import open_engine
from filon.engines.base import LabelPlan
from filon.engines.settings import SparkSettings
from filon.engines.spark.folds import SparkFolds
from filon.engines.spark.session import Session
from filon.read import read
from filon.recipe import load_recipe
from filon.split import split

LOCAL = SparkSettings(
    master="local[2]", conf={"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g", "spark.ui.enabled": "false"}
)

RECIPE = """
name = "twins"
[data]
source = "table.parquet"
label = "outcome"
{more}
"""


def table(rows: int, classes: int = 2, seed: int = 7, weights: bool = False) -> pa.Table:
    """Numbers with holes and repeats, a category, a boolean; the outcome depends on them, with noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4)).astype(np.float32)
    x[:, 3] = np.round(x[:, 3], 1)
    town = random.choice(["Lima", "Cusco", "Puno", "Ica"], rows, p=[0.5, 0.3, 0.15, 0.05])
    open_ = random.random(rows) < 0.3
    score = x[:, 0] + 0.7 * x[:, 1] * x[:, 2] + (town == "Cusco") * 0.8 - open_ * 0.5 + random.normal(size=rows) * 0.7
    outcome = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    x[random.random(rows) < 0.1, 1] = np.nan
    columns = {**{f"n{i}": x[:, i] for i in range(4)}, "town": town, "open": open_, "outcome": np.array([f"c{k}" for k in outcome])}
    if weights:
        columns["w"] = random.integers(1, 4, rows).astype(np.float32) / 2
    made = pa.table(columns)
    return made.append_column("n1b", pa.array(np.where(np.isnan(x[:, 1]), None, x[:, 1].astype(float)), from_pandas=True))


@dataclass(frozen=True)
class Twins:
    """The embedded engine with its folds, and Spark's folds of the same rows."""

    engine: Any
    here: Any
    there: SparkFolds


@contextmanager
def twins(session: Session, folder: Path, made: pa.Table, more: str = "") -> Iterator[Twins]:
    """Split by the embedded engine; its spooled rows are what Spark is given."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, folder / "table.parquet")
    (folder / "filon.toml").write_text(RECIPE.format(more=more), encoding="utf-8")
    file = load_recipe(folder / "filon.toml")
    settings = file.recipe
    with open_engine("embedded", scratch=folder, threads=2) as engine:
        rows = engine.read(read(settings.data, file.base))
        checked = check(engine.profile(rows, LabelPlan(column=settings.data.label)), rows.source, settings.check, settings.data)
        here = split(rows, checked, settings.split, settings.data, settings.search.balance, engine)
        parts = [_parquet(here.fold("train"), 0), _parquet(here.fold("valid"), 1)]
        whole = pa.concat_tables(parts).take(np.random.default_rng(0).permutation(sum(part.num_rows for part in parts)))
        pq.write_table(whole, folder / "folds.parquet", row_group_size=1000)
        there = SparkFolds(
            plan=here.plan,
            encoding=here.encoding,
            info=here.info,
            class_weights=here.class_weights,
            left_out=here.left_out,
            session=session,
            _kept=session.spark.read.parquet(str(folder / "folds.parquet")),
        )
        yield Twins(engine, here, there)


def _parquet(fold: Any, number: int) -> pa.Table:
    parts = []
    for rows in fold.each():
        columns: dict[str, Any] = {
            "fold": np.full(len(rows.label), number, np.int32),
            "hash": rows.hash.view(np.int64).copy(),
            "label": rows.label.copy(),
            "member": rows.member.view(np.int64).copy(),
        }
        if rows.weight is not None:
            columns["weight"] = rows.weight.copy()
        columns |= {f"x{place}": rows.x[:, place].copy() for place in range(rows.x.shape[1])}
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)
