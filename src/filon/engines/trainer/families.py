"""What each family's settings mean to the trainer: XGBoost's parameters, what is shared, and what a setting amounts to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from filon.engines.base import Trial, Value
from filon.rows.encode import Encoding, Feature

COUNT: Mapping[str, str] = {"xgboost": "num_round", "random_forest": "numTrees", "gbt": "maxIter"}
"""The setting that only counts rounds or trees: a shorter model is a prefix of the longest."""

DEFAULTS: Mapping[str, Mapping[str, Value]] = {
    "xgboost": {
        "max_depth": 6,
        "eta": 0.1,
        "num_round": 400,
        "min_child_weight": 1.0,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "colsample_bynode": 1.0,
        "reg_lambda": 1.0,
        "reg_alpha": 0.0,
        "gamma": 0.0,
        "max_bin": 256,
        "max_leaves": 0,
        "categories": "native",
        "balance": 1.0,
        "early_stopping_rounds": 50,
        "library": "xgboost",
    },
    "random_forest": {
        "numTrees": 400,
        "maxDepth": 14,
        "maxBins": 128,
        "featureSubsetStrategy": "sqrt",
        "minInstancesPerNode": 1,
        "subsamplingRate": 1.0,
        "library": "xgboost",
    },
    "gbt": {
        "maxDepth": 6,
        "maxBins": 128,
        "maxIter": 100,
        "stepSize": 0.1,
        "minInstancesPerNode": 1,
        "subsamplingRate": 1.0,
        "library": "xgboost",
    },
    "logistic_regression": {"regParam": 0.01, "elasticNetParam": 0.0, "maxIter": 200},
}
"""A trial that leaves a setting out means the grid's own default (`search.settings`; a test holds the two together)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One fit that serves one trial or many.

    acts : what the settings amount to, without the count (and a forest's depth); two trials with equal `acts` and seed are one fit
    bins, native, balance : which quantised matrix it needs (bins 0 for none: the linear family); class weights count to the power `balance`
    """

    family: str
    acts: Mapping[str, Value]
    seed: int
    bins: int
    native: bool
    balance: float = 1.0

    @property
    def matrix(self) -> tuple[int, bool, float]:
        """The key of its quantised matrix."""
        return self.bins, self.native, self.balance


def settings_of(trial: Trial) -> dict[str, Value]:
    """The trial's settings, with the defaults of those it leaves out.

    Raises
    ------
    ValueError : when the family, one of the settings or the library is not known here
    """
    if trial.family not in DEFAULTS:
        raise ValueError(f"the family {trial.family!r} is not known")
    known = DEFAULTS[trial.family]
    for name in trial.settings:
        if name not in known:
            raise ValueError(f"{trial.family} has no setting {name!r}")
    settings = {**known, **trial.settings}
    if settings.get("library", "xgboost") != "xgboost":
        raise ValueError(f"library = {settings['library']!r} needs the spark engine")
    return settings


MOST_SETS = 200
"""Categories up to which a feature is split by sets. Sets of thousands (a tail number, a flight) learn the training rows by heart: on the
flights of the demo they cost 0.04 areaUnderROC against the frequency rank, which such features keep."""


def by_sets(feature: Feature) -> bool:
    """Whether `categories = "native"` splits this feature by sets of its categories."""
    return feature.kind == "category" and len(feature.categories) <= MOST_SETS


def work_of(trial: Trial, encoding: Encoding) -> Work:
    """What must be fitted for a trial on rows of this encoding."""
    acts = settings_of(trial)
    acts.pop(COUNT.get(trial.family, ""), None)
    acts.pop("library", None)
    if trial.family == "random_forest":
        acts.pop("maxDepth")  # a shallower tree is the top of a deeper one
    sets = trial.family in COUNT and any(by_sets(feature) for feature in encoding.features)
    native = acts.pop("categories", "native") == "native" and sets
    if "featureSubsetStrategy" in acts:
        acts["featureSubsetStrategy"] = subset_size(acts["featureSubsetStrategy"], len(encoding.features))
    if trial.family == "logistic_regression" and acts["regParam"] == 0:
        acts["elasticNetParam"] = 0.0  # it only mixes the two penalties
    bins = acts.get("max_bin", acts.get("maxBins", 0))
    balance = float(str(acts.pop("balance", 1.0)))
    return Work(family=trial.family, acts=acts, seed=trial.seed, bins=_whole(bins), native=native, balance=balance)


def count_of(trial: Trial) -> int:
    """Rounds or trees a trial asks for (1 for the linear family)."""
    name = COUNT.get(trial.family)
    return _whole(settings_of(trial)[name]) if name else 1


def depth_of(trial: Trial) -> int:
    """How deep the trees of a forest are grown (0 for the other families, whose depth cannot be shared)."""
    return _whole(settings_of(trial)["maxDepth"]) if trial.family == "random_forest" else 0


def subset_size(strategy: Value, features: int) -> int:
    """How many features a node of a forest chooses from, by Spark MLlib's rule (every size is rounded up).

    >>> [subset_size(s, 15) for s in ("auto", "sqrt", "log2", "onethird", "all", 0.5)]
    [4, 4, 4, 5, 15, 8]
    """
    if isinstance(strategy, int | float):
        wanted = math.ceil(strategy * features)
    else:
        wanted = {
            "auto": math.ceil(math.sqrt(features)),
            "sqrt": math.ceil(math.sqrt(features)),
            "log2": math.ceil(math.log2(max(features, 1))),
            "onethird": math.ceil(features / 3),
            "all": features,
        }[str(strategy)]
    return min(max(1, wanted), features)


def parameters(work: Work, classes: int, features: int, mean_weight: float) -> dict[str, object]:
    """XGBoost's parameters of a boosted family or a forest.

    Parameters
    ----------
    mean_weight : average weight of the training rows, so that "instances" count as rows whatever their weights
    """
    acts = work.acts
    common: dict[str, object] = {"tree_method": "hist", "seed": work.seed, "max_bin": work.bins, "verbosity": 0}
    if work.family == "random_forest":
        return {
            **common,
            "objective": "reg:squarederror",  # a leaf is then its class share; a logistic loss pulls probabilities to the middle
            "base_score": 0.0,
            "learning_rate": 1.0,
            "reg_lambda": 0.0,
            "min_child_weight": acts["minInstancesPerNode"],  # drawn rows count as one each
            # XGBoost takes the whole part of share x features: half a feature more guards against float32
            "colsample_bynode": min(1.0, (_whole(acts["featureSubsetStrategy"]) + 0.5) / features),
        }
    loss: dict[str, object] = {"objective": "binary:logistic"} if classes == 2 else {"objective": "multi:softprob", "num_class": classes}
    if work.family == "gbt":
        return {
            **common,
            **loss,
            "learning_rate": acts["stepSize"],
            "max_depth": acts["maxDepth"],
            "subsample": acts["subsamplingRate"],
            "min_child_weight": float(str(acts["minInstancesPerNode"])) * mean_weight,
        }
    named = ("max_depth", "eta", "subsample", "colsample_bytree", "colsample_bynode", "reg_lambda", "reg_alpha", "gamma", "max_leaves")
    policy = "lossguide" if _whole(acts["max_leaves"]) else "depthwise"
    weight = float(str(acts["min_child_weight"]))
    return {**common, **loss, **{name: acts[name] for name in named}, "min_child_weight": weight, "grow_policy": policy}


def link_of(family: str, classes: int) -> Literal["identity", "logistic", "softmax"]:
    """How the family's margins become probabilities."""
    if family == "random_forest":
        return "identity"
    return "logistic" if classes == 2 else "softmax"


def _whole(value: Value) -> int:
    return int(float(str(value)))
