"""A sealed bundle, opened: it answers one row by ONNX Runtime and many by XGBoost, and runs no code of its own folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from filon.engines.base import Column
from filon.errors import BundleError
from filon.package import sealed
from filon.package.frames import take
from filon.package.inputs import needed
from filon.package.match import typed
from filon.package.one_row import RowEncoder
from filon.rows.encode import Encoding, encode
from filon.trees import Ensemble, predict

if TYPE_CHECKING:
    import onnxruntime

FEW = 16
"""Rows up to which ONNX Runtime answers sooner than XGBoost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row's answer: the class, and the probability of each class in order."""

    label: str
    probability: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """An opened bundle.

    path : its folder; record : bundle.json; columns : source columns first, then derived ones; label : the label's column
    threshold : for two classes, the probability of the second from which it is answered
    """

    path: Path
    record: Mapping[str, Any] = field(repr=False)
    columns: tuple[Column, ...] = field(repr=False)
    encoding: Encoding = field(repr=False)
    ensemble: Ensemble = field(repr=False)

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.record["name"])

    @property
    def version(self) -> str:
        """First 12 digits of the model's hash."""
        return str(self.record["version"])

    @property
    def label(self) -> str:
        """The column that is predicted."""
        return str(self.record["label"]["column"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in order."""
        return self.encoding.classes

    @property
    def threshold(self) -> float | None:
        """Probability of the second of two classes from which it is answered; None for many classes."""
        found = self.record["label"]["threshold"]
        return None if found is None else float(found)

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """Source columns that a row to be scored must have: features, and what derived features are computed from."""
        return needed(self.columns, self.encoding.names)

    @cached_property
    def derived(self) -> tuple[Column, ...]:
        """Features that are computed from source columns by SQL."""
        return tuple(column for column in self.columns if column.sql and column.name in self.encoding.names)

    @cached_property
    def baseline(self) -> Mapping[str, Any]:
        """The training profile, for `watch`."""
        found: Mapping[str, Any] = json.loads((self.path / sealed.BASELINE).read_text(encoding="utf-8"))
        return found

    @cached_property
    def session(self) -> "onnxruntime.InferenceSession | None":
        """The ONNX door, opened when first asked for; None when the model is too large for one."""
        from filon.package.onnx_model import session

        return session(str(self.path / sealed.ONNX)) if sealed.ONNX in self.record["files"] else None

    @cached_property
    def _row_encoder(self) -> RowEncoder:
        return RowEncoder(self.inputs, self.encoding, has_derived=bool(self.derived))

    @cached_property
    def _deriver(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        from filon.engines import open_deriver

        return open_deriver((*self.inputs, *self.derived))

    def golden(self) -> pa.Table:
        """Golden rows: source columns, then `filon:case` and `filon:probability` (list of float32, by class)."""
        import pyarrow.parquet as pq

        table: pa.Table = pq.read_table(self.path / sealed.GOLDEN, partitioning=None)
        return table

    def predict(self, frame: object, threads: int = 0) -> Any:
        """Score any table-like object.

        Parameters
        ----------
        frame : pandas or polars DataFrame, pyarrow Table or RecordBatch, list of dicts, dict of columns (or of one row's values)
        threads : 0 for all cores

        Returns
        -------
        a pandas DataFrame (with the index of the one given) if pandas came in, else a pyarrow Table: `label` (text), then
        `probability_<class>` (float32) of each class in order

        Raises
        ------
        DataError : `package.not-a-table`, `package.column-missing`, `package.column-twice`, `package.column-type`,
            `package.column-unreadable`

        Notes
        -----
        Derived features are computed by DuckDB, in a few milliseconds a call; a bundle without them never imports it.
        """
        given = take(frame)
        found = self.probability(self.matrix(typed(given, self.inputs)), threads)
        labels = pa.array(self.classes).take(pa.array(self.decide(found)))
        columns = [labels, *(pa.array(np.ascontiguousarray(found[:, place])) for place in range(len(self.classes)))]
        return given.back(pa.Table.from_arrays(columns, names=["label", *(f"probability_{name}" for name in self.classes)]))

    def answer(self, row: Mapping[str, object]) -> Answer:
        """Score one row of plain Python values, in tens of microseconds.

        Parameters
        ----------
        row : source columns by name; None (or not-a-number) where missing

        Raises
        ------
        DataError : as `predict`
        """
        matrix = self._row_encoder.encode(row)
        if matrix is None:
            matrix = self.matrix(typed(take([row]), self.inputs))
        found = self.probability(matrix)
        return Answer(label=self.classes[int(self.decide(found)[0])], probability=tuple(found[0].tolist()))

    def matrix(self, batch: pa.RecordBatch) -> np.ndarray:
        """Encoded features of typed source rows: (rows, features) float32, NaN for missing."""
        return encode(self._deriver(batch) if self.derived else batch, self.encoding)

    def probability(self, matrix: np.ndarray, threads: int = 0) -> np.ndarray:
        """Probability by class of encoded rows, by whichever door is quicker: (rows, classes) float32."""
        if 0 < len(matrix) <= FEW and self.session is not None:
            found: np.ndarray = self.session.run(["probability"], {"features": matrix})[0]
            return found
        return predict(self.ensemble, matrix, threads)

    def decide(self, probability: np.ndarray) -> np.ndarray:
        """Class numbers: by the threshold for two classes, else the likeliest. (rows,) int64."""
        if len(self.classes) == 2:
            threshold = 0.5 if self.threshold is None else self.threshold
            return (probability[:, 1] >= np.float32(threshold)).astype(np.int64)
        return np.asarray(np.argmax(probability, axis=1))

    def __repr__(self) -> str:
        return f"Bundle({self.name!r}, version {self.version}, {self.ensemble.family}, {len(self.encoding.features)} features, {self.path})"


def open_bundle(path: str | Path) -> Bundle:
    """Open a bundle: its format, its seal and every file's hash are checked.

    Raises
    ------
    BundleError : `package.not-a-bundle`, `package.damaged`, `package.too-new`
    """
    if "://" in str(path):
        why = "bundles are opened from a disk"
        raise BundleError("package.not-a-bundle", f"{path} is not a local folder", why, "copy it to this machine first")
    folder = Path(path)
    record = sealed.read_record(folder)
    try:
        model = sealed.read_files(folder, record, keep=(sealed.MODEL,))[sealed.MODEL]
        return Bundle(
            path=folder,
            record=record,
            columns=sealed.columns_of(record),
            encoding=sealed.encoding_of(record),
            ensemble=sealed.ensemble_of(record, model),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise sealed.damaged(folder, f"{sealed.RECORD} lacks {exc}") from exc
