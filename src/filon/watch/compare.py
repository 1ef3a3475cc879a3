"""A survey against the baseline: distances, their significance over everything compared, and the alarms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from filon.check.records import Fact, Finding
from filon.check.wording import finding
from filon.engines.survey import NO_TIME, Gauge, Survey, SurveyPlan
from filon.engines.tally import Tally
from filon.errors import some
from filon.evaluate import EvaluateSettings, Interval
from filon.evaluate.bootstrap import intervals
from filon.evaluate.metrics import Reading, better, names
from filon.watch import distances as apart
from filon.watch.baseline import Baseline
from filon.watch.estimate import estimates
from filon.watch.records import ClassDrift, ColumnDrift, Distance, MetricDrift, Period, ScoreDrift
from filon.watch.settings import WatchSettings

SEEN = (0.0, 0.5, 0.85, 1.0)
"""Shares of rows the model has trained on that the live scores are held against. Scores of seen rows are further apart than those of new
ones, and a table that holds such rows (the training table: 85 % of it) is no drift."""

NEARLY_ALL = 0.999
"""Share of cells without a known value above which an ignored column counts as hidden: the scores are not those that were answered."""

FEW_PERIOD_ROWS = 30
"""Periods with fewer rows show no distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison gives."""

    columns: tuple[ColumnDrift, ...]
    score: tuple[ScoreDrift, ...]
    classes: ClassDrift
    metrics: tuple[MetricDrift, ...]
    periods: tuple[Period, ...]
    findings: tuple[Finding, ...]
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One question put to chance: whose it is, its p-value, and whether the difference is large enough to matter."""

    kind: str
    place: int
    p: float
    large: bool


def compare(baseline: Baseline, plan: SurveyPlan, survey: Survey, settings: WatchSettings, metric: str) -> Compared:
    """Hold a survey against the baseline.

    Parameters
    ----------
    plan : of the survey; metric : the one the model was chosen by
    """
    total = survey.total(plan)
    places, first = plan.places, len(plan.gauges)
    parts = [total[places[at] : places[at + 1]] for at in range(len(places) - 1)]
    columns = [_column(gauge, baseline, at, parts[at]) for at, gauge in enumerate(plan.gauges)]
    scores = [_score(baseline, at, parts[first + at]) for at in range(plan.curves)]
    classes = _classes(baseline, parts[-1])
    judged = survey.rows >= settings.min_rows
    hidden = tuple(column.name for column in columns if column.name in settings.ignore and _is_hidden(column))
    judging = [(at, column) for at, column in enumerate(columns) if column.name not in settings.ignore]
    asked = [question for at, column in judging for question in _questions(at, column, settings)]
    asked += [_Asked(kind="score", place=at, p=one.distance.p, large=_large(one.distance, settings)) for at, one in enumerate(scores)]
    asked.append(_Asked(kind="classes", place=0, p=classes.distance.p, large=_large(classes.distance, settings)))
    chance = apart.corrected([question.p for question in asked], settings.correction)
    alarms: dict[tuple[str, int], bool] = {}
    found: dict[tuple[str, int], float] = {}
    for question, p in zip(asked, chance, strict=True):
        found[question.kind, question.place] = p
        known = judged and not (hidden and question.kind in {"score", "classes"})
        alarms[question.kind, question.place] = known and question.large and p < settings.significance
    columns = [_told(column, at, found, alarms) for at, column in enumerate(columns)]
    scores = [replace(one, distance=_with(one.distance, found["score", at], alarms["score", at])) for at, one in enumerate(scores)]
    classes = replace(classes, distance=_with(classes.distance, found["classes", 0], alarms["classes", 0]))
    live = [np.asarray(part) for part in parts[first : first + plan.curves]]
    expected = estimates(baseline, live, parts[-2].reshape(len(plan.classes), -1) if plan.winners else None)
    metrics = _metrics(baseline, survey, expected, settings, judged and not hidden)
    columns = [replace(column, over_time=_over_time(plan, survey, at, baseline)) for at, column in enumerate(columns)]
    return Compared(
        columns=tuple(columns),
        score=tuple(scores),
        classes=classes,
        metrics=metrics,
        periods=_periods(plan, survey, settings),
        findings=(*_unjudged(hidden), *_findings(survey, columns, scores, classes, metrics, settings, metric)),
        judged=judged,
    )


