"""An ensemble answers: probabilities, contributions and gain."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from filon.trees import linear
from filon.trees.ensemble import Ensemble

BLOCK_ROWS = 1 << 18
"""Rows scored at a time: bounds what XGBoost and the expanded design take beside the answer."""


def predict(ensemble: Ensemble, matrix: np.ndarray, threads: int = 0) -> np.ndarray:
    """Probability by class.

    Parameters
    ----------
    matrix : (rows, features) float32, NaN for missing
    threads : 0 for all cores

    Returns
    -------
    (rows, classes) float32; two classes: [1 - p, p]

    Raises
    ------
    ValueError : when the matrix does not have the ensemble's features
    """
    booster = _booster(ensemble.model, threads) if ensemble.form == "trees" else None
    return _answer(ensemble, booster, matrix)


def scorer(ensemble: Ensemble, threads: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """`predict` of one ensemble, for many batches: it is loaded once and kept by nobody else."""
    booster = load(ensemble.model, threads) if ensemble.form == "trees" else None
    return lambda matrix: _answer(ensemble, booster, matrix)


def _answer(ensemble: Ensemble, booster: Any, matrix: np.ndarray) -> np.ndarray:
    matrix = _checked(ensemble, matrix)
    answer = np.empty((len(matrix), len(ensemble.classes)), dtype=np.float32)
    for start in range(0, len(matrix), BLOCK_ROWS):
        rows = matrix[start : start + BLOCK_ROWS]
        raw = booster.inplace_predict(rows) if booster is not None else linear.margins(ensemble, rows)
        answer[start : start + BLOCK_ROWS] = probabilities(raw, ensemble.link, len(ensemble.classes), ready=booster is not None)
    return answer


def probabilities(raw: np.ndarray, link: str, classes: int, *, ready: bool) -> np.ndarray:
    """Probability by class of what the model says.

    Parameters
    ----------
    raw : (rows,) or (rows, classes): margins, or probabilities by XGBoost's own objective where `ready`
    link : "identity" (class shares: clipped, and for many classes divided by their sum), "logistic" or "softmax"

    Returns
    -------
    (rows, classes) float32
    """
    if classes == 2:
        one = raw.reshape(-1)
        if link == "identity":
            one = np.clip(one, 0.0, 1.0)
        elif not ready:
            one = linear.logistic(one)
        one = one.astype(np.float32)
        return np.stack([np.float32(1) - one, one], axis=1)
    shares = raw.reshape(-1, classes)
    if link == "identity":
        shares = np.clip(shares, 0.0, None)
        total = shares.sum(axis=1, keepdims=True)
        shares = np.where(total > 0, shares / np.where(total > 0, total, 1), np.float32(1 / classes))
    elif not ready:
        shares = linear.softmax(shares)
    return shares.astype(np.float32)


def contributions(ensemble: Ensemble, matrix: np.ndarray, threads: int = 0) -> np.ndarray:
    """Exact TreeSHAP (linear: exact too) in margin units, the last column is the bias.

    Parameters
    ----------
    matrix : (rows, features) float32, NaN for missing

    Returns
    -------
    (rows, outputs, features + 1) float32; outputs is 1 for two classes (the positive one), else the number of classes

    Notes
    -----
    Its cost is rows x leaves x depth^2: milliseconds a row for boosted trees, 0.3 s a row and core for a forest of 600 trees of depth 18.
    Source: Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67, algorithm 2, as XGBoost implements it.
    """
    matrix = _checked(ensemble, matrix)
    outputs = 1 if len(ensemble.classes) == 2 else len(ensemble.classes)
    if ensemble.form == "linear":
        return linear.contributions(ensemble, matrix)
    if not len(matrix):
        return np.empty((0, outputs, ensemble.features + 1), dtype=np.float32)
    import xgboost

    rows = xgboost.DMatrix(matrix, feature_types=_types(ensemble), enable_categorical=any(ensemble.categorical), nthread=threads or -1)
    parts = _booster(ensemble.model, threads).predict(rows, pred_contribs=True, validate_features=False)
    return np.asarray(parts, dtype=np.float32).reshape(len(matrix), outputs, ensemble.features + 1)


def gain(ensemble: Ensemble) -> np.ndarray:
    """Total gain by feature, summing to 1 (all zero for a model without splits).

    Linear: the spread (standard deviation over the training rows) of what each feature adds to the margin, |weight| x scale for a number.

    Returns
    -------
    (features,) float64
    """
    total = np.zeros(ensemble.features)
    if ensemble.form == "linear":
        total += linear.spread(ensemble)
    else:
        for name, value in _booster(ensemble.model, 0).get_score(importance_type="total_gain").items():
            total[int(name[1:])] = value
    return total / total.sum() if total.sum() > 0 else total


def load(model: bytes, threads: int = 0) -> Any:
    """An XGBoost booster of the model, not shared with anyone."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(model))
    booster.feature_names = None
    booster.feature_types = None
    booster.set_param({"nthread": threads})
    return booster


@lru_cache(maxsize=4)
def _booster(model: bytes, threads: int) -> Any:
    return load(model, threads)


def _types(ensemble: Ensemble) -> list[str] | None:
    return ["c" if categorical else "q" for categorical in ensemble.categorical] if any(ensemble.categorical) else None


def _checked(ensemble: Ensemble, matrix: np.ndarray) -> np.ndarray:
    if matrix.ndim != 2 or matrix.shape[1] != ensemble.features:
        raise ValueError(f"the model takes {ensemble.features} features, not an array of shape {matrix.shape}")
    return np.ascontiguousarray(matrix, dtype=np.float32)
