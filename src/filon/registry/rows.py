"""The rows on which two models are compared: the test fold of a run, read again from its source, or a labelled table given by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from filon.engines.base import Column, Engine, LabelPlan, SplitPlan
from filon.errors import DataError, some
from filon.events import Listen
from filon.package import Bundle
from filon.package.frames import take
from filon.package.match import typed
from filon.read import read_like
from filon.read.settings import DataSettings
from filon.registry.folds import test_fold
from filon.registry.paired import Answers
from filon.rows.cells import numbers64
from filon.rows.encode import label_number
from filon.split.settings import SplitSettings
from filon.split.split import shares_of

CELLS = 20_000_000
"""Cells held at once: fewer rows of a wide table are compared."""

BLOCK = 1 << 16
Kind = Literal["table", "test-table", "test-folds"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibit:
    """Labelled rows. table : typed source rows; label : (rows,) int32 class numbers, >= 0; weight : (rows,) float64 or None

    kind, names : a table given by hand (its path), a run's own test table (its path, the run), or test folds (the runs)
    sampled : there are more such rows, those with the lowest hashes were taken
    """

    table: pa.Table
    label: np.ndarray
    weight: np.ndarray | None
    kind: Kind
    names: tuple[str, ...]
    sampled: bool = False

    @property
    def told(self) -> str:
        """What they are, for a person."""
        if self.kind == "table":
            return self.names[0]
        told = f"{self.names[0]}, the test table of {self.names[1]}" if self.kind == "test-table" else ""
        return (told or f"test fold of {' and of '.join(self.names)}") + (" (a sample)" if self.sampled else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run took its rows from. digest, rows : of the test fold, from the manifest"""

    run: str
    data: DataSettings
    split: SplitSettings
    base: Path
    digest: str
    rows: int


def of_table(bundles: Sequence[Bundle], data: str, engine: Engine, most: int, listen: Listen) -> Exhibit:
    """A labelled table given by hand; the first bundle says how it is read.

    Raises
    ------
    DataError : `evaluate.label-missing`, `registry.no-rows`
    """
    first = bundles[0]
    how = first.record.get("run", {}).get("read", {})
    settings = DataSettings.model_validate({"source": data, "label": first.label, **how})
    table, whole = _sample(bundles, settings, Path.cwd(), engine, most, listen)
    if first.label not in table.schema.names:
        raise DataError(
            "evaluate.label-missing",
            f"{data} does not have the label {first.label!r}",
            f"it has {some(table.schema.names)}",
            "compare on a table with the label",
        )
    return _exhibit(table, np.ones(table.num_rows, bool), first, "table", (data,), sampled=not whole)


def of_test_folds(bundles: Sequence[Bundle], origins: Sequence[Origin], engine: Engine, most: int, listen: Listen) -> Exhibit:
    """Rows in the test fold of every run given, read again from the first one's source (the others split the same table).

    Raises
    ------
    DataError : `registry.rows-changed` when the source is not what it was; `registry.no-rows`
    """
    first = origins[0]
    if first.split.test_source is not None:
        data = first.data.model_copy(update={"source": first.split.test_source})
        table, whole = _sample(bundles, data, first.base, engine, most, listen)
        given = (first.split.test_source, first.run)
        return _exhibit(table, np.ones(table.num_rows, bool), bundles[0], "test-table", given, sampled=not whole)
    table, whole = _sample(bundles, first.data, first.base, engine, int(most / max(first.split.test, 0.01)), listen)
    inside = np.ones(table.num_rows, bool)
    for bundle, origin in zip(bundles, origins, strict=False):
        part = test_fold(table, _plan(bundle, origin), whole=whole)
        if whole and part.digest != origin.digest:
            why = f"{origin.rows:,} rows with digest {origin.digest} then, {int(part.rows.sum()):,} with {part.digest} now"
            fix = "give a labelled table that neither model was trained on: --data PATH"
            raise DataError("registry.rows-changed", f"the test fold of {origin.run} cannot be read again: its source changed", why, fix)
        inside &= part.rows
    chosen = np.flatnonzero(inside)[:most]
    mask = np.zeros(table.num_rows, bool)
    mask[chosen] = True
    names = tuple(origin.run for origin in origins)
    return _exhibit(table, mask, bundles[0], "test-folds", names, sampled=not whole or len(chosen) < inside.sum())


def ask(bundle: Bundle, exhibit: Exhibit, classes: tuple[str, ...]) -> Answers:
    """What a bundle says of the rows, its classes put in the order asked for (the same classes, perhaps in another order)."""
    order = [bundle.classes.index(name) for name in classes]
    back = np.argsort(order)
    shares, chosen = [], []
    for start in range(0, exhibit.table.num_rows, BLOCK):
        found = bundle.probability(bundle.matrix(typed(take(exhibit.table.slice(start, BLOCK)), bundle.inputs)))
        shares.append(found[:, order])
        chosen.append(back[bundle.decide(found)])
    return Answers(probability=np.concatenate(shares), chosen=np.concatenate(chosen))


def _sample(bundles: Sequence[Bundle], data: DataSettings, base: Path, engine: Engine, most: int, listen: Listen) -> tuple[pa.Table, bool]:
    """Typed rows with the columns of all bundles, and whether they are all there are; the first one's features make the hashes."""
    source = read_like(_columns(bundles), data, base, listen)
    rows = min(most, CELLS // max(len(source.columns), 1))
    table = engine.sample(engine.read(source), rows)
    return table, table.num_rows < rows


def _columns(bundles: Sequence[Bundle]) -> tuple[Column, ...]:
    """The first bundle's columns, then the source columns that only others have, in their kind."""
    first, *others = bundles
    known = {column.name for column in first.columns}
    more: dict[str, Column] = {}
    for bundle in others:
        for column in bundle.inputs:
            if column.name not in known:
                more.setdefault(column.name, replace(column, role="dropped"))
    return (*first.columns, *more.values())


def _plan(bundle: Bundle, origin: Origin) -> SplitPlan:
    by_name = {column.name: column for column in bundle.columns}
    return SplitPlan(
        shares=shares_of(origin.split, given_test=False),
        seed=origin.split.seed,
        by=origin.split.by,
        stratify=origin.split.stratify,
        label=LabelPlan(column=bundle.label, classes=bundle.classes),
        features=tuple(by_name[name] for name in bundle.encoding.names),
        key=origin.data.key,
        time=origin.data.time or "",
    )


def _exhibit(table: pa.Table, mask: np.ndarray, bundle: Bundle, kind: Kind, names: tuple[str, ...], *, sampled: bool) -> Exhibit:
    label = label_number(_cells(table, bundle.label), bundle.classes)
    mask = mask & (label >= 0)
    if not mask.any():
        why = f"{table.num_rows:,} rows were read, none of them has a label of {some(bundle.classes)}"
        raise DataError("registry.no-rows", "there is no row to compare the models on", why, "give a labelled table: --data PATH")
    weights = [column.name for column in bundle.columns if column.role == "weight" and column.name in table.schema.names]
    weight = numbers64(_cells(table, weights[0]))[mask] if weights else None
    return Exhibit(table=table.filter(pa.array(mask)), label=label[mask], weight=weight, kind=kind, names=names, sampled=sampled)


def _cells(table: pa.Table, name: str) -> pa.Array:
    cells = table.column(name).combine_chunks()
    return cells.chunk(0) if isinstance(cells, pa.ChunkedArray) and cells.num_chunks else cells
