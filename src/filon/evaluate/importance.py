"""Which features the model leans on, and which way they push: total gain, and exact TreeSHAP on a bounded sample."""

import numpy as np
import pyarrow as pa

from filon.evaluate.records import Effect, Importance
from filon.evaluate.settings import EvaluateSettings
from filon.rows.encode import Encoding, Feature, encoded_columns
from filon.trees import Ensemble, contributions, gain

EXPLAINED = 8
"""Features whose effect is shown."""

GROUPS = 10
"""Groups of like values in an effect."""


SHAP_BYTES = 400_000_000
"""Model bytes times rows that TreeSHAP goes through in about two seconds of two cores (measured: 5 to 6 ns a byte and row)."""

FEWEST = 50


def rows_to_explain(ensemble: Ensemble, settings: EvaluateSettings) -> int:
    """Rows of the sample: what the settings ask for, fewer for a model so large that its TreeSHAP would take minutes."""
    if ensemble.form != "trees":
        return settings.shap_rows
    return max(min(FEWEST, settings.shap_rows), min(settings.shap_rows, SHAP_BYTES // max(1, len(ensemble.model))))


def measure_importance(ensemble: Ensemble, encoding: Encoding, sample: pa.Table | None) -> tuple[Importance, ...]:
    """Importance of each feature, the most important first (by TreeSHAP where there is a sample, else by gain; ties by name).

    Parameters
    ----------
    sample : as `Engine.sample` gives it for a fold: first the features as encoded float32; at most `evaluate.shap_rows` rows
    """
    gains = gain(ensemble)
    if sample is None or not sample.num_rows:
        found = [Importance(feature=feature.name, gain=float(each)) for feature, each in zip(encoding.features, gains, strict=True)]
        return tuple(sorted(found, key=lambda one: (-one.gain, one.feature)))
    matrix = encoded_columns(sample, encoding)
    shap = contributions(ensemble, matrix)[:, :, :-1].astype(np.float64)
    means = np.abs(shap).mean(axis=(0, 1))
    order = sorted(range(len(means)), key=lambda i: (-means[i], -gains[i], encoding.names[i]))
    two = shap.shape[1] == 1
    explained = {i for i in order[:EXPLAINED] if two and means[i] > 0}
    return tuple(
        Importance(
            feature=encoding.names[i],
            gain=float(gains[i]),
            shap=float(means[i]),
            rows=len(matrix),
            effects=_effects(encoding.features[i], matrix[:, i], shap[:, 0, i]) if i in explained else (),
        )
        for i in order
    )


def slice_columns(encoding: Encoding, importances: tuple[Importance, ...], settings: EvaluateSettings, most: int = 5) -> tuple[str, ...]:
    """The category features to slice by: those of the recipe, or the most important ones."""
    categories = {feature.name for feature in encoding.features if feature.kind != "number"}
    if settings.slices:
        return tuple(settings.slices)
    return tuple(one.feature for one in importances if one.feature in categories)[:most]


def _effects(feature: Feature, values: np.ndarray, shap: np.ndarray) -> tuple[Effect, ...]:
    """Rows of like values: categories by name (the most frequent), numbers in groups of about equal size; missing ones last."""
    missing = np.isnan(values)
    present = np.flatnonzero(~missing)
    groups: list[Effect] = []
    if feature.kind == "number":
        groups += [_effect("", values, shap, rows) for rows in _like_numbers(values, present)]
    else:
        names = feature.categories or ("false", "true")
        codes, counts = np.unique(values[present].astype(np.int64), return_counts=True)
        for code in codes[np.argsort(-counts, kind="stable")][:GROUPS]:
            groups.append(_effect(names[code] if code < len(names) else str(code), values, shap, np.flatnonzero(values == code)))
    if missing.any():
        groups.append(_effect("", values, shap, np.flatnonzero(missing)))
    return tuple(groups)


def _like_numbers(values: np.ndarray, present: np.ndarray) -> list[np.ndarray]:
    """Row numbers grouped by value: each distinct value when they are few, else quantiles; equal values stay together."""
    order = present[np.argsort(values[present], kind="stable")]
    if not len(order):
        return []
    sorted_values = values[order]
    first = np.flatnonzero(np.concatenate(([True], sorted_values[1:] != sorted_values[:-1])))
    if len(first) > GROUPS:
        at = np.searchsorted(first, np.linspace(0, len(order), GROUPS + 1)[:-1].astype(np.int64), side="right") - 1
        first = np.unique(first[at])
    return list(np.split(order, first[1:]))


def _effect(name: str, values: np.ndarray, shap: np.ndarray, rows: np.ndarray) -> Effect:
    here = values[rows]
    gone = bool(np.isnan(here).all())
    low, high = np.quantile(shap[rows], [0.1, 0.9])
    return Effect(
        name=name,
        low=None if name or gone else float(here.min()),
        high=None if name or gone else float(here.max()),
        missing=gone,
        rows=len(rows),
        shap=float(shap[rows].mean()),
        shap_low=float(low),
        shap_high=float(high),
    )
