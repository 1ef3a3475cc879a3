"""The Spark session in use: its work folder, its executors, and what is told of them before anything depends on it."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from filon.engines.modules import zipped
from filon.engines.settings import SparkSettings
from filon.engines.spark.listener import last_stage
from filon.engines.spark.opening import open_session
from filon.engines.spark.seen import Workers, asked
from filon.engines.spark.turns import TURN
from filon.engines.spark.words import translated
from filon.errors import EngineError, FilonError, SetupError
from filon.events import Event, Listen, silence

EXECUTORS_S = 120.0
"""How long the first executor is waited for (YARN and Kubernetes take their time); Spark's own setting wins where it is given."""


class Session:
    """A Spark session in use. `folder` is on this machine; `work` is a place that driver and executors share."""

    def __init__(self, settings: SparkSettings, folder: Path, *, threads: int = 0, memory_mib: int = 0, listen: Listen = silence) -> None:
        self.settings, self.folder, self.listen = settings, folder, listen
        self.spark, self.ours = open_session(settings, folder, threads, memory_mib, listen)
        self.connect = ".connect." in type(self.spark).__module__  # of the session itself: a notebook's may be active already
        try:
            if self.ours and not self.connect and not self.local:
                self._await_executors(settings.master)
            self.work = self._work_folder()
            self.workers = Workers() if self.local else asked(self)  # of a local Spark they are this very machine
            self.stages_before = last_stage(self)
        except BaseException:
            if self.ours:
                self.close_quietly()
            raise

    @property
    def local(self) -> bool:
        """Whether executors are threads of this machine's own JVM."""
        return not self.connect and str(self.spark.sparkContext.master).startswith("local")

    @cached_property
    def properties(self) -> Mapping[str, str]:
        """Spark's properties, which stay as they are once it has started; pyspark copies all of them each time it is asked for one.

        Connect tells them one by one only: see `capacity.conf_of`.
        """
        return dict(self.spark.sparkContext.getConf().getAll())

    @property
    def parallel(self) -> int:
        """Tasks that run at the same time, as far as Spark tells."""
        if self.connect:
            return max(1, self.workers.tasks)
        from filon.engines.spark.capacity import is_dynamic, slots_of

        now = max(1, int(self.spark.sparkContext.defaultParallelism))
        return max(now, slots_of(self)) if is_dynamic(self) else now

    @property
    def work_path(self) -> str:
        """The work folder as a path of this machine; "" when it is in another store."""
        return self.work.removeprefix("file://") if self.work.startswith("file://") else ""

    @property
    def shared(self) -> Path | None:
        """The work folder where driver and workers see the same files (see `seen`); None where they do not."""
        return Path(self.work_path) if self.work_path and self.workers.sees else None

    @property
    def version(self) -> tuple[int, int]:
        """Spark's version: major, minor."""
        first, second = str(self.spark.version).split(".")[:2]
        return int(first), int(second)

    def new_place(self, purpose: str) -> str:
        """A path below the work folder that nobody has used, for something that driver and workers both see.

        Raises
        ------
        SetupError : `engines.work-not-shared`
        """
        if not self.workers.sees:
            raise SetupError(
                "engines.work-not-shared",
                "Spark's workers do not see the folder that folds are kept in",
                f"{self.work_path} is a folder of this machine; a file that was made there is not on theirs",
                '[places.spark] work = "s3://bucket/tmp" (or hdfs://..., or file:///... of a disk that all machines mount)',
            )
        return f"{self.work}/{purpose}-{uuid.uuid4().hex[:12]}"

    @contextmanager
    def in_our_words(self, origin: str = "the table") -> Iterator[None]:
        """Translate what Spark raises while it works: our own errors come back from the tasks as they were raised there."""
        try:
            yield
        except FilonError:
            raise
        except Exception as exc:  # pyspark's errors have no common base across versions, Connect and py4j
            found = translated(exc, origin)
            if found is None:
                raise
            raise found from exc

    def keep(self, frame: Any, purpose: str, *, origin: str = "the table", by: str = "") -> str:
        """Write a DataFrame below the work folder as Parquet, so that what led to it is never computed again; its path.

        Raises
        ------
        SetupError : `engines.work-not-shared`
        """
        place = self.new_place(purpose)
        writer = frame.write.mode("error").option("compression", "lz4" if self.version >= (4, 0) else "snappy")
        with self.in_our_words(origin):
            (writer.partitionBy(by) if by else writer).parquet(place)
        return place

    def kept(self, place: str) -> Any:
        """What `keep` wrote, as a DataFrame."""
        return self.spark.read.parquet(plain(place))

    def send_modules(self, contents: Mapping[str, bytes]) -> None:
        """Python modules (content by path), to be imported by tasks that are made from now on."""
        if not contents:
            return
        name, packed = zipped(contents)
        if (self.folder / name).exists():
            return
        (self.folder / name).write_bytes(packed)
        if self.connect:
            self.spark.addArtifacts(str(self.folder / name), pyfile=True)
        else:
            self.spark.sparkContext.addPyFile(str(self.folder / name))

    def forget(self, place: str) -> None:
        """Remove something below the work folder."""
        remove(self.spark, place, connect=self.connect)

    def close(self) -> None:
        """Remove the work folder; stop Spark when we started it."""
        with suppress(Exception):
            remove(self.spark, self.work, connect=self.connect)
        if self.ours:
            self.close_quietly()

    def _await_executors(self, master: str) -> None:
        """Spark itself would wait for ever for an executor that no worker has room for.

        Raises
        ------
        EngineError : `engines.spark-no-slots`
        """
        from filon.engines.spark.capacity import is_dynamic, slots_now

        conf = self.properties
        said = conf.get("spark.scheduler.maxRegisteredResourcesWaitingTime", "")
        patience_s = float(said.removesuffix("s")) if said.removesuffix("s").isdigit() else EXECUTORS_S
        until = time.monotonic() + patience_s
        if is_dynamic(self):
            threading.Thread(target=self._give_work, name="filon-first-executor", daemon=True).start()
        while slots_now(self) < 1:
            if time.monotonic() > until:
                wanted = (
                    f"spark.executor.memory = {conf.get('spark.executor.memory', '1g')}, cores = {conf.get('spark.executor.cores', 'all')}"
                )
                why = f"waited {patience_s:.0f} s; asked for {wanted}: no worker has room for it, or other jobs hold the cluster"
                fix = (
                    'start workers, or ask for less: [places.spark] conf = { "spark.executor.memory" = "1g", "spark.executor.cores" = "1" }'
                )
                raise EngineError("engines.spark-no-slots", f"no executor has started on {master}", why, fix)
            self.listen(Event(stage="read", text=f"waiting for an executor on {master}"))
            time.sleep(2.0)

    def _give_work(self) -> None:
        """One tiny job: dynamic allocation asks for no executor (but `minExecutors`) before a task is pending."""
        with suppress(Exception):  # it ends with the session, when no executor comes
            self.spark.range(0, 1, 1, 1).count()

    def close_quietly(self) -> None:
        """Stop our Spark, where nothing has been kept yet or all of it is gone."""
        try:
            stop(self.spark, connect=self.connect)
            if self.connect:
                os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)  # pyspark leaves it, and every later session would be a remote one
        finally:
            TURN.give_back()

    def _work_folder(self) -> str:
        name = f"filon-{uuid.uuid4().hex[:12]}"
        if self.settings.work:
            return f"{self.settings.work.rstrip('/')}/{name}"
        home = ""
        if not self.connect and not self.local:
            home = str(self.spark._jsc.hadoopConfiguration().get("fs.defaultFS") or "")
        if home and not home.startswith("file:"):
            return f"{home.rstrip('/')}/tmp/{name}"
        place = self.folder / "work"
        place.mkdir(parents=True, exist_ok=True)
        return f"file://{place.absolute()}"


