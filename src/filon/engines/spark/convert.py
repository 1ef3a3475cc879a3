"""MLlib's trees to our ensemble: the same probabilities, and no JVM to serve them.

MLlib sends a row left where `x <= threshold` in float64, XGBoost where `x < threshold` in float32; our features are float32, so the next
float32 above the threshold says the same. A forest's probability is the mean of its trees' class shares, a GBT's sigmoid(2 x margin).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from filon.trees import Ensemble
from filon.trees.building import Grown, below, built


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodes:
    """The nodes of all trees as MLlib saves them, in any order.

    tree, node, left, right, feature : (nodes,) int; left is -1 at a leaf, ids count within a tree
    threshold : (nodes,) float64; gain : (nodes,) float64; prediction : (nodes,) float64
    stats : (nodes, k) float64: weight by class (classifier) or [weight, sum, sum of squares] (regressor)
    """

    tree: np.ndarray
    node: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    gain: np.ndarray
    prediction: np.ndarray
    stats: np.ndarray


def converted(nodes: Nodes, weights: Sequence[float], fills: np.ndarray, shape: Ensemble) -> Ensemble:
    """The ensemble of MLlib's trees.

    Parameters
    ----------
    weights : of each tree (1 for a forest)
    fills : (features,) float32 what a missing cell was filled with; NaN where it never was: MLlib then sends it right
    shape : the ensemble to be, without its model; link "identity" for a forest, "logistic" for a GBT
    """
    order = np.lexsort((nodes.node, nodes.tree))
    starts = np.searchsorted(nodes.tree[order], np.arange(len(weights) + 1))
    forest = shape.link == "identity"
    trees = []
    for number, weight in enumerate(weights):
        rows = order[starts[number] : starts[number + 1]]
        trees.append(_tree(nodes, rows, weight, fills, len(shape.classes), forest=forest))
    return built(trees, shape)


def _tree(nodes: Nodes, rows: np.ndarray, weight: float, fills: np.ndarray, classes: int, *, forest: bool) -> Grown:
    leaf = nodes.left[rows] < 0
    feature = np.where(leaf, 0, nodes.feature[rows])
    threshold = np.where(leaf, 0.0, nodes.threshold[rows])
    fill = fills[feature].astype(np.float64)
    stats = nodes.stats[rows]
    cover = stats.sum(axis=1) if forest else stats[:, 0]
    if forest:
        share = stats / np.where(cover > 0, cover, 1.0)[:, None]
        value = share[:, 1:] if classes == 2 else share
    else:
        value = 2.0 * weight * nodes.prediction[rows][:, None]
    return Grown(
        left=np.where(leaf, -1, nodes.left[rows]).astype(np.int32),
        right=np.where(leaf, -1, nodes.right[rows]).astype(np.int32),
        feature=feature.astype(np.int32),
        threshold=below(threshold),
        missing_left=np.where(np.isnan(fill), False, fill <= threshold),
        gain=np.where(leaf, 0.0, nodes.gain[rows] * cover),
        cover=cover,
        value=value,
    )
