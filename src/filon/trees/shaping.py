"""Models cut and joined at the level of their trees: exact prefixes, and forests grown tree by tree."""

from dataclasses import replace
from typing import Any

import numpy as np

from filon.trees import ubjson
from filon.trees.ensemble import Ensemble


def prefix(ensemble: Ensemble, count: int) -> Ensemble:
    """The model that a shorter fit would have given: the first `count` rounds, or the first `count` trees of a forest.

    Raises
    ------
    ValueError : when the ensemble is linear or has fewer
    """
    if ensemble.form != "trees":
        raise ValueError("a linear model has no prefix")
    forest = ensemble.link == "identity"
    outputs = 1 if len(ensemble.classes) == 2 else len(ensemble.classes)
    have = ensemble.trees // outputs if forest else ensemble.rounds
    if not 1 <= count <= have:
        raise ValueError(f"the model has {have} rounds, not {count}")
    if count == have:
        return ensemble
    tree = ubjson.read(ensemble.model)
    if forest:
        return share_forest(tree, ensemble, count)
    kept = cut(tree, count)
    return replace(ensemble, model=ubjson.write(tree), rounds=count, trees=kept)


def cut(tree: dict[str, Any], rounds: int) -> int:
    """Drop, in place, the trees after `rounds`; how many are left."""
    model = tree["learner"]["gradient_booster"]["model"]
    kept = int(model["iteration_indptr"][rounds])
    model["trees"] = model["trees"][:kept]
    model["tree_info"] = model["tree_info"][:kept]
    model["iteration_indptr"] = model["iteration_indptr"][: rounds + 1]
    model["gbtree_model_param"]["num_trees"] = str(kept)
    attributes = tree["learner"]["attributes"]
    for name in ("best_iteration", "best_score"):
        attributes.pop(name, None)
    return kept


def share_forest(tree: dict[str, Any], shape: Ensemble, count: int) -> Ensemble:
    """A forest of the first `count` trees: each leaf holds its class share / count, so that the sum over trees is the mean.

    Parameters
    ----------
    tree : a model whose `base_weights` are class shares, one tree per round (or an earlier result of this function); changed in place
    shape : the ensemble to be, without its model

    Notes
    -----
    Leaves are computed from `base_weights`, which stay as they are: so a prefix of a forest and a shorter forest are equal to the bit.
    """
    model = tree["learner"]["gradient_booster"]["model"]
    outputs = 1 if len(shape.classes) == 2 else len(shape.classes)
    plain = model["trees"][: count * outputs]
    share = np.float32(1 / count)
    for number, one in enumerate(plain):
        leaf = one["left_children"] == -1
        one["split_conditions"] = np.where(leaf, one["base_weights"] * share, one["split_conditions"])
        one["id"] = number
    model["trees"] = plain
    model["tree_info"] = [number % outputs for number in range(len(plain))]
    model["iteration_indptr"] = [0, len(plain)]
    model["gbtree_model_param"] = {**model["gbtree_model_param"], "num_trees": str(len(plain)), "num_parallel_tree": str(count)}
    return replace(shape, model=ubjson.write(tree), rounds=1, trees=len(plain))
