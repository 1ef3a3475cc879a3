"""Peers with a part of the rows each end with one model, as good as that of one process with all of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, fit_all, some_rows, trial

from filon.engines.base import FitPlan, Fitted
from filon.engines.tally import merge
from filon.engines.trainer.peers import ALONE, Together, communicator, mean, tracker
from filon.engines.trainer.together import fit_together
from filon.evaluate.metrics import value

TRIALS = [
    trial(1, "xgboost", num_round=150, max_depth=3, early_stopping_rounds=10),
    trial(2, "random_forest", numTrees=40, maxDepth=6),
    trial(3, "random_forest", numTrees=10, maxDepth=4),
    trial(4, "gbt", maxIter=20, maxDepth=3),
    trial(5, "logistic_regression", regParam=0.001),
]


def part(rows: MemoryRows, number: int, parts: int) -> MemoryRows:
    chosen = slice(number, None, parts)
    return MemoryRows(x=rows.x[chosen], label=rows.label[chosen], encoding=rows.encoding, class_weights=rows.class_weights)


def all_peers(train: MemoryRows, valid: MemoryRows, peers: int = 2, plan: FitPlan | None = None) -> list[dict[int, Fitted]]:
    """Outcomes by peer, each in a thread of its own (XGBoost keeps one communicator a thread)."""
    words = tracker("127.0.0.1", peers)

    def one(number: int) -> dict[int, Fitted]:
        with communicator(words, number):
            mine = part(train, number, peers), part(valid, number, peers)
            found = fit_together(*mine, TRIALS, plan or FitPlan(), Together(), threads=1, tell=lambda progress: None)
            return {fitted.trial.number: fitted for fitted in found}

    with ThreadPoolExecutor(peers) as pool:
        return list(pool.map(one, range(peers)))


@pytest.mark.parametrize("classes", [2, 3])
def test_peers_end_with_one_model_as_good_as_one_process(classes: int) -> None:
    train, valid = some_rows(6000, classes=classes), some_rows(3000, classes=classes, seed=1)
    alone = fit_all(train, TRIALS, valid)
    first, second = all_peers(train, valid)
    for number, whole in alone.items():
        assert not first[number].error
        assert first[number].ensemble == second[number].ensemble
        assert first[number].curve == second[number].curve
        tallies = [one[number].tally for one in (first, second)]
        together, apart = merge(tally for tally in tallies if tally is not None), whole.tally
        assert apart is not None
        assert together.rows == apart.rows
        found, wanted = value(together, "areaUnderROC"), value(apart, "areaUnderROC")
        assert found is not None
        assert wanted is not None
        assert found == pytest.approx(wanted, abs=0.01), number


def test_a_linear_model_of_peers_is_that_of_one_process() -> None:
    train, valid = some_rows(2000), some_rows(500, seed=1)
    alone = fit_all(train, TRIALS[4:], valid)[5].ensemble
    first, _ = all_peers(train, valid)
    other = first[5].ensemble
    assert alone is not None
    assert alone.design is not None
    assert other is not None
    assert other.design is not None
    np.testing.assert_allclose(other.design.mean, alone.design.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.design.scale, alone.design.scale, rtol=1e-9)


def test_alone_every_answer_is_what_was_given() -> None:
    values = np.array([0.1, 0.2, 0.7], np.float32)
    assert ALONE.sum(values) is values
    assert ALONE.any(False) is False
    assert mean(values, ALONE) == float(values.mean(dtype=np.float64))


def test_the_time_is_up_for_all_peers_at_once() -> None:
    train, valid = some_rows(1000), some_rows(300, seed=1)
    assert all_peers(train, valid, plan=FitPlan(deadline_s=0.0)) == [{}, {}]


def test_shared_code_does_not_drag_spark_in() -> None:
    code = "import filon.engines.trainer.together, filon.engines.spark.shipped, sys; assert 'pyspark' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])