def stop(spark: Any, *, connect: bool) -> None:
    """End a session of ours; where its JVM has ended before it, forget that one, so that the next session gets its own."""
    try:
        with warnings.catch_warnings(action="ignore"):  # PySpark's, of a JVM that does not answer
            spark.stop()
    except Exception:
        if connect:
            return
        from pyspark import SparkContext

        with suppress(Exception):
            spark.sparkContext.stop()  # the second time it does not ask the JVM
        SparkContext._gateway = SparkContext._jvm = None
        type(spark)._instantiatedSession = type(spark)._activeSession = None


def plain(place: str) -> str:
    """A path that Spark reads as it stands: in a folder named "data [v2]" it would see a pattern.

    >>> plain("file:///srv/data [v2]/folds")
    'file:///srv/data \\\\[v2\\\\]/folds'
    """
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", place)


def remove(spark: Any, place: str, *, connect: bool) -> None:
    """Remove a folder of any file system that Spark knows (over Connect: only a local one)."""
    if place.startswith("file://") or connect:
        import shutil

        shutil.rmtree(place.removeprefix("file://"), ignore_errors=True)
        return
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)


def refuse_connect(session: Session, why: str) -> None:
    """For what needs Spark's own JVM beside this process.

    Raises
    ------
    SetupError : `engines.connect-lacks`
    """
    if session.connect:
        fix = "--master local[*] or spark://host:7077 (this process is the driver then), or --on spark"
        raise SetupError("engines.connect-lacks", "Spark Connect cannot do this", why, fix)
