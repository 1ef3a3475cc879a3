"""What is watched: live rows in files or captures, a window of time, labels that came later."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from filon.engines.base import Column, Dialect, Source
from filon.engines.captures import EVENT, INFERENCE, marked, recent
from filon.engines.s3 import ask, filesystem, is_remote, key_of
from filon.engines.storage import find_files
from filon.errors import DataError, RecipeError, some
from filon.events import Listen
from filon.read import read_like
from filon.read.reading import look
from filon.read.settings import DataSettings
from filon.serve.capture import plain_name
from filon.watch.settings import WatchSettings

if TYPE_CHECKING:
    from filon.package import Bundle

EVENT_NAMES = ("event_id", "eventId", "eventid")
INFERENCE_NAMES = ("inference_id", "inferenceId", "inferenceid")
SPANS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller wants watched: `data` or `capture` is given; `since` such as "7d" or a moment; `labels` a table, "" for none."""

    data: str = ""
    capture: str = ""
    since: str = ""
    labels: str = ""
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Labels to be joined: the table, the rows' columns that name a row, and what the table calls them."""

    source: Source
    rows: tuple[str, ...]
    named: tuple[str, ...]


def settings_of(bundle: Bundle, sets: Sequence[str]) -> WatchSettings:
    """The thresholds that travel with the bundle, with overrides such as "watch.psi=0.2".

    Raises
    ------
    RecipeError : `watch.bad-set`
    """
    written = dict(bundle.record.get("run", {}).get("watch", {}))
    for one in sets:
        key, equals, value = one.partition("=")
        name = key.strip().removeprefix("watch.")
        if not equals or name not in WatchSettings.model_fields:
            raise RecipeError(
                "watch.bad-set",
                f"--set {one} is no threshold",
                f"the thresholds are {some(WatchSettings.model_fields, 12)}",
                "--set watch.psi=0.2",
            )
        try:
            written[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            written[name] = value.strip()
    try:
        return WatchSettings.model_validate(written)
    except ValidationError as exc:
        first = exc.errors()[0]
        why = f"watch.{first['loc'][0] if first['loc'] else ''}: {first['msg']}"
        raise RecipeError("watch.bad-set", "a threshold has a value it cannot take", why, "--set watch.psi=0.2") from exc


def moment_of(since: str, now: datetime) -> float | None:
    """Seconds since 1970 UTC of "90m", "24h", "7d", "2w" before now, or of a moment in ISO 8601; None for "".

    Raises
    ------
    RecipeError : `watch.since-unreadable`

    >>> moment_of("2h", datetime(1970, 1, 2, tzinfo=UTC))
    79200.0
    """
    if not since:
        return None
    span = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", since.strip())
    if span:
        return now.timestamp() - float(span[1]) * SPANS[span[2]]
    try:
        found = datetime.fromisoformat(since.strip())
    except ValueError as exc:
        why = "it is neither a span such as 90m, 24h, 7d, 2w nor a moment such as 2026-01-31T12:00"
        raise RecipeError("watch.since-unreadable", f"--since {since} cannot be understood", why, "--since 7d") from exc
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def source_of(bundle: Bundle, asked: Asked, since: float | None, listen: Listen) -> Source:
    """The live rows.

    Raises
    ------
    RecipeError : `watch.data-or-capture`
    DataError : `watch.nothing-captured`, and those of reading
    """
    if bool(asked.data) == bool(asked.capture):
        why = "both are given" if asked.data else "neither is given"
        raise RecipeError("watch.data-or-capture", "live rows come from a table or from a capture", why, "--data PATH, or --capture PATH")
    if asked.data:
        return read_like(bundle.columns, _how(bundle, asked.data), Path.cwd(), listen)
    fix = "name the folder given to --capture of filon serve"
    try:
        every = find_files(_capture_root(bundle, asked.capture), Path.cwd())
    except DataError as exc:
        if exc.code != "read.file-missing":
            raise
        raise DataError("watch.nothing-captured", f"there is no {asked.capture}", exc.why, fix) from exc
    found = [file for file in every if file.path.endswith((".jsonl", ".jsonl.gz"))]
    files = recent([file for file in found if file.size_bytes], since)
    if not files:
        why = (
            f"{len(found):,} files of captured lines (.jsonl), none of them within --since {asked.since}"
            if found
            else "it has no .jsonl file"
        )
        raise DataError("watch.nothing-captured", f"there is nothing to watch in {asked.capture}", why, fix)
    needed = (*bundle.inputs, *bundle.derived)
    words = bundle.record.get("run", {}).get("read", {}).get("missing", ())
    dialect = Dialect(missing=tuple(dict.fromkeys(("", *words))))  # as the server read them
    return Source(format="capture", files=files, dialect=dialect, columns=marked(needed), origin=asked.capture)


def _capture_root(bundle: Bundle, place: str) -> str:
    """The folder of the champion's captures below a place that holds several models', else the place itself."""
    inside = (f"{place.rstrip('/')}/{inner}" for inner in (f"{plain_name(bundle.name)}/champion", "champion"))
    return next((folder for folder in inside if _is_folder(folder)), place)


def _is_folder(place: str) -> bool:
    if not is_remote(place):
        return Path(place).expanduser().is_dir()
    if any(mark in place for mark in "*?["):
        return False
    info = ask(lambda: filesystem().get_file_info(key_of(place)), place)
    return bool(info.type.name == "Directory")


def join_of(bundle: Bundle, asked: Asked, rows: Source, listen: Listen) -> Join | None:
    """How labels that came later are joined: by the event's id, the caller's id, or the model's key.

    Raises
    ------
    DataError : `watch.labels-unusable`
    """
    if not asked.labels:
        return None
    settings = _how(bundle, asked.labels)
    there = {column.name for column in look(settings, Path.cwd(), listen).columns}
    before = {column.name: column for column in bundle.columns}
    if bundle.label not in there:
        raise _unusable(asked.labels, f"it lacks the label {bundle.label!r}; it has {some(sorted(there))}")
    live = {column.name for column in rows.columns}
    keys = tuple(column.name for column in bundle.columns if column.role == "key")
    for mark, names in ((EVENT, EVENT_NAMES), (INFERENCE, INFERENCE_NAMES)):
        name = next((one for one in names if one in there), "")
        if name and mark in live:
            return _join(settings, (mark,), (name,), (Column(name=name, kind="text"),), before[bundle.label], listen)
    if keys and set(keys) <= there & live:
        return _join(settings, keys, keys, tuple(before[key] for key in keys), before[bundle.label], listen)
    why = f"it has {some(sorted(there))}; the live rows have {some(sorted(live))}"
    raise _unusable(asked.labels, f"nothing in it names a row: {why}")


def _join(
    settings: DataSettings, rows: tuple[str, ...], named: tuple[str, ...], keys: tuple[Column, ...], label: Column, listen: Listen
) -> Join:
    columns = (*(Column(name=key.name, kind=key.kind, role="key", stored=key.stored) for key in keys), label)
    return Join(source=read_like(columns, settings, Path.cwd(), listen), rows=rows, named=named)


def _unusable(labels: str, why: str) -> DataError:
    fix = "give a table with the label and event_id (as eventId in the capture), inference_id, or the columns of data.key"
    return DataError("watch.labels-unusable", f"the labels in {labels} cannot be joined to the rows", why, fix)


def _how(bundle: Bundle, data: str) -> DataSettings:
    """How new tables are read: as the recipe said it of the first."""
    how = bundle.record.get("run", {}).get("read", {})
    return DataSettings.model_validate({"source": data, "label": bundle.label, **how})


def time_of(rows: Source) -> str:
    """The column that says when a row was, "" when there is none."""
    return next((column.name for column in rows.columns if column.role == "time" and column.kind == "date"), "")
