"""Typed Arrow batches to float32 features and class numbers: the one encoder of training, scoring and serving (law 2)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.rows.cells import as_float32, column, is_text, numbers64

FeatureKind = Literal["number", "boolean", "category"]

BLOCK = 4096
"""Rows written at a time: a block of a hundred features stays in the cache while its columns are laid side by side."""


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
    """Features of typed rows; missing, infinite and unseen as NaN.

    Parameters
    ----------
    batch : columns by name, typed as `read` types them (numbers float64 or any Arrow number, boolean, string); others are ignored

    Returns
    -------
    (rows, features) float32, C order

    Raises
    ------
    DataError : `rows.column-missing`
    """
    columns = [_feature(column(batch, feature.name), feature) for feature in encoding.features]
    out = np.empty((batch.num_rows, len(columns)), np.float32)
    for start in range(0, batch.num_rows, BLOCK):
        block = out[start : start + BLOCK]
        for place, values in enumerate(columns):
            block[:, place] = values[start : start + BLOCK]
        # XGBoost refuses infinities, and a linear model cannot weigh them: they count as missing (check points at them)
        block[np.isinf(block)] = np.nan
    return out


def encoded_columns(sample: pa.Table, encoding: Encoding) -> np.ndarray:
    """The features of a fold's sample (`Engine.sample`): (rows, features) float32, by their places, as a feature may be called "label"."""
    return np.stack([sample.column(place).to_numpy().astype(np.float32) for place in range(len(encoding.features))], axis=1)


def _feature(cells: pa.Array, feature: Feature) -> np.ndarray:
    if feature.kind != "category":
        return as_float32(cells)
    return ranks(cells if is_text(cells.type) else label_text(cells), feature.categories).astype(np.float32)


def ranks(texts: pa.Array, categories: tuple[str, ...]) -> np.ndarray:
    """Place of each text among the categories, looked up once per distinct text; NaN where it is none of them. (rows,) float64."""
    coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    uniques = coded.dictionary.cast(pa.large_string())
    places = pc.index_in(uniques, value_set=pa.array(categories, pa.large_string()), skip_nulls=True)
    known = np.append(numbers64(places), np.nan)
    found: np.ndarray = np.take(known, pc.fill_null(coded.indices.cast(pa.int64()), len(uniques)).to_numpy(zero_copy_only=False))
    return found


def label_text(values: pa.Array) -> pa.Array:
    """The label's texts: true/false for booleans, integers without a point ("1", also for 1.0), texts as they are, null for missing.

    Returns
    -------
    (rows,) string array

    >>> label_text(pa.array([1.0, 2.5, None, float("nan")])).to_pylist()
    ['1', '2.5', None, None]
    """
    if is_text(values.type) or not (pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        return values.cast(pa.string())
    exact = numbers64(values)
    whole = (np.floor(exact) == exact) & (np.abs(exact) < 2.0**63)
    integers = pa.array(np.where(whole, exact, 0.0).astype(np.int64), mask=np.isnan(exact)).cast(pa.string())
    if whole.all() or not (~whole & ~np.isnan(exact)).any():
        return integers
    return pc.if_else(pa.array(whole | np.isnan(exact)), integers, values.cast(pa.string()))


def label_number(values: pa.Array, classes: tuple[str, ...]) -> np.ndarray:
    """Class numbers of label cells: (rows,) int32, -1 where missing or not one of the classes."""
    texts = values if is_text(values.type) else label_text(values)
    numbers = ranks(texts, classes)
    return np.where(np.isnan(numbers), -1.0, numbers).astype(np.int32)
