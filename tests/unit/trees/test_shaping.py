"""Prefixes and tops: parts of a model, each the model that a smaller fit would have given."""

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import fit_one, some_rows, trial

from filon.trees import Ensemble, predict, prefix, ubjson
from filon.trees.shaping import top


def fitted(family: str, classes: int = 2, **settings: int) -> Ensemble:
    found = fit_one(some_rows(classes=classes), trial(1, family, **settings)).ensemble
    assert found is not None
    return found


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("family", "name"), [("gbt", "maxIter"), ("xgboost", "num_round"), ("random_forest", "numTrees")])
def test_a_prefix_is_the_shorter_fit(family: str, name: str, classes: int) -> None:
    long, short = fitted(family, classes, **{name: 20}), fitted(family, classes, **{name: 7})
    assert prefix(long, 7) == short
    assert prefix(prefix(long, 12), 7) == short
    assert prefix(long, 20) is long


@pytest.mark.parametrize("classes", [2, 3])
def test_a_prefix_of_boosted_trees_is_what_xgboost_answers_after_so_many_rounds(classes: int) -> None:
    import xgboost

    long, rows = fitted("gbt", classes, maxIter=20), some_rows(100, seed=3)
    booster = xgboost.Booster(model_file=bytearray(long.model))
    theirs = booster.inplace_predict(rows.x, iteration_range=(0, 7))
    ours = predict(prefix(long, 7), rows.x)
    assert np.array_equal(ours[:, 1] if classes == 2 else ours, theirs)


@pytest.mark.parametrize("count", [0, -1, 21])
def test_a_prefix_the_model_does_not_have_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="20 rounds"):
        prefix(fitted("gbt", maxIter=20), count)


def test_a_linear_model_has_no_prefix() -> None:
    with pytest.raises(ValueError, match="linear"):
        prefix(fitted("logistic_regression"), 1)


def test_the_top_of_a_tree_keeps_its_upper_levels_as_they_are() -> None:
    deep = ubjson.read(fitted("random_forest", numTrees=3, maxDepth=9).model)["learner"]["gradient_booster"]["model"]["trees"][0]
    assert len(deep["categories_nodes"]) > 3  # splits by sets are cut with their nodes
    before = {name: value.copy() for name, value in deep.items() if isinstance(value, np.ndarray)}
    for depth in (1, 2, 4, 8):
        cut = top(deep, depth)
        nodes = len(cut["left_children"])
        inner = cut["left_children"] != -1
        assert cut["tree_param"]["num_nodes"] == str(nodes)
        assert nodes <= 2 ** (depth + 1) - 1
        assert max(cut["left_children"].max(), cut["right_children"].max()) < nodes
        assert np.array_equal(cut["split_indices"][inner], deep["split_indices"][:nodes][inner])
        assert np.array_equal(cut["categories_nodes"], np.flatnonzero(cut["split_type"] == 1))
        assert cut["categories_sizes"].sum() == len(cut["categories"])
    assert top(deep, 9) is deep
    assert all(np.array_equal(value, deep[name]) for name, value in before.items())
