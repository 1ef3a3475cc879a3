"""Law 4: what was trained is what is served. Golden rows go through every door, and every door must say the same."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from filon.engines.base import Column, Engine, File, Sink, Source
from filon.errors import BundleError
from filon.package.golden import CASE, ROW

if TYPE_CHECKING:
    from filon.package.bundle import Bundle

TOLERANCE = 1e-6
"""|Δp| between doors: forests and boosted trees agree to the bit, a sigmoid or softmax of another library to about 3e-7."""

Door = Callable[[pa.Table], np.ndarray]


def engine_door(engine: Engine, rows: pa.Table, bundle: "Bundle", scratch: Path) -> np.ndarray:
    """Golden rows through the engine itself: from a file, by its reader, its scorer and its writer. (rows, classes) float32."""
    import pyarrow.parquet as pq

    scratch = scratch.absolute()  # workers of an engine need not be in our folder
    file, out = scratch / "golden.parquet", scratch / "scored.parquet"
    pq.write_table(rows, file)
    stored = {name: str(rows.schema.field(name).type) for name in rows.schema.names}
    columns = tuple(
        column if column.sql else replace(column, stored=stored[column.name], format="") for column in (*bundle.inputs, *bundle.derived)
    )
    order = Column(name=ROW, kind="number", role="key", stored="int64")
    source = Source(
        format="parquet",
        files=(File(path=str(file), size_bytes=file.stat().st_size),),
        dialect=None,
        columns=(order, *(column for column in columns if not column.sql), *(column for column in columns if column.sql)),
        origin="golden rows",
    )
    table = engine.read(source)
    sink = Sink(path=str(out), format="parquet", keep=(ROW,), rejects=str(scratch / "rejected.parquet"))
    written = engine.write(engine.score(table, bundle.ensemble, bundle.encoding, bundle.threshold), sink)
    if written.rejected:
        raise _disagree(f"the {engine.name} engine", f"it rejected {written.rejected} golden rows: {dict(written.reasons)}")
    scored = pq.read_table(out, partitioning=None).sort_by(ROW)
    return probabilities(scored, len(bundle.classes))


def bundle_door(bundle: "Bundle", rows: pa.Table) -> np.ndarray:
    """Many rows at once, by XGBoost, from the bundle as it is on disk."""
    from filon.trees import predict

    return predict(bundle.ensemble, bundle.matrix(_batch(bundle, rows)))


def onnx_door(bundle: "Bundle", rows: pa.Table) -> np.ndarray:
    """Row by row, by ONNX Runtime, from plain Python values as a server has them (derived features: all at once, then row by row)."""
    if bundle.derived:
        matrix = bundle.matrix(_batch(bundle, rows))
        return np.concatenate([bundle.probability(matrix[at : at + 1]) for at in range(len(matrix))])
    names = [column.name for column in bundle.inputs]
    return np.asarray([bundle.answer(row).probability for row in rows.select(names).to_pylist()], np.float32)


def _batch(bundle: "Bundle", rows: pa.Table) -> pa.RecordBatch:
    from filon.package.frames import take
    from filon.package.match import typed

    return typed(take(rows), bundle.inputs)


def agree(answers: Mapping[str, np.ndarray], cases: list[str]) -> None:
    """Raise unless every door says what the first one says.

    Parameters
    ----------
    answers : (rows, classes) by door; cases : what each row is

    Raises
    ------
    BundleError : `package.doors-disagree`, naming the door and the worst row
    """
    (first, expected), *others = answers.items()
    for door, found in others:
        if found.shape != expected.shape:
            why = f"{door} answered {found.shape[0]} rows, {first} {expected.shape[0]}"
            raise _disagree(door, why)
        apart = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(axis=1)
        apart = np.where(np.isnan(apart), np.inf, apart)
        worst = int(np.argmax(apart))
        if apart[worst] > TOLERANCE:
            shown = f"{found[worst].tolist()} by {door}, {expected[worst].tolist()} by {first}"
            why = f"golden row {worst} ({cases[worst]}): {shown}; {int((apart > TOLERANCE).sum())} of {len(apart)} rows are apart"
            raise _disagree(door, why)


def _disagree(door: str, why: str) -> BundleError:
    fix = (
        "this is a fault of Filon or of a library: send us the message; another family, or [search] without native categories, may avoid it"
    )
    return BundleError("package.doors-disagree", f"the model does not answer the same through {door}", why, fix)


def probabilities(scored: pa.Table, classes: int) -> np.ndarray:
    """Probability by class of rows that an engine wrote: (rows, classes) float32."""
    if "probability" in scored.schema.names:
        flat = scored.column("probability").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, np.float32).reshape(-1, classes)
    names = [name for name in scored.schema.names if name.startswith("probability_")]
    return np.stack([scored.column(name).to_numpy() for name in names], axis=1).astype(np.float32)


def case_names(rows: pa.Table) -> list[str]:
    """What each golden row is."""
    names: list[str] = rows.column(CASE).to_pylist()
    return names