def _column(gauge: Gauge, baseline: Baseline, at: int, live: np.ndarray) -> ColumnDrift:
    expected = baseline.cells[at]
    number = gauge.kind == "number"
    before, now = (expected[:-1], live[:-1]) if number else (_present(expected), _present(live))
    if number:
        distance, p = apart.kolmogorov_smirnov(before, now)
    else:
        distance, p = apart.total_variation(before, now), apart.chi_square(before, now)
    groups = apart.grouped(expected, live) if number else (expected, live)
    rows, trained = max(1, int(live.sum())), max(1.0, float(expected.sum()))
    absent = expected[-1] if number else expected[-1] + expected[-2]
    unseen = 0.0 if number else float(live[-2]) / rows
    outside = (float(live[0] + live[-2]) / rows) if number else 0.0
    return ColumnDrift(
        name=gauge.name,
        kind=gauge.kind,
        distance=Distance(
            test="kolmogorov-smirnov" if number else "chi-square",
            distance=distance if now.sum() and before.sum() else 0.0,
            psi=apart.psi(*groups),
            js=apart.jensen_shannon(*groups) if live.sum() else 0.0,
            p=p,
        ),
        missing=(float(absent) / trained, float(live[-1]) / rows),
        unseen=(baseline.unseen[at], unseen),
        outside=(0.0, outside),
        alarms=(),
        expected=tuple(float(count) for count in expected),
        live=tuple(int(count) for count in live),
        edges=gauge.edges,
        values=gauge.values,
    )


def _is_hidden(column: ColumnDrift) -> bool:
    """Whether no live row has a value that training knew, as when a capture leaves the column out or hashes it."""
    before, now = (column.missing[at] + column.unseen[at] for at in (0, 1))
    return now > NEARLY_ALL >= before


def _unjudged(hidden: Sequence[str]) -> tuple[Finding, ...]:
    return (finding("info", "watch.scores-unjudged", some=some(hidden)),) if hidden else ()


def _present(cells: np.ndarray) -> np.ndarray:
    """Cells of known categories; unseen and missing ones are asked for by themselves."""
    return cells[:-2]


def _questions(at: int, column: ColumnDrift, settings: WatchSettings) -> list[_Asked]:
    """What is asked of a column: its distribution, and its shares of missing, unseen and out-of-range cells."""
    rows, trained = sum(column.live), sum(column.expected)
    found = [_Asked(kind="drift", place=at, p=column.distance.p, large=_large(column.distance, settings))]
    before, now = column.missing
    p = apart.share_differs(before, trained, now, rows)
    found.append(_Asked(kind="missing", place=at, p=p, large=abs(now - before) >= settings.missing))
    if column.kind == "number":
        p = apart.share_differs(0.0, trained, column.outside[1], rows)
        found.append(_Asked(kind="outside", place=at, p=p, large=column.outside[1] >= settings.outside))
    else:
        before, now = column.unseen
        p = apart.share_differs(before, trained, now, rows)
        found.append(_Asked(kind="unseen", place=at, p=p, large=now - before >= settings.unseen))
    return found


def _score(baseline: Baseline, at: int, live: np.ndarray) -> ScoreDrift:
    """The scores against those of new rows, of seen rows, and of mixtures: the nearest of them is what was expected."""
    found = []
    for share in SEEN:
        expected = _mixed(baseline.by_class[at].sum(axis=1), baseline.seen[at], share)
        distance, p = apart.kolmogorov_smirnov(expected, live)
        found.append((distance, p, share, expected))
    distance, p, share, expected = min(found, key=lambda one: one[0])
    groups = apart.grouped(np.append(expected, 0.0), np.append(live, 0.0))
    return ScoreDrift(
        name=baseline.classes[1] if len(baseline.classes) == 2 else baseline.classes[at],
        distance=Distance(test="kolmogorov-smirnov", distance=distance, psi=apart.psi(*groups), js=apart.jensen_shannon(*groups), p=p),
        seen_share=share,
        expected=tuple(float(count) for count in expected),
        live=tuple(int(count) for count in live),
    )


