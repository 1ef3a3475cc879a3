"""Golden rows: few, but of every kind that scorers disagree about; with their probabilities, a bundle can be proved anywhere."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import Column
from filon.rows.cells import is_text
from filon.rows.encode import Encoding
from filon.trees import Ensemble, ubjson

CASE = "filon:case"
ROW = "filon:row"
PROBABILITY = "filon:probability"

PER_CLASS = 8
PLAIN = 24
"""Rows taken from the sample: at most so many, and so many of each class."""

EDGES = 24
"""Rows with a number laid exactly on (and just below) a split of the model."""

UNSEEN = "filon: never seen in training"
Case = tuple[str, dict[str, Any]]
FLOAT32_MOST = float(np.finfo(np.float32).max)


def golden_rows(
    sample: pa.Table, inputs: Sequence[Column], mentioned: Set[str], encoding: Encoding, ensemble: Ensemble, classes: Sequence[int]
) -> pa.Table:
    """Source rows to be scored through every door.

    Parameters
    ----------
    sample : typed source rows, at least one; inputs : the source columns to keep
    mentioned : columns that derived features are computed from: only sampled or missing there, since SQL may stop at a made-up value
    classes : class number of each row of the sample, -1 where unknown

    Returns
    -------
    `filon:row` int64, `filon:case` text, then the inputs typed as in the sample
    """
    kept = sample.select([column.name for column in inputs])
    numbers = np.asarray(classes, np.int64)
    plain = _plain(numbers, len(encoding.classes))
    cases = [f"sample:{encoding.classes[number] if number >= 0 else ''}" for number in numbers[plain].tolist()]
    rows = kept.take(plain).to_pylist()
    free = [column for column in inputs if column.name not in mentioned]
    made = _made(rows[0], free, kept.schema)
    edges = _edges(rows, {column.name for column in free}, kept.schema, encoding, ensemble)
    every = [*zip(cases, rows, strict=True), *made, *edges]
    columns = [pa.array([row[name] for _, row in every], kept.schema.field(name).type) for name in kept.schema.names]
    head = [pa.array(range(len(every)), pa.int64()), pa.array([case for case, _ in every])]
    return pa.Table.from_arrays([*head, *columns], names=[ROW, CASE, *kept.schema.names])


def _plain(classes: np.ndarray, count: int) -> np.ndarray:
    by_class = [np.flatnonzero(classes == number)[:PER_CLASS] for number in range(count)]
    return np.unique(np.concatenate([np.arange(min(PLAIN, len(classes))), *by_class]))


def _made(row: Mapping[str, Any], inputs: Sequence[Column], schema: pa.Schema) -> Iterator[Case]:
    """Rows that no sample is sure to have."""
    numbers = [c.name for c in inputs if c.kind == "number" and not pa.types.is_temporal(schema.field(c.name).type)]
    booleans = [c.name for c in inputs if c.kind == "boolean"]
    texts = [c.name for c in inputs if c.kind == "category" and is_text(schema.field(c.name).type)]
    yield "zeros", {**row, **dict.fromkeys(numbers, 0), **dict.fromkeys(booleans, False)}
    yield "missing", dict.fromkeys(row)
    for name in list(row)[:32]:
        yield f"missing:{name}", {**row, name: None}
    if texts:
        yield "unseen", {**row, **dict.fromkeys(texts, UNSEEN)}
        yield "empty text", {**row, **dict.fromkeys(texts, "")}
    floating = [name for name in numbers if pa.types.is_floating(schema.field(name).type)]
    for case, value in {"largest": FLOAT32_MOST, "smallest": -FLOAT32_MOST, "tiny": 1e-45, "infinite": float("inf")}.items():
        if floating:
            yield case, {**row, **dict.fromkeys(floating, value)}
    whole = {name: _ends(schema.field(name).type) for name in numbers if pa.types.is_integer(schema.field(name).type)}
    if whole:
        yield "largest integers", {**row, **{name: most for name, (_, most) in whole.items()}}
        yield "smallest integers", {**row, **{name: least for name, (least, _) in whole.items()}}


def _ends(kind: pa.DataType) -> tuple[int, int]:
    facts = np.iinfo(kind.to_pandas_dtype())
    return int(facts.min), int(facts.max)


def _edges(rows: Sequence[Mapping[str, Any]], names: Set[str], schema: pa.Schema, encoding: Encoding, ensemble: Ensemble) -> Iterator[Case]:
    """Rows whose number equals a split of the model: where `<` and `<=` part."""
    if ensemble.form != "trees":
        return
    found = 0
    for tree in ubjson.read(ensemble.model)["learner"]["gradient_booster"]["model"]["trees"]:
        inner = (tree["left_children"] >= 0) & (tree["split_type"] == 0)
        for feature, bound in zip(tree["split_indices"][inner].tolist(), tree["split_conditions"][inner].tolist(), strict=True):
            name = encoding.names[feature]
            if name not in names or not pa.types.is_floating(schema.field(name).type):
                continue
            row = rows[found % len(rows)]
            below = float(np.nextafter(np.float32(bound), np.float32(-np.inf)))
            yield f"edge:{name}", {**row, name: bound}
            yield f"below edge:{name}", {**row, name: below}
            found += 2
            if found >= EDGES:
                return
