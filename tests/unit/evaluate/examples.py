"""Small exams for the tests: two classes, many classes, and rows that no metric can be computed on."""

import numpy as np

from filon.check import wording
from filon.engines.base import CurvePoint, FoldInfo
from filon.engines.tally import Tally, count
from filon.evaluate import Context, Effect, EvaluateSettings, Exam, Importance, choose_threshold, examine
from filon.search.records import TrialRecord

SETTINGS = EvaluateSettings(resamples=100)


def tally_two(rows: int, seed: int, shift: float = 1.6, base: float = 0.2, classes: tuple[str, str] = ("no", "yes")) -> Tally:
    """Scores whose logit is shifted for positives, on a grid of 1/512 so that every machine counts the same."""
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < base).astype(np.int32)
    logit = rng.normal(size=rows) + shift * label - 1.5
    positive = (np.round(512 / (1 + np.exp(-logit))) / 512).astype(np.float32)
    return count(np.stack([1 - positive, positive], axis=1), label, classes)


def tally_many(rows: int, seed: int, classes: tuple[str, ...] = ("soil", "crop", "water")) -> Tally:
    rng = np.random.default_rng(seed)
    k = len(classes)
    label = rng.integers(0, k, rows).astype(np.int32)
    weights = rng.integers(1, 20, (rows, k))
    weights[np.arange(rows), label] += 12
    return count((weights / weights.sum(1, keepdims=True)).astype(np.float32), label, classes)


IMPORTANCES = (
    Importance(
        feature="age",
        gain=0.5,
        shap=0.4,
        rows=200,
        effects=(
            Effect(name="", low=18.0, high=30.0, missing=False, rows=90, shap=-0.5, shap_low=-0.8, shap_high=-0.1),
            Effect(name="", low=31.0, high=80.0, missing=False, rows=100, shap=0.4, shap_low=0.1, shap_high=0.9),
            Effect(name="", low=None, high=None, missing=True, rows=10, shap=0.05, shap_low=0.0, shap_high=0.1),
        ),
    ),
    Importance(feature="job", gain=0.375, shap=0.2, rows=200),
    Importance(feature="day", gain=0.125, shap=0.05, rows=200),
)


def exam_two(classes: tuple[str, str] = ("no", "yes"), column: str = "job") -> Exam:
    threshold = choose_threshold(tally_two(600, 1, classes=classes), SETTINGS)
    tallies = {
        (): tally_two(800, 2, classes=classes),
        (column, "clerk"): tally_two(500, 3, classes=classes),
        (column, "smith"): tally_two(300, 4, shift=-0.5, classes=classes),
        (column, "none"): count(np.array([[0.9, 0.1]], np.float32), np.array([0], np.int32), classes),
    }
    return examine(tallies, SETTINGS, threshold, "bank", IMPORTANCES, 7)


def exam_many(classes: tuple[str, ...] = ("soil", "crop", "water")) -> Exam:
    tallies = {(): tally_many(700, 5, classes), ("zone", "north"): tally_many(300, 6, classes)}
    return examine(tallies, SETTINGS, None, "land", IMPORTANCES[:2], 7)


def exam_undefined() -> Exam:
    """One class only: nothing about ranking can be known."""
    tally = count(np.array([[0.8, 0.2], [0.3, 0.7]], np.float32), np.array([0, 0], np.int32), ("no", "yes"))
    return examine({(): tally}, SETTINGS, 0.5, "bank")


def exam_empty() -> Exam:
    """No labelled row at all."""
    tally = count(np.array([[0.8, 0.2]], np.float32), np.array([-1], np.int32), ("no", "yes"))
    return examine({(): tally}, SETTINGS, 0.5, "bank")


def trial(number: int, family: str, value: float | None, state: str = "done") -> TrialRecord:
    curve = tuple(CurvePoint(round=i, train=0.5 + i / 40, valid=0.5 + i / 60) for i in range(1, 11))
    return TrialRecord(
        number=number,
        key=f"k{number}",
        family=family,  # type: ignore[arg-type]
        settings={"max_depth": 4 + number, "eta": 0.1},
        seed=number,
        state=state,  # type: ignore[arg-type]
        metrics={} if value is None else {"areaUnderPR": value, "areaUnderROC": value + 0.1, "accuracy": value},
        rounds=10,
        trees=10,
        seconds=1.25,
        shared="prefix of trial 1" if number == 2 else "",
        error="out of memory" if state == "failed" else "",
        curve_metric="aucpr",
        curve=curve,
    )


def context(exam: Exam) -> Context:
    rows = tuple(int(count) for count in exam.tally.confusion.sum(1))
    info = FoldInfo(rows=sum(rows), by_class=rows, digest="00ff00ff00ff00ff")
    return Context(
        run="bank/20260101_120000-ab12cd",
        version="0.1.0",
        created_at="2026-01-01T12:00:00+00:00",
        source="data/bank.csv",
        label="deposit",
        family="xgboost",
        folds={"train": info, "valid": info, "test": info},
        class_weights=tuple(0.5 + number for number in range(len(exam.classes))),
        findings=(
            wording.finding("warning", "check.conflicting-rows", rows=12, all=2400, rows_share=0.005),
            wording.finding("info", "check.constant", "country", value="ES", rows=2400, drop='["country"]'),
        ),
        metric="areaUnderPR",
        trials=(trial(1, "xgboost", 0.6), trial(2, "xgboost", 0.55), trial(3, "gbt", 0.5), trial(4, "gbt", None, "failed")),
        winner=1,
        settings={"max_depth": 5, "eta": 0.1},
        rounds=10,
        valid={"areaUnderPR": 0.6, "areaUnderROC": 0.7},
        openings=("winner: evaluation of xgboost and of the best of 2 families",),
        seconds={"read": 0.2, "search": 5.0},
        facts={"seed": "42"},
    )
