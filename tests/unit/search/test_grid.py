"""Axes to trials, and what settings amount to."""

from typing import Any

import pytest
from tests.unit.search.arithmetic_engine import FakeFolds

from filon.engines.base import FitPlan
from filon.engines.trainer import families as trainer
from filon.search.grid import axes, effective, grid, key, named, subset_size, trial
from filon.search.settings import FAMILIES, SearchSettings

ISSUE = {
    "random_forest": {
        "numTrees": [200, 400, 600],
        "maxDepth": [10, 14, 18],
        "maxBins": [64, 128],
        "featureSubsetStrategy": ["sqrt", "log2"],
    },
    "gbt": {"maxDepth": [6, 8, 10], "maxBins": [64, 128], "maxIter": [100, 200], "stepSize": [0.05, 0.1, 0.2]},
    "xgboost": {"max_depth": [4, 6, 8], "eta": [0.05, 0.1, 0.2], "num_round": 400},
}


def settings_of(**families: Any) -> SearchSettings:
    return SearchSettings.model_validate(families)


def test_the_classic_grid_has_36_forests_36_gbt_and_9_xgboost() -> None:
    trials = grid(settings_of(**ISSUE), features=15, categories=0, seed=42)
    assert {family: sum(one.family == family for one in trials) for family in FAMILIES} == {
        "xgboost": 9,
        "random_forest": 36,
        "gbt": 36,
        "logistic_regression": 0,
    }
    assert [one.number for one in trials] == list(range(1, 82))


def test_of_the_classic_grid_20_fits_are_left_of_72_once_what_can_be_shared_is() -> None:
    trials = [one for one in grid(settings_of(**ISSUE), features=15, categories=0, seed=42) if one.family != "xgboost"]
    groups = {(one.family, one.seed) for one in trials}
    assert len(groups) == 2 + 18  # forests: 2 bins (a shallower one is the deepest, cut); boosted: 3 depths x 2 bins x 3 steps


def test_the_order_of_the_values_is_the_recipes_and_repeats_count_once() -> None:
    found = axes(settings_of(xgboost={"max_depth": [8, 4, 8, 6]}), "xgboost")
    assert found["max_depth"] == (8, 4, 6)
    assert found["eta"] == (0.1,)


def test_families_come_in_one_order_however_they_are_written() -> None:
    assert named(settings_of(gbt={}, xgboost={})) == named(settings_of(xgboost={}, gbt={})) == ("xgboost", "gbt")


@pytest.mark.parametrize("features", [1, 2, 3, 7, 15, 28, 100, 3000])
@pytest.mark.parametrize("strategy", ["auto", "all", "sqrt", "log2", "onethird", 0.01, 0.3, 1.0])
def test_a_node_chooses_from_as_many_features_as_the_trainer_says(strategy: Any, features: int) -> None:
    assert subset_size(strategy, features) == trainer.subset_size(strategy, features)


def test_settings_without_effect_are_left_out() -> None:
    plain = {"categories": "native", "balance": 1.0, "max_depth": 3}
    assert effective("xgboost", plain, features=5, categories=0) == {"max_depth": 3.0}
    assert "categories" in effective("xgboost", plain, features=5, categories=2)
    assert "elasticNetParam" not in effective("logistic_regression", {"regParam": 0.0, "elasticNetParam": 0.5}, 5, 0)


def test_an_integer_and_the_same_number_as_a_float_are_one_setting() -> None:
    one, other = (trial(1, "xgboost", {"eta": value, "num_round": 100}, 5, 0, seed=1) for value in (1, 1.0))
    assert one.seed == other.seed
    assert key(one, FakeFolds(), FitPlan()) == key(other, FakeFolds(), FitPlan())


def test_seeds_differ_with_the_recipes_seed_and_stay_within_31_bits() -> None:
    seeds = {trial(1, "gbt", {"maxDepth": 5, "maxIter": 10}, 5, 0, seed=seed).seed for seed in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_key_knows_rows_metric_and_parts() -> None:
    one = trial(1, "xgboost", {"max_depth": 5, "num_round": 10}, 5, 0, seed=1)
    plans = [FitPlan(), FitPlan(rows=1000), FitPlan(metric="logLoss")]
    assert len({key(one, FakeFolds(), plan) for plan in plans} | {key(one, FakeFolds(), FitPlan(), parts=5)}) == 4
