"""The exam: one model on one set of rows, from tallies alone."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from filon.engines.tally import Tally
from filon.evaluate import bootstrap, curves, metrics
from filon.evaluate.cells import cells_of, sweep
from filon.evaluate.records import Exam, Importance, Interval, Slice
from filon.evaluate.settings import EvaluateSettings
from filon.evaluate.thresholds import Decision, decide

Tallies = Mapping[tuple[str, ...], Tally]
"""As `Engine.tally` gives them: () is the whole, (column, value) a slice."""


def examine(
    tallies: Tallies,
    settings: EvaluateSettings,
    threshold: float | None,
    title: str = "",
    importances: tuple[Importance, ...] = (),
    seed: int = 42,
    facts: Mapping[str, object] | None = None,
) -> Exam:
    """Every metric with its interval, the decision at the threshold, the classes, and the slices.

    Parameters
    ----------
    tallies : of the rows examined; the key () must be there
    threshold : of two classes, as `choose_threshold` gave it on the validation fold; None for many classes
    seed : of the bootstrap
    facts : carried along, for whoever writes the exam down
    """
    tally = tallies[()]
    reading = metrics.Reading(tally)
    decision = decide(tally, threshold) if threshold is not None and len(tally.classes) == 2 else None
    found = decision.metrics() if decision else {}
    confusion = _matrix(decision) if decision else tally.confusion
    return Exam(
        title=title,
        classes=tally.classes,
        tally=tally,
        metrics=bootstrap.intervals(reading, settings, seed),
        by_class=metrics.by_class(reading, confusion),
        threshold=decision.threshold if decision else None,
        at_threshold={**found, "tn": decision.tn, "fp": decision.fp, "fn": decision.fn, "tp": decision.tp} if decision else {},
        at_threshold_intervals=bootstrap.decision_intervals(tally, decision.threshold, found, settings, seed) if decision else {},
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        importances=importances,
        slices=_slices(tallies, reading, decision, settings),
        confidence=settings.confidence,
        facts=facts or {},
    )


def _slices(tallies: Tallies, whole: metrics.Reading, decision: Decision | None, settings: EvaluateSettings) -> tuple[Slice, ...]:
    """Slices by column in the order given, largest first, compared with all rows by an interval widened for their number (Bonferroni)."""
    keys = [key for key in tallies if key]
    z = NormalDist().inv_cdf(1 - (1 - settings.confidence) / (2 * max(1, len(keys))))
    name = "areaUnderROC" if len(whole.tally.classes) == 2 else "accuracy"
    standard = whole.value(name)
    columns = list(dict.fromkeys(key[0] for key in keys))
    keys.sort(key=lambda key: (columns.index(key[0]), -tallies[key].rows, key[1]))
    return tuple(_slice(key, tallies[key], name, standard, z, decision) for key in keys)


def _slice(key: tuple[str, ...], tally: Tally, name: str, standard: float | None, z: float, decision: Decision | None) -> Slice:
    reading = metrics.Reading(tally)
    value = reading.value(name)
    found: dict[str, float | None] = {name: value}
    if len(tally.classes) == 2:
        found["areaUnderPR"] = reading.value("areaUnderPR")
        found["positives"], found["mean_score"] = _rates(tally)
        if decision is not None:
            found.update({k: v for k, v in decide(tally, decision.threshold).metrics().items() if k in ("precision", "recall", "f1")})
    else:
        found["f1"] = reading.value("f1")
    bounds = _bounds(tally, name, z)
    interval = Interval(value=value, lower=bounds[0] if bounds else None, upper=bounds[1] if bounds else None, why=reading.why(name))
    below = standard is not None and bounds is not None and value is not None and bounds[1] < standard
    return Slice(column=key[0], value=key[1], rows=tally.rows - tally.unlabelled, metrics=found, interval=interval, below=below)


def _bounds(tally: Tally, name: str, z: float) -> tuple[float, float] | None:
    worth = bootstrap.worth_of(tally)
    if name == "accuracy":
        total = float(tally.confusion.sum())
        return curves.wilson(float(np.trace(tally.confusion)) * worth, total * worth, z) if total else None
    return curves.roc_interval(sweep(cells_of(tally.curves[0])), z, worth)


def _rates(tally: Tally) -> tuple[float | None, float | None]:
    """Share of positives and mean score of a tally of two classes."""
    cells = cells_of(tally.curves[0])
    rows = cells.positives + cells.negatives
    total = float(rows.sum())
    return (float(cells.positives.sum()) / total, float(cells.scores @ rows) / total) if total else (None, None)


def _matrix(decision: Decision) -> np.ndarray:
    return np.array([[decision.tn, decision.fp], [decision.fn, decision.tp]])