def _mixed(new: np.ndarray, seen: np.ndarray, share: float) -> np.ndarray:
    """Counts of a mixture, as many as its shares are known by (the mixture's effective number of rows)."""
    n, m = float(new.sum()), float(seen.sum())
    if not n or not m:
        return new if n else seen
    shares = (1 - share) * new / n + share * seen / m
    worth = 1 / ((1 - share) ** 2 / n + share**2 / m)
    return np.asarray(shares * worth)


def _classes(baseline: Baseline, live: np.ndarray) -> ClassDrift:
    found = []
    for share in SEEN:
        expected = _mixed(baseline.predicted, baseline.predicted_seen, share)
        found.append((apart.total_variation(expected, live), share, expected))
    distance, _, expected = min(found, key=lambda one: one[0])
    before, now = expected / max(1.0, expected.sum()), live / max(1, live.sum())
    return ClassDrift(
        distance=Distance(
            test="chi-square",
            distance=distance if live.sum() else 0.0,
            psi=apart.psi(expected, live),
            js=apart.jensen_shannon(expected, live) if live.sum() else 0.0,
            p=apart.chi_square(expected, live),
        ),
        shares={name: (float(before[place]), float(now[place])) for place, name in enumerate(baseline.classes)},
    )


def _large(one: Distance, settings: WatchSettings) -> bool:
    return one.distance >= settings.distance or one.psi >= settings.psi or one.js >= settings.js


def _with(one: Distance, p: float, alarm: bool) -> Distance:
    return replace(one, p=p, alarm=alarm)


def _told(column: ColumnDrift, at: int, found: Mapping[tuple[str, int], float], alarms: Mapping[tuple[str, int], bool]) -> ColumnDrift:
    kinds = tuple(kind for kind in ("drift", "missing", "unseen", "outside") if alarms.get((kind, at)))
    return replace(column, alarms=kinds, distance=_with(column.distance, found.get(("drift", at), 1.0), alarms.get(("drift", at), False)))


def _metrics(
    baseline: Baseline, survey: Survey, expected: Mapping[str, Interval], settings: WatchSettings, judged: bool
) -> tuple[MetricDrift, ...]:
    tally = survey.tally()
    measured = _intervals(tally, settings) if tally is not None else {}
    found = []
    for name in names(len(baseline.classes)):
        test = Interval(**dict(zip(("value", "lower", "upper"), baseline.metrics.get(name, (None, None, None)), strict=True)))  # type: ignore[arg-type]
        now = measured.get(name)
        few = tally is None or tally.rows - tally.unlabelled < settings.min_rows
        alarm = judged and not few and now is not None and _worse(name, test, now, settings.metric_drop)
        if test.value is not None or now is not None:
            found.append(MetricDrift(name=name, test=test, live=now, estimate=expected.get(name), alarm=alarm))
    return tuple(found)


def _worse(name: str, test: Interval, now: Interval, drop: float) -> bool:
    """Whether a metric is worse by so much, and its interval ends before the test's begins."""
    if None in (test.value, test.lower, test.upper, now.value, now.lower, now.upper):
        return False
    assert test.value is not None
    assert now.value is not None
    assert test.lower is not None
    assert test.upper is not None
    assert now.lower is not None
    assert now.upper is not None
    if better(name) == "higher":
        return test.value - now.value >= drop and now.upper < test.lower
    return now.value - test.value >= drop and now.lower > test.upper


def _intervals(tally: Tally, settings: WatchSettings) -> dict[str, Interval]:
    return intervals(Reading(tally), EvaluateSettings(resamples=settings.resamples), 42)


