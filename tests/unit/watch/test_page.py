"""The page and the JSON say everything, in both languages, for two classes and for many, with and without time."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.engines.trainer.memory_rows import fit_one, some_rows, trial
from tests.unit.pages.decimals import numbers_with_points

from filon.engines import tally as counting
from filon.engines.survey import Surveyor
from filon.evaluate import EvaluateSettings, examine
from filon.trees import predict
from filon.watch.baseline import baseline_of, learn
from filon.watch.compare import compare
from filon.watch.page import spread
from filon.watch.records import Drift
from filon.watch.settings import WatchSettings
from filon.watch.writing import write_watch


def drifted(classes: int, hours: int) -> Drift:
    """A model of so many classes, and live rows over so many hours whose first feature has moved."""
    train, valid, test = (some_rows(rows, classes=classes, seed=seed) for rows, seed in ((3000, 1), (500, 2), (900, 3)))
    encoding = train.encoding
    ensemble = fit_one(train, trial(1, "xgboost", num_round=8, early_stopping_rounds=0)).ensemble
    assert ensemble is not None
    threshold = 0.4 if classes == 2 else None
    exam = examine({(): counting.count(predict(ensemble, test.x), test.label, encoding.classes)}, EvaluateSettings(resamples=50), threshold)
    engine = SimpleNamespace(sample=lambda x, most: pa.table({name: x[:most, place] for place, name in enumerate(encoding.names)}))
    folds = SimpleNamespace(encoding=encoding, fold=lambda name: {"train": train.x, "valid": valid.x}[name])
    plain = learn(engine, folds, ensemble, exam, {})  # type: ignore[arg-type]
    baseline = baseline_of(SimpleNamespace(baseline={"watch": plain}, path="b"))  # type: ignore[arg-type]
    live = some_rows(2000, classes=classes, seed=4)
    x = live.x.copy()
    x[:, 0] += 0.5
    plan = baseline.plan(time="at")
    surveyor = Surveyor(plan)
    moments = 1_699_999_200 + np.arange(2000) * 3600 * hours // 2000
    batch = pa.RecordBatch.from_pydict(
        {"at": pa.array(moments * 1_000_000, pa.timestamp("us")), **{name: pa.nulls(2000, pa.string()) for name in encoding.names[3:]}}
    )
    probability = predict(ensemble, x)
    chosen = (probability[:, 1] >= 0.4).astype(np.int64) if classes == 2 else probability.argmax(axis=1)
    surveyor.add(x, probability, chosen, live.label, batch)
    survey = surveyor.result()
    found = compare(baseline, plan, survey, WatchSettings(resamples=50), "accuracy")
    return Drift(
        model="bank",
        version="abc",
        source="live",
        rows=survey.rows,
        labelled=2000,
        baseline_rows=baseline.rows,
        late=0,
        judged=found.judged,
        unit=survey.unit,
        metric="accuracy",
        scores=baseline.scores,
        columns=found.columns,
        score=found.score,
        classes=found.classes,
        metrics=found.metrics,
        periods=found.periods,
        findings=found.findings,
    )


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize(("classes", "hours"), [(2, 1), (2, 40), (3, 6)])
def test_the_page_shows_alarms_metrics_scores_and_columns(classes: int, hours: int, lang: str, tmp_path: Path) -> None:
    drift = drifted(classes, hours)
    assert ("watch.column-drifted", "f0") in {(one.code, one.column) for one in drift.alarms}
    write_watch(tmp_path, drift, lang)  # type: ignore[arg-type]
    page = (tmp_path / "watch.html").read_text(encoding="utf-8")
    for text in ("f0", "areaUnderROC", "PSI", "<svg", "live" if lang == "en" else "en vivo"):
        assert text in page
    assert ("Over time" in page or "En el tiempo" in page) == (hours > 1)
    assert "https://" not in page.replace("http://www.w3.org", "")
    assert bool(numbers_with_points(page)) == (lang == "en")
    plain = json.loads((tmp_path / "watch.json").read_text(encoding="utf-8"))
    assert plain["alarms"] == len(drift.alarms)
    assert len(plain["score"]) == (1 if classes == 2 else 3)
    estimated = {one["name"] for one in plain["metrics"] if one["estimate"]}
    assert estimated >= {"areaUnderROC", "areaUnderPR"}
    assert estimated >= {"accuracy", "f1", *(["macroRecall"] if classes > 2 else ["precision_positive"])}


def test_days_take_the_place_of_hours_when_there_are_many() -> None:
    assert [drifted(2, hours).unit for hours in (40, 400, 3000)] == ["hour", "day", "week"]


def test_bars_on_the_page_hold_the_shares_of_the_cells() -> None:
    edges, counts = np.array([0.0, 1.0, 3.0, 10.0]), np.array([10.0, 20.0, 70.0])
    even, shares = spread(edges, counts, counts)
    assert shares.sum() == pytest.approx(1.0)
    assert (even[0], even[-1]) == (0.0, 10.0)
    assert shares[:1].sum() == pytest.approx(0.1 * (even[1] - even[0]), abs=1e-9)
