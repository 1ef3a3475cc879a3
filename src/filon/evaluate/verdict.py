"""What the numbers mean, in sentences: the verdict, the headlines, and what a careful reader should know."""

from dataclasses import dataclass
from typing import Literal

from filon.evaluate import curves, metrics
from filon.evaluate.cells import cells_of
from filon.evaluate.drawings import Drawings
from filon.evaluate.records import Context, Exam, Interval
from filon.pages.numbers import Numbers
from filon.pages.words import Words

GRADES = ((0.9, "excellent"), (0.8, "good"), (0.7, "fair"), (0.6, "weak"))
"""Words for areaUnderROC, in the customary steps (Hosmer and Lemeshow, Applied Logistic Regression, section 5.2.4)."""

SKILL_GRADES = ((0.8, "excellent"), (0.6, "good"), (0.35, "fair"), (0.05, "weak"))
"""Words for the part of the mistakes of always naming the commonest class that a model of many classes avoids."""

CALIBRATED = 0.02
"""Mean distance of score and share up to which scores may be read as probabilities."""

SUSPICIOUS = 0.995
FEW = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something a careful reader should know; `text` is marked with ** and `."""

    level: Literal["good", "note", "warning", "bad"]
    text: str


class Verdict:
    """Sentences about one exam in one language."""

    def __init__(self, exam: Exam, context: Context, words: Words, numbers: Numbers) -> None:
        self.exam, self.context, self.words, self.numbers = exam, context, words, numbers
        self.two = len(exam.classes) == 2
        self.confidence = numbers.percent(exam.confidence, 0)

    def called(self, number: int) -> str:
        """A class as a reader knows it, with its label: "late = true" says what "true" does not."""
        name = self.exam.classes[number]
        return f"{self.context.label} = {name}" if self.context.label else name

    def sentence(self) -> str:
        """The verdict, with the interval and the comparison that make it mean something."""
        return self._two() if self.two else self._many()

    def headlines(self) -> tuple[str, ...]:
        """Three lines for a terminal: how good, what matters, what a decision brings. Plain text."""
        lines = [self._first()]
        if self.exam.importances and any(one.gain > 0 for one in self.exam.importances):
            names = ", ".join(one.feature for one in self.exam.importances[:3])
            lines.append(self.words("headline.features", names=names))
        lines.append(self._last())
        return tuple(line for line in lines if line)

    def remarks(self, drawings: Drawings) -> tuple[Remark, ...]:
        """What to know, the gravest first."""
        found = [
            self._generalisation(),
            self._leak(),
            *self._counts(),
            self._few(),
            self._below(),
            self._calibration(drawings),
            self._resolution(),
        ]
        order = {"bad": 0, "warning": 1, "good": 2, "note": 3}
        return tuple(sorted((remark for remark in found if remark), key=lambda remark: order[remark.level]))

    def examined(self) -> str:
        """What rows the exam is about, as a word before "rows"."""
        key = f"examined.{self.context.examined}"
        return self.words(key if key in self.words else "examined.data")

    def _two(self) -> str:
        t, n = self.words, self.numbers
        area = self.exam.metrics["areaUnderROC"]
        negative, positive = self.called(0), self.called(1)
        if area.value is None:
            return t("verdict.undefined", why=t(f"why.{area.why}"))
        grade = (
            "none"
            if area.lower is not None and area.lower <= 0.5
            else next((word for least, word in GRADES if area.value >= least), "weak")
        )
        parts = [t(f"verdict.{grade}"), self._interval_text("verdict.two", area, "area", positive=positive, negative=negative)]
        table = curves.lift(cells_of(self.exam.tally.curves[0]), (0.1,))
        if table and grade != "none":
            top = table[0]
            parts.append(t("verdict.lift", found=n.percent(top.found, 0), lift=n.significant(top.lift, 2), positive=positive))
        return " ".join(parts)

    def _many(self) -> str:
        accuracy = self.exam.metrics["accuracy"]
        if accuracy.value is None:
            return self.words("verdict.undefined", why=self.words(f"why.{accuracy.why}"))
        base, commonest = self._commonest()
        skill = (accuracy.value - base) / (1 - base) if base < 1 else 0.0
        guess = accuracy.lower is not None and accuracy.lower <= base
        grade = "none" if guess else next((word for least, word in SKILL_GRADES if skill >= least), "weak")
        text = self._interval_text("verdict.many", accuracy, "accuracy", base=self.numbers.percent(base), commonest=commonest)
        return f"{self.words(f'verdict.many_{grade}')} {text}"

    def _first(self) -> str:
        t, n = self.words, self.numbers
        facts = {"rows": n.integer(self.exam.tally.rows - self.exam.tally.unlabelled), "confidence": self.confidence}
        examined = self.examined()
        name = "areaUnderROC" if self.two else "accuracy"
        found = self.exam.metrics[name]
        if found.value is None:
            return t("headline.undefined", rows=facts["rows"], why=t(f"why.{found.why}"))
        form = n.number if self.two else n.percent
        bounds = {"low": form(found.lower), "high": form(found.upper)}
        if self.two:
            return t("headline.ranking", area=form(found.value), examined=examined, **facts, **bounds)
        return t("headline.many", accuracy=form(found.value), base=n.percent(self._commonest()[0]), examined=examined, **facts, **bounds)

    def _last(self) -> str:
        t, n = self.words, self.numbers
        if not self.two:
            recalls = [(row["recall"], name) for name, row in self.exam.by_class.items() if row["recall"] is not None]
            return t("headline.worst", name=min(recalls)[1], recall=n.percent(min(recalls)[0])) if recalls else ""
        at = self.exam.at_threshold
        if not at or at.get("recall") is None or at.get("precision") is None:
            return ""
        shown = {name: n.percent(at[name], 0) for name in ("recall", "precision")}
        return t("headline.decision", threshold=n.number(self.exam.threshold), positive=self.called(1), **shown)

    def _generalisation(self) -> Remark | None:
        name = self.context.metric or "areaUnderROC"
        valid, test = self.context.valid.get(name), self.exam.metrics.get(name)
        if valid is None or test is None or test.value is None or test.lower is None or test.upper is None:
            return None
        higher = metrics.better(name) == "higher"
        kind = "agree"
        if valid > test.upper:
            kind = "flattered" if higher else "better"
        elif valid < test.lower:
            kind = "better" if higher else "flattered"
        n = self.numbers
        text = self.words(
            f"remark.{kind}", metric=name, valid=n.number(valid), test=n.number(test.value), confidence=self.confidence,
            low=n.number(test.lower), high=n.number(test.upper),
        )  # fmt: skip
        return Remark(level={"agree": "good", "better": "note"}.get(kind, "warning"), text=text)  # type: ignore[arg-type]

    def _calibration(self, drawings: Drawings) -> Remark | None:
        error = curves.calibration_error(drawings.bins)
        if error is None or not self.two:
            return None
        t, n = self.words, self.numbers
        points = n.number(100 * error, 1)
        if error <= CALIBRATED:
            return Remark(level="good", text=t("remark.calibrated", error=points))
        rows = sum(b.rows for b in drawings.bins)
        mean, share = sum(b.rows * b.score for b in drawings.bins) / rows, sum(b.rows * b.share for b in drawings.bins) / rows
        kind = "uneven" if abs(mean - share) < error / 2 else ("high" if mean > share else "low")
        text = t(f"remark.{kind}", error=points, mean=n.percent(mean), share=n.percent(share), positive=self.called(1))
        weights = self.context.class_weights
        if weights and max(weights) - min(weights) > 1e-9:
            text += " " + t("remark.weighted")
        return Remark(level="note", text=text)

    def _leak(self) -> Remark | None:
        area = self.exam.metrics["areaUnderROC"].value
        if area is None or area < SUSPICIOUS or not self.two:
            return None
        return Remark(level="warning", text=self.words("remark.leak", area=self.numbers.number(area, 4)))

    def _counts(self) -> list[Remark]:
        t, n, tally = self.words, self.numbers, self.exam.tally
        found = []
        openings = len(self.context.openings)
        if openings > 1:
            found.append(Remark(level="warning", text=t("remark.openings", n=n.integer(openings))))
        blockers = sum(finding.level == "blocker" for finding in self.context.findings)
        if blockers:
            found.append(Remark(level="bad", text=t("remark.blockers", n=n.integer(blockers))))
        if tally.unlabelled:
            found.append(Remark(level="note", text=t("remark.unlabelled", n=n.integer(tally.unlabelled))))
        return found

    def _few(self) -> Remark | None:
        rows = {name: row["rows"] or 0 for name, row in self.exam.by_class.items()}
        absent = [name for name, count in rows.items() if not count]
        if absent:
            return Remark(level="warning", text=self.words("remark.absent", names=_listed(absent)))
        name = min(rows, key=lambda each: rows[each])
        few = rows[name] < (FEW if self.two else FEW / 4)
        return (
            Remark(
                level="note",
                text=self.words("remark.few", n=self.numbers.integer(rows[name]), name=self.called(self.exam.classes.index(name))),
            )
            if few
            else None
        )

    def _below(self) -> Remark | None:
        names = [f"{one.column} = {one.value}" for one in self.exam.slices if one.below]
        return Remark(level="warning", text=self.words("remark.below", names=_listed(names))) if names else None

    def _resolution(self) -> Remark | None:
        width = self.exam.tally.resolution
        return Remark(level="note", text=self.words("remark.resolution", width=self.numbers.significant(width, 2))) if width else None

    def _commonest(self) -> tuple[float, str]:
        """Share and name of the class with most rows."""
        rows = self.exam.tally.confusion.sum(1)
        most = int(rows.argmax())
        return float(rows[most] / (rows.sum() or 1)), self.exam.classes[most]

    def _interval_text(self, key: str, interval: Interval, name: str, **facts: str) -> str:
        n = self.numbers
        facts = {name: n.percent(interval.value), **facts}
        if interval.lower is None and self.two:
            return self.words(f"{key}_bare", **facts)
        return self.words(key, confidence=self.confidence, low=n.percent(interval.lower), high=n.percent(interval.upper), **facts)


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} (+{len(names) - most})"
