"""One export: made beside, asked for the golden rows in its own runtime, then committed by one rename (laws 4 and 6)."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from filon.errors import BundleError, RecipeError
from filon.export import mlflow_model, sagemaker, treelite_model
from filon.files import cannot_write
from filon.package import Bundle, sealed
from filon.package.doors import agree, case_names
from filon.package.frames import take
from filon.package.golden import PROBABILITY
from filon.package.match import typed
from filon.trees import linear

Form = Literal["onnx", "xgboost", "treelite", "mlflow", "sagemaker"]
FORMS: tuple[Form, ...] = get_args(Form)

SIDE = ".json"
"""Ending of the description beside a file that takes encoded features: which column is which, and what number a category has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. rows : golden rows proved; worst : the largest difference of a probability; told : how it is used"""

    form: Form
    path: str
    rows: int
    worst: float
    told: tuple[str, ...]


def export(bundle: Bundle, form: Form, out: Path) -> Exported:
    """Write a bundle in another form.

    Parameters
    ----------
    out : a file (a folder for "mlflow"); what is there already is replaced, but for folders of other things and the bundle itself

    Raises
    ------
    RecipeError : `export.in-the-way`
    BundleError : `export.not-the-same` when the golden rows come out otherwise; `export.form-unfit` when the form cannot hold the model
    SetupError : `export.package-missing`, `run.not-writable`, `run.disk-full`
    """
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    table = bundle.golden()
    writers: dict[Form, Callable[[], tuple[np.ndarray, tuple[str, ...]]]] = {
        "onnx": lambda: _onnx(bundle, beside, table),
        "xgboost": lambda: _xgboost(bundle, beside, out, table),
        "treelite": lambda: _treelite(bundle, beside, table),
        "mlflow": lambda: (mlflow_model.write(bundle, beside, table), ('mlflow.pyfunc.load_model("PATH").predict(frame)',)),
        "sagemaker": lambda: sagemaker.write(bundle, beside, table),
    }
    expected = np.array(table.column(PROBABILITY).to_pylist(), np.float32)
    try:
        _refuse_place(bundle, form, out)
        out.parent.mkdir(parents=True, exist_ok=True)
        found, told = writers[form]()
        _prove(form, expected, found, table)
        if form in {"onnx", "xgboost", "treelite"}:
            _describe(bundle, out, form)
        _commit(beside, out)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True) if beside.is_dir() else beside.unlink(missing_ok=True)
    worst = float(np.abs(found.astype(np.float64) - expected).max())
    return Exported(form=form, path=str(out), rows=len(expected), worst=worst, told=tuple(line.replace("PATH", str(out)) for line in told))


def _prove(form: Form, expected: np.ndarray, found: np.ndarray, table: pa.Table) -> None:
    try:
        agree({"the sealed golden rows": expected, form: found}, case_names(table))
    except BundleError as exc:
        fix = "nothing was written; use another form, or tell us: this is a fault of Filon or of that runtime"
        raise BundleError("export.not-the-same", f"the model does not answer the same in {form}", exc.why, fix) from exc


def _commit(beside: Path, out: Path) -> None:
    """One rename; a folder that is in the way steps aside first, and goes only when the new one is there."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.is_dir():
        out.rename(old)
    beside.replace(out)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_place(bundle: Bundle, form: Form, out: Path) -> None:
    """Nothing is written over the bundle itself, nor over a folder of other things; an MLflow model takes the place of an earlier one."""
    source, here = bundle.path.resolve(), out.resolve()
    if source in {here, *here.parents}:
        what = f"{out} is the bundle that is exported" if here == source else f"{out} is in the bundle that is exported"
        raise RecipeError("export.in-the-way", what, "the bundle would be no more", "name another --out")
    if out.is_dir() and any(out.iterdir()) and (form != "mlflow" or not (out / sealed.RECORD).exists()):
        raise RecipeError("export.in-the-way", f"{out} is a folder with other things in it", "it would be replaced", "name another --out")


def matrix_of(bundle: Bundle, table: pa.Table) -> np.ndarray:
    """Golden rows as the model sees them: (rows, features) float32."""
    return bundle.matrix(typed(take(table.select([column.name for column in bundle.inputs])), bundle.inputs))


