"""The linear form: a design of encoded features, and one weight per column and output, kept as XGBoost's gblinear."""

from functools import lru_cache
from typing import Any

import numpy as np

from filon.trees import ubjson
from filon.trees.ensemble import Ensemble, LinearDesign

SPREAD = "filon.spread"
"""Attribute of the model that holds what each feature moves the margin by: the weights alone do not say how common a level is."""

FAR = 1e30
"""The most standard deviations that a number counts as: beyond them, two terms of float32 may be infinite and their sum no number."""


def numbers(design: LinearDesign, matrix: np.ndarray) -> np.ndarray:
    """The number columns of the design: (rows, numbers) float32, filled, centred and scaled; none is farther than `FAR`."""
    plain = [i for i, count in enumerate(design.levels) if not count]
    values = matrix[:, plain].astype(np.float64)
    fill, mean, scale = (np.asarray(part)[plain] for part in (design.fill, design.mean, design.scale))
    values = np.where(np.isfinite(values), values, fill)
    return np.asarray(np.clip((values - mean) / scale, -FAR, FAR), dtype=np.float32)


def codes(design: LinearDesign, matrix: np.ndarray) -> np.ndarray:
    """Column number, in the design, of each category cell: (rows, categories) int64."""
    kinds = [i for i, count in enumerate(design.levels) if count]
    found = np.empty((len(matrix), len(kinds)), dtype=np.int64)
    at = len(design.levels) - len(kinds)
    for k, i in enumerate(kinds):
        count = design.levels[i]
        cells = matrix[:, i]
        known = (cells >= 0) & (cells < count)  # False for NaN
        found[:, k] = at + np.where(known, cells, count).astype(np.int64)
        at += count + 1
    return found


def expand(design: LinearDesign, matrix: np.ndarray) -> np.ndarray:
    """The whole design, as other readers of the model need it: (rows, width) float32."""
    wide = np.zeros((len(matrix), design.width), dtype=np.float32)
    plain = numbers(design, matrix)
    wide[:, : plain.shape[1]] = plain
    np.put_along_axis(wide, codes(design, matrix), np.float32(1), axis=1)
    return wide


def weights(ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """(width, outputs) float32 weights and (outputs,) float32 intercepts of a linear ensemble."""
    return _weights(ensemble.model, 1 if len(ensemble.classes) == 2 else len(ensemble.classes))


@lru_cache(maxsize=4)
def _weights(model: bytes, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    flat = np.asarray(ubjson.read(model)["learner"]["gradient_booster"]["model"]["weights"], dtype=np.float32).reshape(-1, outputs)
    return flat[:-1], flat[-1]


def margins(ensemble: Ensemble, matrix: np.ndarray) -> np.ndarray:
    """(rows, outputs) float64 of encoded features: numbers by a product, categories by looking their weight up."""
    assert ensemble.design is not None, "a linear ensemble has a design"
    weight, bias = weights(ensemble)
    plain = numbers(ensemble.design, matrix)
    total = plain.astype(np.float64) @ weight[: plain.shape[1]].astype(np.float64) + bias
    for column in codes(ensemble.design, matrix).T:
        total += weight[column]
    return np.asarray(total)


def contributions(ensemble: Ensemble, matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to the average training row's margin, which is the last column: (rows, outputs, features + 1)."""
    assert ensemble.design is not None, "a linear ensemble has a design"
    design = ensemble.design
    weight, bias = weights(ensemble)
    parts = np.zeros((len(matrix), weight.shape[1], len(design.levels) + 1), dtype=np.float32)
    plain = numbers(design, matrix)
    places = [i for i, count in enumerate(design.levels) if not count]
    parts[:, :, places] = plain[:, None, :] * weight[: plain.shape[1]].T[None, :, :]
    kinds = [i for i, count in enumerate(design.levels) if count]
    for i, column in zip(kinds, codes(design, matrix).T, strict=True):
        parts[:, :, i] = weight[column]
    parts[:, :, -1] = bias
    return parts


def spread(ensemble: Ensemble) -> np.ndarray:
    """Standard deviation of each feature's contribution over the training rows: (features,) float64."""
    text = ubjson.read(ensemble.model)["learner"]["attributes"][SPREAD]
    return np.array([float(part) for part in text.split(",")])


def by_xgboost(model_file: bytes, design: LinearDesign, matrix: np.ndarray) -> np.ndarray:
    """What XGBoost itself answers of the expanded design, after its own objective: (rows,) or (rows, classes) float32."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(model_file))
    return np.asarray(booster.predict(xgboost.DMatrix(expand(design, matrix))))


def model(weight: np.ndarray, bias: np.ndarray, classes: int, moved: np.ndarray) -> bytes:
    """UBJSON of a gblinear with these weights.

    Parameters
    ----------
    weight : (width, outputs); bias : (outputs,); moved : (features,) the spread kept as an attribute
    """
    import xgboost

    names: dict[str, Any] = {"objective": "binary:logistic"} if classes == 2 else {"objective": "multi:softprob", "num_class": classes}
    blank = np.zeros((2, len(weight)), dtype=np.float32)
    still = {**names, "booster": "gblinear", "updater": "coord_descent", "eta": 0.0, "base_score": 0.5, "nthread": 1, "verbosity": 0}
    booster = xgboost.train(still, xgboost.DMatrix(blank, label=[0.0, 1.0], nthread=1), 1)
    booster.set_attr(**{SPREAD: ",".join(repr(float(part)) for part in moved)})
    tree = ubjson.read(bytes(booster.save_raw("ubj")))
    tree["learner"]["gradient_booster"]["model"]["weights"] = np.vstack([weight, bias[None, :]]).astype(np.float32).reshape(-1)
    return ubjson.write(tree)


def logistic(margin: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-margin)) without overflow."""
    small = np.exp(-np.abs(margin))
    return np.asarray(np.where(margin >= 0, 1 / (1 + small), small / (1 + small)))


def softmax(margin: np.ndarray) -> np.ndarray:
    """Shares of exp(margin) by row, without overflow."""
    grown = np.exp(margin - margin.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))
