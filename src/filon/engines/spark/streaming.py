"""Files that keep arriving, scored batch by batch, each exactly once.

Spark's Structured Streaming finds the files and remembers in its checkpoint which were in which batch; the rows of a batch go the way of
every other table. A batch that is done twice (the process was killed before the checkpoint heard of it) replaces its own output.
"""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filon.engines import s3
from filon.engines.base import Column, Written
from filon.engines.spark.session import Session, plain, refuse_connect
from filon.errors import FilonError, RecipeError, SetupError
from filon.events import Event, Listen
from filon.files import write_atomic

FILES_A_BATCH = 1000
EVERY_S = 5
"""Seconds between two looks for new files."""

NOTE, NOTE_BESIDE_ROWS = "filon.json", "_filon.json"
"""Whose a checkpoint and an output are; readers of folders pass names with an underscore over."""

PATIENCE_S = 60.0
"""How long a batch under way may take to end, once somebody asks the stream to stop; it would be done again, were it cut off."""

KAFKA = "kafka://"
ANY_SCHEMA = "path string, modificationTime timestamp, length bigint, content binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is scored: new files of `data` (a folder or glob of Parquet, or kafka://servers/topic), with notes kept in `checkpoint`.

    out : folder in which `score` leaves a folder a batch
    identity : what makes this stream itself: the bundle, the data and the output
    columns : the bundle's source columns, from which a topic's JSON is read
    once : what is there is scored, then the stream ends
    """

    data: str
    checkpoint: str
    out: str
    identity: dict[str, str]
    columns: tuple[Column, ...]
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What a stream has done since it began: rows = scored + rejected."""

    batches: int
    rows: int
    scored: int
    rejected: int


Batch = Callable[[tuple[str, ...], int], Written]
"""Scores some files as the batch of a number; done twice, it leaves the same as done once."""


def stream(session: Session, what: Stream, score: Batch, listen: Listen) -> Streamed:
    """Score until somebody says stop (SIGTERM, Ctrl-C), or until what is there is done.

    Raises
    ------
    RecipeError : `predict.stream-checkpoint`, `predict.stream-output`
    SetupError : `predict.stream-kafka`, `engines.connect-lacks`, `engines.s3a-missing`
    """
    refuse_connect(session, "a stream is scored by the driver itself, batch by batch")
    claim(what.checkpoint, what.out, what.identity)
    done: list[Written] = []
    errors: list[BaseException] = []

    def each(frame: Any, number: int) -> None:
        try:
            with _files(session, what, frame) as files:
                if files:
                    done.append(score(files, number))
            if files:
                last = done[-1]
                text = f"batch {number}: {len(files):,} file{'s' * (len(files) > 1)}, {last.rows:,} rows, {last.rejected:,} rejected"
                listen(Event(stage="score", text=text, fields={"batch": number, "rows": last.rows, "rejected": last.rejected}))
        except BaseException as exc:
            errors.append(exc)
            raise

    with stopped_by_signals() as stop:
        with session.in_our_words(what.data):
            writer = _frame(session, what).writeStream.foreachBatch(each).option("checkpointLocation", _spark_path(what.checkpoint))
            query = (writer.trigger(availableNow=True) if what.once else writer.trigger(processingTime=f"{EVERY_S} seconds")).start()
        listen(Event(stage="score", text=f"waiting for files in {what.data}"))
        _until_ended(query, stop)
    if errors:
        raise errors[0]
    failed = query.exception()
    if failed is not None and not stop.is_set():
        with session.in_our_words(what.data):
            raise failed
    counts = {name: sum(getattr(one, name) for one in done) for name in ("rows", "scored", "rejected")}
    return Streamed(batches=len(done), **counts)


def _until_ended(query: Any, stop: threading.Event) -> None:
    """Wait; when asked to stop, let the batch under way end."""
    while query.isActive and not stop.wait(0.2):
        pass
    asked = time.monotonic()
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < asked + PATIENCE_S:
        time.sleep(0.1)
    query.stop()


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set (outside the main thread, where no signal is heard, nothing sets it)."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def claim(checkpoint: str, out: str, identity: dict[str, str]) -> None:
    """Note in the checkpoint and in the output whose they are; refuse those of another stream.

    Every checkpoint counts its batches from 0, so an output takes the batches of one checkpoint alone, known by a number of its own.

    Raises
    ------
    RecipeError : `predict.stream-checkpoint`, `predict.stream-output`
    """
    noted, names = _noted(checkpoint, NOTE)
    if noted is None and names:
        raise _of_another("checkpoint", checkpoint, "it holds notes, but not of a stream of Filon")
    if noted is not None and (differs := _differences(noted, identity)):
        raise _of_another("checkpoint", checkpoint, differs)
    mine = {**identity, "stream": uuid.uuid4().hex if noted is None else noted.get("stream", "")}
    there, names = _noted(out, NOTE_BESIDE_ROWS)
    if there is None and noted is None and any(name.startswith("batch=") for name in names):
        raise _of_another("output", out, f"it holds batches, and the checkpoint {checkpoint} is new")
    if there is not None and there != mine:
        why = _differences(there, identity) or f"its batches were counted in another checkpoint than {checkpoint}"
        raise _of_another("output", out, why)
    for folder, name, known in ((checkpoint, NOTE, noted), (out, NOTE_BESIDE_ROWS, there)):
        if known is None:
            _note(folder, name, mine)


