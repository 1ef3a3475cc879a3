"""What calibrated scores let expect of many classes, against labels drawn from those very scores."""

from types import SimpleNamespace

import numpy as np
import pytest

from filon.engines import tally as counting
from filon.engines.survey import Surveyor, SurveyPlan
from filon.evaluate import EvaluateSettings, examine
from filon.evaluate.metrics import values
from filon.watch.baseline import _by_class, _edges, _score_edges
from filon.watch.estimate import OF_WINNERS, estimates

CLASSES = ("a", "b", "c", "d")


def scored(rows: int, seed: int, sharpness: float, lean: float = 0.0) -> np.ndarray:
    """Probabilities by class; a higher sharpness makes them surer, a lean makes the first class more frequent."""
    margin = sharpness * np.random.default_rng(seed).standard_normal((rows, len(CLASSES)))
    margin[:, 0] += lean
    share = np.exp(margin)
    return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(probability: np.ndarray, seed: int) -> np.ndarray:
    """Labels that come as often as the scores say."""
    chance = np.random.default_rng(seed).random((len(probability), 1))
    return np.minimum((np.cumsum(probability.astype(np.float64), axis=1) < chance).sum(axis=1), len(CLASSES) - 1).astype(np.int32)


def distorted(probability: np.ndarray) -> np.ndarray:
    """A model that is too sure of itself: the order of scores stays, their meaning does not."""
    share = probability.astype(np.float64) ** 2
    return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize(
    ("sharpness", "lean"), [(2.0, 0.0), (1.2, 0.0), (0.6, 0.0), (2.0, 1.5)], ids=["same", "harder", "hardest", "leaning"]
)
def test_estimates_of_many_classes_are_near_the_truth(sharpness: float, lean: float, honest: bool) -> None:
    said = (lambda p: p) if honest else distorted
    test, live = scored(20_000, 1, 2.0), scored(20_000, 3, sharpness, lean)
    truth = drawn(live, 4)
    exam = examine({(): counting.count(said(test), drawn(test, 2), CLASSES)}, EvaluateSettings(resamples=50), None)
    plan = SurveyPlan(gauges=(), scores=_score_edges(said(test), exam), classes=CLASSES)
    surveyor = Surveyor(plan)
    for part in np.array_split(np.arange(len(live)), 3):
        surveyor.add(np.empty((len(part), 0), np.float32), said(live[part]), said(live[part]).argmax(axis=1), truth[part], None)
    survey = surveyor.result()
    total, places = survey.total(plan), plan.places
    baseline = SimpleNamespace(
        classes=CLASSES,
        scores=plan.scores,
        by_class=tuple(_by_class(plan, curve) for curve in exam.tally.curves),
        metrics={name: (one.value, one.lower, one.upper) for name, one in exam.metrics.items()},
    )
    curves = [total[places[at] : places[at + 1]] for at in range(len(CLASSES))]
    found = estimates(baseline, curves, total[places[-3] : places[-2]].reshape(len(CLASSES), -1))  # type: ignore[arg-type]
    measured = values(survey.tally())
    assert {*OF_WINNERS, "areaUnderROC"} <= set(found)
    for name in OF_WINNERS:
        moved = abs(measured[name] - exam.metrics[name].value)
        assert found[name].lower <= found[name].value <= found[name].upper
        assert abs(found[name].value - measured[name]) < 0.015 + (0 if honest else 0.2 * moved), name


def test_very_many_classes_are_not_counted_by_winner() -> None:
    assert not SurveyPlan(gauges=(), scores=(0.0, 0.5, 1.0), classes=tuple(map(str, range(60)))).winners
    assert not SurveyPlan(gauges=(), scores=(0.0, 0.5, 1.0), classes=("no", "yes")).winners


def test_edges_of_numbers_beyond_float32_are_numbers() -> None:
    """As where a raster says "no data" by the largest float32, or a sensor by 1e308: the bundle's JSON knows no infinity."""
    most = np.finfo(np.float32).max
    values = np.repeat(np.array([-most, 1, 2, most, np.nan], np.float32), 300)
    edges = _edges(values, (-1e308, 1e308))
    assert np.isfinite(edges).all()
    assert (edges[0], edges[-1]) == (-most, most)
