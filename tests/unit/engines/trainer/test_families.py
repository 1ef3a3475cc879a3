"""What the settings of a family amount to."""

import pytest
from tests.unit.engines.trainer.memory_rows import encoding_of, trial

from filon.engines.trainer.families import COUNT, DEFAULTS, count_of, parameters, subset_size, work_of
from filon.search.grid import COUNTS, PARTS
from filon.search.grid import subset_size as searched_size
from filon.search.settings import GBTGrid, LogisticRegressionGrid, RandomForestGrid, XGBoostGrid
from filon.settings import Settings

NUMBERS = encoding_of((0, 0, 0, 0))
MIXED = encoding_of((0, 0, 5, 3000))


@pytest.mark.parametrize(
    ("family", "grid"),
    [
        ("xgboost", XGBoostGrid()),
        ("random_forest", RandomForestGrid()),
        ("gbt", GBTGrid()),
        ("logistic_regression", LogisticRegressionGrid()),
    ],
)
def test_a_setting_left_out_means_the_default_of_the_grid(family: str, grid: Settings) -> None:
    assert dict(DEFAULTS[family]) == grid.model_dump()


def test_the_search_and_the_trainer_agree_on_what_a_larger_fit_holds() -> None:
    assert all(COUNTS[family] == name for family, name in COUNT.items())
    assert {"random_forest": (COUNT["random_forest"], "maxDepth")} == PARTS


@pytest.mark.parametrize("features", [1, 2, 3, 15, 16, 17, 28, 100])
@pytest.mark.parametrize("strategy", ["auto", "all", "sqrt", "log2", "onethird", 0.01, 0.5, 1.0])
def test_the_search_and_the_trainer_count_features_alike(strategy: str | float, features: int) -> None:
    assert subset_size(strategy, features) == searched_size(strategy, features)
    assert 1 <= subset_size(strategy, features) <= features


@pytest.mark.parametrize(("strategy", "of_15", "of_28"), [("sqrt", 4, 6), ("log2", 4, 5), ("onethird", 5, 10), ("all", 15, 28)])
def test_features_of_a_node_are_counted_as_mllib_counts_them(strategy: str, of_15: int, of_28: int) -> None:
    assert (subset_size(strategy, 15), subset_size(strategy, 28)) == (of_15, of_28)


@pytest.mark.parametrize("features", [1, 2, 3, 7, 10, 49, 100, 999])
def test_the_share_given_to_xgboost_chooses_exactly_that_many_features(features: int) -> None:
    import numpy as np

    for size in {subset_size(share, features) for share in ("sqrt", "log2", "onethird", "all", 0.9)}:
        work = work_of(trial(1, "random_forest", featureSubsetStrategy=size / features), encoding_of((0,) * features))
        share = np.float32(str(parameters(work, 2, features, 1.0)["colsample_bynode"]))
        assert max(1, int(share * np.float32(features))) == work.acts["featureSubsetStrategy"]


def test_categories_split_by_sets_only_where_there_are_few_of_them() -> None:
    assert work_of(trial(1, "xgboost"), MIXED).native
    assert not work_of(trial(1, "xgboost", categories="ordinal"), MIXED).native
    assert not work_of(trial(1, "xgboost"), NUMBERS).native
    assert not work_of(trial(1, "xgboost"), encoding_of((0, 3000))).native


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="max_dept"):
        work_of(trial(1, "xgboost", max_dept=3), NUMBERS)
    with pytest.raises(ValueError, match="perceptron"):
        work_of(trial(1, "perceptron"), NUMBERS)
    with pytest.raises(ValueError, match="spark engine"):
        work_of(trial(1, "gbt", library="mllib"), NUMBERS)


def test_counts_are_read_from_the_name_of_the_family() -> None:
    assert count_of(trial(1, "random_forest", numTrees=7)) == 7
    assert count_of(trial(1, "gbt", maxIter=9)) == 9
    assert count_of(trial(1, "xgboost")) == 400
    assert count_of(trial(1, "logistic_regression", maxIter=50)) == 1
