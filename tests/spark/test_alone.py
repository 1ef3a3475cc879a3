"""A table that one task holds: the profile, the folds and what is made of them are those of the embedded engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.spark.twins import table

from filon.check import check
from filon.check.settings import CheckSettings
from filon.engines import open_engine
from filon.engines.base import Engine, FitPlan, LabelPlan, Trial
from filon.engines.settings import SparkSettings
from filon.engines.spark import alone
from filon.engines.spark.listener import account
from filon.errors import DataError
from filon.read import read
from filon.read.settings import DataSettings
from filon.split import SplitSettings, split

pytestmark = pytest.mark.spark

ROWS = 3000


@pytest.fixture(scope="module")
def engines(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    scratch = tmp_path_factory.mktemp("scratch [v2], año")
    with open_engine("embedded", scratch=scratch, threads=2) as here, open_engine("spark", scratch=scratch) as there:
        yield here, there


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    made = table(ROWS, weights=True)
    days = np.datetime64("2024-01-01", "s") + np.arange(ROWS) * np.timedelta64(3600, "s")
    made = made.append_column("day", pa.array(days)).append_column("who", pa.array([f"k{row % 400}" for row in range(ROWS)]))
    pq.write_table(made, folder / "table.parquet")
    pa.csv.write_csv(made, folder / "table.csv")
    return folder


def split_by(engine: Engine, path: Path, data: dict[str, Any], **settings: Any) -> tuple[Any, Any, Any]:
    """Source, profile and folds."""
    wanted = DataSettings(source=str(path), label="outcome", **data)
    rows = engine.read(read(wanted, Path.cwd()))
    found = engine.profile(rows, LabelPlan(column="outcome"))
    checked = check(found, rows.source, CheckSettings(), wanted)
    return rows, found, split(rows, checked, SplitSettings(**settings), wanted, "weights", engine)


def same(one: pa.Table, other: pa.Table) -> bool:
    """Equal rows, NaN for NaN."""
    return one.column_names == other.column_names and repr(one.to_pylist()) == repr(other.to_pylist())


@pytest.mark.parametrize(
    ("name", "data", "settings"),
    [
        ("table.parquet", {"drop": ["day", "who", "w"]}, {}),
        ("table.csv", {"drop": ["day", "who"], "weight": "w"}, {"seed": 3}),
        ("table.parquet", {"key": "who", "drop": ["day", "w"]}, {"by": "key"}),
        ("table.parquet", {"time": "day", "drop": ["who"], "weight": "w"}, {"by": "time"}),
        ("table.csv", {"derive": {"twice": "n0 * 2", "place": "upper(town)"}, "where": "n0 < 1", "drop": ["day", "who", "w"]}, {}),
    ],
    ids=["row", "csv", "key", "time", "derive"],
)
def test_one_task_gives_what_the_embedded_engine_gives(
    engines: tuple[Engine, Engine], written: Path, name: str, data: dict[str, Any], settings: dict[str, Any]
) -> None:
    (_, mine, here), (rows, theirs, there) = (split_by(engine, written / name, data, **settings) for engine in engines)
    assert there.pieces, "the table did not go through one task"
    assert repr(theirs.columns) == repr(mine.columns)
    assert (theirs.rows, theirs.duplicates, theirs.conflicts) == (mine.rows, mine.duplicates, mine.conflicts)
    assert there.info == here.info
    assert there.encoding == here.encoding
    for fold in ("train", "valid"):
        ours = [np.concatenate(parts) for parts in zip(*((one.x, one.label, one.weight) for one in here.fold(fold).blocks()), strict=True)]
        got = [np.concatenate(parts) for parts in zip(*((one.x, one.label, one.weight) for one in there.fold(fold).blocks()), strict=True)]
        for one, other in zip(ours, got, strict=True):
            np.testing.assert_array_equal(one, other)
        asked = sum(1 for _ in there.fold(fold).frame.collect())
        assert asked == there.info[fold].rows  # Spark sees the same rows
    assert same(engines[1].sample(rows, 20, 3), engines[0].sample(engines[0].read(rows.asked), 20, 3))


def test_a_run_says_that_one_task_did_it(engines: tuple[Engine, Engine], written: Path) -> None:
    split_by(engines[1], written / "table.parquet", {"drop": ["day", "who", "w"]})
    stages = account(engines[1].session).stages  # type: ignore[attr-defined]
    mine = [one for one in stages if one.alone]
    assert {one.step for one in mine} == {"check", "split"}
    assert {one.tasks for one in mine} == {1}


def test_fits_tallies_and_samples_are_those_of_the_embedded_engine(engines: tuple[Engine, Engine], written: Path) -> None:
    data = {"drop": ["day", "who"], "weight": "w"}
    trial = Trial(number=1, family="xgboost", settings={"num_round": 12, "max_depth": 4, "eta": 0.3, "early_stopping_rounds": 0}, seed=5)
    found = []
    for engine in engines:
        _, _, folds = split_by(engine, written / "table.parquet", data)
        (fitted,) = engine.fit(folds, [trial], FitPlan())
        (refitted,) = engine.fit(folds, [trial], FitPlan(train=("train", "valid"), valid=False))
        assert fitted.ensemble is not None
        test = folds.open_test("a test")
        tally = engine.tally(engine.score(test, fitted.ensemble, folds.encoding), ["town"])
        found.append((fitted.ensemble.model, refitted.ensemble.model, tally, engine.sample(test, 30, 20), engine.sample(test, 0, 4)))  # type: ignore[union-attr]
    (mine, whole, counts, some, few), (theirs, all_of_theirs, tallies, sample, lowest) = found
    assert (mine, whole) == (theirs, all_of_theirs)
    assert tallies.keys() == counts.keys()
    for key, one in counts.items():
        np.testing.assert_array_equal(tallies[key].curves[0].scores, one.curves[0].scores)
        np.testing.assert_array_equal(tallies[key].curves[0].positives, one.curves[0].positives)
        np.testing.assert_array_equal(tallies[key].confusion, one.confusion)
    assert same(sample, some)
    assert same(lowest, few)


def test_an_error_of_the_task_is_told_in_its_own_words(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    made = table(500, weights=True)
    pq.write_table(made.set_column(made.schema.get_field_index("w"), "w", pa.array([-1.0] * 500)), tmp_path / "table.parquet")
    told = []
    for engine in engines:
        with pytest.raises(DataError) as caught:
            split_by(engine, tmp_path / "table.parquet", {"weight": "w"})
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert caught.value.code.startswith("split.")


def test_large_tables_and_the_recipe_that_says_so_go_over_the_cluster(
    engines: tuple[Engine, Engine], written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = DataSettings(source=str(written / "table.parquet"), label="outcome")
    rows = engines[1].read(read(wanted, Path.cwd()))
    session = engines[1].session  # type: ignore[attr-defined]
    assert alone.small(session, rows, "auto")
    assert not alone.small(session, rows, "cluster")
    monkeypatch.setattr(alone, "CELLS_A_CORE", ROWS * len(rows.names) // 4)  # type: ignore[attr-defined]
    assert not alone.small(session, rows, "auto")
    assert SparkSettings().strategy == "auto"
