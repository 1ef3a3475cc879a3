"""Tables of a lake, Delta and Iceberg, by their own logs: which Parquet files they are made of now, or were at a version."""

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filon.engines import avro
from filon.engines.base import File
from filon.engines.s3 import is_remote
from filon.engines.storage import find_files, opened, partition
from filon.errors import DataError, FilonError, RecipeError

NAMED = re.compile(r"(delta|iceberg|table):(?!//)(.+?)(?:@(\d+))?")
IN_CATALOG = re.compile(r"[\w-]+(\.[\w-]+){1,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a catalog says of a table. `kind` is its format ("iceberg", "delta", "parquet", "csv"), `version` "" where it has none."""

    kind: str
    folder: str
    version: str = ""


CATALOG: ContextVar[Callable[[str], Place] | None] = ContextVar("catalog", default=None)
"""Who knows tables by their names: the engine that is open, when it has a catalog (Spark has)."""


def names_table(source: str) -> bool:
    """Whether a source is a table of a lake.

    >>> names_table("delta:s3://bucket/sales"), names_table("iceberg:warehouse/sales@3"), names_table("sales.parquet")
    (True, True, False)
    """
    return NAMED.fullmatch(source) is not None


def find(source: str, base: Path) -> tuple[File, ...]:
    """The files of a table: `delta:FOLDER` or `iceberg:FOLDER`, now or at a version (`delta:FOLDER@12`, `iceberg:FOLDER@SNAPSHOT`).

    By its name in a catalog, `table:db.sales`, `iceberg:prod.db.sales` or `delta:db.sales`, where the engine has one.

    Raises
    ------
    DataError : `read.lake-missing`, `read.lake-unsupported`, `read.lake-damaged`, those of `find_files`
    RecipeError : `read.lake-catalog`
    SetupError : `engines.catalog-missing`
    """
    named = NAMED.fullmatch(source)
    assert named is not None
    kind, where, version = named[1], named[2].rstrip("/"), int(named[3]) if named[3] else None
    if kind == "table" or (IN_CATALOG.fullmatch(where) and not (base / where).exists()):
        place = _in_catalog(where)
        kind, where, version = place.kind, place.folder, int(place.version) if place.version and version is None else version
        if kind not in ("delta", "iceberg"):
            return find_files(where, base)
    if not is_remote(where):
        path = Path(where).expanduser()
        where = str((path if path.is_absolute() else base / path).absolute())
    try:
        return _delta(where, version) if kind == "delta" else _iceberg(where, version)
    except FilonError:
        raise
    except (ValueError, KeyError, EOFError, StopIteration) as exc:
        raise DataError(
            "read.lake-damaged",
            f"the log of the {kind.capitalize()} table {where} cannot be read",
            f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}",
            "look at the table with the program that writes it",
        ) from exc


def _in_catalog(name: str) -> Place:
    ask = CATALOG.get()
    if ask is not None:
        return ask(name)
    raise RecipeError(
        "read.lake-catalog",
        f"{name} is a table's name in a catalog, and the embedded engine reads tables by their folder",
        "a catalog is known to the Spark that is set up for it; the folder is the same for all",
        f"--engine spark; or data.source = 'iceberg:s3://bucket/warehouse/db/table' (DESCRIBE EXTENDED {name} shows its Location)",
    )


def _missing(where: str, why: str) -> DataError:
    return DataError("read.lake-missing", f"there is no such table in {where}", why, "name the folder that holds the table's log and data")


def _unsupported(where: str, why: str, fix: str) -> DataError:
    return DataError("read.lake-unsupported", f"the table {where} has a feature that Filon does not read", why, fix)


def _read(path: str) -> bytes:
    with opened(File(path=path, size_bytes=0)) as handle:
        return bytes(handle.read())


def _listed(folder: str, where: str) -> dict[str, File]:
    """Files directly in a folder, by name."""
    try:
        found = find_files(folder, Path())
    except DataError as exc:
        raise _missing(where, f"{folder} is not there, or is empty") from exc
    return {file.path.rsplit("/", 1)[1]: file for file in found if file.path.rsplit("/", 1)[0].endswith(folder.rsplit("/", 1)[1])}


@dataclass(slots=True)
class Log:
    """What a Delta log says, action after action."""

    added: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def take(self, action: Mapping[str, Any]) -> None:
        """One action."""
        if action.get("add"):
            self.added[action["add"]["path"]] = action["add"]
        elif action.get("remove"):
            self.added.pop(action["remove"]["path"], None)
        elif action.get("metaData"):
            self.about = action["metaData"]


def _delta(where: str, version: int | None) -> tuple[File, ...]:
    names = _listed(f"{where}/_delta_log", where)
    commits = {int(name[:20]): file for name, file in names.items() if re.fullmatch(r"\d{20}\.json", name)}
    points: dict[int, list[File]] = {}
    for name, file in sorted(names.items()):
        if re.fullmatch(r"\d{20}\.checkpoint(\.\d{10}\.\d{10})?\.parquet", name):
            points.setdefault(int(name[:20]), []).append(file)
    last = max([*commits, *points], default=-1)
    wanted = last if version is None else version
    if last < 0 or wanted > last:
        raise _missing(where, f"its log ends at version {last}" if last >= 0 else f"{where}/_delta_log holds no commit")
    start = max((at for at in points if at <= wanted), default=-1)
    lacking = [at for at in range(start + 1, wanted + 1) if at not in commits]
    if lacking:
        raise _missing(where, f"version {wanted} needs the commit {lacking[0]}, which has been cleaned up")
    log = Log()
    for file in points.get(start, []):
        for action in _checkpoint(file):
            log.take(action)
    for at in range(start + 1, wanted + 1):
        for line in _read(commits[at].path).decode().splitlines():
            if line.strip():
                log.take(json.loads(line))
    return _delta_files(where, log)


