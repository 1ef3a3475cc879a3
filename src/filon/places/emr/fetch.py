"""Outputs come home: downloaded beside their place and renamed when they are whole (law 6); what stands there already is not lost."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from filon.errors import PlaceError, RecipeError, some
from filon.events import Event, Listen
from filon.files import write_atomic
from filon.places.base import Handle, Job
from filon.places.emr.bucket import Address, Bucket, address

LAST: Mapping[str, str] = {"train": "manifest.json", "evaluate": "metrics.json"}
"""The file of an output that is written last, by the job's verb."""


def fetch(bucket: Bucket, handle: Handle, listen: Listen, *, out: Path | None = None) -> Path:
    """Download a job's outputs.

    Parameters
    ----------
    out : the folder they go to; by default a training goes among the local runs under its own run id, so that every command knows it.
        In a folder that holds this very output already, only files that are lacking are brought, and all others stay as they are

    Returns
    -------
    the folder (of predictions: with the files as Spark has written them)

    Raises
    ------
    PlaceError : `places.not-finished`
    RecipeError : `places.folder-taken`
    """
    place = address(handle.out)
    found = bucket.listed(place)
    sizes = {str(one["Key"])[len(place.key) + 1 :]: int(one["Size"]) for one in found}
    last = LAST.get(handle.job.verb, "")
    alone = bucket.has(place) if not sizes else None
    if alone is None and (not sizes or (last and last not in sizes)):
        raise PlaceError(
            "places.not-finished",
            f"{handle.out} is not finished",
            f"{len(sizes)} files are there, and {last or 'no result'} comes last",
            f"filon attach {handle.id} follows the job; filon doctor {handle.id} says why it failed",
        )
    if alone is not None:  # one object: its folder is fetched, and it is all there is in it
        sizes, place = {place.key.rpartition("/")[2]: alone}, Address(bucket=place.bucket, key=place.key.rpartition("/")[0])
    target = (out or _home(bucket, handle, last)).absolute()
    if not target.is_dir():
        return _bring_whole(bucket, place, sorted(sizes, key=lambda name: (name == last, name)), target, handle.job, listen)
    _refuse_other(bucket, place, sizes, last, target)
    lacking = [name for name in sizes if not (target / name).exists()]
    if not lacking:
        listen(Event(stage="fetch", text=f"{target} has it all already"))
    for done, name in enumerate(sorted(lacking, key=lambda name: (name == last, name)), 1):
        write_atomic(target / name, _brought(bucket, place, name, handle.job))
        listen(Event(stage="fetch", text=name, done=done, total=len(lacking)))
    return target


def _bring_whole(bucket: Bucket, place: Address, names: list[str], target: Path, job: Job, listen: Listen) -> Path:
    """A folder that is not there yet: it appears when it is whole. The manifest comes last: no command takes a half for a run."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if not _is_alive(left.name.split(".")[-2]):
            shutil.rmtree(left)  # of a fetch that was killed
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        for done, name in enumerate(names, 1):
            write_atomic(beside / name, _brought(bucket, place, name, job))
            listen(Event(stage="fetch", text=name, done=done, total=len(names)))
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _brought(bucket: Bucket, place: Address, name: str, job: Job) -> bytes:
    content = bucket.read(place / name)
    return _at_home(content, job) if job.verb == "train" and name == "manifest.json" else content


def _at_home(manifest: bytes, job: Job) -> bytes:
    """A run's manifest as if it had been trained here: relative paths start at the recipe's folder, and records go where the recipe says.

    The job was sent without `[track]` where that names a file, and worked in a folder of its container: `filon track` and `filon promote`
    would make a database of their own there.
    """
    told = json.loads(manifest)
    told["base"] = job.base
    track = tomllib.loads(job.recipe).get("track")
    told["recipe"] = {key: value for key, value in told.get("recipe", {}).items() if key != "track"} | ({"track": track} if track else {})
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return int(process) != os.getpid()


def _refuse_other(bucket: Bucket, place: Address, sizes: Mapping[str, int], last: str, target: Path) -> None:
    """Let pass a folder that is empty, or has nothing but this very output in it; its own manifest tells, whatever else was put beside.

    Raises
    ------
    RecipeError : `places.folder-taken`
    """
    if last and (target / last).is_file():
        theirs = bucket.read(place / last)
        same = (
            _run_id(theirs) == _run_id((target / last).read_bytes()) if last == "manifest.json" else (target / last).read_bytes() == theirs
        )
        foreign = [] if same else [last]
    else:
        foreign = list(islice((name for name, size in _files(target) if sizes.get(name) != size), 5))  # a home folder has a million
    if foreign:
        why = f"{target} has {some(sorted(foreign))}, not of {place.uri}"
        raise RecipeError("places.folder-taken", "the folder holds something else", why, "filon fetch RUN --out A-NEW-FOLDER")


def _files(folder: Path) -> Iterable[tuple[str, int]]:
    """Every file by its name below the folder, with its size; not what a fetch that was killed left half-written."""
    for file in folder.rglob("*"):
        if file.is_file() and not (file.name.startswith(".") and file.name.endswith(".tmp")):
            yield file.relative_to(folder).as_posix(), file.stat().st_size


def _run_id(manifest: bytes) -> str:
    try:
        return str(json.loads(manifest)["run_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _home(bucket: Bucket, handle: Handle, last: str) -> Path:
    place = address(handle.out)
    if last == "manifest.json":
        return Path(handle.job.runs) / _run_id(bucket.read(place / last))
    return Path.cwd() / place.key.rpartition("/")[2]
