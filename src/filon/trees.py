"""The fitted ensemble: one portable form for every family, and its one scorer."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDesign:
    """How a linear model's inputs are made of encoded features: mean-filled scaled numbers, then one column per category (and one for its missing).

    `fill`, `mean`, `scale` : one entry per feature (category features: 0, 0, 1); `levels` : number of categories per feature (0 for numbers)."""

    fill: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """A fitted set of trees (or a linear model) as XGBoost's own UBJSON.

    model : UBJSON bytes, readable by every XGBoost binding
    link : how margins become probabilities: "identity" (forests: mean of class shares), "logistic" (two classes), "softmax"
    classes : class texts in order; features : number of encoded features; categorical : per feature, split by sets of categories
    rounds : boosting rounds kept (a forest has 1); trees : number of trees
    """

    family: str
    form: Literal["trees", "linear"]
    link: Literal["identity", "logistic", "softmax"]
    model: bytes = field(repr=False)
    classes: tuple[str, ...]
    features: int
    categorical: tuple[bool, ...] = ()
    rounds: int = 0
    trees: int = 0
    design: LinearDesign | None = None


def predict(ensemble: Ensemble, matrix: np.ndarray, threads: int = 0) -> np.ndarray:
    """Probability by class.

    Parameters
    ----------
    matrix : (rows, features) float32, NaN for missing
    threads : 0 for all cores

    Returns
    -------
    (rows, classes) float32; two classes: [1 - p, p]
    """
    raise NotImplementedError


def contributions(ensemble: Ensemble, matrix: np.ndarray) -> np.ndarray:
    """Exact TreeSHAP (linear: exact too) in margin units, the last column is the bias.

    Returns
    -------
    (rows, outputs, features + 1) float32; outputs is 1 for two classes (the positive one), else the number of classes
    """
    raise NotImplementedError


def gain(ensemble: Ensemble) -> np.ndarray:
    """Total gain by feature, summing to 1 (all zero for a model without splits); linear: |weight| x scale. Shape (features,) float64."""
    raise NotImplementedError
