"""What the report's templates show: each section as plain values, in the reader's language."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from filon.check.wording import translate
from filon.evaluate import curves, metrics
from filon.evaluate.dashboard import FAMILY_NAMES
from filon.evaluate.drawings import Drawings
from filon.evaluate.records import Context, Exam, Interval, Slice, TrialLine
from filon.evaluate.thresholds import decisions
from filon.evaluate.verdict import Verdict
from filon.pages import Lang, Numbers, Words
from filon.pages.drawing import Bar, Span

SHOWN_TRIALS = 10
SHOWN_FEATURES = 15
SHOWN_CONFUSIONS = 10
MATRIX_CLASSES = 20
"""Classes whose full confusion matrix a page can show; with more, the most frequent confusions say it better."""

GROUPS = (
    ("ranking", ("areaUnderROC", "areaUnderPR", "average_precision", "ks")),
    ("probability", ("logLoss", "brier")),
    (
        "decision",
        (
            "accuracy",
            "f1",
            "weightedPrecision",
            "weightedRecall",
            "macroPrecision",
            "macroRecall",
            "macroF1",
            "precision_positive",
            "recall_positive",
            "f1_positive",
        ),
    ),
)

AT_THRESHOLD = {"f1": "f1_positive"}
"""Texts of decision metrics whose name means something else elsewhere: at a threshold, F1 is of the positive class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric in a table."""

    name: str
    title: str
    interval: Interval
    valid: float | None
    reading: str
    main: bool = False


class View:
    """One exam and its context, for the templates."""

    def __init__(self, exam: Exam, context: Context, lang: Lang) -> None:
        self.exam, self.context = exam, context
        self.words, self.numbers = Words(lang, "report"), Numbers(lang)
        self.drawings = Drawings(exam, self.words, self.numbers)
        self.verdict = Verdict(exam, context, self.words, self.numbers)
        self.lang = lang
        self.two = len(exam.classes) == 2

    @cached_property
    def values(self) -> dict[str, Any]:
        """Everything, by the names the templates use."""
        return {
            "exam": self.exam,
            "context": self.context,
            "version": self.context.version,
            "two": self.two,
            "positive": self.verdict.called(1),
            "hit": self.exam.classes[1],
            "confidence": self.numbers.percent(self.exam.confidence, 0),
            "examined": self.verdict.examined(),
            "when": self.context.created_at[:16].replace("T", " "),
            "family": FAMILY_NAMES.get(self.context.family, self.context.family),
            "verdict": self.verdict.sentence(),
            "remarks": self.verdict.remarks(self.drawings),
            "tiles": self._tiles(),
            "data": self._data(),
            "search": self._search(),
            "groups": self._groups(),
            "curves": self._curves(),
            "decision": self._decision(),
            "importances": self._importances(),
            "slices": self._slices(),
            "openings": self._openings(),
            "facts": self._facts(),
            "sections": self._sections(),
        }

    def _sections(self) -> list[tuple[str, str]]:
        shown = {"search": bool(self.context.trials), "importances": bool(self.exam.importances), "slices": bool(self.exam.slices)}
        names = ("findings", "data", "search", "metrics", "curves", "decision", "importances", "slices", "reproduce")
        return [(name, self.words(f"contents.{name}")) for name in names if shown.get(name, True)]

    def _tiles(self) -> list[tuple[str, str, str, bool]]:
        """(what, value, more, main): the handful of numbers that a reader takes away."""
        t, n, exam = self.words, self.numbers, self.exam
        chosen = self.context.metric or ("areaUnderROC" if self.two else "accuracy")
        names = dict.fromkeys([chosen, *(("areaUnderROC", "areaUnderPR") if self.two else ("accuracy", "macroF1", "areaUnderROC"))])
        tiles = [
            (name, n.number(exam.metrics[name].value), self._interval_more(name), name == chosen) for name in names if name in exam.metrics
        ]
        if exam.at_threshold:
            at = t("tile.decision", threshold=n.number(exam.threshold))
            tiles += [(t(f"metric.{name}"), n.percent(exam.at_threshold[name]), at, False) for name in ("precision", "recall")]
        tiles.append((t("tile.rows"), n.integer(exam.tally.rows - exam.tally.unlabelled), self._rows_more(), False))
        return tiles

    def _interval_more(self, name: str) -> str:
        interval, n = self.exam.metrics[name], self.numbers
        if interval.value is None:
            return self.words(f"why.{interval.why}")
        if interval.lower is None:
            return ""
        return self.words(
            "tile.interval", confidence=n.percent(self.exam.confidence, 0), low=n.number(interval.lower), high=n.number(interval.upper)
        )

    def _rows_more(self) -> str:
        if not self.two:
            return self.words("tile.rows_many", n=len(self.exam.classes))
        rows = self.exam.tally.confusion.sum(1)
        share = self.numbers.percent(float(rows[1] / rows.sum())) if rows.sum() else ""
        return self.words("tile.rows_two", n=self.numbers.integer(float(rows[1])), positive=self.verdict.called(1), share=share)

    def _data(self) -> dict[str, Any]:
        total = sum(fold.rows for fold in self.context.folds.values())
        folds = [
            {
                "name": self.words(f"fold.{name}"),
                "rows": fold.rows,
                "share": fold.rows / total if total else 0.0,
                "classes": [(count, count / fold.rows if fold.rows else 0.0) for count in fold.by_class],
                "digest": fold.digest,
            }
            for name, fold in self.context.folds.items()
        ]
        findings = [translate(finding, self.lang) for finding in self.context.findings]
        weights = self.context.class_weights
        uneven = bool(weights) and max(weights) - min(weights) > 1e-9
        return {
            "folds": folds,
            "weights": list(zip(self.exam.classes, weights, strict=False)) if uneven else [],
            "findings": [finding for finding in findings if finding.level != "info"],
            "more": [finding for finding in findings if finding.level == "info"],
        }

    def _search(self) -> dict[str, Any]:
        context, t, n = self.context, self.words, self.numbers
        done = [trial for trial in context.trials if trial.state == "done" and trial.metrics.get(context.metric) is not None]
        sign = 1 if not context.metric or metrics.better(context.metric) == "lower" else -1
        done.sort(key=lambda trial: (sign * (trial.metrics[context.metric] or 0), trial.number))
        families = list(dict.fromkeys(trial.family for trial in done))
        best = next((trial.metrics[context.metric] for trial in done if trial.number == context.winner), None)
        return {
            "board": [self._trial(trial) for trial in done],
            "shown": SHOWN_TRIALS,
            "trials": t.many("search.trials", len(context.trials), shown=n.integer(len(context.trials))),
            "families": t.many("search.families", len(families)),
            "failed": [trial for trial in context.trials if trial.state == "failed"],
            "skipped": sum(trial.state == "skipped" for trial in context.trials),
            "seconds": n.seconds(context.seconds.get("search") or sum(trial.seconds for trial in context.trials)),
            "strips": [
                (FAMILY_NAMES.get(family, family), [trial.metrics[context.metric] for trial in done if trial.family == family])
                for family in families
            ],
            "best": best,
            "winner": [(name, self._setting(value)) for name, value in context.settings.items()],
            "curve": self.drawings.learning(context),
        }

    def _trial(self, trial: TrialLine) -> dict[str, Any]:
        return {
            "number": trial.number,
            "family": FAMILY_NAMES.get(trial.family, trial.family),
            "settings": ", ".join(f"{name} {self._setting(value)}" for name, value in trial.settings.items()),
            "value": trial.metrics[self.context.metric],
            "rounds": trial.rounds,
            "seconds": trial.seconds,
            "note": self.words.some(trial.shared),
            "winner": trial.number == self.context.winner,
        }

    def _setting(self, value: object) -> str:
        """A setting as the recipe would write it: names and numbers are code, not prose."""
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    def _groups(self) -> list[dict[str, Any]]:
        groups = []
        for group, names in GROUPS:
            rows = [self._row(name) for name in names if name in self.exam.metrics]
            key = group if group != "decision" else ("decision_half" if self.two else "decision_many")
            groups.append({"title": self.words(f"metrics.{key}"), "rows": rows})
        if self.exam.at_threshold:
            rows = [
                Row(
                    name=name,
                    title=self.words(f"metric.{AT_THRESHOLD.get(name, name)}"),
                    interval=interval,
                    valid=None,
                    reading="",
                )
                for name, interval in self.exam.at_threshold_intervals.items()
            ]
            groups.append({"title": self.words("decision.metrics_at", threshold=self.numbers.number(self.exam.threshold)), "rows": rows})
        return groups

    def _row(self, name: str) -> Row:
        key = name if self.two or f"reading.{name}_many" not in self.words else f"{name}_many"
        return Row(
            name=name,
            title=self.words(f"metric.{name}"),
            interval=self.exam.metrics[name],
            valid=self.context.valid.get(name),
            reading=self.words(f"reading.{key}", **self._uninformed()),
            main=name == self.context.metric,
        )

    def _uninformed(self) -> dict[str, str]:
        """What a model that knows only the class shares would get."""
        n, rows = self.numbers, self.exam.tally.confusion.sum(1)
        shares = rows / (rows.sum() or 1)
        known = shares[shares > 0]
        base = float(shares[1]) if self.two else 0.0
        return {
            "base": n.percent(base),
            "loss": n.number(float(-(known * np.log(known)).sum())),
            "square": n.number(base * (1 - base)),
            "commonest": n.number(float(shares.max())),
        }

    def _curves(self) -> dict[str, Any]:
        drawn = self.drawings
        found: dict[str, Any] = {
            "roc": drawn.roc(),
            "pr": drawn.pr(),
            "calibration": drawn.calibration(),
            "gains": None,
            "scores": None,
            "lift": (),
        }
        found["defined"] = bool(drawn.numbers_drawn)
        found["some"] = len(drawn.numbers_drawn) < len(self.exam.tally.curves)
        if self.two and all(drawn.sums[0]):
            found["gains"], found["scores"] = drawn.gains(), drawn.scores()
            found["lift"] = curves.lift(drawn.cells[0])
        return found

    def _decision(self) -> dict[str, Any]:
        matrix, names = self.exam.confusion, self.exam.classes
        totals = [sum(row) for row in matrix]
        wrong = [(cell, i, j) for i, row in enumerate(matrix) for j, cell in enumerate(row) if i != j and cell]
        wrong.sort(key=lambda each: (-each[0], each[1], each[2]))
        found: dict[str, Any] = {
            "matrix": [[(cell, cell / total if total else 0.0) for cell in row] for row, total in zip(matrix, totals, strict=True)],
            "full": len(names) <= MATRIX_CLASSES,
            "confusions": [
                {"true": names[i], "predicted": names[j], "rows": cell, "share": cell / totals[i]}
                for cell, i, j in wrong[:SHOWN_CONFUSIONS]
            ],
            "table": None,
        }
        if self.two and self.exam.threshold is not None:
            steps = decisions(self.drawings.cells[0], self.exam.threshold)
            if steps:
                start = min(range(len(steps)), key=lambda i: abs(steps[i].threshold - (self.exam.threshold or 0)))
                found["table"] = {
                    "rows": json.dumps([[s.threshold, s.tn, s.fp, s.fn, s.tp] for s in steps]),
                    "start": start,
                    "last": len(steps) - 1,
                }
        return found

    def _importances(self) -> dict[str, Any]:
        n, found = self.numbers, self.exam.importances
        shap = bool(found) and found[0].shap is not None
        bars = [self._bar(one, shap) for one in found if one.gain > 0 or (one.shap or 0) > 0]
        rest = found[SHOWN_FEATURES:]
        return {
            "shap": shap,
            "rows": found[0].rows if found else 0,
            "bars": bars[:SHOWN_FEATURES],
            "all": found,
            "rest": len(rest),
            "rest_share": n.percent(sum(one.gain for one in rest)),
            "effects": [(one.feature, [self._effect(effect) for effect in one.effects]) for one in found if len(one.effects) > 1],
        }

    def _bar(self, one: Any, shap: bool) -> Bar:
        values = (one.shap, one.gain) if shap else (one.gain,)
        texts = (self.numbers.number(one.shap), self.numbers.percent(one.gain)) if shap else (self.numbers.percent(one.gain),)
        return Bar(name=one.feature, values=values, texts=texts)

    def _effect(self, effect: Any) -> Span:
        n = self.numbers
        name = effect.name
        if effect.missing:
            name = self.words("importances.missing")
        elif not name:
            low, high = n.significant(effect.low, 4), n.significant(effect.high, 4)
            name = low if low == high else f"{low} – {high}"
        title = self.words("importances.effect_row", name=name, value=n.signed(effect.shap, 2), rows=n.integer(effect.rows))
        return Span(name=name, value=effect.shap, low=effect.shap_low, high=effect.shap_high, title=title)

    def _slices(self) -> dict[str, Any]:
        metric = "areaUnderROC" if self.two else "accuracy"
        whole = self.exam.metrics[metric].value
        columns = list(dict.fromkeys(one.column for one in self.exam.slices))
        drawn = [one for one in self.exam.slices if one.interval.lower is not None]
        return {
            "metric": metric,
            "whole": whole,
            "columns": [(column, [(one, self._span(one)) for one in self.exam.slices if one.column == column]) for column in columns],
            "bounds": _bounds([v for one in drawn for v in (one.interval.lower, one.interval.upper)] + [whole]),
            "undefined": len(self.exam.slices) - len(drawn),
        }

    def _span(self, one: Slice) -> Span | None:
        n, at = self.numbers, one.interval
        if at.value is None or at.lower is None or at.upper is None:
            return None
        shown = f"{n.number(at.value)} ({n.number(at.lower)} – {n.number(at.upper)})"
        return Span(name=one.value, value=at.value, low=at.lower, high=at.upper, title=f"{one.value}: {shown}", strong=one.below)

    def _openings(self) -> list[str]:
        """Why the test fold was opened: in the reader's language where the reason begins with a code of ours ("winner: ...")."""
        t, context = self.words, self.context
        families = len({trial.family for trial in context.trials if trial.state == "done"}) or 1
        known = {"family": FAMILY_NAMES.get(context.family, context.family), "families": t.many("search.families", families)}
        codes = [(reason, f"opening.{reason.partition(':')[0]}") for reason in context.openings]
        return [t(key, **known) if key in t else reason for reason, key in codes]

    def _facts(self) -> list[tuple[str, str]]:
        t, context, width = self.words, self.context, self.exam.tally.resolution
        known: Mapping[str, str] = {
            t("fact.run"): context.run,
            t("fact.source"): context.source,
            t("fact.created_at"): context.created_at,
            t("fact.version"): context.version,
            **{t(f"fact.{name}") if f"fact.{name}" in t else name: text for name, text in context.facts.items()},
            t("fact.resolution"): self.numbers.significant(width, 2) if width else t("fact.exact"),
        }
        return [(name, text) for name, text in known.items() if text]


def _bounds(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)
