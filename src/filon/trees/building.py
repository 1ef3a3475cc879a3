"""Trees grown elsewhere become an ensemble: arrays of nodes in, XGBoost's own document out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from filon.trees import ubjson
from filon.trees.ensemble import Ensemble

_ROOT = 2147483647
"""XGBoost's parent of a root."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grown:
    """One tree, node 0 its root: row goes left where `x < threshold` (float32).

    left, right : (nodes,) int32, -1 at a leaf; feature : (nodes,) int32; threshold : (nodes,) float32
    missing_left : (nodes,) bool, where a missing cell goes; gain, cover : (nodes,) float32
    value : (nodes, outputs) float64 what each node says, inner nodes too
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    gain: np.ndarray
    cover: np.ndarray
    value: np.ndarray


def built(trees: Sequence[Grown], shape: Ensemble) -> Ensemble:
    """The ensemble of the trees, their values added up.

    Parameters
    ----------
    trees : at least one; of a forest (link "identity") a value is a class share, and the sum is divided by the number of trees
    shape : the ensemble to be, without its model: link "identity" or "logistic" (two classes), no set splits

    Notes
    -----
    Two classes have one output, the second class's; a forest of more has one tree per class, all of the same shape.
    """
    forest = shape.link == "identity"
    outputs = trees[0].value.shape[1]
    made: list[dict[str, Any]] = []
    for tree in trees:
        for output in range(outputs):
            made.append(_tree(tree, output, len(made), shape.features, len(trees) if forest else 1))
    document = _blank(shape, outputs)
    model = document["learner"]["gradient_booster"]["model"]
    model["trees"] = made
    model["tree_info"] = [number % outputs for number in range(len(made))]
    model["iteration_indptr"] = [0, len(made)] if forest else list(range(len(made) + 1))
    side_by_side = str(len(trees)) if forest else "1"
    model["gbtree_model_param"] = {**model["gbtree_model_param"], "num_trees": str(len(made)), "num_parallel_tree": side_by_side}
    return replace(shape, model=ubjson.write(document), rounds=1 if forest else len(trees), trees=len(made))


def below(threshold: np.ndarray) -> np.ndarray:
    """The float32 t of `x < t` that is the same as `x <= threshold` in float64, for every float32 x.

    >>> below(np.array([0.5, 0.1])).tolist()
    [0.5000000596046448, 0.10000000149011612]
    """
    near = threshold.astype(np.float32)
    return np.where(near.astype(np.float64) <= threshold, np.nextafter(near, np.float32(np.inf)), near)


def _tree(tree: Grown, output: int, number: int, features: int, share: int) -> dict[str, Any]:
    nodes, leaf = len(tree.left), tree.left < 0
    value = tree.value[:, output]
    parents = np.full(nodes, _ROOT, np.int32)
    inner = np.flatnonzero(~leaf).astype(np.int32)
    parents[tree.left[inner]] = inner
    parents[tree.right[inner]] = inner
    weights = value.astype(np.float32)
    leaves = (value / share).astype(np.float32)
    return {
        "base_weights": weights,
        "categories": np.empty(0, np.int32),
        "categories_nodes": np.empty(0, np.int32),
        "categories_segments": np.empty(0, np.int64),
        "categories_sizes": np.empty(0, np.int64),
        "default_left": (tree.missing_left & ~leaf).astype(np.uint8),
        "id": number,
        "left_children": tree.left.astype(np.int32),
        "loss_changes": np.where(leaf, 0, tree.gain).astype(np.float32),
        "parents": parents,
        "right_children": tree.right.astype(np.int32),
        "split_conditions": np.where(leaf, leaves, tree.threshold).astype(np.float32),
        "split_indices": np.where(leaf, 0, tree.feature).astype(np.int32),
        "split_type": np.zeros(nodes, np.uint8),
        "sum_hessian": tree.cover.astype(np.float32),
        "tree_param": {"num_deleted": "0", "num_feature": str(features), "num_nodes": str(nodes), "size_leaf_vector": "1"},
    }


def _blank(shape: Ensemble, outputs: int) -> dict[str, Any]:
    """The document of a model that says nothing yet."""
    import xgboost

    logistic = shape.link == "logistic"
    named: dict[str, object] = {"objective": "binary:logistic" if logistic else "reg:squarederror", "base_score": 0.5 if logistic else 0.0}
    if outputs > 1:
        named["num_target"] = outputs
    nothing = np.zeros((2, outputs), np.float32)
    rows = xgboost.QuantileDMatrix(np.zeros((2, shape.features), np.float32), label=nothing, nthread=1)
    booster = xgboost.Booster({**named, "max_depth": 1, "nthread": 1, "verbosity": 0}, [rows])
    booster.boost(rows, 0, grad=nothing if outputs > 1 else nothing[:, 0], hess=nothing if outputs > 1 else nothing[:, 0])
    document: dict[str, Any] = ubjson.read(bytes(booster.save_raw("ubj")))
    document["learner"]["attributes"] = {}
    return document
