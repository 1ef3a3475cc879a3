"""watch.html: the verdict, the alarms, metrics, scores, time and every column, in one file that opens offline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from filon.check.wording import translate
from filon.evaluate import Interval
from filon.pages import Lang, Numbers, Words, render
from filon.pages.drawing import Drawing, Line
from filon.versions import versions
from filon.watch.records import ColumnDrift, Distance, Drift, MetricDrift, Period

DRAWN = 40
"""Columns drawn: those that moved most."""

BARS = 24
"""Bars of a number: even widths between the first and the last hundredth of training."""

VALUES = 8
SHOWN_METRICS = 4
"""Metrics drawn over time."""


def page(drift: Drift, lang: Lang) -> str:
    """The page as text."""
    words, numbers = Words(lang, "watch"), Numbers(lang)
    columns = sorted(drift.columns, key=lambda one: (-len(one.alarms), -one.distance.distance, one.name))
    view = _View(drift, words, numbers)
    return render(
        "watch.html.j2",
        lang,
        page="watch",
        version=versions()["filon"],
        drift=drift,
        verdict=view.verdict(),
        tiles=view.tiles(),
        findings=[translate(one, lang) for one in drift.findings],
        metrics=[view.metric(one) for one in drift.metrics],
        estimated=any(one.estimate for one in drift.metrics),
        scores=[(one, view.score(place)) for place, one in enumerate(drift.score[:VALUES])],
        shares=sorted(drift.classes.shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))[:20],
        times=view.times(),
        columns=columns,
        cards=[(one, view.column(one)) for one in columns[:DRAWN]],
        undrawn=max(0, len(columns) - DRAWN),
        most=max([one.distance.distance for one in columns], default=1.0) or 1.0,
        sections=[(key, words(f"sections.{key}")) for key in view.sections()],
        chance=view.chance,
    )


class _View:
    """What the template shows, in one language."""

    def __init__(self, drift: Drift, words: Words, numbers: Numbers) -> None:
        self.drift, self.words, self.numbers = drift, words, numbers

    def verdict(self) -> str:
        """One sentence."""
        drift, n = self.drift, self.numbers
        if not drift.judged:
            return self.words("verdict.few", rows=n.integer(drift.rows))
        if not drift.alarms:
            return self.words("verdict.good", rows=n.integer(drift.rows), trained=n.integer(drift.baseline_rows))
        alarms = self.words.many("alarms", len(drift.alarms))
        moved = [one.name for one in drift.columns if one.alarms]
        return self.words("verdict.bad", alarms=alarms, rows=n.integer(drift.rows), columns=self.words.many("columns_moved", len(moved)))

    def tiles(self) -> list[tuple[str, str, str]]:
        """The figures at the top."""
        drift, n, t = self.drift, self.numbers, self.words
        worst = max(drift.columns, key=lambda one: one.distance.distance, default=None)
        begins = [one.begin[:16].replace("T", " ") for one in drift.periods]
        tiles = [
            (t("tiles.rows"), n.integer(drift.rows), f"{begins[0]} – {begins[-1]}" if len(begins) > 1 else drift.source),
            (t("tiles.alarms"), n.integer(len(drift.alarms)), t("tiles.alarms_more", n=n.integer(len(drift.columns)))),
        ]
        if worst is not None:
            tiles.append((t("tiles.worst"), n.percent(worst.distance.distance), worst.name))
        tiles.append((t("tiles.score"), n.percent(max(one.distance.distance for one in drift.score)), t("tiles.score_more")))
        for one in drift.metrics:
            if one.name == drift.metric:
                shown, more = (one.live, "tiles.metric_more") if one.live else (one.estimate, "tiles.metric_guess")
                if shown is not None:
                    tiles.append((one.name, n.number(shown.value, 3), t(more, test=n.number(one.test.value, 3))))
        return tiles

    def metric(self, one: MetricDrift) -> dict[str, Any]:
        """One line of the table of metrics."""
        return {
            "name": one.name,
            "test": self.interval(one.test),
            "live": self.interval(one.live),
            "estimate": self.interval(one.estimate),
            "alarm": one.alarm,
            "main": one.name == self.drift.metric,
        }

    def interval(self, one: Interval | None) -> str:
        """A value with its interval."""
        if one is None or one.value is None:
            return "–"
        text = self.numbers.number(one.value, 3)
        if one.lower is None or one.upper is None:
            return text
        return f"{text} ({self.numbers.number(one.lower, 3)} – {self.numbers.number(one.upper, 3)})"

    def chance(self, one: Distance) -> str:
        """A corrected p-value in few letters."""
        return f"<{self.numbers.number(0.0001, 4)}" if one.p < 0.0001 else self.numbers.significant(one.p, 2)

    def score(self, place: int) -> Drawing:
        """Scores expected and live, as shares of even bins."""
        one, t = self.drift.score[place], self.words
        return self._two_lines(
            np.asarray(self.drift.scores),
            np.asarray(one.expected),
            np.asarray(one.live),
            t("score.alt", name=one.name),
            t("score.axis", name=one.name),
        )

    def column(self, one: ColumnDrift) -> dict[str, Any]:
        """The drawing of a column, or its values with their shares."""
        if one.kind == "number":
            inside = np.asarray(one.expected[1:-2]), np.asarray(one.live[1:-2])
            drawing = self._two_lines(np.asarray(one.edges), *inside, self.words("card.alt", name=one.name), one.name)
            return {"drawing": drawing, "values": []}
        trained, rows = max(1.0, sum(one.expected)), max(1, sum(one.live))
        names = [*one.values, self.words("card.rest"), self.words("card.unseen"), self.words("card.missing")]
        shares = [
            (name, before / trained, now / rows) for name, before, now in zip(names, one.expected, one.live, strict=True) if before or now
        ]
        shares.sort(key=lambda share: -max(share[1:]))
        return {"drawing": None, "values": shares[:VALUES]}

    def _two_lines(self, edges: np.ndarray, expected: np.ndarray, live: np.ndarray, alt: str, axis: str) -> Drawing:
        t = self.words
        even, before = spread(edges, expected, expected)
        _, now = spread(edges, live, expected)
        return Drawing(
            name=alt,
            title=axis,
            x_name=axis,
            y_name=t("card.share"),
            lines=[
                Line(name=t("trained"), x=even.tolist(), y=before.tolist(), steps=True, area=True, colour=0),
                Line(name=t("live"), x=even.tolist(), y=now.tolist(), steps=True, colour=1, dash="7 3"),
            ],
            x=(float(even[0]), float(even[-1])),
            y=(0.0, float(max(before.max(), now.max())) * 1.08 or 1.0),
            x_format="number",
        )

    def times(self) -> list[tuple[str, Drawing]]:
        """Rows, score and metrics over time."""
        periods, t = self.drift.periods, self.words
        if len(periods) < 2:
            return []
        first = _moment(periods[0])
        days = [(_moment(one) - first).total_seconds() / 86400 for one in periods]
        axis = t("time.axis", begin=periods[0].begin[:16].replace("T", " "))

        def drawn(title: str, line: Line, form: Any, guides: Any = ()) -> tuple[str, Drawing]:
            return title, Drawing(
                name=title, title=title, x_name=axis, y_name="", lines=[line], x_format="number", y_format=form, guides=guides
            )

        found = [drawn(t("time.rows"), Line(name=t("time.rows"), x=days, y=[float(one.rows) for one in periods], dots=True), "integer")]
        if all(one.mean_score is not None for one in periods):
            line = Line(name=t("time.score"), x=days, y=[one.mean_score or 0.0 for one in periods], dots=True, colour=1)
            found.append(drawn(t("time.score"), line, "number"))
        for metric in self._metrics_over_time(periods):
            known = [(day, one.metrics[metric]) for day, one in zip(days, periods, strict=True) if _whole(one.metrics.get(metric))]
            test = next((one.test.value for one in self.drift.metrics if one.name == metric), None)
            line = Line(
                name=metric,
                x=[day for day, _ in known],
                y=[one.value or 0.0 for _, one in known],
                low=[one.lower or 0.0 for _, one in known],
                high=[one.upper or 0.0 for _, one in known],
                whiskers=True,
                dots=True,
                colour=2,
            )
            guides = [[(days[0], test), (days[-1], test)]] if test is not None else []
            found.append(drawn(metric, line, "number", guides))
        return found

    def _metrics_over_time(self, periods: Sequence[Period]) -> list[str]:
        there = [name for name in dict.fromkeys((self.drift.metric, "areaUnderROC", "accuracy", "f1", "logLoss")) if name]
        return [name for name in there if sum(_whole(one.metrics.get(name)) for one in periods) > 1][:SHOWN_METRICS]

    def sections(self) -> list[str]:
        """Ids of the sections that there are."""
        found = ["alarms", "metrics", "score"]
        return [*found, *(["time"] if len(self.drift.periods) > 1 else []), "columns", "method"]


def spread(edges: np.ndarray, counts: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts over uneven cells as shares of even bins between the first and last hundredth of a reference; a cell's rows lie evenly in it.

    Returns
    -------
    (bins + 1,) edges and (bins,) shares of all counts
    """
    total, ranked = counts.sum() or 1.0, np.cumsum(reference) / (reference.sum() or 1.0)
    low = float(edges[np.searchsorted(ranked, 0.01)])
    high = float(edges[min(len(edges) - 1, int(np.searchsorted(ranked, 0.99)) + 1)])
    if not high > low:
        low, high = float(edges[0]), float(edges[-1])
    even = np.linspace(low, high, BARS + 1)
    upto = np.interp(even, edges, np.concatenate([[0.0], np.cumsum(counts)]) / total)
    return even, np.diff(upto)


def _moment(one: Period) -> dt.datetime:
    return dt.datetime.fromisoformat(one.begin)


def _whole(one: Interval | None) -> bool:
    return one is not None and None not in (one.value, one.lower, one.upper)
