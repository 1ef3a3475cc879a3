"""Law 1: same rows, same folds, whatever the order, the files, the format and the engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.parity.tables import ORDER, awkward, category_frequencies, hashes, seen, truth, write_csv, write_parquet

from filon.engines.base import Engine, FitPlan, Folds, Trial

FEATURES = ("x", "whole", "flag", "word", "tenth")
Make = Callable[..., Folds]


def same(left: Folds, right: Folds) -> None:
    """Assert that folds hold the same rows in the same order, to the bit."""
    first, second = seen(left), seen(right)
    for name in ORDER:
        assert first[name].tobytes() == second[name].tobytes()
    assert left.info == right.info
    assert left.encoding == right.encoding


@pytest.fixture(scope="session")
def plain(folds_of: Make, tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds_of(write_parquet(awkward(), tmp_path_factory.mktemp("plain") / "plain.parquet"))


def test_folds_are_those_worked_out_row_by_row(folds_of: Make, tmp_path: Path) -> None:
    frame = awkward(1200)
    folds = folds_of(write_parquet(frame, tmp_path / "t.parquet"), seed=7, train=0.6, valid=0.25, test=0.15)
    classes = folds.plan.label.classes
    wanted = truth(frame, FEATURES, classes, (0.6, 0.25, 0.15), 7)
    assert {name: info.rows for name, info in folds.info.items()} == {name: len(rows) for name, rows in wanted.items()}
    for name in ORDER:
        digest = sum(key for key, _ in wanted[name]) % 2**64
        assert folds.info[name].digest == f"{digest:016x}"
        assert seen(folds)[name][:, -1].tolist() == [classes.index(label) for _, label in wanted[name]]


WAYS: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "shuffled": lambda frame, folder: write_parquet(frame.sample(frac=1, random_state=1), folder / "t.parquet"),
    "sorted by label": lambda frame, folder: write_parquet(frame.sort_values("y"), folder / "t.parquet"),
    "many files": lambda frame, folder: write_parquet(frame, folder / "t", files=7),
    "small row groups": lambda frame, folder: write_parquet(frame, folder / "t.parquet", group=37),
    "csv": lambda frame, folder: write_csv(frame, folder / "t.csv"),
    "csv, shuffled, gzip": lambda frame, folder: write_csv(frame.sample(frac=1, random_state=2), folder / "t.csv.gz"),
    "columns reversed and narrow": lambda frame, folder: write_parquet(
        frame.astype({"whole": "int8", "x": "float32", "tenth": "float32"}), folder / "t.parquet"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_order_files_and_format_do_not_matter(folds_of: Make, plain: Folds, tmp_path: Path, way: str) -> None:
    (tmp_path / "other").mkdir()
    same(plain, folds_of(WAYS[way](awkward(), tmp_path / "other")))


def test_a_model_does_not_depend_on_the_order_of_the_files(engine: Engine, folds_of: Make, plain: Folds, tmp_path: Path) -> None:
    shuffled = folds_of(write_csv(awkward().sample(frac=1, random_state=3), tmp_path / "t.csv"))
    settings: dict[str, Any] = {"max_depth": 4, "eta": 0.3, "num_round": 8, "subsample": 0.7, "early_stopping_rounds": 0}
    models = []
    for folds in (plain, shuffled):
        for plan in (FitPlan(), FitPlan(train=("train", "valid"), valid=False), FitPlan(rows=500)):
            (fitted,) = engine.fit(folds, [Trial(number=1, family="xgboost", settings=settings, seed=5)], plan)
            assert fitted.ensemble is not None, fitted.error
            models.append(fitted.ensemble.model)
    assert models[:3] == models[3:]
    assert len(set(models)) == 3


def test_equal_rows_never_straddle_folds_even_with_other_labels(folds_of: Make, tmp_path: Path) -> None:
    frame = awkward(4000)[["tenth", "flag", "y"]].assign(whole=np.arange(4000) % 20)
    folds = folds_of(write_csv(frame, tmp_path / "t.csv"))
    found = [{row[:-1].tobytes() for row in rows} for rows in seen(folds).values()]
    assert sum(map(len, found)) == len(set().union(*found))


def test_shares_by_class_are_exact_to_one_bucket(folds_of: Make, tmp_path: Path) -> None:
    x = np.random.default_rng(9).random(30_000)
    frame = pd.DataFrame({"x": x, "y": np.where(np.arange(30_000) % 50 == 0, "rare", "common")})
    folds = folds_of(write_parquet(frame, tmp_path / "t.parquet"))
    for place, rows in enumerate((29_400, 600)):
        for name, share in zip(ORDER, (0.7, 0.15, 0.15), strict=True):
            assert abs(folds.info[name].by_class[place] - share * rows) <= 4  # rows of the fullest of 65,536 buckets


def test_categories_are_learnt_from_the_training_fold_most_frequent_first(plain: Folds) -> None:
    place = [feature.name for feature in plain.encoding.features].index("word")
    rows = category_frequencies(plain, place, plain.encoding)
    assert rows == sorted(rows, reverse=True)
    assert len(rows) == 5


def test_rows_of_one_key_stay_together_whatever_the_key_is_written_as(folds_of: Make, tmp_path: Path) -> None:
    frame = awkward().assign(subject=np.arange(3000) % 250)
    data = {"key": ["subject"]}
    folds = folds_of(write_parquet(frame, tmp_path / "t.parquet"), data=data, by="key")
    other = frame.assign(subject=frame["subject"].astype(str)).sample(frac=1, random_state=4)
    same(folds, folds_of(write_csv(other, tmp_path / "t.csv"), data=data, by="key"))
    keys = {(int(key), subject) for key, subject in zip(hashes(frame, FEATURES), frame["subject"], strict=True)}
    assert sum(info.rows for info in folds.info.values()) == 3000
    assert len(keys) > 2500


def test_time_is_cut_exactly_and_equal_times_stay_together(folds_of: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    days = pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 400, 3000), "D")
    frame = awkward().assign(when=days, age=(days - days.min()).days.astype(float))
    data = {"time": "when"}
    folds = folds_of(write_parquet(frame, tmp_path / "t.parquet"), data=data, by="time")
    same(folds, folds_of(write_csv(frame.assign(when=days.strftime("%Y-%m-%d")), tmp_path / "t.csv"), data=data, by="time"))
    ages = sorted(frame["age"])
    place = folds.encoding.names.index("age")
    got = [rows[:, place] for rows in seen(folds).values()]
    for upto, share in ((1, 0.7), (2, 0.85)):
        rows = sum(map(len, got[:upto]))
        best = min(abs(sum(age < cut for age in ages) - share * 3000) for cut in range(401))
        assert abs(rows - share * 3000) == pytest.approx(best)
        assert max(map(max, got[:upto])) < min(map(min, got[upto:]))


def test_a_sample_of_a_fold_has_its_lowest_hashes(engine: Engine, plain: Folds) -> None:
    sample = engine.sample(plain.fold("valid"), 40)
    columns = [*plain.encoding.names, "label"]
    got = np.column_stack([sample.column(name).to_numpy() for name in columns])
    np.testing.assert_array_equal(got.astype(np.float32), seen(plain)["valid"][:40])


def test_search_cannot_reach_the_test_fold(plain: Folds) -> None:
    with pytest.raises(ValueError, match="open_test"):
        plain.fold("test")  # type: ignore[arg-type]
    before = plain.openings
    plain.open_test("look")
    assert plain.openings == (*before, "look")
