"""Axes to trials: the grid in a stable order, settings that amount to the same, and the key of equal work."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping

from filon.engines.base import FitPlan, Folds, Trial, Value
from filon.search.settings import FAMILIES, FamilyName, SearchSettings

COUNTS: Mapping[str, str] = {"xgboost": "num_round", "random_forest": "numTrees", "gbt": "maxIter", "logistic_regression": "maxIter"}
"""The setting that only counts trees, rounds or steps. For trees a shorter model is a prefix of the longest (so the seed leaves it out)."""

PARTS: Mapping[str, tuple[str, ...]] = {"random_forest": ("numTrees", "maxDepth")}
"""Settings whose smaller values give a part of the model of the larger ones: a shallower forest is the top of a deeper one."""

Axes = Mapping[str, tuple[Value, ...]]


def named(settings: SearchSettings) -> tuple[FamilyName, ...]:
    """Families the recipe names, in the order of `FAMILIES`."""
    return tuple(family for family in FAMILIES if getattr(settings, family) is not None)


def axes(settings: SearchSettings, family: FamilyName) -> dict[str, tuple[Value, ...]]:
    """Every setting of a family with its values: one, or those of the list (without repeats, in order)."""
    grid = getattr(settings, family)
    found: dict[str, tuple[Value, ...]] = {}
    for name in type(grid).model_fields:
        value = getattr(grid, name)
        found[name] = tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,)
    return found


def points(of: Axes) -> Iterator[dict[str, Value]]:
    """Every combination; the last axis moves fastest.

    >>> list(points({"a": (1, 2), "b": ("x",)}))
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
    """
    for values in itertools.product(*of.values()):
        yield dict(zip(of, values, strict=True))


def grid(settings: SearchSettings, features: int, categories: int, seed: int) -> list[Trial]:
    """All trials of the recipe's families, numbered from 1: family by family, axis by axis, in the recipe's order of values."""
    every = [(family, point) for family in named(settings) for point in points(axes(settings, family))]
    return [trial(number, family, point, features, categories, seed) for number, (family, point) in enumerate(every, start=1)]


def trial(number: int, family: FamilyName, settings: Mapping[str, Value], features: int, categories: int, seed: int) -> Trial:
    """A trial with its seed: the same for equal effective settings, and for those that differ only in what makes a part of a larger fit."""
    parts = PARTS.get(family, (COUNTS[family],))
    basis = {name: value for name, value in effective(family, settings, features, categories).items() if name not in parts}
    return Trial(number=number, family=family, settings=dict(settings), seed=int(fingerprint([seed, family, basis])[:8], 16) & 0x7FFFFFFF)


def subset_size(strategy: Value, features: int) -> int:
    """Features that a tree's node may choose from, as Spark MLlib counts them.

    >>> subset_size("sqrt", 15), subset_size("log2", 15), subset_size("auto", 15), subset_size("onethird", 15), subset_size(0.5, 15)
    (4, 4, 4, 5, 8)
    """
    if isinstance(strategy, int | float):
        return max(1, math.ceil(strategy * features))
    sizes = {
        "all": float(features),
        "auto": math.sqrt(features),
        "sqrt": math.sqrt(features),
        "log2": math.log2(max(features, 1)),
        "onethird": features / 3,
    }
    return min(features, max(1, math.ceil(sizes[str(strategy)])))


def effective(family: FamilyName, settings: Mapping[str, Value], features: int, categories: int) -> dict[str, Value]:
    """Settings as they act on this table: two trials with equal effective settings are the same fit.

    Parameters
    ----------
    features : encoded features; categories : those of them that are categories
    """
    acts = dict(settings)
    if "featureSubsetStrategy" in acts:
        acts["featureSubsetStrategy"] = subset_size(acts["featureSubsetStrategy"], features)
    if categories == 0:
        acts.pop("categories", None)
    if acts.get("balance") == 1:
        acts.pop("balance")  # as search.balance says: the same work as before this setting was there
    if family == "logistic_regression" and acts.get("regParam") == 0:
        acts.pop("elasticNetParam", None)  # it only mixes the two penalties
    return {name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value for name, value in sorted(acts.items())}


def key(candidate: Trial, folds: Folds, plan: FitPlan, parts: int = 0) -> str:
    """Identity of equal work: family, effective settings, seed, the folds' content, the plan."""
    features = folds.encoding.features
    acts = effective(family_of(candidate), candidate.settings, len(features), sum(feature.kind == "category" for feature in features))
    content = [folds.info["train"].digest, folds.info["valid"].digest, folds.encoding.names, folds.encoding.classes, folds.class_weights]
    return fingerprint([candidate.family, acts, candidate.seed, content, plan.train, plan.valid, plan.rows, plan.metric, parts])[:24]


def family_of(candidate: Trial) -> FamilyName:
    """The family of a trial as one of the known names."""
    return next(family for family in FAMILIES if family == candidate.family)


def fingerprint(content: object) -> str:
    """SHA-256 of the content as JSON, in hex."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()
