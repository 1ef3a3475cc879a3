"""XGBoost's trees as the attributes of one TreeEnsembleRegressor.

Splits by number are one node (`x < bound` goes left). A split by a set of categories is a chain of such nodes over the runs of
neighbouring codes, whose true branches share the two subtrees: every node then has one mode, which is ONNX Runtime's fast path, and
no chain is longer than twice the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Chunks = list[np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Nodes of all trees by column, and the weights of their leaves in the same order.

    tree, node, feature, true, false, missing : (nodes,) int64; value : (nodes,) float32; leaf : (nodes,) bool
    target : (leaves,) int64 output of each leaf; weight : (leaves,) float32
    """

    tree: np.ndarray
    node: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    leaf: np.ndarray
    true: np.ndarray
    false: np.ndarray
    missing: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def table(trees: Sequence[Mapping[str, Any]], outputs: Sequence[int], base: np.ndarray) -> Table:
    """All trees, each output's base margin first as a tree of one leaf.

    XGBoost begins its sum with the base score; the operator's own base values are added last, which rounds otherwise.

    Parameters
    ----------
    trees : XGBoost's trees, as `trees.ubjson.read` gives them
    outputs : the output each tree adds to
    base : (outputs,) float32 margins
    """
    constants = [_Tree.of_one_leaf(margin) for margin in base]
    grown = [_Tree.read(tree) for tree in trees]
    all_trees, all_outputs = constants + grown, [*range(len(base)), *outputs]
    sizes = [len(tree.leaf) for tree in all_trees]
    leaves = [len(tree.weight) for tree in all_trees]
    return Table(
        tree=np.repeat(np.arange(len(sizes)), sizes),
        node=np.concatenate([tree.node for tree in all_trees]),
        feature=np.concatenate([tree.feature for tree in all_trees]),
        value=np.concatenate([tree.value for tree in all_trees]),
        leaf=np.concatenate([tree.leaf for tree in all_trees]),
        true=np.concatenate([tree.true for tree in all_trees]),
        false=np.concatenate([tree.false for tree in all_trees]),
        missing=np.concatenate([tree.missing for tree in all_trees]),
        target=np.repeat(np.asarray(all_outputs, np.int64), leaves),
        weight=np.concatenate([tree.weight for tree in all_trees]),
    )


@dataclass(slots=True, kw_only=True)
class _Chains:
    """Nodes that stand for splits by sets. `first` replaces the split's own node, the others come after the tree's nodes."""

    size: int
    first: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    of: list[int] = field(default_factory=list)
    others: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, place: int, codes: np.ndarray, left: int, right: int, default_left: bool) -> None:
        """One split: codes of the set go right, all others (and codes never seen) left; missing goes where XGBoost says.

        A missing value fails every comparison and falls to the end of the chain, which is left; where it must go right, the
        first node that leads right takes it along.
        """
        bounds = _bounds(codes)
        after = self.size + len(self.others)
        nexts = [*range(after, after + len(bounds) - 1), left]
        lost = not default_left
        for number, ((bound, inside), following) in enumerate(zip(bounds, nexts, strict=True)):
            takes_missing = int(lost and inside)
            lost = lost and not inside
            node = (bound, right if inside else left, following, takes_missing)
            if number == 0:
                self.first[place] = node
            else:
                self.of.append(place)
                self.others.append(node)


def _bounds(codes: np.ndarray) -> list[tuple[int, bool]]:
    """Upper bounds of the runs of codes, each with whether the run is in the set; what lies above the last is not.

    >>> _bounds(np.array([1, 2, 5]))
    [(1, False), (3, True), (5, False), (6, True)]
    >>> _bounds(np.array([0]))
    [(1, True)]
    """
    starts = codes[np.append(True, np.diff(codes) > 1)]
    ends = codes[np.append(np.diff(codes) > 1, True)] + 1
    bounds = [(int(bound), inside) for start, end in zip(starts, ends, strict=True) for bound, inside in ((start, False), (end, True))]
    return bounds[1:] if bounds[0][0] == 0 else bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """One tree's columns; see `Table`."""

    node: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    leaf: np.ndarray
    true: np.ndarray
    false: np.ndarray
    missing: np.ndarray
    weight: np.ndarray

    @classmethod
    def of_one_leaf(cls, weight: float) -> "_Tree":
        zero = np.zeros(1, np.int64)
        value, leaf = np.zeros(1, np.float32), np.ones(1, bool)
        given = np.full(1, weight, np.float32)
        return cls(node=zero, feature=zero, value=value, leaf=leaf, true=zero, false=zero, missing=zero, weight=given)

    @classmethod
    def read(cls, tree: Mapping[str, Any]) -> "_Tree":
        left, right = np.asarray(tree["left_children"], np.int64), np.asarray(tree["right_children"], np.int64)
        conditions, default_left = np.asarray(tree["split_conditions"], np.float32), np.asarray(tree["default_left"], np.int64)
        keep = _reachable(left, right)
        leaf = left < 0
        chains = _chains(tree, keep)
        others = np.asarray(chains.others, np.int64).reshape(-1, 4)
        columns = {
            "value": np.where(leaf, np.float32(0), conditions),
            "true": np.where(leaf, 0, left),
            "false": np.where(leaf, 0, right),
            "missing": np.where(leaf, 0, default_left),
        }
        if chains.first:
            places = np.fromiter(chains.first, np.int64)
            for column, values in zip(columns.values(), np.asarray(list(chains.first.values()), np.int64).T, strict=True):
                column[places] = values
        feature = np.where(leaf, 0, np.asarray(tree["split_indices"], np.int64))
        joined = {
            name: np.concatenate([values[keep], extra.astype(values.dtype)])
            for (name, values), extra in zip(columns.items(), others.T, strict=True)
        }
        return cls(
            node=np.concatenate([np.flatnonzero(keep), len(left) + np.arange(len(others))]),
            feature=np.concatenate([feature[keep], feature[np.asarray(chains.of, np.int64)]]),
            leaf=np.concatenate([leaf[keep], np.zeros(len(others), bool)]),
            weight=conditions[leaf & keep],
            **joined,
        )


def _chains(tree: Mapping[str, Any], keep: np.ndarray) -> _Chains:
    chains = _Chains(size=len(keep))
    left, right, default_left = tree["left_children"], tree["right_children"], tree["default_left"]
    categories = np.asarray(tree["categories"], np.int64)
    for place, start, size in zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True):
        if keep[place]:
            codes = np.sort(categories[start : start + size])
            chains.add(int(place), codes, int(left[place]), int(right[place]), bool(default_left[place]))
    return chains


def _reachable(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Nodes that the root leads to; pruning leaves others behind. (nodes,) bool."""
    seen = np.zeros(len(left), bool)
    level = np.zeros(1, np.int64)
    while len(level):
        seen[level] = True
        inner = level[left[level] >= 0]
        level = np.concatenate([left[inner], right[inner]])
    return seen
