"""Random forests: leaves are class shares, and the forest is as good as others' at the same settings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_one, some_rows, trial

from filon.engines.trainer import forest
from filon.trees import gain, predict, prefix, ubjson


def test_one_tree_of_all_features_answers_with_the_share_of_its_leaf() -> None:
    """A hand-worked case: one feature, two values, three rows in four positive on the right, one in four on the left."""
    x = np.repeat([[0.0], [1.0]], 4000, axis=0).astype(np.float32)
    label = np.concatenate([np.arange(4000) % 4 == 0, np.arange(4000) % 4 != 0]).astype(np.int32)
    rows = MemoryRows(x=x, label=label, encoding=encoding_of((0,)))
    model = fit_one(rows, trial(1, "random_forest", numTrees=50, maxDepth=3)).ensemble
    assert model is not None
    answers = predict(model, np.array([[0], [1]], dtype=np.float32))[:, 1]
    assert np.allclose(answers, [0.25, 0.75], atol=0.01)


def test_a_forest_averages_its_trees() -> None:
    train = some_rows()
    model = fit_one(train, trial(1, "random_forest", numTrees=20, maxDepth=6)).ensemble
    assert model is not None
    trees = ubjson.read(model.model)["learner"]["gradient_booster"]["model"]["trees"]
    leaves = np.concatenate([tree["base_weights"][tree["left_children"] == -1] for tree in trees])
    assert np.all((leaves >= 0) & (leaves <= 1))
    assert (len(trees), model.trees, model.rounds) == (20, 20, 1)
    means = np.mean([predict(prefix(model, 1), train.x)[:, 1]], axis=0)
    assert not np.allclose(means, predict(model, train.x)[:, 1])  # one tree is not the forest


def test_trees_differ_because_rows_and_features_are_drawn() -> None:
    model = fit_one(some_rows(), trial(1, "random_forest", numTrees=20, maxDepth=6)).ensemble
    assert model is not None
    trees = ubjson.read(model.model)["learner"]["gradient_booster"]["model"]["trees"]
    assert len({tree["split_conditions"].tobytes() for tree in trees}) == 20


def test_fewest_instances_of_a_node_are_kept() -> None:
    model = fit_one(some_rows(), trial(1, "random_forest", numTrees=10, maxDepth=9, minInstancesPerNode=40)).ensemble
    assert model is not None
    trees = ubjson.read(model.model)["learner"]["gradient_booster"]["model"]["trees"]
    assert min(tree["sum_hessian"].min() for tree in trees) >= 40


def test_a_smaller_sampling_rate_draws_fewer_rows() -> None:
    model = fit_one(some_rows(), trial(1, "random_forest", numTrees=30, subsamplingRate=0.25)).ensemble
    assert model is not None
    trees = ubjson.read(model.model)["learner"]["gradient_booster"]["model"]["trees"]
    assert np.mean([tree["sum_hessian"][0] for tree in trees]) == pytest.approx(150, rel=0.1)


def test_gain_goes_to_the_features_that_tell_something() -> None:
    model = fit_one(some_rows(2000), trial(1, "random_forest", numTrees=40, maxDepth=5)).ensemble
    assert model is not None
    shares = gain(model)
    assert shares.sum() == pytest.approx(1)
    assert set(np.argsort(shares)[-2:]) == {0, 3}


@pytest.mark.slow
@pytest.mark.parametrize("depth", [6, 12])
@pytest.mark.parametrize("balanced", [False, True])
def test_a_forest_ranks_no_worse_than_scikit_learns_at_the_same_settings(
    depth: int, balanced: bool, shared_data: Callable[[str], Path]
) -> None:
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    frame = pd.read_csv(shared_data("bank-uci/bank.csv"), sep=";").drop(columns="duration")
    label = (frame.pop("y") == "yes").to_numpy().astype(np.int32)
    levels = []
    for name in frame.columns:
        texts = not pd.api.types.is_numeric_dtype(frame[name])
        levels.append(frame[name].nunique() if texts else 0)
        if texts:
            frame[name] = frame[name].map({value: i for i, value in enumerate(frame[name].value_counts().index)})
    x = frame.to_numpy(np.float32)
    half = np.random.default_rng(0).permutation(len(x)) < len(x) * 0.6
    weights = len(label) / (2 * np.bincount(label)) if balanced else np.ones(2)
    rows = MemoryRows(x=x[half], label=label[half], encoding=encoding_of(tuple(levels)), class_weights=tuple(weights))
    ours, theirs = [], []
    for seed in (1, 2):
        model = fit_one(rows, trial(1, "random_forest", seed=seed, numTrees=150, maxDepth=depth)).ensemble
        assert model is not None
        ours.append(roc_auc_score(label[~half], predict(model, x[~half])[:, 1]))
        other = RandomForestClassifier(
            150, max_depth=depth, max_features="sqrt", class_weight="balanced" if balanced else None, random_state=seed
        )
        answers = other.fit(x[half], label[half]).predict_proba(x[~half])
        theirs.append(roc_auc_score(label[~half], answers[:, 1]))
    assert np.mean(ours) >= np.mean(theirs) - 0.005


def test_rows_are_drawn_the_same_in_parts_or_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(class_weights=(0.6, 2.5))
    whole = fit_one(rows, trial(1, "random_forest", numTrees=4, maxDepth=4)).ensemble
    monkeypatch.setattr(forest, "DRAW_ROWS", 37)
    assert fit_one(rows, trial(1, "random_forest", numTrees=4, maxDepth=4)).ensemble == whole


def test_a_row_of_weight_nothing_is_never_drawn() -> None:
    rows = some_rows(400)
    label = rows.label.copy()
    label[::2] = 1 - label[::2]  # every other row lies, and does not count
    weight = np.where(np.arange(400) % 2 == 0, 0.0, 1.0)
    liars = MemoryRows(**{**vars(rows), "label": label, "weight": weight})
    model = fit_one(liars, trial(1, "random_forest", numTrees=40, maxDepth=8)).ensemble
    assert model is not None
    answers = predict(model, rows.x)[:, 1] > 0.5
    assert np.mean(answers[1::2] == rows.label[1::2]) > 0.95
