"""Random forests: a tree is a function of the seed and its number, so the longest and deepest forest holds every smaller one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from filon.engines.trainer.boosting import Tell
from filon.engines.trainer.matrix import Stopped
from filon.trees import ubjson

_UPDATERS = ("grow_quantile_histmaker", "grow_quantile_histmaker,prune")
"""Taken in turn: with another chain of updaters XGBoost draws its column sampler anew from the seed, in a tenth of the time that a new
booster takes. The pruner has nothing to do (gamma is 0)."""

Grown = tuple[dict[str, Any], list[list[dict[str, Any]]]]
"""A model document, and by tree of the forest its trees (one for two classes, else one per class) with class shares in the leaves."""


def grow(
    params: dict[str, object],
    numbers: Sequence[int],
    depth_of: Callable[[int], int],
    rate: float,
    matrix: Any,
    classes: int,
    tell: Tell,
    stop: Callable[[], bool],
    late: Callable[[], bool],
) -> Grown:
    """Grow the trees of these numbers (from 1); leaves hold class shares, not yet divided by the number of trees.

    The gradient of the squared error at 0 is -y x times drawn, and its curvature the times drawn: a leaf is then the share of its class.
    It is given anew for each tree, so nothing is boosted. XGBoost's own sampling is without replacement, which makes trees more alike.

    Parameters
    ----------
    depth_of : how deep the tree of a number is wanted; a shallower one is its top, to the bit
    rate : rows of a bootstrap as a share of all; a row is drawn Poisson(rate x weight / mean weight) times (docs/adr/0041)

    Returns
    -------
    the trees, in the order of `numbers`; fewer when the time was up

    Raises
    ------
    Stopped : when `stop` says so
    """
    import xgboost

    label, weight = matrix.get_label(), matrix.get_weight()
    often = rate * (weight / weight.mean(dtype=np.float64) if weight.size else np.ones(len(label)))
    whole = np.zeros((len(label), classes), dtype=np.float32)
    whole[np.arange(len(label)), label.astype(np.int64)] = 1
    target = whole[:, 1] if classes == 2 else whole  # many classes: a tree each, on the same draw
    booster = xgboost.Booster({**params, "updater": _UPDATERS[0], "validate_parameters": False}, [matrix])
    done = 0
    for number in numbers:
        key = (int(str(params["seed"])), number)
        booster.set_param({"seed": _seed(key), "max_depth": depth_of(number), "updater": _UPDATERS[done % 2]})
        drawn = np.random.default_rng(key).poisson(often).astype(np.float32)
        times = drawn if classes == 2 else np.repeat(drawn[:, None], classes, axis=1)
        booster.boost(matrix, done, grad=-target * times, hess=times)
        done += 1
        tell(None)
        if stop():
            raise Stopped
        if late():
            break
    document = ubjson.read(bytes(booster.save_raw("ubj")))
    model = document["learner"]["gradient_booster"]["model"]
    flat, model["trees"] = model["trees"], []
    each = 1 if classes == 2 else classes
    return document, [flat[start : start + each] for start in range(0, done * each, each)]


def _seed(key: tuple[int, int]) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
