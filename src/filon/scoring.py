"""A bundle over a whole table: read as in training, then scored and written, or examined."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines import open_stream
from filon.engines.base import Engine, Sink, Source, Written
from filon.engines.s3 import is_remote
from filon.engines.storage import under
from filon.engines.tally import Tally
from filon.errors import DataError, RecipeError, some
from filon.evaluate import (
    Context,
    EvaluateSettings,
    evaluation,
    examine,
    headlines,
    measure_importance,
    rows_to_explain,
    slice_columns,
    write_report,
)
from filon.evaluate import importances as importances_by_feature
from filon.events import Event, Listen, silence
from filon.files import place_of, write_atomic
from filon.read import read_like
from filon.read.reading import look
from filon.read.settings import DataSettings
from filon.rows.encode import encode, label_text
from filon.runs import to_plain
from filon.versions import versions

if TYPE_CHECKING:
    from filon.engines.spark.streaming import Streamed
    from filon.package import Bundle
    from filon.package.foreign import Foreign
    from filon.pages import Lang

SEED = 42
"""Of the bootstrap, as in a run."""


def predict(bundle: Bundle, data: str, out: str, keep: tuple[str, ...], rejects: str, engine: Engine, listen: Listen) -> Written:
    """Score every row; what cannot be scored is set aside with its reason.

    Raises
    ------
    RecipeError : `predict.keep-unknown`, `predict.out-unknown`, `predict.out-is-data`
    """
    source = _source(bundle, data, listen)
    listen(Event(stage="score", text=f"{bundle.name} {bundle.version} over {source.origin}"))
    sink = _sink(source, out, _kept(_keys(bundle), source, keep), rejects)
    scored = engine.score(engine.read(source), bundle.ensemble, bundle.encoding, bundle.threshold)
    return engine.write(scored, sink)


def predict_foreign(
    model: Foreign, data: str, out: str, keep: tuple[str, ...], drop: tuple[str, ...], rejects: str, engine: Engine, listen: Listen
) -> Written:
    """Score every row with a model of another maker, which answers with columns of its own.

    Parameters
    ----------
    drop : columns that are no features, for a model that does not know the names of its features

    Raises
    ------
    DataError : `package.features-missing`, `package.features-differ`, `package.model-failed`
    RecipeError : `predict.keep-unknown`, `predict.out-unknown`, `predict.out-is-data`
    """
    found = look(DataSettings(source=data, label=""), Path.cwd(), listen)
    _refuse_unknown("--drop", drop, [column.name for column in found.columns])
    bound, source, encoding = model.bound(found, drop)
    listen(Event(stage="score", text=f"{model.name} {model.version} over {source.origin}: {len(bound.features)} features"))
    sink = _sink(source, out, _kept((), source, keep), rejects)
    scored = engine.score(engine.read(source), bound, encoding)
    return engine.write(scored, sink)


def predict_stream(
    bundle: Bundle, data: str, out: str, checkpoint: str, keep: tuple[str, ...], rejects: str, once: bool, engine: Engine
) -> Streamed:
    """Score files as they arrive, each exactly once: the rows of a batch go to the folder `out/batch=N`, committed by one rename.

    Raises
    ------
    RecipeError : `predict.stream-checkpoint`, `predict.stream-output`, `predict.stream-option`, `predict.keep-unknown`,
        `predict.out-is-data`
    """
    out = out.rstrip("/")
    beside = (rejects or f"{out}.rejected").rstrip("/")
    _refuse_own_answers(data, {"--out": out, "--rejects": beside})
    identity = {"bundle": bundle.version, "data": _from_here(data), "out": _from_here(out)}

    def score(files: tuple[str, ...], number: int) -> Written:
        try:
            source = _source(bundle, files, silence, "" if "://" in data and not is_remote(data) else data)
        except DataError as exc:
            if exc.code == "read.schemas-differ":
                again = "write the one file again with the schema of the other, under its own name, and start the stream again: it goes on"
                raise DataError(exc.code, "files that arrived together do not have the same columns", exc.why, again) from exc
            if exc.code not in ("read.no-rows", "read.empty"):
                raise
            return Written(rows=0, scored=0, rejected=0)
        scored = engine.score(engine.read(source), bundle.ensemble, bundle.encoding, bundle.threshold)
        wanted = _kept(_keys(bundle), source, keep)
        for folder in (out, beside):
            _sweep(folder, number)
        return engine.write(scored, Sink(path=f"{out}/batch={number}", format="parquet", keep=wanted, rejects=f"{beside}/batch={number}"))

    return open_stream(engine, score, data=data, checkpoint=checkpoint, out=out, identity=identity, columns=bundle.inputs, once=once)


def _sweep(folder: str, number: int) -> None:
    """Remove what a process that was killed in the middle of this batch left on the disk; the stream is the only one to write here."""
    if not is_remote(folder):
        for left in Path(folder).glob(f".batch={number}.*"):
            shutil.rmtree(left, ignore_errors=True)


def _refuse_own_answers(data: str, written: Mapping[str, str]) -> None:
    """Raise when a stream would come upon its own answers as new files."""
    for option, path in written.items():
        if under(path, data, Path.cwd()):
            raise RecipeError(
                "predict.out-is-data",
                f"{option} {path} would be written where the stream looks for new files",
                f"--data {data} is watched with all the folders below it",
                "name a folder beside it",
            )


def _from_here(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def evaluate(
    bundle: Bundle, data: str, out: Path | None, lang: Lang, engine: Engine, listen: Listen
) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """Examine the bundle on a labelled table; gives the report's folder, metrics.json and three lines.

    Raises
    ------
    DataError : `evaluate.label-missing`, `evaluate.label-unknown`
    """
    settings = EvaluateSettings(lang=lang)
    source = _source(bundle, data, listen)
    if bundle.label not in {column.name for column in source.columns}:
        names = [column.name for column in source.columns]
        raise DataError(
            "evaluate.label-missing",
            f"{data} does not have the label {bundle.label!r}",
            f"it has {some(names)}",
            "examine a table with the label; `filon predict` needs none",
        )
    table = engine.read(source)
    listen(Event(stage="evaluate", text=f"{bundle.name} {bundle.version} on {source.origin}"))
    rows = engine.sample(table, rows_to_explain(bundle.ensemble, settings))
    labels = label_text(rows.column(bundle.label).combine_chunks()) if bundle.label in rows.schema.names else pa.nulls(0, pa.string())
    sample = _encoded(bundle, rows)
    importances = measure_importance(bundle.ensemble, bundle.encoding, sample)
    scored = engine.score(table, bundle.ensemble, bundle.encoding, bundle.threshold)
    tallies = engine.tally(scored, slice_columns(bundle.encoding, importances, settings))
    _refuse_unlabelled(bundle, tallies[()], labels, source.origin)
    exam = examine(tallies, settings, bundle.threshold, bundle.name, importances, SEED)
    context = Context(
        run=str(bundle.record.get("run", {}).get("run_id", bundle.name)),
        version=versions()["filon"],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=source.origin,
        label=bundle.label,
        family=bundle.ensemble.family,
        examined=source.origin,
        rounds=bundle.ensemble.rounds,
        facts={"bundle": bundle.version, "engine": engine.name, **versions()},
    )
    folder = out or Path(f"eval_{datetime.now(UTC):%Y%m%d_%H%M%S}")
    write_report(folder, exam, context, lang)
    metrics = evaluation(exam, context)
    write_atomic(folder / "metrics.json", json.dumps(to_plain(metrics), indent=2, ensure_ascii=False) + "\n")
    write_atomic(
        folder / "feature_importance.json", json.dumps(to_plain(importances_by_feature(exam)), indent=2, ensure_ascii=False) + "\n"
    )
    return folder, metrics, headlines(exam, context, lang)


def _refuse_unlabelled(bundle: Bundle, whole: Tally, labels: pa.Array, origin: str) -> None:
    """Raise when rows are there, but none whose label is a class of the model: a report of nothing would look like one.

    Parameters
    ----------
    labels : texts of some of the rows
    """
    if whole.rows > whole.unlabelled or not whole.rows:
        return
    seen = [text for text in pc.unique(labels).to_pylist() if text is not None]
    raise DataError(
        "evaluate.label-unknown",
        f"no row of {origin} has a class that the model knows as its {bundle.label!r}",
        f"the model knows {some(bundle.classes)}; " + (f"the rows have {some(seen)}" if seen else "the rows have no label"),
        "write the label as in training; [data.derive] of a recipe, or the program that made the table, can do it",
    )


def _encoded(bundle: Bundle, rows: pa.Table) -> pa.Table:
    """Typed rows as the model sees them: one float32 column a feature."""
    batches = rows.combine_chunks().to_batches()
    matrix = encode(batches[0], bundle.encoding) if batches else np.zeros((0, len(bundle.encoding.names)), np.float32)
    return pa.table({name: np.ascontiguousarray(matrix[:, place]) for place, name in enumerate(bundle.encoding.names)})


def _keys(bundle: Bundle) -> tuple[str, ...]:
    return tuple(column.name for column in bundle.columns if column.role == "key")


def _source(bundle: Bundle, data: str | tuple[str, ...], listen: Listen, arrived: str = "") -> Source:
    how = bundle.record.get("run", {}).get("read", {})
    settings = DataSettings.model_validate({"source": data, "label": bundle.label, **how})
    return read_like(bundle.columns, settings, Path.cwd(), listen, arrived)


def _kept(keys: tuple[str, ...], source: Source, keep: tuple[str, ...]) -> tuple[str, ...]:
    names = [column.name for column in source.columns if not column.sql]
    if keep == ("*",):
        return tuple(names)
    if not keep:
        return tuple(name for name in keys if name in names)
    _refuse_unknown("--keep", keep, names)
    return keep


def _refuse_unknown(option: str, given: Sequence[str], names: Sequence[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise RecipeError(
            "predict.keep-unknown",
            f"{option} names {some(unknown)}, which the table does not have",
            f"it has {some(names)}",
            "name one of them" + (", or '*' for all" if option == "--keep" else ""),
        )


def _sink(source: Source, out: str, keep: tuple[str, ...], rejects: str) -> Sink:
    """Where the answers go, and the rows that cannot be scored: never over the rows that are read, nor over each other."""
    out = out.rstrip("/")  # Spark's output is a folder, and some write it as one
    sink = Sink(path=out, format=_format(out), keep=keep, rejects=rejects or _rejects_beside(out))
    read = [place_of(file.path) for file in source.files]
    for option, path in (("--out", sink.path), ("--rejects", sink.rejects)):
        written = place_of(path)
        over = next((one for one in read if one == written or one.startswith(f"{written}/")), "")
        over = over or (written if option == "--rejects" and written == place_of(out) else "")
        if over:
            raise RecipeError(
                "predict.out-is-data",
                f"{option} {path} would be written over rows that are needed",
                f"{over} is what is read" if over in read else "--out is the same file",
                "name another file",
            )
    return sink


def _format(out: str) -> Literal["csv", "parquet"]:
    if out.endswith(".csv"):
        return "csv"
    if out.endswith((".parquet", ".pq")):
        return "parquet"
    raise RecipeError(
        "predict.out-unknown", f"{out} does not say how to write", "its name ends neither in .parquet nor in .csv", f"--out {out}.parquet"
    )


def _rejects_beside(out: str) -> str:
    stem, _, ending = out.rpartition(".")
    return f"{stem}.rejected.{ending}"
