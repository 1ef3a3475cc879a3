"""Averaged models: the mean of their margins, as one model."""

from typing import Any

import numpy as np
import pytest

from filon.trees import Ensemble, blend, contributions, predict, prefix

ROWS, FEATURES = 400, 3


def _rows(classes: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    x = draw.random((ROWS, FEATURES)).astype(np.float32)
    x[:, 2] = draw.integers(0, 7, ROWS)  # a category
    x[draw.random(ROWS) < 0.1, 0] = np.nan
    score = np.nan_to_num(x[:, 0]) + np.isin(x[:, 2], [1, 4, 5]) + 0.3 * draw.random(ROWS)
    return x, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)).astype(np.int32)


def _fitted(x: np.ndarray, y: np.ndarray, classes: int, native: bool, **settings: Any) -> tuple[Ensemble, Any]:
    import xgboost

    loss: dict[str, Any] = {"objective": "binary:logistic"} if classes == 2 else {"objective": "multi:softprob", "num_class": classes}
    types = ["q", "q", "c" if native else "q"]
    rows = xgboost.DMatrix(x, y, feature_types=types, enable_categorical=True)
    booster = xgboost.train({**loss, "nthread": 1, "max_cat_to_onehot": 1, **settings}, rows, 12)
    model = Ensemble(
        family="xgboost",
        form="trees",
        link="logistic" if classes == 2 else "softmax",
        model=bytes(booster.save_raw("ubj")),
        classes=tuple("abc"[:classes]),
        features=FEATURES,
        categorical=(False, False, native),
        rounds=12,
        trees=12 * (1 if classes == 2 else classes),
    )
    return model, booster.predict(rows, output_margin=True).reshape(len(x), -1)


@pytest.mark.parametrize("classes", [2, 3])
def test_margin_of_a_blend_is_the_mean_of_margins_with_and_without_native_categories(classes: int) -> None:
    x, y = _rows(classes)
    plain, plain_margin = _fitted(x, y, classes, native=False, max_depth=2, eta=0.3)
    native, native_margin = _fitted(x, y, classes, native=True, max_depth=5, eta=0.1, base_score=0.3)
    whole = blend([plain, native])
    margin = (plain_margin + native_margin) / 2
    odds = np.exp(np.hstack([np.zeros_like(margin), margin]) if classes == 2 else margin)
    np.testing.assert_allclose(predict(whole, x), odds / odds.sum(axis=1, keepdims=True), atol=2e-6)
    assert whole.categorical == (False, False, True)
    assert (whole.rounds, whole.trees) == (24, plain.trees + native.trees)


@pytest.mark.parametrize("classes", [2, 3])
def test_contributions_of_a_blend_sum_to_its_margin(classes: int) -> None:
    x, y = _rows(classes)
    models = [_fitted(x, y, classes, native=native, max_depth=3, seed=3) for native in (True, False)]
    shown = contributions(blend([model for model, _ in models]), x).sum(axis=2)
    np.testing.assert_allclose(shown, (models[0][1] + models[1][1]) / 2, atol=1e-4)


def test_rounds_of_the_first_model_come_first() -> None:
    x, y = _rows(2)
    one, margin = _fitted(x, y, 2, native=False, max_depth=3)
    half = predict(prefix(blend([one, one]), 12), x)[:, 1]
    base = float(np.log(np.mean(y) / (1 - np.mean(y))))
    np.testing.assert_allclose(np.log(half / (1 - half)), base + (margin[:, 0] - base) / 2, atol=1e-4)


def test_one_model_is_its_own_blend() -> None:
    x, y = _rows(2)
    one, _ = _fitted(x, y, 2, native=False)
    assert blend([one]) is one


def test_forests_and_other_classes_are_refused() -> None:
    x, y = _rows(2)
    two, _ = _fitted(x, y, 2, native=False)
    x3, y3 = _rows(3)
    three, _ = _fitted(x3, y3, 3, native=False)
    with pytest.raises(ValueError, match="other features or classes"):
        blend([two, three])
    forest = Ensemble(family="random_forest", form="trees", link="identity", model=b"", classes=two.classes, features=FEATURES)
    with pytest.raises(ValueError, match="only boosted trees"):
        blend([two, forest])
