"""Logistic regression: the minimum that MLlib and scikit-learn look for, kept as a gblinear that every binding reads."""

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_one, some_rows, trial

from filon.engines.trainer import linear
from filon.trees import contributions, expand, gain, predict
from filon.trees.ensemble import Ensemble
from filon.trees.linear import codes, margins, weights


def fitted(rows: MemoryRows, **settings: float) -> Ensemble:
    found = fit_one(rows, trial(1, "logistic_regression", **settings)).ensemble
    assert found is not None
    assert found.design is not None
    return found


def standardised(model: Ensemble, rows: MemoryRows) -> tuple[np.ndarray, np.ndarray]:
    """The design with every column at unit variance, as MLlib penalises it, and what was divided by."""
    assert model.design is not None
    wide = expand(model.design, rows.x).astype(np.float64)
    scale = wide.std(axis=0)
    return wide / np.where(scale > 0, scale, 1), scale


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [0.001, 0.1])
def test_the_ridge_is_scikit_learns(classes: int, penalty: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = some_rows(800, classes=classes)
    model = fitted(rows, regParam=penalty)
    wide, _ = standardised(model, rows)
    other = LogisticRegression(C=1 / (penalty * rows.rows), tol=1e-10, max_iter=5000).fit(wide, rows.label)
    theirs = other.predict_proba(wide)
    assert np.abs(predict(model, rows.x) - theirs).max() < 2e-4


@pytest.mark.parametrize("mix", [0.5, 1.0])
def test_the_elastic_net_is_scikit_learns_and_drops_columns(mix: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = some_rows(800)
    penalty = 0.05
    model = fitted(rows, regParam=penalty, elasticNetParam=mix, maxIter=2000)
    wide, _ = standardised(model, rows)
    other = LogisticRegression(C=1 / (penalty * rows.rows), l1_ratio=mix, solver="saga", tol=1e-8, max_iter=20_000).fit(wide, rows.label)
    assert np.abs(predict(model, rows.x)[:, 1] - other.predict_proba(wide)[:, 1]).max() < 5e-4
    kept = weights(model)[0][:3, 0]
    assert np.count_nonzero(np.abs(kept) > 1e-6) == np.count_nonzero(np.abs(other.coef_[0][:3]) > 1e-6) < 3


def test_without_penalty_the_slope_is_the_true_one() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(5.0, 3.0, (40_000, 1)).astype(np.float32)
    label = (draw.random(40_000) < 1 / (1 + np.exp(-(0.7 * x[:, 0] - 3)))).astype(np.int32)
    model = fitted(MemoryRows(x=x, label=label, encoding=encoding_of((0,))), regParam=0.0)
    low, high = margins(model, np.array([[0.0], [1.0]], dtype=np.float32))[:, 0]
    assert high - low == pytest.approx(0.7, abs=0.03)
    assert low == pytest.approx(-3, abs=0.15)


@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost_reads_the_model_and_answers_the_same_on_the_expanded_design(classes: int) -> None:
    import xgboost

    rows = some_rows(500, classes=classes)
    model = fitted(rows)
    assert model.design is not None
    booster = xgboost.Booster(model_file=bytearray(model.model))
    theirs = booster.predict(xgboost.DMatrix(expand(model.design, rows.x)))
    ours = predict(model, rows.x)
    assert np.abs(ours - (np.stack([1 - theirs, theirs], axis=1) if classes == 2 else theirs)).max() < 1e-6


def test_missing_numbers_take_the_mean_and_unknown_levels_count_as_missing() -> None:
    rows = some_rows(500)
    model = fitted(rows)
    assert model.design is not None
    middle = np.nanmean(rows.x[:, :3].astype(np.float64), axis=0)
    assert np.allclose(model.design.fill[:3], middle, atol=1e-6)
    gone, mean = np.full((1, 5), np.nan, dtype=np.float32), np.full((1, 5), np.nan, dtype=np.float32)
    mean[0, :3] = middle
    assert predict(model, gone)[0, 1] == pytest.approx(predict(model, mean)[0, 1], abs=1e-6)
    unknown = gone.copy()
    unknown[0, 3] = 77
    assert np.array_equal(codes(model.design, unknown), codes(model.design, gone))


@pytest.mark.parametrize("classes", [2, 3])
def test_contributions_sum_to_the_margin_and_average_to_nothing(classes: int) -> None:
    rows = some_rows(500, classes=classes)
    model = fitted(rows)
    parts = contributions(model, rows.x)
    assert parts.shape == (500, 1 if classes == 2 else classes, 6)
    assert np.allclose(parts.sum(axis=2), margins(model, rows.x), atol=1e-5)
    assert np.abs(parts[:, :, :-1].mean(axis=0)).max() < 1e-4


def test_gain_is_the_spread_of_what_each_feature_adds() -> None:
    rows = some_rows(2000)
    model = fitted(rows)
    moved = contributions(model, rows.x)[:, 0, :-1].std(axis=0)
    assert np.allclose(gain(model), moved / moved.sum(), atol=0.02)


def test_rows_prepared_anew_each_pass_give_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(2000, block=300)
    held = fitted(rows)
    monkeypatch.setattr(linear, "KEEP_CELLS", 0)
    streamed = fitted(rows)
    assert held.model == streamed.model
    monkeypatch.setattr(linear, "EXACT_CELLS", 0)
    assert np.abs(predict(fitted(rows), rows.x) - predict(held, rows.x)).max() < 1e-4


def test_constant_and_empty_columns_say_nothing() -> None:
    rows = some_rows(300)
    x = np.concatenate([rows.x, np.full((300, 1), 7.0), np.full((300, 1), np.nan)], axis=1).astype(np.float32)
    model = fitted(MemoryRows(x=x, label=rows.label, encoding=encoding_of((0, 0, 0, 6, 3, 0, 0))))
    assert np.isfinite(predict(model, x)).all()
    assert gain(model)[5:].sum() == 0


def test_large_means_lose_nothing() -> None:
    rows = some_rows(600)
    moved = rows.x.copy()
    moved[:, 0] = moved[:, 0] * 64 + 1_000_000
    far = MemoryRows(**{**vars(rows), "x": moved})
    assert np.abs(predict(fitted(rows), rows.x) - predict(fitted(far), far.x)).max() < 5e-3


def test_the_curve_falls() -> None:
    curve = fit_one(some_rows(), trial(1, "logistic_regression")).curve
    losses = [point.train for point in curve if point.train is not None]
    assert len(losses) == len(curve) > 3
    assert losses[-1] < losses[0]
