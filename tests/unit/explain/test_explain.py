"""Contributions add up to the answer, for every family; dependence is what asking again gives; the page says it in two languages."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_one, trial
from tests.unit.pages.decimals import numbers_with_points

from filon.engines.base import Column
from filon.explain.explaining import _by_row, _shown, dependence, explain
from filon.explain.page import page
from filon.explain.records import Explained
from filon.explain.writing import write_explained
from filon.trees import contributions, predict

FAMILIES = [
    ("xgboost", {"num_round": 20}),
    ("random_forest", {"numTrees": 10, "maxDepth": 5}),
    ("gbt", {"maxIter": 10}),
    ("logistic_regression", {}),
]


def table(rows: int = 400) -> tuple[MemoryRows, pa.Table]:
    """Two numbers, a category with missing cells, a key; the label follows the first number and the category."""
    draw = np.random.default_rng(4)
    age, noise, code = draw.uniform(20, 80, rows), draw.standard_normal(rows), draw.integers(0, 3, rows)
    label = (age / 20 + (code == 1) * 1.5 + 0.5 * draw.standard_normal(rows) > 3).astype(np.int32)
    x = np.column_stack([age, noise, np.where(draw.random(rows) < 0.1, np.nan, code)]).astype(np.float32)
    texts = [None if np.isnan(value) else f"v{int(value)}" for value in x[:, 2]]
    typed = pa.table({"id": [f"k{n}" for n in range(rows)], "f0": x[:, 0], "f1": x[:, 1], "f2": texts})
    return MemoryRows(x=x, label=label, encoding=encoding_of((0, 0, 3))), typed


def bundle_of(family: str, settings: dict[str, object]) -> tuple[SimpleNamespace, MemoryRows, pa.Table]:
    rows, typed = table()
    ensemble = fit_one(rows, trial(1, family, **settings)).ensemble
    bundle = SimpleNamespace(
        name="bank",
        version="abc",
        label="y",
        record={},
        ensemble=ensemble,
        encoding=rows.encoding,
        classes=rows.encoding.classes,
        threshold=0.4,
        columns=(
            Column(name="id", kind="text", role="key"),
            *(Column(name=f"f{n}", kind="number") for n in range(2)),
            Column(name="f2", kind="category"),
        ),
        decide=lambda p: (p[:, 1] >= 0.4).astype(np.int64),
    )
    return bundle, rows, typed


def explained(bundle: SimpleNamespace, typed: pa.Table, folder: Path, rows: int | None = None) -> tuple[Explained, pa.Table]:
    pq.write_table(typed, folder / "rows.parquet")
    engine = SimpleNamespace(read=lambda source: source, sample=lambda table, most: typed.slice(0, most))
    return explain(bundle, str(folder / "rows.parquet"), engine, rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "settings"), FAMILIES, ids=[family for family, _ in FAMILIES])
def test_contributions_of_every_row_add_up_to_its_answer(family: str, settings: dict[str, object], tmp_path: Path) -> None:
    bundle, rows, typed = bundle_of(family, settings)
    found, by_row = explained(bundle, typed, tmp_path)
    margin = (
        sum(by_row.column(name).to_numpy() for name in by_row.schema.names if name.startswith("contribution_"))
        + by_row.column("bias").to_numpy()
    )
    answers = margin if found.scale == "probability" else 1 / (1 + np.exp(-margin.astype(np.float64)))
    assert np.abs(answers - predict(bundle.ensemble, rows.x)[:, 1]).max() < 2e-5
    assert by_row.column("id").to_pylist()[:2] == ["k0", "k1"]
    for one in found.shown:
        assert one.bias + sum(part for _, _, part in one.reasons) + one.rest == pytest.approx(one.margin)
    assert {one.feature for one in found.importances[:2]} == {"f0", "f2"}


def test_dependence_is_the_mean_answer_of_rows_asked_again() -> None:
    bundle, rows, _ = bundle_of("xgboost", {"num_round": 20})
    found = dependence(bundle.ensemble, rows.encoding, rows.x[:100], 2, np.zeros(400, np.int64))
    assert found.names[-1] == ""
    assert found.values[-1] is None
    for value, name, mean in zip(found.values, found.names, found.mean[0], strict=True):
        asked = rows.x[:100].copy()
        asked[:, 2] = np.nan if value is None else value
        assert mean == pytest.approx(float(predict(bundle.ensemble, asked)[:, 1].mean()), abs=1e-6)
        assert name == ("" if value is None else f"v{int(value)}")
    assert sum(found.shares) == pytest.approx(1)
    assert found.mean[0][found.names.index("v1")] == max(found.mean[0])


def test_many_classes_are_explained_class_by_class(tmp_path: Path) -> None:
    rows, typed = table()
    three = MemoryRows(
        x=rows.x, label=np.digitize(rows.x[:, 0], [40, 60]).astype(np.int32), encoding=encoding_of((0, 0, 3), 3), class_weights=(1.0,) * 3
    )
    bundle, _, _ = bundle_of("xgboost", {"num_round": 5})
    bundle.ensemble = fit_one(three, trial(1, "xgboost", num_round=10)).ensemble
    bundle.encoding, bundle.classes, bundle.threshold = three.encoding, three.encoding.classes, None
    bundle.decide = lambda p: p.argmax(axis=1)
    found, by_row = explained(bundle, typed, tmp_path)
    parts = contributions(bundle.ensemble, three.x)
    chosen = predict(bundle.ensemble, three.x).argmax(axis=1)
    assert by_row.column("contribution_f0").to_numpy() == pytest.approx(parts[np.arange(400), chosen, 0], abs=1e-5)
    assert set(found.by_class) == set(three.encoding.classes)
    assert all(values["f0"] > values["f1"] for values in found.by_class.values())


@pytest.mark.parametrize(("lang", "word"), [("en", "What matters"), ("es", "Qué importa")])
def test_the_page_is_written_in_both_languages_with_its_files(lang: str, word: str, tmp_path: Path) -> None:
    bundle, _, typed = bundle_of("gbt", {"maxIter": 10})
    found, by_row = explained(bundle, typed, tmp_path, rows=50)
    assert found.rows == 50
    names = write_explained(tmp_path / "out", found, by_row, lang)  # type: ignore[arg-type]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    text = (tmp_path / "out" / "explain.html").read_text(encoding="utf-8")
    assert word in text
    assert bool(numbers_with_points(text)) == (lang == "en")
    assert text == page(found, lang)  # type: ignore[arg-type]
    assert json.loads((tmp_path / "out" / "explain.json").read_text())["rows"] == 50
    assert pq.read_table(tmp_path / "out" / "contributions.parquet").num_rows == 50


def test_rows_shown_are_the_highest_the_lowest_and_the_closest_call() -> None:
    bundle, rows, typed = bundle_of("xgboost", {"num_round": 20})
    probability, parts = predict(bundle.ensemble, rows.x), contributions(bundle.ensemble, rows.x)
    batch = typed.combine_chunks().to_batches()[0]
    shown = _shown(bundle, batch, parts, probability, bundle.decide(probability))
    scores = {one.why: one.probability for one in shown}
    assert scores["highest"] == pytest.approx(probability[:, 1].max())
    assert scores["lowest"] == pytest.approx(probability[:, 1].min())
    assert abs(scores["nearest"] - 0.4) == pytest.approx(np.abs(probability[:, 1] - 0.4).min(), abs=1e-6)
    assert _by_row(bundle, batch, parts, probability, bundle.decide(probability)).num_rows == 400
