"""Several boosted models averaged into one: their trees side by side, each leaf divided by the number of models."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from filon.trees import ubjson
from filon.trees.ensemble import Ensemble


def blend(ensembles: Sequence[Ensemble]) -> Ensemble:
    """The one model whose margin is the mean of the models' margins.

    Parameters
    ----------
    ensembles : boosted trees (link "logistic" or "softmax") over the same features and classes; they may differ in depth, rounds and in
        how they split categories

    Returns
    -------
    an ensemble like the first, with all the trees; `rounds` is the sum of theirs

    Raises
    ------
    ValueError : when a model is a forest, linear, or over other features or classes

    Notes
    -----
    Means of margins, not of probabilities: only they are one sum of trees, which every XGBoost binding (and ONNX) can read.
    """
    first = ensembles[0]
    if len(ensembles) == 1:
        return first
    for other in ensembles:
        if other.form != "trees" or other.link == "identity":
            raise ValueError("only boosted trees can be averaged into one model")
        if (other.link, other.classes, other.features) != (first.link, first.classes, first.features):
            raise ValueError("models over other features or classes cannot be averaged")
    documents = [ubjson.read(ensemble.model) for ensemble in ensembles]
    whole = next((one for one, ensemble in zip(documents, ensembles, strict=True) if any(ensemble.categorical)), documents[0])
    learner = whole["learner"]
    learner["learner_model_param"]["base_score"] = _base(documents, first.link)
    learner["attributes"] = {name: value for name, value in learner["attributes"].items() if not name.startswith("best_")}
    learner["gradient_booster"]["model"] = _joined([one["learner"]["gradient_booster"]["model"] for one in documents])
    return replace(
        first,
        model=ubjson.write(whole),
        categorical=_either([ensemble.categorical for ensemble in ensembles]),
        rounds=sum(ensemble.rounds for ensemble in ensembles),
        trees=sum(ensemble.trees for ensemble in ensembles),
    )


def _joined(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One list of trees with every leaf divided; a round of one model stays a round."""
    share = np.float32(1 / len(models))
    trees: list[dict[str, Any]] = []
    groups: list[int] = []
    rounds = [0]
    for model in models:
        before = len(trees)
        for tree in model["trees"]:
            leaf = tree["left_children"] == -1
            scaled = np.where(leaf, tree["split_conditions"] * share, tree["split_conditions"]).astype(np.float32)
            trees.append({**tree, "id": len(trees), "split_conditions": scaled, "base_weights": tree["base_weights"] * share})
        groups += [int(group) for group in model["tree_info"]]
        rounds += [before + int(end) for end in model["iteration_indptr"][1:]]
    parameters = {**models[0]["gbtree_model_param"], "num_trees": str(len(trees)), "num_parallel_tree": "1"}
    return {**models[0], "trees": trees, "tree_info": groups, "iteration_indptr": rounds, "gbtree_model_param": parameters}


def _base(documents: Sequence[dict[str, Any]], link: str) -> str:
    """Where margins start: the mean over the models. XGBoost keeps a probability for two classes, margins for many."""
    texts = [str(one["learner"]["learner_model_param"]["base_score"]) for one in documents]
    starts = np.array([[float(item) for item in text.strip("[]").split(",")] for text in texts])
    if link == "logistic":
        margin = float(np.mean([math.log(p / (1 - p)) for p in starts[:, 0]]))
        return f"[{np.float32(1 / (1 + math.exp(-margin)))!s}]"
    return "[" + ",".join(str(np.float32(value)) for value in starts.mean(axis=0)) + "]"


def _either(flags: Sequence[tuple[bool, ...]]) -> tuple[bool, ...]:
    """Which features are split by sets of categories in at least one model."""
    return tuple(any(row) for row in zip(*(each for each in flags if each), strict=True))