def _onnx(bundle: Bundle, beside: Path, table: pa.Table) -> tuple[np.ndarray, tuple[str, ...]]:
    if sealed.ONNX not in bundle.record["files"]:
        why = "it is larger than the 2 GiB that an ONNX file may have"
        raise BundleError("export.form-unfit", "the model has no ONNX form", why, "export it --to xgboost or treelite")
    from filon.package.onnx_model import session

    shutil.copyfile(bundle.path / sealed.ONNX, beside)
    runtime: Any = session(str(beside))
    found = runtime.run(["probability"], {"features": matrix_of(bundle, table)})[0]
    return np.asarray(found, np.float32), ('onnxruntime.InferenceSession("PATH").run(["probability"], {"features": matrix})',)


def _xgboost(bundle: Bundle, beside: Path, out: Path, table: pa.Table) -> tuple[np.ndarray, tuple[str, ...]]:
    """UBJSON as it is sealed, or XGBoost's JSON for a name that ends in .json."""
    from filon.trees.scoring import load, probabilities

    ensemble = bundle.ensemble
    if out.suffix == ".json":
        whole = beside.with_name(f"{beside.name}.json")  # XGBoost goes by the ending
        load(ensemble.model).save_model(str(whole))
        whole.replace(beside)
    else:
        beside.write_bytes(ensemble.model)
    matrix = matrix_of(bundle, table)
    if ensemble.design is not None:
        raw = linear.by_xgboost(beside.read_bytes(), ensemble.design, matrix)
        told = f'xgboost.Booster(model_file="PATH").predict(xgboost.DMatrix(design)), the design made as PATH{SIDE} says'
    else:
        raw = load(beside.read_bytes()).inplace_predict(matrix)
        told = 'xgboost.Booster(model_file="PATH").inplace_predict(matrix)'
    return probabilities(raw, ensemble.link, len(ensemble.classes), ready=True), (told,)


def _treelite(bundle: Bundle, beside: Path, table: pa.Table) -> tuple[np.ndarray, tuple[str, ...]]:
    if bundle.ensemble.form != "trees":
        what = f"a {bundle.ensemble.family} cannot be exported to treelite"
        why = "treelite holds trees, which answer in steps: no tree is a straight line"
        raise BundleError("export.form-unfit", what, why, "export it --to onnx, xgboost, mlflow or sagemaker")
    raw = treelite_model.write(bundle.path / sealed.MODEL, beside, matrix_of(bundle, table))
    from filon.trees.scoring import probabilities

    found = probabilities(raw, bundle.ensemble.link, len(bundle.classes), ready=True)
    return found, ('treelite.gtil.predict(treelite.Model.deserialize("PATH"), matrix)',)


def _answer(bundle: Bundle, form: Form) -> str:
    """How what a runtime answers becomes a probability of each class, in words."""
    many = len(bundle.classes) > 2
    if form == "onnx" or (many and bundle.ensemble.link == "softmax"):
        return "the probability of each class, in the order of classes"
    if bundle.ensemble.link != "identity":
        return "the probability of the second class"
    if many:
        return "a share for each class: take 0 for one below it, then divide by their sum (all alike where the sum is 0)"
    return "the probability of the second class: take 0 for one below it, 1 for one above"


def _describe(bundle: Bundle, out: Path, form: Form) -> None:
    """What a caller must know to make the matrix and to read the answer."""
    from filon.files import write_atomic

    facts = {
        "name": bundle.name,
        "version": bundle.version,
        "features": sealed.describe_encoding(bundle.encoding),
        "missing": "NaN, also for an infinite number, one beyond float32, or an unseen category",
        "classes": list(bundle.classes),
        "threshold": bundle.threshold,
        "link": bundle.ensemble.link,
        "answer": _answer(bundle, form),
        "derived": {column.name: column.sql for column in bundle.derived},
    }
    if bundle.ensemble.design is not None:
        facts["design"] = _design(bundle)
    write_atomic(out.with_name(f"{out.name}{SIDE}"), json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def _design(bundle: Bundle) -> list[dict[str, Any]]:
    """Columns of the design that the weights of a linear model belong to, in order.

    A number: (value - `mean`) / `scale`, with `fill` for the value where it is missing or infinite. A category: 1 where the cell is it,
    else 0; the one that is null stands for missing and unseen.
    """
    design = bundle.ensemble.design
    assert design is not None, "a linear ensemble has a design"
    features = list(zip(bundle.encoding.features, design.levels, design.fill, design.mean, design.scale, strict=True))
    found: list[dict[str, Any]] = [
        {"feature": feature.name, "fill": float(fill), "mean": float(mean), "scale": float(scale)}
        for feature, levels, fill, mean, scale in features
        if not levels
    ]
    for feature, levels, *_ in features:
        if levels:
            names = feature.categories[:levels] if feature.kind == "category" else [False, True][:levels]
            found += [{"feature": feature.name, "category": name} for name in (*names, None)]
    return found
