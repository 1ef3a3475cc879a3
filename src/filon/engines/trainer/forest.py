"""Random forests: a tree is a function of the seed and its number, so the longest and deepest forest holds every smaller one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from filon.engines.trainer.boosting import Tell
from filon.engines.trainer.matrix import Stopped
from filon.engines.trainer.peers import ALONE, Peers, mean
from filon.trees import ubjson

_UPDATERS = ("grow_quantile_histmaker", "grow_quantile_histmaker,prune")
"""Taken in turn: with another chain of updaters XGBoost draws its column sampler anew from the seed, in a tenth of the time that a new
booster takes. The pruner has nothing to do (gamma is 0)."""

DRAW_ROWS = 1 << 20
"""Rows drawn at a time."""

Grown = list[list[dict[str, Any]]]
"""By tree of the forest its trees (one for two classes, else one per class), with class shares in the leaves."""


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
    peers: Peers = ALONE,
) -> Grown:
    """Grow the trees of these numbers (from 1); leaves hold class shares, not yet divided by the number of trees.

    The gradient of the squared error at 0 is -y x times drawn, and its curvature the times drawn: a leaf is then the share of its class.
    It is given anew for each tree, so nothing is boosted. XGBoost's own sampling is without replacement, which makes trees more alike.

    Parameters
    ----------
    params : of one output, whatever the classes
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

    label, often = matrix.get_label().astype(np.int16), _often(rate, matrix, peers)
    booster = xgboost.Booster({**params, "updater": _UPDATERS[0], "validate_parameters": False}, [matrix])
    outputs = range(1, 2) if classes == 2 else range(classes)
    done, grown, flat = 0, 0, list[dict[str, Any]]()
    mine = (peers.rank,) if peers.rank else ()  # each peer draws its own rows
    for number in numbers:
        key = (int(str(params["seed"])), number)
        drawn = _draw((*key, *mine), often)
        for output in outputs:  # many classes: a tree each, on the same draw
            own = {"seed": _seed((*key, output)), "max_depth": depth_of(number)}
            if peers is not ALONE:  # XGBoost's pruner cannot pass a tree on to the others: a booster for each tree
                flat += _trees(booster)
                booster, done = xgboost.Booster({**params, **own, "updater": _UPDATERS[0], "validate_parameters": False}, [matrix]), 0
            else:
                booster.set_param({**own, "updater": _UPDATERS[done % 2]})
            booster.boost(matrix, done, grad=np.where(label == output, -drawn, np.float32(0)), hess=drawn)
            done += 1
        grown += 1
        tell(None)
        if stop():
            raise Stopped
        if peers.any(late()):
            break
    flat += _trees(booster)
    return [flat[tree * len(outputs) : (tree + 1) * len(outputs)] for tree in range(grown)]


def _trees(booster: Any) -> list[dict[str, Any]]:
    """The trees grown so far."""
    return list(ubjson.read(bytes(booster.save_raw("ubj")))["learner"]["gradient_booster"]["model"]["trees"])


def _often(rate: float, matrix: Any, peers: Peers) -> np.ndarray:
    """How often each row is drawn on average: (rows,) float32, their mean is `rate`."""
    weight: np.ndarray = matrix.get_weight()
    if not weight.size:
        return np.full(matrix.num_row(), rate, dtype=np.float32)
    weight *= np.float32(rate / mean(weight, peers))
    return weight


def _draw(key: tuple[int, ...], often: np.ndarray) -> np.ndarray:
    """How often each row is drawn for one tree: (rows,) float32. In parts, since numpy's draws are eight bytes each."""
    random, drawn = np.random.default_rng(key), np.empty_like(often)
    for start in range(0, len(often), DRAW_ROWS):
        part = slice(start, start + DRAW_ROWS)
        drawn[part] = random.poisson(often[part])
    return drawn


def blank(params: dict[str, object], matrix: Any, classes: int) -> dict[str, Any]:
    """A model document of a forest of so many classes, its trees to be put in."""
    import xgboost

    many: dict[str, object] = {} if classes == 2 else {"num_target": classes}
    booster = xgboost.Booster({**params, **many, "max_depth": 1}, [matrix])
    nothing = np.zeros((matrix.num_row(), 1 if classes == 2 else classes), dtype=np.float32)
    booster.boost(matrix, 0, grad=nothing, hess=nothing)
    document: dict[str, Any] = ubjson.read(bytes(booster.save_raw("ubj")))
    return document


def _seed(key: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
