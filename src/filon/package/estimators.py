"""Models of other makers as they are asked here: which features they take, what they answer with, and what they cannot take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.answering import LABEL
from filon.errors import BundleError, DataError, FilonError, some
from filon.rows.cells import as_float32, column, is_text, numbers64
from filon.rows.encode import label_text

OF_MISSING = re.compile(r"\bnan\b|missing|\bnull|infinity|\bNone\b|\bNA\b", re.IGNORECASE)
"""What a model says of a cell that it cannot take."""

MADE_UP = re.compile(r"Column_\d+")
"""Names that LightGBM gives to features without names."""

BOOSTERS = {"xgboost", "lightgbm"}
"""Their classifiers answer with the likeliest class; of other makers `predict` itself is asked (an SVC may well differ)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimator:
    """An object that predicts.

    names : features it was fitted with, by name, () when it does not say; width : how many there are, 0 when it does not say
    classes : texts of its classes in order, () when it predicts numbers; how : "probability", "score" (decision function), "class",
        "number", "booster" or "table" (an MLflow model of any kind)
    answers : names and types of the columns that it answers with
    """

    model: Any
    names: tuple[str, ...]
    width: int
    classes: tuple[str, ...]
    how: str
    answers: pa.Schema

    @property
    def maker(self) -> str:
        """The package the model is of."""
        return type(self.model).__module__.split(".")[0]

    def within(self, threads: int) -> "Estimator":
        """The same, on so many threads where the model can be told."""
        if threads and hasattr(self.model, "set_params") and "n_jobs" in self.model.get_params(deep=False):
            return replace(self, model=self.model.set_params(n_jobs=threads))
        return self

    def answer(self, batch: pa.RecordBatch, features: tuple[str, ...]) -> tuple[pa.RecordBatch, pa.Array | None]:
        """Answers of all rows; a row with a missing cell has none, only its reason, when the model can take no missing cell.

        Raises
        ------
        DataError : `package.model-failed`
        """
        try:
            return self._ask(batch, features), None
        except FilonError:
            raise
        except Exception as exc:
            absent = {name: _missing(column(batch, name)) for name in features}
            lacking = np.logical_or.reduce(list(absent.values()))
            if not lacking.any() or not OF_MISSING.search(str(exc)):
                raise self._failed(exc) from exc
        refused = self._refused(batch, features, absent)
        aside = np.logical_or.reduce([absent[name] for name in refused])
        try:
            answers = self._whole(batch, features, aside)
        except Exception:  # cells that it takes alone, and not together
            refused, aside = features, lacking
            try:
                answers = self._whole(batch, features, aside)
            except Exception as exc:
                raise self._failed(exc) from exc
        places = pa.array(np.where(aside, 0, np.cumsum(~aside) - 1), mask=aside)
        columns = [
            pa.nulls(len(aside), field.type) if answers is None else answers.column(field.name).take(places) for field in self.answers
        ]
        first = [next((name for name in refused if absent[name][row]), "") if aside[row] else None for row in range(len(aside))]
        said = pa.array(
            [None if name is None else f'"{name}" is missing, and the model takes no missing cell' for name in first], pa.string()
        )
        return pa.RecordBatch.from_arrays(columns, schema=self.answers), said

    def _whole(self, batch: pa.RecordBatch, features: tuple[str, ...], aside: np.ndarray) -> pa.RecordBatch | None:
        """Answers of the rows that are not set aside, None where there is none."""
        return self._ask(batch.filter(pa.array(~aside)), features) if not aside.all() else None

    def _refused(self, batch: pa.RecordBatch, features: tuple[str, ...], absent: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Features whose missing cells the model refuses, by asking it about a row that lacks this cell alone.

        It may well take those of other features (an imputer, a category of its own): whether such a row has an answer must not depend on
        the rows beside it.
        """
        with_holes = tuple(name for name in features if absent[name].any())
        cells = {name: column(batch, name).take(pa.array([int(np.argmin(absent[name]))])) for name in features}

        def takes(given: Mapping[str, pa.Array]) -> bool:
            try:
                self._ask(pa.RecordBatch.from_pydict(dict(given)), features)
            except Exception:  # of whatever class its maker chose
                return False
            return True

        if not takes(cells):  # a feature that no row has
            return with_holes
        return tuple(name for name in with_holes if not takes({**cells, name: pa.nulls(1, cells[name].type)})) or with_holes

    def _ask(self, batch: pa.RecordBatch, features: tuple[str, ...]) -> pa.RecordBatch:
        if not batch.num_rows:
            return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in self.answers], schema=self.answers)
        rows = self._rows(batch, features)
        if self.how == "table":
            return _as_table(self.model.predict(rows), self.answers)
        if self.how == "booster":
            return self._of_booster(np.asarray(self.model.inplace_predict(rows) if self.maker == "xgboost" else self.model.predict(rows)))
        if self.how == "number":
            return self._columns(np.asarray(self.model.predict(rows), dtype=np.float64).reshape(batch.num_rows))
        scores = np.empty((batch.num_rows, 0))
        if self.how == "probability":
            scores = np.asarray(self.model.predict_proba(rows))
            if self.maker in BOOSTERS:
                return self._columns(scores, np.argmax(scores, axis=1))
        elif self.how == "score":
            scores = np.asarray(self.model.decision_function(rows)).reshape(batch.num_rows, -1)
        return self._columns(scores, label_text(pa.array(np.asarray(self.model.predict(rows)))))

    def _rows(self, batch: pa.RecordBatch, features: tuple[str, ...]) -> Any:
        """As the model was fitted: a frame where it knows names, else a matrix."""
        if self.how == "booster" and self.maker == "xgboost":
            return np.column_stack([as_float32(column(batch, name)) for name in features])
        if not self.names:
            return np.column_stack([_finite(numbers64(column(batch, name))) for name in features])
        import pandas as pd

        frame = pd.DataFrame({name: _series(column(batch, name)) for name in features})
        if self.maker in BOOSTERS:
            texts = [name for name in features if is_text(column(batch, name).type)]
            frame = frame.astype(dict.fromkeys(texts, "category"))
        return frame

    def _of_booster(self, raw: np.ndarray) -> pa.RecordBatch:
        if not self.classes:
            return self._columns(raw.reshape(len(raw)).astype(np.float64))
        shares = np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw
        return self._columns(shares, np.argmax(shares, axis=1))

    def _columns(self, numbers: np.ndarray, labels: Any = None) -> pa.RecordBatch:
        """Labels (class numbers, or texts), then numbers by column, in the types that were promised."""
        arrays = []
        if labels is not None:
            arrays.append(pa.array(self.classes, pa.string()).take(pa.array(labels)) if isinstance(labels, np.ndarray) else labels)
        wide = numbers.reshape(len(numbers), -1)
        if len(arrays) + wide.shape[1] != len(self.answers):
            raise ValueError(f"it answered with {wide.shape[1]} numbers a row, not with {len(self.answers) - len(arrays)}")
        kinds = self.answers.types[len(arrays) :]
        arrays += [pa.array(np.ascontiguousarray(wide[:, place]), pa.float64()).cast(kind) for place, kind in enumerate(kinds)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.answers)

    def _failed(self, exc: Exception) -> DataError:
        kind = type(self.model).__name__
        said = " ".join(str(exc).split())[:300]
        return DataError(
            "package.model-failed",
            f"the model ({kind}) could not answer the rows",
            f"{type(exc).__name__}: {said}",
            "compare the columns with those it was trained on; leave others out with --drop",
        )


def estimator(model: Any, signature: Any = None) -> Estimator:
    """What an object that predicts takes and gives.

    Parameters
    ----------
    signature : of an MLflow model, or None

    Raises
    ------
    BundleError : `package.model-unusable` when it is nothing that predicts one class or number a row
    """
    if not callable(getattr(model, "predict", None)):
        raise _unusable(model, "it has no method `predict`")
    names = _names(model) or _signed(signature)
    width = len(names) or int(getattr(model, "n_features_in_", 0) or 0)
    kind = type(model).__name__
    if kind == "PyFuncModel":
        answers = _promised(signature)
        return Estimator(model=model, names=names, width=width, classes=(), how="table", answers=answers)
    if kind == "Booster":
        width = width or int(model.num_features() if hasattr(model, "num_features") else model.num_feature())
        classes = tuple(str(number) for number in range(_booster_classes(model)))
        return Estimator(model=model, names=names, width=width, classes=classes, how="booster", answers=_schema(classes, "probability"))
    classes = _classes(model)
    how = _how(model, classes)
    return Estimator(model=model, names=names, width=width, classes=classes, how=how, answers=_schema(classes, how))


def _how(model: Any, classes: tuple[str, ...]) -> str:
    if not classes:
        return "number"
    if hasattr(model, "predict_proba"):
        return "probability"
    if hasattr(model, "decision_function") and getattr(model, "decision_function_shape", "ovr") == "ovr":
        return "score"
    return "class"


def _schema(classes: tuple[str, ...], how: str) -> pa.Schema:
    label = [pa.field(LABEL, pa.string())]
    if not classes:
        return pa.schema([pa.field("prediction", pa.float64())])
    if how == "probability":
        return pa.schema([*label, *(pa.field(f"probability_{text}", pa.float32()) for text in classes)])
    if how == "score":  # of two classes, the decision function speaks of the second alone
        return pa.schema([*label, *(pa.field(f"score_{text}", pa.float64()) for text in (classes[1:] if len(classes) == 2 else classes))])
    return pa.schema(label)


def _classes(model: Any) -> tuple[str, ...]:
    found = getattr(model, "classes_", None)
    if found is None:
        return ()
    array = np.asarray(found, dtype=object if isinstance(found, (list, tuple)) else None)
    if array.ndim != 1 or any(isinstance(one, (list, np.ndarray)) for one in array):
        raise _unusable(model, "it predicts several labels at once")
    return tuple(str(text) for text in label_text(pa.array(array.tolist())).to_pylist())


def _booster_classes(model: Any) -> int:
    """Classes of a plain booster by its objective, 0 when it predicts numbers."""
    if hasattr(model, "save_config"):
        import json

        learner = json.loads(model.save_config())["learner"]
        objective = str(learner["objective"]["name"])
        many = int(learner["learner_model_param"]["num_class"])
        return many if objective == "multi:softprob" else 2 if objective == "binary:logistic" else 0
    said = str(model.dump_model(num_iteration=1).get("objective", ""))
    return int(model.num_model_per_iteration()) if said.startswith("multiclass") else 2 if said.startswith("binary") else 0


def _names(model: Any) -> tuple[str, ...]:
    """Features by the names the model was fitted with; () when it knows none."""
    for attribute in ("feature_names_in_", "feature_names", "feature_name"):
        try:
            found = getattr(model, attribute, None)
            found = found() if callable(found) else found
        except (AttributeError, ValueError):  # XGBoost's sklearn classes raise when they were fitted without names
            continue
        if found is not None and len(found) and not all(MADE_UP.fullmatch(str(name)) for name in found):
            return tuple(str(name) for name in found)
    return ()


def _signed(signature: Any) -> tuple[str, ...]:
    inputs = getattr(signature, "inputs", None)
    return tuple(str(name) for name in inputs.input_names()) if inputs is not None and inputs.has_input_names() else ()


ARROW = {"double": pa.float64(), "float": pa.float32(), "long": pa.int64(), "integer": pa.int32(), "boolean": pa.bool_()}


def _promised(signature: Any) -> pa.Schema:
    """Columns that an MLflow model says it answers with; `prediction` where it does not name them."""
    outputs = getattr(signature, "outputs", None)
    if outputs is None:
        return pa.schema([pa.field("prediction", pa.float64())])
    if outputs.is_tensor_spec():
        spec = outputs.inputs[0]
        kind = pa.string() if spec.type.kind in "OUS" else pa.from_numpy_dtype(spec.type)
        wide = int(spec.shape[-1]) if len(spec.shape) > 1 else 1
        names = ["prediction"] if wide == 1 else [f"prediction_{place}" for place in range(wide)]
        return pa.schema([pa.field(name, kind) for name in names])
    named = [str(name) for name in outputs.input_names()] if outputs.has_input_names() else ["prediction"]
    kinds = [ARROW.get(getattr(one, "name", ""), pa.string()) for one in outputs.input_types()]
    return pa.schema([pa.field(name, kind) for name, kind in zip(named, kinds, strict=True)])


def _as_table(found: Any, answers: pa.Schema) -> pa.RecordBatch:
    """What an MLflow model answered, in the columns that were promised."""
    if hasattr(found, "columns"):
        by_name: Mapping[str, Any] = {str(name): found.iloc[:, place] for place, name in enumerate(found.columns)}
        if not set(answers.names) <= set(by_name) and len(by_name) == len(answers):
            by_name = dict(zip(answers.names, by_name.values(), strict=True))
    else:
        array = np.asarray(found)
        wide = array.reshape(len(array), -1)
        by_name = {name: wide[:, place] for place, name in enumerate(answers.names)} if wide.shape[1] == len(answers) else {}
    absent = [name for name in answers.names if name not in by_name]
    if absent:
        raise ValueError(f"it answered without {some(absent)}")
    arrays = []
    for field in answers:
        cells = pa.array(by_name[field.name], from_pandas=True)
        arrays.append(label_text(cells) if pa.types.is_string(field.type) else cells.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=answers)


def _missing(cells: pa.Array) -> np.ndarray:
    """Which cells are missing, not-a-number or infinite: (rows,) bool."""
    if pa.types.is_floating(cells.type):
        return np.asarray(~np.isfinite(numbers64(cells)))
    return np.asarray(cells.is_null().to_numpy(zero_copy_only=False))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(np.isfinite(values), values, np.nan))


def _series(cells: pa.Array) -> Any:
    if pa.types.is_boolean(cells.type) and cells.null_count:
        return numbers64(cells)
    if is_text(cells.type):
        return np.array(cells.to_pylist(), dtype=object)  # None where missing, as a frame read from a file has it
    if pa.types.is_temporal(cells.type):
        return cells.to_pandas()
    if cells.null_count == 0 and pa.types.is_integer(cells.type):
        return cells.to_numpy(zero_copy_only=False)
    return cells.to_numpy(zero_copy_only=False) if pa.types.is_boolean(cells.type) else _finite(numbers64(cells))


def _unusable(model: Any, why: str) -> BundleError:
    kind = f"{type(model).__module__}.{type(model).__name__}"
    fix = "give a scikit-learn, XGBoost or LightGBM model, or an MLflow model"
    return BundleError("package.model-unusable", f"the file holds a {kind}, which cannot score rows", why, fix)
