"""Tables of these tests: Arrow columns in memory, streamed as the reader streams files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import Column, LabelPlan, Source, SplitPlan
from filon.engines.embedded.folding import split
from filon.engines.embedded.folds import EmbeddedFold, EmbeddedFolds
from filon.events import silence


@dataclass(frozen=True)
class ArrowTable:
    """A table as the engine reads it: columns typed already."""

    table: pa.Table
    source: Source
    rows: int = 0

    def batches(self, columns: Sequence[str], rows_per_batch: int) -> Iterator[pa.RecordBatch]:
        yield from self.table.select(list(columns)).to_batches(max_chunksize=self.rows or rows_per_batch)


def arrow_table(table: pa.Table, *, label: str = "y", rows: int = 0, **roles: str) -> ArrowTable:
    """Texts are categories, booleans booleans, all others numbers; `roles` gives columns another role than feature."""
    columns = []
    for field in table.schema:
        kind = "category" if pa.types.is_string(field.type) else "boolean" if pa.types.is_boolean(field.type) else "number"
        role = "label" if field.name == label else roles.get(field.name, "feature")
        columns.append(Column(name=field.name, kind=kind, role=role, stored=str(field.type)))  # type: ignore[arg-type]
    return ArrowTable(table, Source(format="parquet", files=(), dialect=None, columns=tuple(columns)), rows)


def plan_for(table: ArrowTable, **changes: Any) -> SplitPlan:
    """A plan of default shares over the table's features; classes are the label's texts in order."""
    label = table.source.names("label")[0]
    classes = tuple(sorted({str(value) for value in table.table.column(label).to_pylist() if value is not None}))
    settings: dict[str, Any] = {
        "shares": (0.7, 0.15, 0.15),
        "seed": 42,
        "by": "row",
        "stratify": True,
        "label": LabelPlan(column=label, classes=classes),
        "features": tuple(column for column in table.source.columns if column.role == "feature"),
    }
    return SplitPlan(**{**settings, **changes})


def folds_of(table: ArrowTable, folder: Path, *, test: ArrowTable | None = None, threads: int = 2, **changes: Any) -> EmbeddedFolds:
    """Split into a folder of its own."""
    own = folder / f"split-{sum(1 for _ in folder.iterdir())}"
    own.mkdir()
    plan = plan_for(table, **changes)
    return split(table.batches, plan, own, test=None if test is None else test.batches, threads=threads, listen=silence)


def contents(fold: EmbeddedFold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows of a fold at once: x, label, weight."""
    blocks = [(block.x.copy(), block.label.copy(), block.weight.copy()) for block in fold.blocks()]
    return tuple(np.concatenate(part) for part in zip(*blocks, strict=True))  # type: ignore[return-value]


def numbers(rows: int, features: int = 3, *, seed: int = 0, missing: float = 0.02, positive: float = 0.3) -> pa.Table:
    """Random numbers with missing cells, and a label that leans on the first of them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, features)).astype(np.float32)
    y = (x[:, 0] + random.normal(size=rows) > np.quantile(x[:, 0], 1 - positive) + 0.2).astype(np.int64)
    x[random.random(x.shape) < missing] = np.nan
    return pa.table({**{f"f{place}": x[:, place] for place in range(features)}, "y": y})
