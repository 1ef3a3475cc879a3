"""The charts of an exam as drawings: what is shown, in the reader's language; pages draw them as SVG, plots as PNG."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from filon.evaluate import curves
from filon.evaluate.bootstrap import worth_of
from filon.evaluate.cells import Cells, Sweep, cells_of, group, sweep
from filon.evaluate.records import Context, Exam
from filon.evaluate.thresholds import decide
from filon.pages.drawing import DASHES, Drawing, Line, Mark
from filon.pages.numbers import Numbers
from filon.pages.words import Words

DRAWN_CLASSES = 8
"""Curves that can be told apart in one chart."""

DRAWN_CELLS = 1 << 15
"""Scores of a drawn curve: far finer than a pixel; neighbours are put together above."""

DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


class Drawings:
    """The charts of one exam in one language."""

    def __init__(self, exam: Exam, words: Words, numbers: Numbers) -> None:
        self.exam, self.words, self.numbers = exam, words, numbers
        self.two = len(exam.classes) == 2
        keep = () if exam.threshold is None else (exam.threshold,)
        self.cells = tuple(group(cells_of(curve), DRAWN_CELLS, keep) for curve in exam.tally.curves)
        self.sums = tuple((float(cells.positives.sum()), float(cells.negatives.sum())) for cells in self.cells)

    @cached_property
    def sweeps(self) -> tuple[Sweep, ...]:
        """Cumulative counts of each curve."""
        return tuple(sweep(cells) for cells in self.cells)

    @cached_property
    def numbers_drawn(self) -> list[int]:
        """Curves drawn: the positive class of two, or the classes with most rows; those without rows of both kinds are left out."""
        order = sorted(range(len(self.cells)), key=lambda i: -self.sums[i][0])
        return sorted(i for i in order[:DRAWN_CLASSES] if all(self.sums[i]))

    def names(self) -> list[str]:
        """Class names of the drawn curves."""
        return [self.exam.classes[i + 1 if self.two else i] for i in self.numbers_drawn]

    def roc(self) -> Drawing:
        """False by true positive rate."""
        t = self.words
        marks = []
        if self.exam.threshold is not None and self.numbers_drawn:
            at = decide(self.exam.tally, self.exam.threshold).metrics()
            marks = [Mark(x=1 - (at["specificity"] or 0), y=at["recall"] or 0, text=self._threshold())]
        return Drawing(
            name=t("curve.roc_alt", area=self._area("areaUnderROC")),
            title=self._title("curve.roc", "areaUnderROC"),
            x_name=t("curve.fpr"),
            y_name=t("curve.tpr"),
            lines=self._lines(lambda i: curves.roc_points(self.sweeps[i]), "areaUnderROC", area=self.two),
            x=(0, 1),
            y=(0, 1),
            guides=(DIAGONAL,),
            marks=marks,
        )

    def pr(self) -> Drawing:
        """Precision by recall."""
        t = self.words
        base, marks = self._base(), []
        if self.exam.threshold is not None and self.numbers_drawn:
            at = decide(self.exam.tally, self.exam.threshold).metrics()
            if at["precision"] is not None:
                marks = [Mark(x=at["recall"] or 0, y=at["precision"], text=self._threshold())]
        return Drawing(
            name=t("curve.pr_alt", area=self._area("areaUnderPR"), base=self.numbers.percent(base)),
            title=self._title("curve.pr", "areaUnderPR"),
            x_name=t("curve.recall"),
            y_name=t("curve.precision"),
            lines=self._lines(lambda i: curves.pr_points(self.sweeps[i]), "areaUnderPR", area=self.two),
            x=(0, 1),
            y=(0, 1),
            guides=(((0.0, base), (1.0, base)),) if self.two and base is not None else (),
            marks=marks,
        )

    @cached_property
    def bins(self) -> tuple[curves.CalibrationBin, ...]:
        """Calibration bins; of many classes pooled, one against the rest."""
        cells = _pooled(self.cells)
        effective = float(self.exam.tally.confusion.sum()) * worth_of(self.exam.tally)
        return curves.calibration(cells, effective) if self.two else curves.calibration_of_many(cells, effective * len(self.cells))

    def calibration(self) -> Drawing:
        """Share of positives by mean score."""
        t, n = self.words, self.numbers
        error = curves.calibration_error(self.bins)
        top = max([0.1, *(max(b.score, b.upper) for b in self.bins)])
        limit = 1.0 if top > 0.6 else top
        line = Line(
            name=t("curve.calibration"),
            x=[b.score for b in self.bins],
            y=[b.share for b in self.bins],
            low=[b.lower for b in self.bins],
            high=[b.upper for b in self.bins],
            whiskers=True,
            dots=True,
            colour=1,
            titles=[f"{n.percent(b.score)} → {n.percent(b.share)} ({n.integer(b.rows)} {t('rows')})" for b in self.bins],
        )
        return Drawing(
            name=t("curve.calibration_alt", error=n.percent(error)),
            title=t("curve.calibration"),
            x_name=t("curve.score"),
            y_name=t("curve.happened"),
            lines=[line],
            x=(0, limit),
            y=(0, limit),
            guides=(((0.0, 0.0), (limit, limit)),),
        )

    def gains(self) -> Drawing:
        """Share of positives found by share of rows taken (two classes)."""
        t = self.words
        points = curves.gain_points(self.sweeps[0])
        base = self._base() or 1.0
        tenth = float(np.interp(0.1, points.x, points.y))
        return Drawing(
            name=t("curve.gains_alt", found=self.numbers.percent(tenth)),
            title=t("curve.gains"),
            x_name=t("curve.taken"),
            y_name=t("curve.found"),
            lines=[
                Line(name="", x=[0, base, 1], y=[0, 1, 1], colour=8, dash="1 3"),
                Line(name=t("curve.gains"), x=points.x, y=points.y, colour=1, area=True),
            ],
            x=(0, 1),
            y=(0, 1),
            guides=(DIAGONAL,),
            marks=[Mark(x=0.1, y=tenth, text=f"{self.numbers.percent(0.1, 0)} → {self.numbers.percent(tenth)}")],
        )

    def scores(self) -> Drawing:
        """Distribution of the scores by class (two classes)."""
        t = self.words
        edges, shares = curves.histogram(self.cells[0], min(self.sums[0]) * worth_of(self.exam.tally))
        negative, positive = self.exam.classes
        verticals = (
            [(self.exam.threshold, self._threshold())] if self.exam.threshold is not None and self.exam.threshold <= edges[-1] else []
        )
        return Drawing(
            name=t("curve.scores_alt", negative=negative, positive=positive),
            title=t("curve.scores"),
            x_name=t("curve.score"),
            y_name=t("curve.share"),
            lines=[
                Line(name=negative, x=edges, y=shares[0], colour=0, steps=True, area=True),
                Line(name=positive, x=edges, y=shares[1], colour=1, steps=True, area=True, dash=DASHES[1]),
            ],
            x=(0, edges[-1]),
            y=(0, max([0.01, *shares[0], *shares[1]])),
            verticals=verticals,
        )

    def learning(self, context: Context) -> Drawing | None:
        """The metric by round of the winning trial; None when the trial left no curve."""
        t = self.words
        trial = next((trial for trial in context.trials if trial.number == context.winner), None)
        points = [p for p in (trial.curve if trial else ()) if p.train is not None or p.valid is not None]
        if trial is None or len(points) < 2:
            return None
        lines = [
            Line(
                name=t("fold.train"),
                x=[p.round for p in points if p.train is not None],
                y=[p.train for p in points if p.train is not None],
                colour=0,
            ),
            Line(
                name=t("fold.valid"),
                x=[p.round for p in points if p.valid is not None],
                y=[p.valid for p in points if p.valid is not None],
                colour=1,
                dash=DASHES[1],
            ),
        ]
        return Drawing(
            name=t("search.curve_alt", metric=trial.curve_metric),
            title=t("search.curve"),
            x_name=t("search.round"),
            y_name=trial.curve_metric,
            lines=[line for line in lines if len(line.x)],
            x_format="integer",
            y_format="number",
            verticals=[(context.rounds, t("search.kept", rounds=self.numbers.integer(context.rounds)))] if context.rounds else [],
        )

    def _lines(self, points: Callable[[int], curves.Points], metric: str, area: bool) -> list[Line]:
        lines = []
        for place, (number, name) in enumerate(zip(self.numbers_drawn, self.names(), strict=True)):
            drawn = points(number)
            label = self.words("curve.area", name=name, area=self.numbers.number(self.exam.by_class[name][metric]))
            tint = 1 if self.two else place
            lines.append(Line(name=label, x=drawn.x, y=drawn.y, colour=tint, dash="" if self.two else DASHES[place], area=area))
        return lines

    def _area(self, metric: str) -> str:
        return self.numbers.number(self.exam.metrics[metric].value)

    def _title(self, key: str, metric: str) -> str:
        return f"{self.words(key)} · {metric} {self._area(metric)}"

    def _threshold(self) -> str:
        return self.words("curve.threshold", threshold=self.numbers.number(self.exam.threshold))

    def _base(self) -> float | None:
        """Share of positives of two classes."""
        positives, negatives = self.sums[0]
        return positives / (positives + negatives) if self.two and positives + negatives else None


def _pooled(cells: tuple[Cells, ...]) -> Cells:
    """All curves as one, by ascending score."""
    if len(cells) == 1:
        return cells[0]
    scores = np.concatenate([one.scores for one in cells])
    order = np.argsort(scores, kind="stable")
    positives = np.concatenate([one.positives for one in cells])[order]
    return Cells(scores[order], positives, np.concatenate([one.negatives for one in cells])[order])
