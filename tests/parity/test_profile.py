"""What `check` is told of a table, against plain pandas, on every engine."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.parity.tables import awkward, write_csv, write_parquet

from filon.engines.base import ColumnProfile, Engine, LabelPlan, Profile
from filon.read import read
from filon.read.settings import DataSettings

FEATURES = ["x", "whole", "flag", "word", "tenth"]
ROWS = 2600


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    made = awkward(ROWS, seed=3)
    made["when"] = pd.Timestamp("2021-03-04") + pd.to_timedelta(np.arange(ROWS), "h")
    made["odd"] = ["n/d" if k % 130 == 7 else f"{k}.5" for k in range(ROWS)]
    made.loc[[5, 77], "y"] = None
    return made


@pytest.fixture(scope="module", params=["csv", "parquet"])
def seen(request: pytest.FixtureRequest, engine: Engine, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("profile")
    path = write_csv(frame, folder / "t.csv") if request.param == "csv" else write_parquet(frame, folder / "t", files=3)
    data = DataSettings(source=str(path), label="y", columns={"odd": "number"})
    return engine.profile(engine.read(read(data, folder)), LabelPlan(column="y"))


def of(profile: Profile, name: str) -> ColumnProfile:
    return next(column for column in profile.columns if column.name == name)


def test_numbers(seen: Profile, frame: pd.DataFrame) -> None:
    for name in ("x", "whole", "tenth"):
        column, cells = of(seen, name), frame[name].dropna()
        assert (column.rows, column.missing, column.distinct) == (ROWS, ROWS - len(cells), cells.nunique())
        assert (column.minimum, column.maximum) == (cells.min(), cells.max())
        assert (column.mean, column.std) == pytest.approx((cells.mean(), cells.std()), rel=1e-9)
        wanted = cells.astype("float32").quantile([0.05, 0.25, 0.5, 0.75, 0.95])
        assert column.quantiles[1:-1] == pytest.approx(tuple(wanted), rel=1e-6)
        assert column.histogram is not None
        assert sum(map(sum, column.histogram.counts)) == frame.loc[cells.index, "y"].notna().sum()
    assert of(seen, "whole").integer
    assert not of(seen, "x").integer


def test_words_and_their_classes(seen: Profile, frame: pd.DataFrame) -> None:
    counts = frame["word"].value_counts()
    column, order = of(seen, "word"), [label for label, _rows in seen.labels]
    assert column.missing == frame["word"].isna().sum()
    assert column.distinct == len(counts)
    assert {one.value: one.rows for one in column.top} == counts.to_dict()
    for one in column.top:
        of_word = frame[frame["word"] == one.value]["y"]
        assert one.by_class == tuple((of_word == label).sum() for label in order)


def test_labels_dates_and_cells_that_do_not_fit(seen: Profile, frame: pd.DataFrame) -> None:
    assert (seen.rows, seen.label_missing) == (ROWS, 2)
    assert dict(seen.labels) == frame["y"].value_counts().to_dict()
    when = of(seen, "when")
    assert when.increasing
    assert (when.minimum, when.distinct) == (pd.Timestamp("2021-03-04").timestamp(), ROWS)
    odd = of(seen, "odd")
    assert odd.not_numeric == odd.missing == len(range(7, ROWS, 130))
    assert odd.not_numeric_examples == tuple((k + 1, "n/d") for k in range(7, 7 + 5 * 130, 130))


def test_equal_rows_and_rows_that_contradict_each_other(engine: Engine, frame: pd.DataFrame, tmp_path: Path) -> None:
    small = frame[["whole", "flag", "y"]]
    table = engine.read(read(DataSettings(source=str(write_parquet(small, tmp_path / "t", files=3)), label="y"), tmp_path))
    profile = engine.profile(table, LabelPlan(column="y"))
    labelled = small.dropna(subset=["y"])
    labels = labelled.groupby(["whole", "flag"])["y"]
    assert profile.duplicates == len(labelled) - len(labelled.drop_duplicates())
    assert profile.conflicts == labels.transform("nunique").gt(1).sum()


def test_how_well_a_column_alone_ranks_the_label(seen: Profile, frame: pd.DataFrame) -> None:
    labelled = frame.dropna(subset=["y"])
    positive = labelled["y"] == seen.labels[0][0]
    ranks = labelled["whole"].rank()
    area = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * (~positive).sum())
    found = of(seen, "whole").auc
    assert found is not None
    assert found >= max(area, 1 - area) - 1e-9  # or better, in groups
