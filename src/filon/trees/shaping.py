"""Models cut and joined at the level of their trees: exact prefixes, and forests grown tree by tree."""

from collections.abc import Sequence
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
        trees = tree["learner"]["gradient_booster"]["model"]["trees"]
        return share_forest(tree, [trees[start : start + outputs] for start in range(0, len(trees), outputs)], ensemble, count)
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


def share_forest(
    document: dict[str, Any], trees: Sequence[Sequence[dict[str, Any]]], shape: Ensemble, count: int, depth: int | None = None
) -> Ensemble:
    """A forest of the first `count` trees, no deeper than `depth`: each leaf holds its class share / count, so that the sum is the mean.

    Parameters
    ----------
    document : any model of the same settings; its own trees are left out
    trees : by tree of the forest, one for two classes, else one per class; their `base_weights` are class shares. None is changed
    shape : the ensemble to be, without its model

    Notes
    -----
    Leaves are computed from `base_weights`, which stay as they are: a prefix of a forest and a shorter forest are equal to the bit.
    """
    share = np.float32(1 / count)
    plain = [one for grown in trees[:count] for one in grown]
    made = [_shared(one if depth is None else top(one, depth), share, number) for number, one in enumerate(plain)]
    outputs = len(plain) // count
    learner = document["learner"]
    model = {
        **learner["gradient_booster"]["model"],
        "trees": made,
        "tree_info": [number % outputs for number in range(len(made))],
        "iteration_indptr": [0, len(made)],
    }
    model["gbtree_model_param"] = {**model["gbtree_model_param"], "num_trees": str(len(made)), "num_parallel_tree": str(count)}
    whole = {**document, "learner": {**learner, "gradient_booster": {**learner["gradient_booster"], "model": model}}}
    return replace(shape, model=ubjson.write(whole), rounds=1, trees=len(made))


def _shared(tree: dict[str, Any], share: np.float32, number: int) -> dict[str, Any]:
    leaf = tree["left_children"] == -1
    return {**tree, "id": number, "split_conditions": np.where(leaf, tree["base_weights"] * share, tree["split_conditions"])}


def top(tree: dict[str, Any], depth: int) -> dict[str, Any]:
    """The tree cut at a depth: what growing it no deeper would have given.

    XGBoost grows level by level and numbers nodes as it does, so the nodes of the upper levels are the first ones of every array.
    """
    left = tree["left_children"]
    start, stop = 0, 1
    for _ in range(depth):
        start, stop = stop, stop + 2 * int(np.count_nonzero(left[start:stop] != -1))
        if start == stop:
            return tree
    if not np.any(left[start:stop] != -1):
        return tree
    kept = {name: value[:stop].copy() for name, value in tree.items() if name in _BY_NODE}
    for name, blank in _AS_LEAF.items():
        kept[name][start:stop] = blank
    cuts = int(np.searchsorted(tree["categories_nodes"], start))  # splits by sets above the last level
    ends = tree["categories_segments"][:cuts] + tree["categories_sizes"][:cuts]
    return {
        **tree,
        **kept,
        "categories": tree["categories"][: int(ends[-1]) if cuts else 0],
        **{name: tree[name][:cuts] for name in ("categories_nodes", "categories_segments", "categories_sizes")},
        "tree_param": {**tree["tree_param"], "num_nodes": str(stop)},
    }


_AS_LEAF = {"left_children": -1, "right_children": -1, "split_indices": 0, "default_left": 0, "split_type": 0, "loss_changes": 0.0}
_BY_NODE = {*_AS_LEAF, "base_weights", "parents", "split_conditions", "sum_hessian"}
