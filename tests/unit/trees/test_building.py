"""Trees grown elsewhere answer as their nodes say, in float32, missing cells too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.trees import Ensemble, gain, predict, prefix
from filon.trees.building import Grown, below, built


def stump(feature: int, threshold: float, value: list[list[float]], missing_left: bool = False) -> Grown:
    """Root, left leaf, right leaf; `value` of each."""
    return Grown(
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        feature=np.array([feature, 0, 0]),
        threshold=below(np.array([threshold, 0.0, 0.0])),
        missing_left=np.array([missing_left, False, False]),
        gain=np.array([2.0, 0.0, 0.0]),
        cover=np.array([3.0, 1.0, 2.0]),
        value=np.array(value),
    )


def shape(link: str, classes: int = 2) -> Ensemble:
    texts = tuple(f"c{k}" for k in range(classes))
    return Ensemble(family="random_forest", form="trees", link=link, model=b"", classes=texts, features=2)  # type: ignore[arg-type]


@given(threshold=st.floats(-1e30, 1e30), x=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_below_in_float32_is_at_most_in_float64(threshold: float, x: float) -> None:
    (edge,) = below(np.array([threshold]))
    assert bool(np.float32(x) < edge) == (float(np.float32(x)) <= threshold)


def test_a_forest_answers_the_mean_of_its_trees_shares() -> None:
    trees = [stump(0, 0.5, [[0.5], [0.2], [0.9]]), stump(1, 0.0, [[0.5], [0.0], [0.4]], missing_left=True)]
    forest = built(trees, shape("identity"))
    x = np.array([[0.5, 0.0], [0.6, 0.1], [np.nan, np.nan]], np.float32)
    assert predict(forest, x)[:, 1] == pytest.approx([0.1, 0.65, 0.45])
    assert (forest.rounds, forest.trees) == (1, 2)
    assert predict(prefix(forest, 1), x)[:, 1] == pytest.approx([0.2, 0.9, 0.9])


def test_boosted_trees_answer_the_logistic_of_their_sum() -> None:
    model = built([stump(0, 0.0, [[0.0], [-1.0], [2.0]])] * 3, shape("logistic"))
    x = np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)
    assert predict(model, x)[:, 1] == pytest.approx(1 / (1 + np.exp([3.0, -6.0])), abs=1e-6)
    assert (model.rounds, model.trees) == (3, 3)
    assert predict(prefix(model, 1), x)[:, 1] == pytest.approx(1 / (1 + np.exp([1.0, -2.0])), abs=1e-6)


def test_a_forest_of_many_classes_answers_each_class_s_share() -> None:
    shares = [[0.3, 0.3, 0.4], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]
    forest = built([stump(1, 1.0, shares)] * 2, shape("identity", classes=3))
    assert predict(forest, np.array([[0, 1], [0, 2]], np.float32)) == pytest.approx(np.array(shares[1:]), abs=1e-6)
    assert gain(forest).tolist() == [0.0, 1.0]