def _over_time(plan: SurveyPlan, survey: Survey, at: int, baseline: Baseline) -> tuple[float | None, ...]:
    """The distance of a column by period; None where there are too few rows."""
    if len(survey.counts) < 2:
        return ()
    low, high = plan.places[at], plan.places[at + 1]
    number = plan.gauges[at].kind == "number"
    expected = baseline.cells[at][:-1] if number else _present(baseline.cells[at])
    found: list[float | None] = []
    for period, vector in survey.counts.items():
        live = vector[low:high]
        live = live[:-1] if number else _present(live)
        if period == NO_TIME and len(survey.counts) > 1:
            continue
        if live.sum() < FEW_PERIOD_ROWS or not expected.sum():
            found.append(None)
        else:
            found.append(apart.kolmogorov_smirnov(expected, live)[0] if number else apart.total_variation(expected, live))
    return tuple(found)


def _periods(plan: SurveyPlan, survey: Survey, settings: WatchSettings) -> tuple[Period, ...]:
    if list(survey.counts) == [NO_TIME]:
        return ()
    edges = np.asarray(plan.scores)
    middles = (edges[:-1] + edges[1:]) / 2
    first = len(plan.gauges)
    found = []
    for period, vector in survey.counts.items():
        if period == NO_TIME:
            continue
        predicted = vector[plan.places[-2] :]
        rows = int(predicted.sum())
        score = vector[plan.places[first] : plan.places[first + 1]]
        tally = survey.tallies.get(period)
        found.append(
            Period(
                begin=f"{dt.datetime.fromtimestamp(period * 3600, dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
                rows=rows,
                labelled=tally.rows - tally.unlabelled if tally is not None else 0,
                mean_score=float(score @ middles / rows) if rows and plan.curves == 1 else None,
                predicted={name: float(predicted[place] / max(1, rows)) for place, name in enumerate(plan.classes)},
                metrics=_intervals(tally, settings) if tally is not None else {},
            )
        )
    return tuple(found)


def _findings(
    survey: Survey,
    columns: Sequence[ColumnDrift],
    scores: Sequence[ScoreDrift],
    classes: ClassDrift,
    metrics: Sequence[MetricDrift],
    settings: WatchSettings,
    metric: str,
) -> tuple[Finding, ...]:
    found = []
    if survey.rows < settings.min_rows:
        found.append(finding("info", "watch.few-live-rows", rows=survey.rows, least=settings.min_rows))
    for one in metrics:
        if one.alarm and one.live is not None and (one.name == metric or metric not in {each.name for each in metrics}):
            about: dict[str, Any] = {"metric": one.name, "before": one.test.value, "now": one.live.value}
            found.append(finding("warning", "watch.metric-dropped", **about))
    found += [
        finding("warning", "watch.score-drifted", **_facts(score.distance, **{"class": score.name}))
        for score in scores
        if score.distance.alarm
    ]
    if classes.distance.alarm:
        moved = max(classes.shares, key=lambda name: abs(classes.shares[name][1] - classes.shares[name][0]))
        before, now = classes.shares[moved]
        facts: dict[str, Any] = {"class": moved, "before_share": before, "now_share": now}
        found.append(finding("warning", "watch.classes-drifted", **facts))
    for column in sorted(columns, key=lambda one: -one.distance.distance):
        found += _column_findings(column)
    return tuple(found)


def _column_findings(column: ColumnDrift) -> list[Finding]:
    found = []
    if "drift" in column.alarms:
        found.append(finding("warning", "watch.column-drifted", column.name, **_facts(column.distance)))
    for kind, code, (before, now) in (
        ("missing", "watch.missing-changed", column.missing),
        ("unseen", "watch.unseen-categories", column.unseen),
        ("outside", "watch.out-of-range", column.outside),
    ):
        if kind in column.alarms:
            found.append(finding("warning", code, column.name, before_share=before, now_share=now))
    return found


def _facts(one: Distance, **more: Fact) -> dict[str, Any]:
    return {**more, "test": f"@{one.test}", "distance_share": one.distance, "psi": one.psi, "chance": one.p}
