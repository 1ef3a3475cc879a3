"""What was learned, as counts: sealed with the bundle, so that live data can be held against it without the training table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from filon.engines.survey import Gauge, Surveyor, SurveyPlan
from filon.errors import BundleError
from filon.rows.encode import Feature, encoded_columns
from filon.trees import Ensemble, predict

if TYPE_CHECKING:
    from filon.engines.base import Engine, Folds
    from filon.evaluate import Exam
    from filon.package import Bundle

FORMAT = 1
MOST_ROWS = 100_000
"""Rows of the training fold that are counted: against ten thousand live rows, more would not sharpen the comparison."""

MOST_CELLS = 20_000_000
"""Rows times features of that sample: 80 MB."""

TREE_ROWS = 20_000_000
"""Trees times rows of it that are scored: three seconds of two cores for deep forests."""

FINE = 100
"""Cells of a number, each with about as many training rows."""

VALUES = 200
"""Categories counted one by one; rarer ones are counted together."""

SCORES = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """Counts of training, over the cells of `gauges` and `scores`.

    cells : by feature, counts over a sample of the training fold; rows : of that sample
    unseen : by feature, the share of unseen categories that new rows of the same source had (the validation fold's)
    seen : by curve, scores of rows the model has seen; by_class[curve] : (cells, 2) negatives and positives of the test fold
    predicted_seen, predicted : rows by predicted class, of the sample and of the test fold
    metrics : of the test fold, name to (value, lower, upper)
    """

    gauges: tuple[Gauge, ...]
    scores: tuple[float, ...]
    classes: tuple[str, ...]
    rows: int
    cells: tuple[np.ndarray, ...]
    unseen: tuple[float, ...]
    seen: tuple[np.ndarray, ...]
    by_class: tuple[np.ndarray, ...]
    predicted_seen: np.ndarray
    predicted: np.ndarray
    metrics: Mapping[str, tuple[float | None, float | None, float | None]]

    def plan(self, **more: Any) -> SurveyPlan:
        """The plan that counts live rows over the same cells."""
        return SurveyPlan(gauges=self.gauges, scores=self.scores, classes=self.classes, **more)


def learn(engine: Engine, folds: Folds, ensemble: Ensemble, exam: Exam, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The baseline of a model as JSON holds it: from bounded samples of the training and validation folds, and the exam's tally.

    Parameters
    ----------
    ranges : by number feature, its least and greatest value in the whole table
    """
    encoding = folds.encoding
    most = max(1000, min(MOST_ROWS, MOST_CELLS // max(1, len(encoding.features))))
    train = encoded_columns(engine.sample(folds.fold("train"), most), encoding)
    valid = encoded_columns(engine.sample(folds.fold("valid"), most // 4), encoding)
    scored = train[: max(1000, TREE_ROWS // max(1, ensemble.trees))]
    probability = predict(ensemble, scored)
    gauges = tuple(_gauge(feature, train[:, place], ranges.get(feature.name)) for place, feature in enumerate(encoding.features))
    plan = SurveyPlan(gauges=gauges, scores=_score_edges(probability, exam), classes=encoding.classes)
    counts, scores = _counted(plan, train, None, exam), _counted(plan, scored, probability, exam)
    places, first = plan.places, len(gauges)
    absent = [np.isnan(valid[:, place]).mean() - np.isnan(train[:, place]).mean() if len(valid) else 0.0 for place in range(first)]
    return {
        "format": FORMAT,
        "rows": len(train),
        "classes": list(encoding.classes),
        "gauges": [
            {
                "name": gauge.name,
                "kind": gauge.kind,
                **({"edges": list(gauge.edges)} if gauge.kind == "number" else {"values": list(gauge.values)}),
                "counts": counts[places[at] : places[at + 1]].tolist(),
                "unseen": max(0.0, float(absent[at])) if gauge.kind == "category" else 0.0,
            }
            for at, gauge in enumerate(gauges)
        ],
        "scores": list(plan.scores),
        "seen": [scores[places[first + at] : places[first + at + 1]].tolist() for at in range(plan.curves)],
        "by_class": [_by_class(plan, curve).tolist() for curve in exam.tally.curves],
        "predicted_seen": scores[places[-2] :].tolist(),
        "predicted": np.asarray(exam.confusion).sum(axis=0).tolist(),
        "metrics": {name: [one.value, one.lower, one.upper] for name, one in exam.metrics.items()},
    }


def baseline_of(bundle: Bundle) -> Baseline:
    """The baseline that a bundle was sealed with.

    Raises
    ------
    BundleError : `watch.no-baseline`
    """
    plain = bundle.baseline.get("watch")
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise BundleError(
            "watch.no-baseline",
            f"the bundle {bundle.path} does not say how its training data was spread",
            "its baseline.json has no part for `filon watch`; it was sealed by an older Filon",
            "train again with this Filon",
        )
    gauges = plain["gauges"]
    return Baseline(
        gauges=tuple(
            Gauge(name=one["name"], kind=one["kind"], edges=tuple(one.get("edges", ())), values=tuple(one.get("values", ())))
            for one in gauges
        ),
        scores=tuple(plain["scores"]),
        classes=tuple(plain["classes"]),
        rows=int(plain["rows"]),
        cells=tuple(np.asarray(one["counts"], np.float64) for one in gauges),
        unseen=tuple(float(one["unseen"]) for one in gauges),
        seen=tuple(np.asarray(part, np.float64) for part in plain["seen"]),
        by_class=tuple(np.asarray(part, np.float64) for part in plain["by_class"]),
        predicted_seen=np.asarray(plain["predicted_seen"], np.float64),
        predicted=np.asarray(plain["predicted"], np.float64),
        metrics={name: (one[0], one[1], one[2]) for name, one in plain["metrics"].items()},
    )


def _gauge(feature: Feature, values: np.ndarray, span: tuple[float, float] | None) -> Gauge:
    if feature.kind != "number":
        texts = feature.categories[:VALUES] if feature.kind == "category" else ("false", "true")
        return Gauge(name=feature.name, kind=feature.kind, values=tuple(texts))
    return Gauge(name=feature.name, kind="number", edges=tuple(float(edge) for edge in _edges(values, span)))


def _edges(values: np.ndarray, span: tuple[float, float] | None) -> np.ndarray:
    """Edges with about as many rows between each two; a value that many rows have is a cell of its own."""
    known = np.sort(values[~np.isnan(values)])
    low, high = span or ((float(known[0]), float(known[-1])) if len(known) else (0.0, 0.0))
    most = np.finfo(np.float32).max  # beyond it a cell is missing to the model
    ends = np.clip([low, high], -most, most).astype(np.float32)
    inner = np.unique(known)
    if len(known):
        ends = np.array([min(ends[0], known[0]), max(ends[1], known[-1])], np.float32)
    spikes = inner
    if len(inner) > FINE:
        inner = known[(np.arange(1, FINE) * len(known)) // FINE]
        spikes = inner[1:][inner[1:] == inner[:-1]]
    # a cell ends right after such a value: 3.4 where training has only 3 and 4 is another value than 3
    edges = np.unique(np.concatenate([ends, inner, np.nextafter(spikes[spikes < most], np.float32(np.inf))]))
    return edges if len(edges) > 1 else np.append(edges, np.nextafter(edges[-1], np.float32(np.inf)))


def _score_edges(probability: np.ndarray, exam: Exam) -> tuple[float, ...]:
    """Edges at quantiles of the scores, seen and new ones, and where the decision falls."""
    columns = [1] if len(exam.classes) == 2 else list(range(len(exam.classes)))
    scores = [probability[:, place] for place in columns]
    for curve in exam.tally.curves:
        weight = np.cumsum(curve.positives + curve.negatives)
        wanted = np.linspace(0, weight[-1], SCORES) if len(weight) else np.zeros(0)
        scores.append(np.repeat(curve.scores[np.minimum(np.searchsorted(weight, wanted), len(weight) - 1)], 20) if len(weight) else wanted)
    pool = np.sort(np.concatenate(scores).astype(np.float32))
    inner = pool[(np.arange(1, SCORES) * len(pool)) // SCORES]
    fixed = [0.0, 0.5, 1.0] if exam.threshold is None else [0.0, 0.5, float(np.float32(exam.threshold)), 1.0]
    edges = np.unique(np.concatenate([inner, np.asarray(fixed, np.float32)]))
    return tuple(float(edge) for edge in edges)


def _counted(plan: SurveyPlan, matrix: np.ndarray, probability: np.ndarray | None, exam: Exam) -> np.ndarray:
    surveyor = Surveyor(plan)
    answers = np.zeros((len(matrix), len(plan.classes)), np.float32) if probability is None else probability
    if len(plan.classes) == 2:
        chosen = (answers[:, 1] >= np.float32(0.5 if exam.threshold is None else exam.threshold)).astype(np.int64)
    else:
        chosen = np.argmax(answers, axis=1)
    surveyor.add(matrix, answers, chosen, np.full(len(matrix), -1, np.int32), None)
    return surveyor.result().total(plan)


def _by_class(plan: SurveyPlan, curve: Any) -> np.ndarray:
    """Negatives and positives of a curve by score cell: (cells, 2)."""
    cells = np.searchsorted(np.asarray(plan.scores[1:-1], np.float32), curve.scores, side="right")
    width = len(plan.scores) - 1
    return np.stack([np.bincount(cells, weights=part, minlength=width) for part in (curve.negatives, curve.positives)], axis=1)


def ranges_of(columns: Sequence[Any]) -> dict[str, tuple[float, float]]:
    """By number column of a profile, its least and greatest value."""
    return {
        one.name: (float(one.minimum), float(one.maximum))
        for one in columns
        if one.kind == "number" and one.minimum is not None and one.maximum is not None
    }
