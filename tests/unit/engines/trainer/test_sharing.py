"""Shared work is exact: a model cut out of a larger fit is, byte for byte, the model fitted alone."""

import itertools

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import fit_all, fit_one, some_rows, trial

from filon.engines.base import Trial
from filon.engines.trainer.sharing import grouped, one_line

FORESTS = [
    trial(i, "random_forest", numTrees=trees, maxDepth=depth)
    for i, (trees, depth) in enumerate(itertools.product((5, 30, 60), (2, 4, 9)), start=1)
]
BOOSTED = [trial(20 + i, "gbt", maxIter=many, maxDepth=3) for i, many in enumerate((5, 12, 20))]
STOPPED = [trial(30 + i, "xgboost", num_round=many, early_stopping_rounds=5, max_depth=3) for i, many in enumerate((3, 12, 200))]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("trials", [FORESTS, BOOSTED, STOPPED], ids=["forests", "gbt", "early stopping"])
def test_a_smaller_model_is_the_one_that_would_have_been_fitted_alone(trials: list[Trial], classes: int) -> None:
    train, valid = some_rows(classes=classes), some_rows(300, classes=classes, seed=1)
    together = fit_all(train, trials, valid, threads=2)
    for one in trials:
        alone, part = fit_one(train, one, valid, threads=1), together[one.number]
        assert part.ensemble == alone.ensemble
        assert (part.rounds, part.curve[:1]) == (alone.rounds, alone.curve[:1])
        assert part.tally is not None
        assert alone.tally is not None
        assert np.array_equal(part.tally.curves[0].scores, alone.tally.curves[0].scores)
    assert sum(not fitted.shared for fitted in together.values()) == 1
    assert sum(fitted.shared.startswith("prefix of trial") for fitted in together.values()) == len(trials) - 1


def test_trees_are_grown_no_deeper_than_some_trial_wants_them() -> None:
    groups, _ = grouped(
        [trial(1, "random_forest", numTrees=5, maxDepth=9), trial(2, "random_forest", numTrees=8, maxDepth=3)], some_rows().encoding
    )
    assert [groups[0].depth_of(number) for number in range(1, 9)] == [9, 9, 9, 9, 9, 3, 3, 3]
    assert groups[0].shared(groups[0].trials[1]) == ""  # neither holds the other


def test_settings_that_amount_to_the_same_are_one_fit() -> None:
    train = some_rows()
    trials = [trial(1, "random_forest", numTrees=5, featureSubsetStrategy=s) for s in ("sqrt",)]
    trials += [trial(2, "random_forest", numTrees=5, featureSubsetStrategy="log2"), trial(3, "random_forest", numTrees=5.0)]
    found = fit_all(train, trials)
    assert [found[n].shared for n in (1, 2, 3)] == ["", "same as trial 1", "same as trial 1"]
    assert found[1].ensemble == found[2].ensemble == found[3].ensemble


def test_settings_that_differ_are_fits_of_their_own() -> None:
    differ = [
        trial(1, "gbt"),
        trial(2, "gbt", stepSize=0.2),
        trial(3, "gbt", maxDepth=5),
        trial(4, "gbt", maxBins=64),
        trial(5, "gbt", seed=8),
        trial(6, "xgboost"),
        trial(7, "xgboost", categories="ordinal"),
        trial(8, "xgboost", balance=0.5),
        trial(9, "random_forest"),
        trial(10, "random_forest", minInstancesPerNode=2),
    ]
    groups, failed = grouped(differ, some_rows().encoding)
    assert len(groups) == len(differ)
    assert not failed


def test_errors_of_xgboost_become_one_clean_line() -> None:
    why = "Check failed: mparam_.num_feature != 0 (0 vs. 0) : 0 feature is supplied."
    text = f"[02:16:24] /workspace/src/learner.cc:806: {why}\nStack trace:\n  [bt] (0) x"
    assert one_line(RuntimeError(text)) == why
    assert one_line(MemoryError()) == "out of memory"
    assert one_line(ValueError()) == "ValueError"
    assert "\n" not in one_line(RuntimeError("a\nb\nc"))
