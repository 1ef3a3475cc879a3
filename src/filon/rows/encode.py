"""Typed Arrow batches to float32 features and class numbers: the one encoder of training, scoring and serving (law 2)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

FeatureKind = Literal["number", "boolean", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature: a number or boolean as float32, or a category as the rank (0 = most frequent in training) of its text."""

    name: str
    kind: FeatureKind
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Features in the model's order, learnt from the training fold; classes in the recipe's order."""

    features: tuple[Feature, ...]
    classes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(feature.name for feature in self.features)


def encode(batch: pa.RecordBatch, encoding: Encoding) -> np.ndarray:
    """Features of typed rows, missing and unseen as NaN.

    Parameters
    ----------
    batch : columns by name, typed as `read` types them (numbers float64 or any Arrow number, boolean, string); others are ignored

    Returns
    -------
    (rows, features) float32, C order
    """
    raise NotImplementedError


def label_text(values: pa.Array) -> pa.Array:
    """The label's texts: true/false for booleans, integers without a point ("1", also for 1.0), texts as they are, null for missing.

    Returns
    -------
    (rows,) string array
    """
    raise NotImplementedError


def label_number(values: pa.Array, classes: tuple[str, ...]) -> np.ndarray:
    """Class numbers of label cells: (rows,) int32, -1 where missing or not one of the classes."""
    raise NotImplementedError
