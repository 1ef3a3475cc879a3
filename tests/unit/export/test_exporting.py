"""Every form answers the golden rows in its own runtime, and nothing appears when it does not."""

import importlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import treelite
import xgboost
from tests.unit.package.conftest import rows, sealed

from filon.engines.cast import FALSE, TRUE
from filon.errors import BundleError, RecipeError
from filon.export import export
from filon.export.exporting import Form, matrix_of
from filon.package import Bundle, open_bundle
from filon.package.golden import PROBABILITY

__all__ = ["sealed"]
Sealed = Callable[..., Bundle]


def expected(bundle: Bundle) -> np.ndarray:
    return np.array(bundle.golden().column(PROBABILITY).to_pylist(), np.float32)


def test_onnx_answers_in_a_plain_session(sealed: Sealed, tmp_path: Path) -> None:
    bundle = sealed(classes=3)
    done = export(bundle, "onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(done.path)
    found = session.run(["probability"], {"features": matrix_of(bundle, bundle.golden())})[0]
    assert np.abs(found - expected(bundle)).max() <= 1e-6
    told = json.loads((tmp_path / "model.onnx.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in told["features"]] == list(bundle.encoding.names)
    assert told["classes"] == list(bundle.classes)


@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
@pytest.mark.parametrize("family", ["xgboost", "random_forest"])
def test_xgboost_reads_its_own_file(sealed: Sealed, tmp_path: Path, name: str, family: str) -> None:
    bundle = sealed(family)
    export(bundle, "xgboost", tmp_path / name)
    booster = xgboost.Booster(model_file=tmp_path / name)
    booster.feature_names = booster.feature_types = None
    found = booster.inplace_predict(matrix_of(bundle, bundle.golden()))
    assert np.abs(np.clip(found, 0, 1) - expected(bundle)[:, 1]).max() <= 1e-6


@pytest.mark.parametrize(("family", "classes"), [("xgboost", 2), ("xgboost", 3), ("random_forest", 2), ("random_forest", 3)])
def test_treelite_reads_its_checkpoint(sealed: Sealed, tmp_path: Path, family: str, classes: int) -> None:
    bundle = sealed(family, classes)
    done = export(bundle, "treelite", tmp_path / "model.tl")
    assert done.worst <= 1e-6
    model = treelite.Model.deserialize(done.path)
    assert model.num_feature == len(bundle.encoding.names)
    found = treelite.gtil.predict(model, matrix_of(bundle, bundle.golden())).reshape(done.rows, -1)
    words = json.loads((tmp_path / "model.tl.json").read_text(encoding="utf-8"))["answer"]
    found = np.maximum(found, 0) if "take 0 for one below it" in words else found
    found = np.minimum(found, 1) if "1 for one above" in words else found
    found = found / found.sum(axis=1, keepdims=True) if "divide by their sum" in words else found
    found = np.hstack([1 - found, found]) if "second class" in words else found
    assert np.abs(found - expected(bundle)).max() <= 1e-6  # a reader of those words gets what the bundle answers


@pytest.mark.slow
def test_mlflow_loads_the_folder(sealed: Sealed, tmp_path: Path) -> None:
    bundle = sealed(derived=True)
    done = export(bundle, "mlflow", tmp_path / "model")
    assert done.worst <= 1e-6
    assert open_bundle(tmp_path / "model").version == bundle.version
    export(bundle, "mlflow", tmp_path / "model")  # a bundle in the way is replaced


@pytest.mark.parametrize(("family", "classes"), [("xgboost", 2), ("random_forest", 3)])
def test_sagemaker_s_archive_holds_what_both_containers_need(sealed: Sealed, tmp_path: Path, family: str, classes: int) -> None:
    bundle = sealed(family, classes)
    done = export(bundle, "sagemaker", tmp_path / "model.tar.gz")
    assert done.worst <= 1e-6
    with tarfile.open(done.path) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "ml", filter="data")
    assert {"xgboost-model", "code/inference.py", "bundle.json", "model.ubj", "MLmodel"} <= set(names)
    records = rows(50, classes=classes, seed=5).select([column.name for column in bundle.inputs]).to_pylist()
    found = open_bundle(tmp_path / "ml").predict(records)
    space: dict = {}
    exec((tmp_path / "ml" / "code" / "inference.py").read_text(encoding="utf-8"), space)
    told = space["predict_fn"](space["input_fn"](json.dumps(records)), space["model_fn"](str(tmp_path / "ml")))
    assert [row["label"] for row in told] == found.column("label").to_pylist()
    assert (space["TRUE"], space["FALSE"]) == (set(TRUE), set(FALSE))  # "sí" is true everywhere, or nowhere
    with pytest.raises(ValueError, match='"age" is missing'):
        space["predict_fn"]([{"job": "miner"}], space["model_fn"](str(tmp_path / "ml")))
    before = Path(done.path).read_bytes()
    export(bundle, "sagemaker", tmp_path / "model.tar.gz")
    assert Path(done.path).read_bytes() == before


def test_the_script_is_left_out_where_it_could_not_answer(sealed: Sealed, tmp_path: Path) -> None:
    for bundle in (sealed(derived=True), sealed("logistic_regression")):
        done = export(bundle, "sagemaker", tmp_path / "model.tar.gz")
        with tarfile.open(done.path) as archive:
            assert "code/inference.py" not in archive.getnames()
        assert len(done.told) == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_model_is_xgboost_s_over_the_design_that_is_told(sealed: Sealed, tmp_path: Path, classes: int) -> None:
    """Read with xgboost and the file beside it only."""
    bundle = sealed("logistic_regression", classes)
    assert export(bundle, "xgboost", tmp_path / "model.json").worst <= 1e-6
    booster = xgboost.Booster(model_file=tmp_path / "model.json")
    columns = json.loads((tmp_path / "model.json.json").read_text(encoding="utf-8"))["design"]
    golden = bundle.golden().to_pylist()
    known = {one["feature"]: {other.get("category") for other in columns if other["feature"] == one["feature"]} for one in columns}

    def cell(row: dict, column: dict) -> float:
        value = row[column["feature"]]
        if "category" not in column:
            there = value is not None and np.isfinite(np.float32(value))
            return ((value if there else column["fill"]) - column["mean"]) / column["scale"]
        return float((value if value in known[column["feature"]] else None) == column["category"])

    design = np.array([[cell(row, column) for column in columns] for row in golden], np.float32)
    found = booster.predict(xgboost.DMatrix(design))
    assert np.abs((found if classes > 2 else np.stack([1 - found, found], 1)) - expected(bundle)).max() <= 1e-6


def test_a_linear_model_is_refused_by_treelite_with_what_takes_it(sealed: Sealed, tmp_path: Path) -> None:
    bundle = sealed("logistic_regression")
    with pytest.raises(BundleError) as refused:
        export(bundle, "treelite", tmp_path / "model")
    assert refused.value.code == "export.form-unfit"
    assert not list(tmp_path.iterdir())
    forms = ("onnx", "xgboost", "mlflow", "sagemaker")
    assert refused.value.fix == f"export it --to {', '.join(forms[:3])} or {forms[3]}"
    for form in ("onnx", "xgboost", "sagemaker"):
        assert export(bundle, form, tmp_path / form).worst <= 1e-6


def test_nothing_appears_when_the_golden_rows_differ(sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = sealed()
    room = importlib.import_module("filon.export.exporting")  # `filon.export` is also the name of a function
    monkeypatch.setattr(room, "matrix_of", lambda one, table: matrix_of(one, table)[::-1].copy())
    (tmp_path / "model.tl").write_text("the old one")
    for form, name in (("onnx", "model.onnx"), ("xgboost", "model.ubj"), ("treelite", "model.tl")):
        with pytest.raises(BundleError, match=r"export\.not-the-same"):
            export(bundle, form, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tl"]
    assert (tmp_path / "model.tl").read_text() == "the old one"


def test_a_folder_with_other_things_is_not_replaced(sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(RecipeError, match=r"export\.in-the-way"):
        export(sealed(), "onnx", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(("form", "out"), [("onnx", "."), ("mlflow", "."), ("treelite", "model.ubj"), ("xgboost", "../sealed/new.json")])
def test_a_bundle_is_not_written_over_by_its_own_export(sealed: Sealed, tmp_path: Path, form: Form, out: str) -> None:
    bundle = open_bundle(shutil.copytree(sealed().path, tmp_path / "sealed"))
    with pytest.raises(RecipeError, match=r"export\.in-the-way"):
        export(bundle, form, bundle.path / out)
    assert open_bundle(bundle.path).version == bundle.version
    assert {path.name for path in bundle.path.iterdir()} == {path.name for path in sealed().path.iterdir()}


def test_another_bundle_gives_way_to_an_mlflow_model_only(sealed: Sealed, tmp_path: Path) -> None:
    shutil.copytree(sealed(classes=3).path, tmp_path / "other")
    with pytest.raises(RecipeError, match=r"export\.in-the-way"):
        export(sealed(), "onnx", tmp_path / "other")
    assert open_bundle(tmp_path / "other").version == sealed(classes=3).version
