"""The form of a bundle on disk: names, hashes, and bundle.json to records and back. Reading it runs no code."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from filon.engines.base import Column
from filon.errors import BundleError, some
from filon.rows.encode import Encoding, Feature
from filon.trees import Ensemble, LinearDesign

FORMAT = 1
"""Raised when an older Filon could misread what is written; tests keep a bundle of every format."""

RECORD = "bundle.json"
MODEL = "model.ubj"
ONNX = "model.onnx"
GOLDEN = "golden.parquet"
BASELINE = "baseline.json"
REPORT = "report"

COLUMN_KEYS = ("name", "kind", "role", "stored", "sql", "format", "whole")
MODEL_KEYS = ("family", "form", "link", "rounds", "trees", "features", "categorical")


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def seal(record: Mapping[str, Any]) -> str:
    """Hash of the record itself, without its own seal: a threshold changed by hand is noticed as well as a damaged file."""
    rest = {key: value for key, value in record.items() if key != "seal"}
    return sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def read_record(folder: Path) -> dict[str, Any]:
    """bundle.json of a folder, its format and seal checked.

    Raises
    ------
    BundleError : `package.not-a-bundle`, `package.damaged`, `package.too-new`
    """
    path = folder / RECORD
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise _no_bundle(folder, str(exc)) from exc
    try:
        record = json.loads(text)
    except ValueError as exc:
        raise damaged(folder, f"{RECORD} is not JSON: {exc}") from exc
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise _no_bundle(folder, f"{RECORD} names no format")
    if record["format"] > FORMAT:
        versions = record.get("versions", {})
        why = f"it is of format {record['format']}, this Filon reads up to {FORMAT}; it was sealed by Filon {versions.get('filon', '?')}"
        raise BundleError("package.too-new", f"the bundle {folder} is newer than this Filon", why, "pip install --upgrade filon")
    if record.get("seal") != seal(record):
        raise damaged(folder, f"{RECORD} was changed after it was sealed")
    return record


def read_files(folder: Path, record: Mapping[str, Any], keep: Sequence[str] = ()) -> dict[str, bytes]:
    """Check every file's hash; give the content of those to keep (so that what was checked is what is used).

    Raises
    ------
    BundleError : `package.damaged`, naming the files
    """
    kept: dict[str, bytes] = {}
    wrong: list[str] = []
    for name, facts in record["files"].items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise damaged(folder, f"{RECORD} names a file outside the bundle: {name}")
        try:
            data = (folder / name).read_bytes()
        except OSError:
            wrong.append(f"{name} is not there")
            continue
        if sha256(data) != facts["sha256"]:
            wrong.append(f"{name} was changed")
        elif name in keep:
            kept[name] = data
    if wrong:
        raise damaged(folder, some(wrong).replace('"', ""))
    return kept


def damaged(folder: Path, why: str) -> BundleError:
    """The bundle is not what was sealed."""
    return BundleError("package.damaged", f"the bundle {folder} is damaged", why, "copy it again from where it came, or train again")


def _no_bundle(folder: Path, why: str) -> BundleError:
    inside = folder / "bundle" / RECORD
    fix = f"give {folder / 'bundle'}" if inside.exists() else "give the folder that holds bundle.json, e.g. runs/<name>/<run>/bundle"
    return BundleError("package.not-a-bundle", f"{folder} is not a bundle", why, fix)


def describe_column(column: Column) -> dict[str, Any]:
    """A column as bundle.json has it."""
    return {key: getattr(column, key) for key in COLUMN_KEYS}


def describe_model(ensemble: Ensemble) -> dict[str, Any]:
    """What the ensemble is, without its bytes."""
    design = None if ensemble.design is None else {key: list(value) for key, value in dataclasses.asdict(ensemble.design).items()}
    facts = {key: getattr(ensemble, key) for key in MODEL_KEYS}
    return {**facts, "categorical": list(ensemble.categorical), "design": design}


def describe_encoding(encoding: Encoding) -> list[dict[str, Any]]:
    """Features in the model's order."""
    return [{"name": item.name, "kind": item.kind, "categories": list(item.categories)} for item in encoding.features]


def columns_of(record: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of a record."""
    return tuple(Column(**{key: item[key] for key in COLUMN_KEYS}) for item in record["columns"])


def encoding_of(record: Mapping[str, Any]) -> Encoding:
    """The encoding of a record."""
    features = (Feature(name=item["name"], kind=item["kind"], categories=tuple(item["categories"])) for item in record["encoding"])
    return Encoding(features=tuple(features), classes=tuple(record["label"]["classes"]))


def ensemble_of(record: Mapping[str, Any], model: bytes) -> Ensemble:
    """The ensemble of a record and the bytes of its model."""
    facts = {key: record["model"][key] for key in MODEL_KEYS}
    facts["categorical"] = tuple(facts["categorical"])
    design = record["model"]["design"]
    return Ensemble(
        **facts,
        model=model,
        classes=tuple(record["label"]["classes"]),
        design=None if design is None else LinearDesign(**{key: tuple(value) for key, value in design.items()}),
    )
