"""The journey of a recipe to EMR and back, rehearsed: emulated account, real step, real S3 over the wire, real clean-up."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.errors import RecipeError
from filon.events import Event, Listen
from filon.recipe import RecipeFile, recipe_from
from filon.rehearse.server import emulator

if TYPE_CHECKING:
    from filon.places.base import Handle

DEFAULT_BUCKET = "s3://rehearsal/filon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal did: the folder the model came home to, the steps that ran, what clean-up deleted and what it left."""

    home: Path
    handle: Handle
    log_lines: int
    deleted: int
    left: tuple[str, ...]


def rehearse(file: RecipeFile, *, runs: Path, data: str, real_environment: bool, listen: Listen) -> Rehearsed:
    """Carry a recipe through the whole journey.

    Parameters
    ----------
    data : a local table in place of the recipe's own; "" for the recipe's own, which must then be local
    real_environment : build and send the lane's environment, as the true run would; else a small one that stands for this Python

    Raises
    ------
    RecipeError : `rehearse.data-remote`
    FilonError : whatever the journey meets, as the true one would
    """
    table = _local_table(file, data)
    with tempfile.TemporaryDirectory(prefix="filon-rehearsal-") as scratch:
        folder = Path(scratch)
        listen(Event(stage="rehearse", text="an emulated AWS account on this machine"))
        with emulator(folder / "aws") as endpoint, _account(endpoint, folder):
            archive = "" if real_environment else str(stand_in(folder / "environment.tar.gz"))
            staged = _staged(file, table, archive, listen)
            return _travel(staged, runs, listen)


def _travel(file: RecipeFile, runs: Path, listen: Listen) -> Rehearsed:
    from filon.places.emr.cleanup import delete, find_doomed
    from filon.places.emr.fetch import fetch
    from filon.places.emr.logs import Reader
    from filon.places.emr.place import open_emr
    from filon.remote import job_of

    place = open_emr(file.recipe.places.emr, strategy=file.recipe.places.spark.strategy)
    handle = place.submit(job_of(file, runs=runs), listen)
    again = place.submit(job_of(file, runs=runs), listen)
    assert again.facts["step"] == handle.facts["step"], "the same job was sent twice"
    try:
        handle = place.follow(handle, listen)
        home = fetch(place.bucket, handle, listen)
        lines = _late_logs(Reader(bucket=place.bucket, handle=handle), listen)
    finally:
        deleted = delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket, outputs=True), listen)
        shutil.rmtree(runs / ".jobs" / handle.id, ignore_errors=True)  # its account is gone: no command may find it again
    left = tuple(one.text for one in find_doomed(place.aws, place.ledger, place.bucket, outputs=True) if one.kind != "nothing")
    return Rehearsed(home=home, handle=handle, log_lines=lines, deleted=deleted, left=left)


def _late_logs(reader: Any, listen: Listen) -> int:
    """Lines of log, which come some seconds after the end here, and minutes on EMR."""
    import time

    from filon.places.emr.logs import complete

    count, end = 0, time.monotonic() + 30
    while not complete(reader) and time.monotonic() < end:
        count += len(reader.news())
        time.sleep(0.5)
    listen(Event(stage="logs", text=f"{count:,} lines"))
    return count


def _local_table(file: RecipeFile, data: str) -> str:
    source = data or file.recipe.data.source
    if not isinstance(source, str) or "://" in source:
        why = f"data.source = {source!r}: nothing outside this machine is touched in a rehearsal"
        raise RecipeError(
            "rehearse.data-remote", "a rehearsal needs a local table", why, "--data sample.csv, some thousand rows of the table"
        )
    return source if Path(source).is_absolute() else str((Path.cwd() if data else file.base) / source)


@contextmanager
def _account(endpoint: str, folder: Path) -> Iterator[None]:
    """This process's AWS is the emulated one until the block ends; so is the ledger."""
    ours = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",  # pragma: allowlist secret
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "FILON_HOME": str(folder / "home"),
    }
    others = (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_EMR",
    )
    before = {name: os.environ.get(name) for name in (*ours, *others)}
    for name in others:
        os.environ.pop(name, None)
    os.environ.update(ours)
    try:
        yield
    finally:
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _staged(file: RecipeFile, table: str, archive: str, listen: Listen) -> RecipeFile:
    """The bucket with the table in it, and the recipe that points there."""
    from filon.engines.storage import find_files
    from filon.places.emr.bucket import address
    from filon.places.emr.client import Client

    emr = file.recipe.places.emr
    bucket = emr.bucket or DEFAULT_BUCKET
    aws = Client("us-east-1")
    aws.call("s3", "create_bucket", Bucket=address(bucket).bucket)
    files = find_files(table, file.base)
    for one in files:
        key = f"rehearsal/{Path(one.path).name}"
        aws.call("s3", "put_object", Bucket=address(bucket).bucket, Key=key, Body=Path(one.path).read_bytes())
    listen(Event(stage="rehearse", text=f"{len(files)} files of the table in the emulated bucket"))
    source = f"s3://{address(bucket).bucket}/rehearsal/" + (Path(files[0].path).name if len(files) == 1 else "")
    places = {**dict(file.written.get("places", {}))}
    changes = {"region": "us-east-1", "bucket": bucket, "cluster_id": "", "application_id": "", "archive": archive}
    if emr.serverless:
        changes["execution_role"] = "arn:aws:iam::123456789012:role/rehearsal"
    places["emr"] = {**dict(places.get("emr", {})), **changes}
    written = {**file.written, "data": {**dict(file.written["data"]), "source": source}, "places": places}
    return recipe_from(written, file.base, file.path)


def stand_in(path: Path) -> Path:
    """An environment of one file, which is this very Python."""
    text = f'#!/bin/sh\nexec {sys.executable} "$@"\n'.encode()
    with tarfile.open(path, "w:gz") as packed:
        entry = tarfile.TarInfo("bin/python")
        entry.size, entry.mode = len(text), 0o755
        packed.addfile(entry, io.BytesIO(text))
    return path
