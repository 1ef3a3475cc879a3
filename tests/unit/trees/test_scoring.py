"""The one scorer: the same answer as XGBoost's own, whatever the batch, the threads or the way through a file."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import fit_one, some_rows, trial

from filon.trees import Ensemble, contributions, gain, predict, scoring
from filon.trees.scoring import probabilities, scorer

FAMILIES: dict[str, dict[str, Any]] = {
    "xgboost": {"num_round": 12},
    "gbt": {"maxIter": 8},
    "random_forest": {"numTrees": 15, "maxDepth": 5},
    "logistic_regression": {},
}
_MODELS: dict[tuple[str, int], Ensemble] = {}


def model(family: str, classes: int = 2) -> Ensemble:
    if (family, classes) not in _MODELS:
        found = fit_one(some_rows(classes=classes), trial(1, family, **FAMILIES[family])).ensemble
        assert found is not None
        _MODELS[family, classes] = found
    return _MODELS[family, classes]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("family", ["xgboost", "gbt", "random_forest"])
def test_answers_are_those_of_xgboost_reading_the_model(family: str, classes: int) -> None:
    import xgboost

    one, rows = model(family, classes), some_rows(200, classes=classes, seed=3)
    booster = xgboost.Booster(model_file=bytearray(one.model))
    types = ["c" if flag else "q" for flag in one.categorical]
    theirs = booster.predict(xgboost.DMatrix(rows.x, feature_types=types, enable_categorical=True))
    ours = predict(one, rows.x)
    if family == "random_forest" and classes > 2:
        theirs = theirs / theirs.sum(axis=1, keepdims=True)
    assert np.abs(ours - (np.stack([1 - theirs, theirs], axis=1) if classes == 2 else theirs)).max() < 1e-6


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_does_not_depend_on_its_batch_or_threads(family: str, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one, rows = model(family, classes), some_rows(200, classes=classes, seed=3)
    whole = predict(one, rows.x, threads=1)
    assert np.array_equal(whole, predict(one, rows.x, threads=2))
    assert np.array_equal(whole[:7], np.concatenate([predict(one, rows.x[i : i + 1]) for i in range(7)]))
    assert np.array_equal(whole, scorer(one)(rows.x))
    monkeypatch.setattr(scoring, "BLOCK_ROWS", 33)
    assert np.array_equal(whole, predict(one, rows.x))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_of_the_bytes_answers_the_same(family: str) -> None:
    one, rows = model(family), some_rows(100, seed=3)
    assert np.array_equal(predict(one, rows.x), predict(replace(one, model=bytes(bytearray(one.model))), rows.x))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_contributions_sum_to_the_margin(family: str, classes: int) -> None:
    import xgboost

    one, rows = model(family, classes), some_rows(60, classes=classes, seed=3)
    parts = contributions(one, rows.x)
    assert parts.shape == (60, 1 if classes == 2 else classes, 6)
    if one.form == "trees":
        types = ["c" if flag else "q" for flag in one.categorical]
        rows_of = xgboost.DMatrix(rows.x, feature_types=types, enable_categorical=True)
        margin = xgboost.Booster(model_file=bytearray(one.model)).predict(rows_of, output_margin=True).reshape(60, -1)
        assert np.allclose(parts.sum(axis=2), margin, atol=1e-4)
    share = probabilities(parts.sum(axis=2), one.link, classes, ready=False)
    assert np.allclose(share, predict(one, rows.x), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gain_sums_to_one_and_finds_what_matters(family: str) -> None:
    shares = gain(model(family))
    assert shares.shape == (5,)
    assert shares.sum() == pytest.approx(1)
    assert int(shares.argmax()) in (0, 3)


def test_a_model_without_splits_has_no_gain() -> None:
    found = fit_one(some_rows(50), trial(1, "gbt", maxIter=2, minInstancesPerNode=1000)).ensemble
    assert found is not None
    assert gain(found).tolist() == [0.0] * 5


@pytest.mark.parametrize("family", FAMILIES)
def test_no_rows_have_no_answers(family: str) -> None:
    nothing = np.empty((0, 5), dtype=np.float32)
    assert predict(model(family), nothing).shape == (0, 2)
    assert contributions(model(family), nothing).shape == (0, 1, 6)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_with_nothing_known_are_answered(family: str) -> None:
    answer = predict(model(family), np.full((1, 5), np.nan, dtype=np.float32))
    assert np.isfinite(answer).all()


def test_a_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="5 features"):
        predict(model("gbt"), np.zeros((2, 4), dtype=np.float32))


def test_class_shares_are_clipped_and_sum_to_one() -> None:
    many = probabilities(np.array([[0.2, -0.1, 0.3], [0.0, 0.0, 0.0]], dtype=np.float32), "identity", 3, ready=True)
    assert np.allclose(many, [[0.4, 0, 0.6], [1 / 3, 1 / 3, 1 / 3]])
    two = probabilities(np.array([1.0000001, -1e-8], dtype=np.float32), "identity", 2, ready=True)
    assert two.tolist() == [[0, 1], [1, 0]]
