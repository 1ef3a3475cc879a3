"""What a cluster's driver is spared of a tally, and what that costs (ADR 0056)."""

from dataclasses import replace

import numpy as np

from filon.engines.spark.tallying import DRIVER_SCORES
from filon.engines.tally import Curve, count, merge
from filon.evaluate.metrics import values


def test_what_the_driver_is_spared_costs_less_than_a_millionth() -> None:
    """The driver gets 2^22 scores of a table beyond 2^24 rows: what that costs, on nearly twice as many."""
    draw = np.random.default_rng(8)
    scores = np.unique(draw.beta(2, 5, 8_000_000).astype(np.float32))
    assert len(scores) > 1.5 * DRIVER_SCORES
    positives = (draw.random(len(scores)) < scores).astype(np.float64)
    exact = replace(
        count(np.full((1, 2), 0.5, np.float32), np.array([0], np.int32), ("no", "yes")),
        curves=(Curve(scores=scores, positives=positives, negatives=1 - positives),),
        rows=len(scores),
    )
    bounded = merge([exact], DRIVER_SCORES)
    assert len(bounded.curves[0].scores) <= DRIVER_SCORES
    here, there = values(exact), values(bounded)
    assert abs(here["areaUnderROC"] - there["areaUnderROC"]) < 1e-9
    assert abs(here["areaUnderPR"] - there["areaUnderPR"]) < 1e-8
    for name in ("average_precision", "logLoss", "ks"):
        assert abs(here[name] - there[name]) < 1e-6, name
