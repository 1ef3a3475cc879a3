"""Handles on disk and in the bucket: a closed laptop, or another one, finds the job again."""

from __future__ import annotations

from pathlib import Path

from filon.errors import PlaceError, RecipeError, some
from filon.files import write_atomic
from filon.places.base import Handle
from filon.places.emr.bucket import Bucket
from filon.places.job_words import handle_from, handle_text

FILE = "handle.json"


def keep_handle(handle: Handle, bucket: Bucket) -> None:
    """Beside the local runs, and in the job's folder."""
    text = handle_text(handle)
    file = Path(handle.job.runs) / ".jobs" / handle.id / FILE
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    if old == text:
        return
    write_atomic(file, text)
    bucket.write(bucket.root / "jobs" / handle.id / FILE, text.encode())


def find_handle(runs: Path, run: str, place: str = "emr") -> Handle:
    """A job that was submitted from here, by its key, the beginning of it, its step or "latest".

    Raises
    ------
    RecipeError : `places.job-unknown`
    """
    found = list_handles(runs, place)
    for handle in found:
        if run in ("latest", handle.id, handle.facts.get("step"), handle.facts.get("cluster"), handle.out):
            return handle
    near = [handle for handle in found if handle.id.startswith(run) or handle.job.name == run]
    if near:
        return near[0]
    direct = Path(run) / FILE
    if direct.exists():
        return handle_from(direct.read_text(encoding="utf-8"))
    raise RecipeError(
        "places.job-unknown",
        f"there is no job {run!r}",
        f"{runs / '.jobs'} has {len(found)} jobs of {place}",
        "`filon status` lists them; for a job sent from another machine: filon attach KEY --recipe filon.toml",
    )


def list_handles(runs: Path, place: str = "emr") -> list[Handle]:
    """Jobs submitted from here, the newest first."""
    files = sorted((runs / ".jobs").glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    handles = [handle_from(file.read_text(encoding="utf-8")) for file in files]
    return [handle for handle in handles if handle.place == place]


def fetch_handle(bucket: Bucket, key: str, runs: Path, base: Path) -> Handle:
    """A job that was submitted from elsewhere, by what it left in the bucket; kept here from now on.

    Parameters
    ----------
    runs, base : the folders of runs and of the recipe on this machine; the handle has those of the other one

    Raises
    ------
    RecipeError : `places.job-unknown`
    """
    import dataclasses

    try:
        handle = handle_from(bucket.read(bucket.root / "jobs" / key / FILE).decode())
    except PlaceError as exc:
        if exc.code != "places.object-missing":
            raise
        place = bucket.root / "jobs"
        there = [str(one["Key"])[len(place.key) + 1 :].partition("/") for one in bucket.listed(place)]
        names = [name for name, _, file in there if file == FILE]
        why = f"{place.uri} has {some(names)}" if names else f"no job stands in {place.uri}: none was sent, or all were cleaned up"
        raise RecipeError("places.job-unknown", f"there is no job {key!r}", why, "filon attach KEY --recipe filon.toml") from exc
    handle = dataclasses.replace(handle, job=dataclasses.replace(handle.job, runs=str(runs.absolute()), base=str(base.absolute())))
    keep_handle(handle, bucket)
    return handle
