"""Sealing: golden rows of every kind, one answer through every door or no bundle, and nothing half-written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.package.conftest import DERIVED, seal

from filon.engines.base import Column
from filon.errors import BundleError
from filon.package import Bundle, doors, open_bundle, sealed
from filon.package import seal as sealing
from filon.package.golden import CASE, PROBABILITY
from filon.package.inputs import identifiers, mentioned_by, needed

Sealed = Callable[..., Bundle]


def cases(bundle: Bundle) -> list[str]:
    names: list[str] = bundle.golden().column(CASE).to_pylist()
    return names


@pytest.mark.parametrize("classes", [2, 3])
def test_golden_rows_are_of_every_kind(sealed: Sealed, classes: int) -> None:
    bundle = sealed("gbt", classes)
    found = cases(bundle)
    wanted = {"zeros", "missing", "missing:job", "unseen", "empty text", "largest", "smallest", "infinite", "largest integers"}
    assert wanted <= set(found)
    assert {f"sample:{name}" for name in bundle.classes} <= set(found)
    assert any(case.startswith("edge:") for case in found)
    assert any(case.startswith("below edge:") for case in found)


def test_golden_rows_are_raw_source_rows(sealed: Sealed) -> None:
    golden = sealed("gbt").golden()
    assert golden.schema.names == ["age", "Temperature (°C)", "job", "zip", "member", CASE, PROBABILITY]
    shares = np.array(golden.column(PROBABILITY).to_pylist())
    assert np.abs(shares.sum(axis=1) - 1).max() < 1e-6


def test_values_that_sql_could_stop_at_are_not_made_up(sealed: Sealed) -> None:
    golden = sealed("xgboost", derived=True).golden()
    assert set(golden.column("month").to_pylist()) <= {"Jan", "Jun", "Dec", None}


@pytest.mark.parametrize(("door", "told"), [("bundle_door", "the bundle"), ("onnx_door", "ONNX")])
def test_a_door_that_answers_otherwise_stops_the_sealing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str, told: str) -> None:
    honest = getattr(doors, door)

    def lying(bundle: Bundle, rows: pa.Table) -> np.ndarray:
        found = np.array(honest(bundle, rows))
        found[5] += np.float32(3e-6)
        return found

    monkeypatch.setattr(doors, door, lying)
    with pytest.raises(BundleError) as caught:
        seal(tmp_path, "logistic_regression")
    assert caught.value.code == "package.doors-disagree"
    assert told in caught.value.what
    assert "golden row 5 (sample:" in caught.value.why
    assert "1 of " in caught.value.why
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == []


def test_a_door_that_answers_nothing_is_no_agreement() -> None:
    one = np.full((3, 2), 0.5, np.float32)
    for other in (np.full((3, 2), np.nan, np.float32), one[:2]):
        with pytest.raises(BundleError):
            doors.agree({"engine": one, "bundle": other}, ["a", "b", "c"])
    doors.agree({"engine": one, "bundle": one + np.float32(5e-7)}, ["a", "b", "c"])


def test_a_sealing_that_is_cut_short_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = seal(tmp_path, "logistic_regression")

    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_write_golden", cut)
        with pytest.raises(KeyboardInterrupt):
            seal(tmp_path, "gbt")
    assert open_bundle(first.path).version == first.version
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == ["bundle"]


def test_a_second_sealing_replaces_the_first(tmp_path: Path) -> None:
    seal(tmp_path, "logistic_regression")
    assert seal(tmp_path, "gbt").ensemble.family == "gbt"
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == ["bundle"]


def test_the_same_training_seals_the_same_bundle(tmp_path: Path) -> None:
    records = [json.loads((seal(tmp_path / name, "gbt").path / "bundle.json").read_text()) for name in ("one", "two")]
    for record in records:
        for time in ("created_at", "seal"):
            record.pop(time)
        record["files"].pop("MLmodel")  # MLflow wants the time in it
    assert records[0] == records[1]


def test_a_model_too_large_for_onnx_is_sealed_without_that_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.package.onnx_model.MOST_NODES", 10)
    bundle = seal(tmp_path, "gbt")
    assert bundle.session is None
    assert not (bundle.path / sealed_name()).exists()
    row = {"age": 40, "Temperature (°C)": 21.0, "job": "miner", "zip": 28001, "member": True}
    assert bundle.answer(row).probability[1] == bundle.predict([row]).column(2)[0].as_py()


def sealed_name() -> str:
    return sealed.ONNX


def test_the_report_travels_with_the_bundle(sealed: Sealed) -> None:
    assert (sealed("gbt").path / "report" / "EVALUATION_REPORT.md").read_text() == "# Report\n"


def test_a_moved_bundle_answers_as_before(sealed: Sealed, tmp_path: Path) -> None:
    bundle = sealed("random_forest")
    moved = open_bundle(shutil.copytree(bundle.path, tmp_path / "elsewhere"))
    assert moved.predict(bundle.golden()).equals(bundle.predict(bundle.golden()))


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("month(strptime(month, '%b'))", ["month"]),
        ('"Temperature (°C)" * 1.8 + 32', ["Temperature (°C)"]),
        ("CASE WHEN job = 'age' THEN 1 ELSE 0 END", ["job"]),
        ("AGE + 1 -- zip", ["AGE"]),
    ],
)
def test_columns_that_sql_speaks_of_are_found(sql: str, names: list[str]) -> None:
    known = {"month", "temperature (°c)", "job", "age", "zip"}
    assert [word for word in identifiers(sql) if word.lower() in known] == names


def test_a_row_needs_features_and_what_they_are_derived_from() -> None:
    columns = (
        Column(name="month", kind="category", role="dropped"),
        Column(name="age", kind="number"),
        Column(name="note", kind="text", role="left-out"),
        DERIVED,
    )
    assert [column.name for column in needed(columns, ("age", "month_number"))] == ["month", "age"]
    assert [column.name for column in needed(columns, ("age",))] == ["age"]
    assert mentioned_by(columns, ("month_number",)) == {"month"}


def test_a_python_function_is_handed_the_whole_row_but_the_label() -> None:
    columns = (
        Column(name="a", kind="number", role="dropped"),
        Column(name="y", kind="category", role="label"),
        Column(name="b", kind="number"),
    )
    derived = Column(name="distance", kind="number", sql="features:distance")
    assert mentioned_by((*columns, derived), ("distance",)) == {"a", "b"}
