"""Seals a bundle: written beside, proved by golden rows through every door, then renamed once (laws 4 and 6)."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

from filon.engines.base import Column, Engine
from filon.errors import BundleError, SetupError
from filon.package import doors, flavour, sealed
from filon.package.bundle import Bundle, open_bundle
from filon.package.golden import CASE, PROBABILITY, ROW, golden_rows
from filon.package.inputs import mentioned_by, needed
from filon.package.onnx_model import to_onnx
from filon.rows.encode import Encoding, label_number
from filon.trees import Ensemble

KEPT_ROLES = ("key", "weight", "time", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is sealed.

    name : the recipe's; columns : of the source, roles and kinds settled, derived ones included; label : the label's column
    threshold : of two classes, None for many; baseline : the training profile, for `watch`
    report : a folder to be copied, or None; run : facts that travel along (run id, metrics, fold digests)
    """

    name: str
    columns: tuple[Column, ...]
    encoding: Encoding
    label: str
    ensemble: Ensemble
    threshold: float | None = None
    baseline: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None
    run: Mapping[str, Any] = field(default_factory=dict)


def package(contents: Contents, sample: pa.Table, engine: Engine, folder: Path) -> Bundle:
    """Seal a bundle and prove it.

    Parameters
    ----------
    sample : typed source rows as `engine.sample(table, 64, per_class=8)` gives them, with the label
    engine : the first door of law 4
    folder : the bundle's folder; one that is there is replaced

    Raises
    ------
    BundleError : `package.doors-disagree`
    SetupError : `package.not-writable`
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        _write(contents, sample, engine, beside)
        _commit(beside, folder)
    except OSError as exc:
        fix = "free some space, or change the folder's rights"
        raise SetupError("package.not-writable", f"the bundle {folder} cannot be written", str(exc), fix) from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_bundle(folder)


def _commit(beside: Path, folder: Path) -> None:
    """One rename; an earlier bundle steps aside first, and goes only when the new one is there."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(contents: Contents, sample: pa.Table, engine: Engine, folder: Path) -> None:
    columns = _columns(contents)
    inputs = needed(columns, contents.encoding.names)
    (folder / sealed.MODEL).write_bytes(contents.ensemble.model)
    has_onnx = _write_onnx(contents, folder)
    rows = _golden(contents, sample, inputs)
    (folder / sealed.BASELINE).write_text(_json(contents.baseline), encoding="utf-8")
    flavour.write(folder, contents.name, inputs, contents.encoding, sealed.sha256(contents.ensemble.model))
    if contents.report is not None and contents.report.is_dir():
        shutil.copytree(contents.report, folder / sealed.REPORT)
    _write_record(contents, columns, folder)
    bundle = open_bundle(folder)
    with tempfile.TemporaryDirectory(prefix="golden-", dir=folder.parent) as scratch:
        expected = doors.engine_door(engine, rows, bundle, Path(scratch))
    answers = {f"the {engine.name} engine": expected, "the bundle": doors.bundle_door(bundle, rows)}
    if has_onnx:
        answers["ONNX"] = doors.onnx_door(bundle, rows)
    doors.agree(answers, doors.case_names(rows))
    _write_golden(rows, expected, folder)
    _write_record(contents, columns, folder)


def _columns(contents: Contents) -> tuple[Column, ...]:
    """The columns that scoring, or examining, may need; source columns first."""
    features = contents.encoding.names
    inputs = {column.name for column in needed(contents.columns, features)}
    kept = [c for c in contents.columns if c.name in inputs or c.name in features or c.role in KEPT_ROLES]
    return (*(c for c in kept if not c.sql), *(c for c in kept if c.sql))


def _write_onnx(contents: Contents, folder: Path) -> bool:
    try:
        model = to_onnx(contents.ensemble, contents.encoding, contents.threshold, contents.name)
    except BundleError as exc:
        if exc.code != "package.onnx-too-large":
            raise
        return False
    (folder / sealed.ONNX).write_bytes(model)
    return True


def _golden(contents: Contents, sample: pa.Table, inputs: tuple[Column, ...]) -> pa.Table:
    labels = sample.column(contents.label).combine_chunks() if contents.label in sample.schema.names else pa.nulls(sample.num_rows)
    classes = label_number(labels, contents.encoding.classes)
    mentioned = mentioned_by(contents.columns, contents.encoding.names)
    return golden_rows(sample, inputs, mentioned, contents.encoding, contents.ensemble, classes.tolist())


def _write_golden(rows: pa.Table, expected: Any, folder: Path) -> None:
    import pyarrow.parquet as pq

    answers = pa.array(expected.tolist(), pa.list_(pa.float32()))
    inputs = [name for name in rows.schema.names if name not in (ROW, CASE)]
    pq.write_table(rows.select([*inputs, CASE]).append_column(PROBABILITY, answers), folder / sealed.GOLDEN)


def _write_record(contents: Contents, columns: tuple[Column, ...], folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / sealed.RECORD)
    files = {path.relative_to(folder).as_posix(): _facts(path) for path in paths}
    model = files[sealed.MODEL]["sha256"]
    record: dict[str, Any] = {
        "format": sealed.FORMAT,
        "name": contents.name,
        "version": str(model)[:12],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: _installed(name) for name in ("filon", "xgboost", "onnx", "onnxruntime", "duckdb", "pyarrow", "numpy")},
        "label": {"column": contents.label, "classes": list(contents.encoding.classes), "threshold": contents.threshold},
        "encoding": sealed.describe_encoding(contents.encoding),
        "columns": [sealed.describe_column(column) for column in columns],
        "model": sealed.describe_model(contents.ensemble),
        "run": json.loads(_json(contents.run)),
        "files": files,
    }
    record["seal"] = sealed.seal(record)
    with (folder / sealed.RECORD).open("w", encoding="utf-8") as out:
        out.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())


def _facts(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": sealed.sha256(data), "bytes": len(data)}


def _installed(name: str) -> str:
    """Version of an installed library; XGBoost goes by two names."""
    for one in (name, f"{name}-cpu"):
        try:
            return version(one)
        except PackageNotFoundError:
            continue
    return ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"
