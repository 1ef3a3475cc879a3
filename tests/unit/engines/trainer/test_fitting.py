"""Promises of `fit`: the same bytes always, failures as findings, and an end when asked."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, fit_all, fit_one, some_rows, trial

from filon.engines.base import FitPlan
from filon.engines.trainer import Block, fit, fitting
from filon.engines.trainer.rows import FoldRows
from filon.events import Event
from filon.trees import predict

EVERY = [
    trial(1, "xgboost", num_round=15, subsample=0.7, colsample_bynode=0.6),
    trial(2, "random_forest", numTrees=60, maxDepth=6),
    trial(3, "gbt", maxIter=10, subsamplingRate=0.8),
    trial(4, "logistic_regression"),
    trial(5, "logistic_regression", elasticNetParam=0.5),
]


@pytest.mark.parametrize("classes", [2, 4])
def test_a_small_table_gives_the_same_bytes_whatever_the_cores_the_blocks_and_the_company(classes: int) -> None:
    train, valid = some_rows(classes=classes), some_rows(300, classes=classes, seed=1)
    one = fit_all(train, EVERY, valid, threads=1)
    many = fit_all(MemoryRows(**{**vars(train), "block": 64}), EVERY[::-1], valid, threads=4)
    for number, fitted in one.items():
        assert fitted.ensemble is not None, fitted.error
        assert fitted.ensemble == many[number].ensemble
        assert fitted.curve == many[number].curve


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one.family}-{one.number}")
def test_every_family_learns_and_answers_with_shares(one: object, classes: int) -> None:
    train, valid = some_rows(900, classes=classes), some_rows(600, classes=classes, seed=1)
    fitted = fit_one(train, one, valid)  # type: ignore[arg-type]
    assert fitted.ensemble is not None
    assert fitted.tally is not None
    share = predict(fitted.ensemble, valid.x)
    assert share.shape == (600, classes)
    assert share.dtype == np.float32
    assert np.all((share >= 0) & (share <= 1))
    assert np.allclose(share.sum(axis=1), 1, atol=1e-6)
    assert np.mean(share.argmax(axis=1) == valid.label) > 1.4 / classes
    assert fitted.tally.rows == 600
    assert fitted.tally.confusion.sum() == 600


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one.family}-{one.number}")
def test_class_weights_move_the_answers_to_the_rare_class(one: object) -> None:
    train = some_rows(900)
    rare = MemoryRows(**{**vars(train), "label": (train.label & (np.arange(900) % 5 == 0)).astype(np.int32)})
    share = rare.label.mean()
    heavy = MemoryRows(**{**vars(rare), "class_weights": (0.5 / (1 - share), 0.5 / share)})
    plain, balanced = (fit_one(rows, one).ensemble for rows in (rare, heavy))  # type: ignore[arg-type]
    assert plain is not None
    assert balanced is not None
    assert predict(plain, train.x)[:, 1].mean() < 0.2 < 0.3 < predict(balanced, train.x)[:, 1].mean()


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    train = some_rows(400, missing=0)
    twice = np.arange(400) % 3 == 0
    weighted = MemoryRows(**{**vars(train), "weight": np.where(twice, 2.0, 1.0)})
    repeated = np.repeat(np.arange(400), np.where(twice, 2, 1))
    double = MemoryRows(**{**vars(train), "x": train.x[repeated], "label": train.label[repeated]})
    for one in (trial(1, "gbt", maxIter=5, maxDepth=3), trial(2, "logistic_regression")):
        models = [fit_one(rows, one).ensemble for rows in (weighted, double)]
        answers = [predict(model, train.x)[:, 1] for model in models if model is not None]
        assert np.allclose(answers[0], answers[1], atol=2e-4)


def test_class_weights_are_not_in_the_tally() -> None:
    valid = some_rows(300, seed=1, class_weights=(1.0, 9.0))
    fitted = fit_one(some_rows(), trial(1, "gbt", maxIter=3), valid)
    assert fitted.tally is not None
    assert fitted.tally.curves[0].positives.sum() == np.count_nonzero(valid.label == 1)


def test_row_weights_are_in_the_tally() -> None:
    valid = some_rows(300, seed=1, weight=np.full(300, 2.5))
    fitted = fit_one(some_rows(), trial(1, "gbt", maxIter=3), valid)
    assert fitted.tally is not None
    assert fitted.tally.confusion.sum() == 750


def test_early_stopping_keeps_the_best_round_and_the_curve_shows_it() -> None:
    fitted = fit_one(some_rows(), trial(1, "xgboost", num_round=300, eta=0.5, early_stopping_rounds=10), some_rows(300, seed=1))
    values = [point.valid for point in fitted.curve]
    assert fitted.curve_metric == "aucpr"
    assert fitted.rounds == int(np.argmax(values)) + 1
    assert len(values) == fitted.rounds + 10
    assert fitted.ensemble is not None
    assert fitted.ensemble.rounds == fitted.rounds
    assert all(point.train is not None for point in fitted.curve)


def test_a_refit_grows_every_round_it_is_asked_for_and_has_no_tally() -> None:
    fitted = fit_one(some_rows(), trial(1, "xgboost", num_round=40, early_stopping_rounds=3))
    assert fitted.rounds == 40
    assert fitted.tally is None
    assert fitted.curve == ()


def test_one_bad_trial_is_a_finding_and_the_others_go_on() -> None:
    trials = [
        trial(1, "gbt", maxDepth=-3),
        trial(2, "gbt", maxIter=3),
        trial(3, "gbt", nonsense=1),
        trial(4, "gbt", library="mllib"),
        trial(5, "gbt", maxIter=0),
        trial(6, "random_forest", maxDepth=0),
        trial(7, "xgboost", eta=-1.0, num_round=2),
        trial(8, "random_forest", numTrees=60, maxBins=1),
    ]
    found = fit_all(some_rows(), trials, some_rows(100, seed=1), threads=2)
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [number for number, fitted in found.items() if not fitted.error] == [2]
    for number in (1, 3, 4, 5, 6, 7, 8):
        assert found[number].ensemble is None
        assert found[number].tally is None
        assert found[number].error
        assert "\n" not in found[number].error
    assert "max_depth" in found[1].error


def test_rows_that_cannot_be_read_fail_the_trials_with_the_reason() -> None:
    class Broken(MemoryRows):
        def blocks(self) -> Iterator[Block]:
            raise OSError("the spool is gone")

    broken = Broken(**vars(some_rows()))
    with pytest.raises(OSError, match="spool is gone"):  # nothing can be fitted: not a bad trial but a broken engine
        fit_all(broken, EVERY)


def test_no_rows_is_said() -> None:
    empty = some_rows(0)
    assert all("no rows" in fitted.error for fitted in fit_all(empty, EVERY).values())


def test_nothing_is_begun_after_the_deadline() -> None:
    assert list(fit(some_rows(), None, EVERY, FitPlan(valid=False, deadline_s=0.0))) == []


def test_a_deadline_between_rounds_keeps_what_is_whole() -> None:
    train, valid = some_rows(3000), some_rows(500, seed=1)
    trials = [
        trial(1, "gbt", maxIter=1_000_000, maxDepth=8),
        trial(2, "gbt", maxIter=2, maxDepth=8),
        trial(3, "xgboost", num_round=1_000_000, early_stopping_rounds=100_000),
    ]
    began = time.monotonic()
    found = fit_all(train, trials, valid, plan=FitPlan(deadline_s=1.0), threads=2)
    assert time.monotonic() - began < 20
    assert 1 not in found  # cut short: not the trial that was asked for
    assert 2 in found
    assert found[3].rounds >= 1  # as if it had stopped early


def test_stop_ends_the_fits_at_their_next_round() -> None:
    asked = threading.Event()
    threading.Timer(0.5, asked.set).start()
    trials = [trial(1, "gbt", maxIter=1_000_000), trial(2, "random_forest", numTrees=1_000_000)]
    began = time.monotonic()
    assert list(fit(some_rows(), some_rows(100, seed=1), trials, FitPlan(), threads=2, stop=asked.is_set)) == []
    assert time.monotonic() - began < 20


def test_a_consumer_that_goes_away_leaves_no_thread_behind() -> None:
    trials = [trial(1, "gbt", maxIter=2), trial(2, "gbt", maxIter=1_000_000, stepSize=0.3)]
    outcomes = fit(some_rows(), None, trials, FitPlan(valid=False), threads=2)
    next(outcomes)
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("filon-fit")]


def test_a_long_fit_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "BEAT_S", 0.2)
    heard: list[Event] = []
    asked = threading.Event()
    threading.Timer(1.5, asked.set).start()
    list(
        fit(
            some_rows(),
            some_rows(100, seed=1),
            [trial(1, "xgboost", num_round=1_000_000, early_stopping_rounds=0)],
            FitPlan(),
            listen=heard.append,
            stop=asked.is_set,
        )
    )
    assert len(heard) >= 2
    last = heard[-1]
    assert "fit 1 of 1: xgboost, round" in last.text
    assert "validation 0." in last.text
    assert last.fields["trial"] == 1
    assert isinstance(last.fields["round"], int)


def test_memory_rows_keep_the_protocol() -> None:
    rows: FoldRows = some_rows()
    assert rows.rows == sum(len(block.label) for block in rows.blocks())
