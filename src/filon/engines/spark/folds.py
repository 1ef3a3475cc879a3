"""Folds that Spark keeps: one Parquet dataset of encoded rows in canonical order, and handles on parts of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from filon.engines.base import FoldInfo, FoldName, SplitPlan
from filon.engines.folding import FOLDS, trainable
from filon.engines.spark.session import Session
from filon.engines.spark.shipped import FoldPiece, ShippedRows
from filon.engines.trainer.rows import Block
from filon.rows.encode import Encoding

LOWEST = -(1 << 63)
"""Added (without carry) to a signed hash, it makes signed order the order of the unsigned hashes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparkFold:
    """A fold or a union of folds: opaque to the stages, DataFrames to this engine.

    `kept` is the dataset of all folds: columns `fold` (0 train, 1 valid, 2 test), `hash` (bigint), `label` (int), `member` (bigint, by key
    only), `weight` (float, where the recipe names one) and `x0` ... `xN` (float, NaN for missing, never null). `pieces` are the same
    rows as files that the driver sees, where there are such."""

    names: tuple[FoldName, ...]
    session: Session
    plan: SplitPlan
    encoding: Encoding
    info: Mapping[FoldName, FoldInfo]
    class_weights: tuple[float, ...]
    kept: Any
    pieces: tuple[FoldPiece, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of the fold."""
        return sum(self.info[name].rows for name in self.names)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the feature columns of the frames: x0 ... xN, in the order of `encoding.features`."""
        return tuple(f"x{place}" for place in range(len(self.encoding.features)))

    @property
    def frame(self) -> Any:
        """Rows to train on: `hash`, `label`, `weight` (float, the class's weight included) and the features. In no order."""
        from pyspark.sql import functions as F  # noqa: N812

        balance = F.element_at(F.array(*(F.lit(float(weight)) for weight in self.class_weights)), F.col("label") + 1)
        weight = balance * F.col("weight") if self.plan.weight else balance
        return self._rows().select("hash", "label", weight.cast("float").alias("weight"), *self.features)

    @property
    def plain(self) -> Any:
        """Rows as the embedded engine keeps them: `hash`, `label`, `member` (by key only), `weight` (the recipe's alone, where
        it names one) and the features. Sorted by `canonical` they are in canonical order."""
        extra = [name for name, there in (("member", self.plan.by == "key"), ("weight", bool(self.plan.weight))) if there]
        return self._rows().select("hash", "label", *extra, *self.features)

    @property
    def canonical(self) -> list[Any]:
        """What to sort by: unsigned hash, label, weight."""
        from pyspark.sql import functions as F  # noqa: N812

        return [F.col("hash").bitwiseXOR(F.lit(LOWEST)), F.col("label"), *([F.col("weight")] if self.plan.weight else [])]

    def blocks(self) -> Iterator[Block]:
        """Rows in canonical order, one partition of Spark's at a time: for small folds, and for whoever looks at rows."""
        from filon.engines.spark.fetching import tables

        if self.pieces:
            yield from ShippedRows(self.pieces, self.encoding, self.class_weights).blocks()
            return
        for table in tables(self.plain.sort(*self.canonical), self.session):
            if not table.num_rows:
                continue
            x = np.column_stack([table.column(name).to_numpy() for name in self.features]).astype(np.float32)
            weight = table.column("weight").to_numpy() if self.plan.weight else np.ones(table.num_rows, np.float32)
            yield Block(x=x, label=table.column("label").to_numpy().astype(np.int32), weight=weight)

    def _rows(self) -> Any:
        from pyspark.sql import functions as F  # noqa: N812

        numbers = [FOLDS.index(name) for name in self.names]
        return self.kept.where(F.col("fold").isin(numbers)) if len(numbers) < len(FOLDS) else self.kept


@dataclass(slots=True, kw_only=True, eq=False)
class SparkFolds:
    """The split table. `left_out` counts the rows in no fold by reason ("label-missing", "label-unknown"); `pieces` are the folds as files
    that driver and tasks see, where one task has laid them down."""

    plan: SplitPlan
    encoding: Encoding
    info: Mapping[FoldName, FoldInfo]
    class_weights: tuple[float, ...]
    left_out: Mapping[str, int]
    session: Session
    _kept: Any
    pieces: Mapping[FoldName, FoldPiece] = field(default_factory=dict)
    _openings: list[str] = field(default_factory=list)

    def fold(self, *names: Literal["train", "valid"]) -> SparkFold:
        """Training, validation, or both as one.

        Raises
        ------
        ValueError : the test fold, or none, was asked for: `open_test` is its only door (law 3)
        """
        return self._handle(trainable(names))

    def open_test(self, reason: str) -> SparkFold:
        """The test fold; each opening is recorded (law 3)."""
        self._openings.append(reason)
        return self._handle(("test",))

    @property
    def openings(self) -> tuple[str, ...]:
        """Reasons for which the test fold was opened, in order."""
        return tuple(self._openings)

    def _handle(self, names: tuple[FoldName, ...]) -> SparkFold:
        return SparkFold(
            names=names,
            session=self.session,
            plan=self.plan,
            encoding=self.encoding,
            info=self.info,
            class_weights=self.class_weights,
            kept=self._kept,
            pieces=tuple(self.pieces[name] for name in names) if self.pieces else (),
        )