def _differences(noted: dict[str, str], identity: dict[str, str]) -> str:
    return "; ".join(f'{name} was "{noted.get(name, "")}", is "{value}"' for name, value in identity.items() if noted.get(name) != value)


def _noted(folder: str, name: str) -> tuple[dict[str, str] | None, list[str]]:
    """Whose a folder is (None: nobody's), and what is in it."""
    from pyarrow import fs

    store, root = (s3.filesystem(), s3.key_of(folder)) if s3.is_remote(folder) else (fs.LocalFileSystem(), folder)

    def look() -> tuple[dict[str, str] | None, list[str]]:
        names = [one.base_name for one in store.get_file_info(fs.FileSelector(root, recursive=False, allow_not_found=True))]
        if name not in names:
            return None, names
        with store.open_input_stream(f"{root}/{name}") as content:
            return json.loads(content.read()), names

    return s3.ask(look, folder) if s3.is_remote(folder) else look()


def _note(folder: str, name: str, mine: dict[str, str]) -> None:
    text = json.dumps(mine, ensure_ascii=False).encode()
    if not s3.is_remote(folder):
        write_atomic(Path(folder) / name, text)  # half a note would be nobody's for ever
        return
    store = s3.filesystem()
    with s3.ask(lambda: store.open_output_stream(f"{s3.key_of(folder)}/{name}"), folder) as out:
        out.write(text)


def _of_another(kind: str, folder: str, why: str) -> RecipeError:
    code: Literal["predict.stream-checkpoint", "predict.stream-output"]
    code = "predict.stream-checkpoint" if kind == "checkpoint" else "predict.stream-output"
    fix = "name new folders with --checkpoint and --out, or go on with the stream it belongs to"
    return RecipeError(code, f"the {kind} {folder} belongs to another stream", why, fix)


def _frame(session: Session, what: Stream) -> Any:
    """A streaming DataFrame: one row a file, or (Kafka) one a message."""
    if what.data.startswith(KAFKA):
        return _kafka(session, what.data)
    reader = session.spark.readStream.format("binaryFile").schema(ANY_SCHEMA).option("maxFilesPerTrigger", FILES_A_BATCH)
    reader = reader.option("recursiveFileLookup", "true")  # or it passes over what other folders hold than those of hive
    return reader.option("pathGlobFilter", "*.{parquet,pq}").load(_watched(what.data)).select("path")


def _watched(data: str) -> str:
    """A folder or a pattern as Spark is told it: only what the user wrote is a pattern, and not where there is a folder of that name."""
    if s3.is_remote(data):
        return _spark_path(data)
    folder = Path(data)
    if not folder.is_dir() and any(sign in data for sign in "*?["):
        return f"file://{data}" if folder.is_absolute() else f"{plain(_spark_path('.'))}/{data}"
    folder.mkdir(parents=True, exist_ok=True)  # Spark watches only what is there
    return plain(_spark_path(data))


def _kafka(session: Session, data: str) -> Any:
    servers, _, topic = data.removeprefix(KAFKA).partition("/")
    try:
        reader = session.spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers)
        return reader.option("subscribe", topic).option("startingOffsets", "earliest").load().selectExpr("CAST(value AS STRING) AS value")
    except FilonError:
        raise
    except Exception as exc:
        if "kafka" not in str(exc).lower():
            raise
        raise SetupError(
            "predict.stream-kafka",
            "Spark has no connector for Kafka",
            " ".join(str(exc).split())[:200],
            f"--spark-conf spark.jars.packages=org.apache.spark:spark-sql-kafka-0-10_{_scala(session)}:{session.spark.version}",
        ) from exc


def _scala(session: Session) -> str:
    """Scala's version as jars are named by it: Spark 3.5 is there for 2.12 and for 2.13."""
    return str(session.spark._jvm.scala.util.Properties.versionNumberString()).rpartition(".")[0]


@contextmanager
def _files(session: Session, what: Stream, frame: Any) -> Iterator[tuple[str, ...]]:
    """The files of a batch; a topic's messages are files of the work folder until the batch is done."""
    if not what.data.startswith(KAFKA):
        yield tuple(sorted(_local(row["path"]) for row in frame.collect()))
        return
    place = session.keep(parsed(frame, what.columns), "kafka", origin=what.data)
    try:
        yield () if session.kept(place).isEmpty() else (place.removeprefix("file://"),)
    finally:
        session.forget(place)


def parsed(frame: Any, columns: tuple[Column, ...]) -> Any:
    """Messages (column `value`, JSON) as rows of the bundle's columns; what a message lacks is missing."""
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql.types import BooleanType, DoubleType, StringType, StructField, StructType

    kinds = {"number": DoubleType(), "boolean": BooleanType()}
    plain = [column for column in columns if not column.sql]
    schema = StructType([StructField(column.name, kinds.get(column.kind, StringType())) for column in plain])
    return frame.select(F.from_json("value", schema).alias("row")).select("row.*")


def _spark_path(path: str) -> str:
    """A path as Spark is told it: S3 by S3A, the rest on this machine's disk."""
    return path.replace("s3://", "s3a://", 1) if s3.is_remote(path) else f"file://{Path(path).absolute()}"


def _local(uri: str) -> str:
    return uri.replace("s3a://", "s3://", 1) if uri.startswith("s3a://") else uri.removeprefix("file://").removeprefix("file:")
