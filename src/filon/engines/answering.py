"""What scored rows are answered with, the same on every engine: our classes and probabilities, or what another maker's model says."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.errors import RecipeError, some
from filon.rows.encode import Encoding

SAID = {"number": "not a number", "boolean": "neither true nor false", "date": "not a date"}
LABEL = "label"
REASON = "reason"

SLICES = 12
"""Most frequent values (in training) of a category that are sliced by."""


class Model(Protocol):
    """A model of another maker, as engines see it. It is pickled to the workers of a cluster, and opens itself where it is first asked."""

    @property
    def answers(self) -> pa.Schema:
        """Names and types of the columns that it answers with."""
        ...

    def answer(self, batch: pa.RecordBatch, threads: int = 0) -> tuple[pa.RecordBatch, pa.Array | None]:
        """Answers of all rows, and by row why it has none (text; null where it has one), or None when all rows have."""
        ...


def answers(encoding: Encoding) -> pa.Schema:
    """The columns that an ensemble answers with: the class, then the probability of each class in order."""
    shares = [pa.field(f"probability_{text}", pa.float32()) for text in encoding.classes]
    return pa.schema([pa.field(LABEL, pa.string()), *shares])


def decide(probability: np.ndarray, threshold: float | None) -> np.ndarray:
    """Class numbers: by the threshold for two classes (0.5 without one), else the likeliest. (rows,) int64."""
    if probability.shape[1] == 2:
        return (probability[:, 1] >= np.float32(0.5 if threshold is None else threshold)).astype(np.int64)
    return np.asarray(np.argmax(probability, axis=1))


def answered(probability: np.ndarray, encoding: Encoding, threshold: float | None) -> list[pa.Array]:
    """Columns of `answers`: labels, then the probability by class."""
    labels = pa.array(encoding.classes, pa.string()).take(pa.array(decide(probability, threshold)))
    return [labels, *(pa.array(np.ascontiguousarray(probability[:, place])) for place in range(len(encoding.classes)))]


def reasons(misfits: Mapping[str, pa.Array], kinds: Mapping[str, str]) -> pa.Array | None:
    """By row, the first column whose cell does not fit its kind, in words; null where all fit. None when every row does.

    Parameters
    ----------
    misfits : by column, the texts of its cells that do not fit, null for the others
    """
    if not any(len(cells) - cells.null_count for cells in misfits.values()):
        return None
    found = pa.nulls(len(next(iter(misfits.values()))), pa.string())
    for name in reversed(list(misfits)):
        found = pc.if_else(misfits[name].is_valid(), misfit_said(name, kinds[name]), found)
    return found


def misfit_said(name: str, kind: str) -> str:
    """Why a row is set aside whose cell does not fit the column's kind."""
    return f'"{name}" is {SAID.get(kind, "not what it should be")}'


def refuse_unkept(wanted: Sequence[str], names: Sequence[str], answers: Sequence[str]) -> None:
    """Raise when a column to keep is not there, or has the name of an answer.

    Raises
    ------
    RecipeError : `engines.keep-unknown`, `engines.keep-clash`
    """
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise RecipeError(
            "engines.keep-unknown",
            f"the table has no column {some(unknown)} to keep",
            f"it has {some(names)}",
            "keep columns of the table, or leave --keep out",
        )
    clash = [name for name in wanted if name in answers]
    if clash:
        raise RecipeError(
            "engines.keep-clash",
            f"the column {some(clash)} cannot be kept beside the answers",
            f"the answers are written as {some(answers)}",
            "name other columns with --keep (without it the recipe's key is kept), or give it another name in the source",
        )


def slices(encoding: Encoding, by: Sequence[str]) -> dict[tuple[str, ...], tuple[int, float]]:
    """Which rows are in which slice: the place of a feature and its code, by (column, value).

    Raises
    ------
    RecipeError : `engines.slice-unknown` when `by` names a column that is not a category or boolean feature
    """
    refuse_unsliced(by, {feature.name: feature.kind for feature in encoding.features})
    found: dict[tuple[str, ...], tuple[int, float]] = {}
    for name in by:
        place = encoding.names.index(name)
        feature = encoding.features[place]
        values = feature.categories[:SLICES] if feature.kind == "category" else ("false", "true")
        found |= {(name, value): (place, float(code)) for code, value in enumerate(values)}
    return found


def refuse_unsliced(by: Sequence[str], kinds: Mapping[str, str]) -> None:
    """Raise when a column to slice by is no category or boolean feature.

    Parameters
    ----------
    kinds : of the features, by name

    Raises
    ------
    RecipeError : `engines.slice-unknown`
    """
    able = [name for name, kind in kinds.items() if kind != "number"]
    for name in by:
        if name not in able:
            raise RecipeError(
                "engines.slice-unknown",
                f'"{name}" cannot be sliced by',
                f"only category and boolean features can: {some(able)}" if able else "the model has no category or boolean feature",
                "set evaluate.slices to one of them, or declare the column a category in data.columns",
            )
