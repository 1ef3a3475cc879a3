"""Outputs come home: downloaded beside their place, and renamed when they are whole (law 6)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.base import Handle
from filon.places.emr.bucket import Address, Bucket, address


def fetch(bucket: Bucket, handle: Handle, listen: Listen, *, out: Path | None = None) -> Path:
    """Download a job's outputs.

    Parameters
    ----------
    out : the folder they go to; by default a training goes among the local runs under its own run id, so that every command knows it

    Returns
    -------
    the folder (of predictions: with the files as Spark has written them)

    Raises
    ------
    PlaceError : `places.not-finished`
    """
    place = address(handle.out)
    found = bucket.listed(place)
    keys = {str(one["Key"])[len(place.key) + 1 :]: str(one["Key"]) for one in found}
    last = {"train": "manifest.json", "evaluate": "metrics.json"}.get(handle.job.verb, "")
    alone = not keys and bucket.has(place) is not None
    if not alone and (not keys or (last and last not in keys)):
        raise PlaceError(
            "places.not-finished",
            f"{handle.out} is not finished",
            f"{len(keys)} files are there, and {last or 'no result'} comes last",
            f"filon attach {handle.id} follows the job; filon doctor {handle.id} says why it failed",
        )
    target = out or _home(bucket, handle, place, last in keys and last == "manifest.json")
    if alone:
        keys = {place.key.rpartition("/")[2]: place.key}
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    for done, (name, key) in enumerate(sorted(keys.items()), 1):
        file = beside / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bucket.read(Address(bucket=place.bucket, key=key)))
        listen(Event(stage="fetch", text=name, done=done, total=len(keys)))
    if target.exists():
        shutil.rmtree(target)  # fetched before: the newer copy takes its place
    target.parent.mkdir(parents=True, exist_ok=True)
    beside.rename(target)
    return target


def _home(bucket: Bucket, handle: Handle, place: Address, is_run: bool) -> Path:
    if is_run:
        manifest = json.loads(bucket.read(place / "manifest.json"))
        return Path(handle.job.runs) / str(manifest["run_id"])
    return Path.cwd() / place.key.rpartition("/")[2]