def _checkpoint(file: File) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    schema = pq.read_schema(BytesIO(data := _read(file.path)))
    rows = pq.read_table(BytesIO(data), columns=[name for name in ("add", "remove", "metaData") if name in schema.names])
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def _delta_files(where: str, log: Log) -> tuple[File, ...]:
    said = _pairs(log.about.get("configuration"))
    if said.get("delta.columnMapping.mode", "none") != "none":
        raise _unsupported(where, "its columns have other names in the files (column mapping)", "write a copy of it without column mapping")
    if any(add.get("deletionVector") for add in log.added.values()):
        fix = f"REORG TABLE delta.`{where}` APPLY (PURGE), and ALTER TABLE ... SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')"
        raise _unsupported(where, "rows are deleted by deletion vectors, beside the files", fix)
    if not log.added:
        raise _missing(where, "the table has no files at that version")
    columns = list(log.about.get("partitionColumns") or [])
    files = []
    for add in log.added.values():
        path = unquote(add["path"])
        path = path if re.match(r"[a-z0-9]+:/|/", path) else f"{where}/{path}"
        values = _pairs(add.get("partitionValues"))
        hive = tuple((name, values.get(name) or "") for name in columns)
        if hive and partition(path.removeprefix(f"{where}/")) != hive:
            raise _unsupported(where, f"{path} is not in a folder named by its partition", "write a copy of it without partitions")
        files.append(File(path=_plain(path), size_bytes=int(add["size"]), partition=hive))
    return tuple(sorted(files, key=lambda file: file.path))


def _pairs(said: Any) -> dict[str, Any]:
    """A JSON object, or a map of a checkpoint (pairs)."""
    return dict(said or {})


def _plain(uri: str) -> str:
    """A URI as `File.path` has it."""
    return re.sub(r"^s3[an]://", "s3://", re.sub(r"^file:(//)?(?=/)", "", uri))


def _iceberg(where: str, snapshot: int | None) -> tuple[File, ...]:
    about = json.loads(_read(where if where.endswith(".metadata.json") else _newest(where)))
    root = where.rsplit("/metadata/", 1)[0] if where.endswith(".metadata.json") else where
    wanted = about.get("current-snapshot-id") if snapshot is None else snapshot
    chosen = next((one for one in about.get("snapshots", []) if one["snapshot-id"] == wanted), None)
    if chosen is None:
        raise _missing(where, f"it has no snapshot {wanted}" if snapshot else "nothing has been written to it yet")

    def here(uri: str) -> str:
        # A table that was copied elsewhere still names its first place
        return _plain(root + uri[len(about["location"]) :] if uri.startswith(about["location"]) else uri)

    files: dict[str, File] = {}
    for manifest in avro.records(_read(here(chosen["manifest-list"]))):
        for entry in avro.records(_read(here(manifest["manifest_path"]))):
            if entry["status"] == 2:  # deleted by this snapshot
                continue
            data = entry["data_file"]
            if data.get("content"):
                fix = "rewrite them away: CALL system.rewrite_data_files(table => 'db.t', options => map('delete-file-threshold', '1'))"
                raise _unsupported(where, "rows are deleted by delete files, beside the data", fix)
            if str(data["file_format"]).upper() != "PARQUET":
                raise _unsupported(where, f"{data['file_path']} is {data['file_format']}", "write a copy of it as Parquet")
            files[data["file_path"]] = File(path=here(data["file_path"]), size_bytes=int(data["file_size_in_bytes"]))
    if not files:
        raise _missing(where, "the table has no files at that snapshot")
    found = tuple(sorted(files.values(), key=lambda file: file.path))
    if len(about.get("schemas", [])) > 1:
        _refuse_renamed(where, about, found)
    return found


def _newest(where: str) -> str:
    names = _listed(f"{where}/metadata", where)
    hint = names.get("version-hint.text")
    if hint is not None and (file := names.get(f"v{_read(hint.path).decode().strip()}.metadata.json")):
        return file.path
    numbered = [(int(found[1]), name) for name in names if (found := re.match(r"v?(\d+)[-.].*metadata\.json$", name))]
    if not numbered:
        raise _missing(where, f"{where}/metadata holds no metadata.json")
    return names[max(numbered)[1]].path


def _refuse_renamed(where: str, about: Mapping[str, Any], files: tuple[File, ...]) -> None:
    """Old files have a column under its old name: what they hold must be what the table says now."""
    import pyarrow.parquet as pq

    schema = next(one for one in about["schemas"] if one["schema-id"] == about["current-schema-id"])
    wanted = {one["name"] for one in schema["fields"]}
    for file in files:
        with opened(file) as handle:
            found = set(pq.read_schema(handle).names)
        if found != wanted:
            odd = sorted(found ^ wanted)[:5]
            why = f"columns were added, dropped or renamed since {Path(file.path).name} was written: {', '.join(odd)}"
            raise _unsupported(where, why, "rewrite the old files: CALL system.rewrite_data_files(...), or write a copy of the table")
