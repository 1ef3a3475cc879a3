"""The verb: exact contributions on a bounded sample, partial dependence for the strongest features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from filon.errors import DataError
from filon.evaluate import EvaluateSettings, measure_importance, rows_to_explain
from filon.events import Event, Listen, silence
from filon.explain.records import Dependence, Explained, RowReasons
from filon.read import read_like
from filon.read.settings import DataSettings
from filon.rows.encode import Encoding, Feature, encode
from filon.trees import Ensemble, contributions, predict

if TYPE_CHECKING:
    from filon.engines.base import Engine
    from filon.package import Bundle

ROWS = 1000
"""Rows explained unless the caller says otherwise."""

TOP = 6
"""Features whose dependence is drawn."""

GRID = 20
DEPENDENCE_ROWS = 300
"""Rows of the sample that partial dependence is averaged over."""

CLASSES = 4
SHOWN = 8
"""Reasons listed by row."""

SCALES = {"logistic": "log-odds", "softmax": "log-share", "identity": "probability"}


def explain(bundle: Bundle, data: str, engine: Engine, rows: int | None = None, listen: Listen = silence) -> tuple[Explained, pa.Table]:
    """Explain a model on a table.

    Parameters
    ----------
    rows : of the sample (those with the lowest hashes); None for a thousand, fewer for a forest whose TreeSHAP would take minutes

    Returns
    -------
    what there is to tell, and the contributions row by row

    Raises
    ------
    DataError : `explain.no-rows`, and those of reading
    """
    ensemble, encoding = bundle.ensemble, bundle.encoding
    source = read_like(bundle.columns, _how(bundle, data), Path.cwd(), listen)
    most = rows if rows is not None else rows_to_explain(ensemble, EvaluateSettings(shap_rows=ROWS))
    listen(Event(stage="explain", text=f"{bundle.name} {bundle.version} on at most {most:,} rows of {source.origin}"))
    sample = engine.sample(engine.read(source), most)
    if not sample.num_rows:
        raise DataError("explain.no-rows", f"{source.origin} has no rows", "there is nothing to explain", "name a table with rows")
    batch = sample.combine_chunks().to_batches()[0]
    matrix = encode(batch, encoding)
    parts = _contributions(ensemble, matrix, listen)
    probability = predict(ensemble, matrix)
    chosen = bundle.decide(probability)
    importances = measure_importance(ensemble, encoding, _encoded(matrix, encoding))
    listen(Event(stage="explain", text="partial dependence"))
    tops = [encoding.names.index(one.feature) for one in importances if one.shap][:TOP]
    means = np.abs(parts[:, :, :-1]).mean(axis=0)
    explained = Explained(
        model=bundle.name,
        version=bundle.version,
        source=source.origin,
        family=ensemble.family,
        scale=SCALES[ensemble.link],
        classes=bundle.classes,
        rows=len(matrix),
        bias=tuple(float(value) for value in parts[:, :, -1].mean(axis=0)),
        importances=importances,
        by_class={
            name: {feature: float(means[place, at]) for at, feature in enumerate(encoding.names)}
            for place, name in enumerate(_outputs(bundle.classes))
        },
        dependences=tuple(dependence(ensemble, encoding, matrix[:DEPENDENCE_ROWS], place, chosen) for place in tops),
        shown=_shown(bundle, batch, parts, probability, chosen),
    )
    return explained, _by_row(bundle, batch, parts, probability, chosen)


def _outputs(classes: Sequence[str]) -> list[str]:
    """Classes that contributions are given for: of two, the second."""
    return [classes[1]] if len(classes) == 2 else list(classes)


def _contributions(ensemble: Ensemble, matrix: np.ndarray, listen: Listen) -> np.ndarray:
    """(rows, outputs, features + 1) float32, in pieces, so that a large forest shows signs of life."""
    found, step = [], 100
    for start in range(0, len(matrix), step):
        found.append(contributions(ensemble, matrix[start : start + step]))
        done = min(len(matrix), start + step)
        listen(Event(stage="explain", text=f"{done:,} of {len(matrix):,} rows", done=done, total=len(matrix)))
    return np.concatenate(found)


def _encoded(matrix: np.ndarray, encoding: Encoding) -> pa.Table:
    return pa.table({name: np.ascontiguousarray(matrix[:, place]) for place, name in enumerate(encoding.names)})


def dependence(ensemble: Ensemble, encoding: Encoding, matrix: np.ndarray, place: int, chosen: np.ndarray) -> Dependence:
    """Partial dependence of one feature: every row asked again with each value of a grid.

    Notes
    -----
    Source: Friedman (2001), Annals of Statistics 29(5), 1189-1232, doi:10.1214/aos/1013203451
    """
    feature, column = encoding.features[place], matrix[:, place]
    grid = _grid(feature, column)
    asked = np.repeat(matrix, len(grid), axis=0)
    asked[:, place] = np.tile(grid, len(matrix))
    answers = predict(ensemble, asked).reshape(len(matrix), len(grid), -1)
    numbers = [1] if len(encoding.classes) == 2 else [int(one) for one in np.argsort(-np.bincount(chosen, minlength=len(encoding.classes)))]
    numbers = numbers[:CLASSES]
    low, high = np.quantile(answers, [0.1, 0.9], axis=0)
    missing = np.isnan(column)
    gaps = np.where(
        missing[:, None] == np.isnan(grid)[None, :], np.abs(np.nan_to_num(column)[:, None] - np.nan_to_num(grid)[None, :]), np.inf
    )
    nearest = gaps.argmin(axis=1)
    return Dependence(
        feature=feature.name,
        values=tuple(None if np.isnan(value) else float(value) for value in grid),
        names=tuple(_name(feature, value) for value in grid),
        classes=tuple(encoding.classes[number] for number in numbers),
        mean=tuple(tuple(float(value) for value in answers[:, :, number].mean(axis=0)) for number in numbers),
        low=tuple(tuple(float(value) for value in low[:, number]) for number in numbers),
        high=tuple(tuple(float(value) for value in high[:, number]) for number in numbers),
        shares=tuple(float(share) for share in np.bincount(nearest, minlength=len(grid)) / len(matrix)),
    )


def _grid(feature: Feature, column: np.ndarray) -> np.ndarray:
    """Values asked for: quantiles of a number, the most frequent categories; missing last, where the sample has it."""
    known = column[~np.isnan(column)]
    distinct, counts = np.unique(known, return_counts=True)
    if feature.kind != "number":
        distinct = distinct[np.argsort(-counts, kind="stable")][: GRID // 2]
    elif len(distinct) > GRID:
        distinct = np.unique(np.quantile(known, np.linspace(0.01, 0.99, GRID)).astype(np.float32))
    return np.append(distinct, np.float32(np.nan)) if len(known) < len(column) else distinct


def _name(feature: Feature, value: float) -> str:
    if np.isnan(value) or feature.kind == "number":
        return ""
    names = feature.categories or ("false", "true")
    return names[int(value)] if int(value) < len(names) else str(value)


def _by_row(bundle: Bundle, batch: pa.RecordBatch, parts: np.ndarray, probability: np.ndarray, chosen: np.ndarray) -> pa.Table:
    """Key columns, answer, bias and one contribution a feature, to the margin of the positive class or of the class answered."""
    rows = np.arange(len(parts))
    mine = parts[:, 0] if parts.shape[1] == 1 else parts[rows, chosen]
    answered = probability[:, 1] if parts.shape[1] == 1 else probability[rows, chosen]
    columns = {name: batch.column(name) for name in _keys(bundle, batch)}
    columns["label"] = pa.array(bundle.classes).take(pa.array(chosen))
    columns["probability"] = pa.array(answered)
    columns["bias"] = pa.array(np.ascontiguousarray(mine[:, -1]))
    for place, name in enumerate(bundle.encoding.names):
        columns[f"contribution_{name}"] = pa.array(np.ascontiguousarray(mine[:, place]))
    return pa.table(columns)


def _keys(bundle: Bundle, batch: pa.RecordBatch) -> list[str]:
    return [column.name for column in bundle.columns if column.role == "key" and column.name in batch.schema.names]


def _shown(bundle: Bundle, batch: pa.RecordBatch, parts: np.ndarray, probability: np.ndarray, chosen: np.ndarray) -> tuple[RowReasons, ...]:
    """The rows a page tells of: the highest and lowest scores, the one nearest to the decision, and the first ones of the sample."""
    if len(bundle.classes) == 2:
        score = probability[:, 1]
        threshold = 0.5 if bundle.threshold is None else bundle.threshold
        places = {"highest": int(score.argmax()), "lowest": int(score.argmin()), "nearest": int(np.abs(score - threshold).argmin())}
    else:
        places = {"highest": int(probability.max(axis=1).argmax()), "nearest": int(probability.max(axis=1).argmin())}
    picked = [*places.items(), *(("sample", place) for place in range(min(5, len(parts))) if place not in places.values())]
    return tuple(_row(bundle, batch, parts, probability, int(chosen[place]), why, place) for why, place in picked)


def _row(
    bundle: Bundle, batch: pa.RecordBatch, parts: np.ndarray, probability: np.ndarray, chosen: int, why: str, place: int
) -> RowReasons:
    two = parts.shape[1] == 1
    mine = parts[place, 0 if two else chosen].astype(np.float64)
    order = np.argsort(-np.abs(mine[:-1]), kind="stable")[:SHOWN]
    reasons = [(bundle.encoding.names[at], _cell(batch, bundle.encoding.features[at], place), float(mine[at])) for at in order if mine[at]]
    return RowReasons(
        why=why,
        key={name: str(batch.column(name)[place].as_py()) for name in _keys(bundle, batch)},
        label=bundle.classes[chosen],
        probability=float(probability[place, 1 if two else chosen]),
        answered_for=bundle.classes[1] if two else bundle.classes[chosen],
        bias=float(mine[-1]),
        margin=float(mine.sum()),
        reasons=tuple(reasons),
        rest=float(mine[:-1].sum() - sum(value for _, _, value in reasons)),
    )


def _cell(batch: pa.RecordBatch, feature: Feature, place: int) -> str | float:
    """The value as it came; a text is cut short."""
    value = batch.column(feature.name)[place].as_py()
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return float(value) if feature.kind == "number" and isinstance(value, int | float) else str(value)[:40]


def _how(bundle: Bundle, data: str) -> DataSettings:
    """How new tables are read: as the recipe said it of the first."""
    how = bundle.record.get("run", {}).get("read", {})
    return DataSettings.model_validate({"source": data, "label": bundle.label, **how})
