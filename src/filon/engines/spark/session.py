"""The Spark session: the active one or a new one, its work folder, and what must be there before it starts."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filon.engines.settings import SparkSettings
from filon.engines.spark import java, s3a
from filon.engines.spark.seen import Workers, asked
from filon.engines.spark.words import translated
from filon.errors import EngineError, FilonError, SetupError
from filon.events import Event, Listen, silence

QUIET = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = spark %p %c{1}: %m%n%ex
logger.heartbeat.name = org.apache.spark.executor.Executor
logger.heartbeat.level = off
logger.tasks.name = org.apache.spark.scheduler.TaskSetManager
logger.tasks.level = off
logger.python.name = org.apache.spark.api.python
logger.python.level = off
logger.write.name = org.apache.spark.sql.execution.datasources
logger.write.level = off
logger.util.name = org.apache.spark.util.Utils
logger.util.level = off
"""
"""What fails in a task is told once, in our words, not by ten lines a try."""

ROWS_PER_BATCH = 1 << 16
EXECUTORS_S = 120.0
"""How long the first executor is waited for (YARN and Kubernetes take their time); Spark's own setting wins where it is given."""
REST_MIB = 1024
"""Memory of the JVM that holds no table: rows stream through it, and its shuffles spill."""


class Session:
    """A Spark session in use. `folder` is on this machine; `work` is a place that driver and executors share."""

    def __init__(self, settings: SparkSettings, folder: Path, *, threads: int = 0, memory_mib: int = 0, listen: Listen = silence) -> None:
        self.settings, self.folder, self.listen = settings, folder, listen
        self.spark, self.ours = _open(settings, folder, threads, memory_mib, listen)
        self.connect = ".connect." in type(self.spark).__module__  # of the session itself: a notebook's may be active already
        if self.ours and not self.connect and not self.local:
            self._await_executors(settings.master)
        self._works: list[str] = []
        self.work = self._work_folder()
        self.workers = self._asked()

    @property
    def local(self) -> bool:
        """Whether executors are threads of this machine's own JVM."""
        return not self.connect and str(self.spark.sparkContext.master).startswith("local")

    @property
    def parallel(self) -> int:
        """Tasks that run at the same time, as far as Spark tells."""
        if self.connect:
            return max(1, self.workers.tasks)
        return max(1, int(self.spark.sparkContext.defaultParallelism))

    @property
    def shared(self) -> Path | None:
        """The work folder where driver and workers see the same files (see `seen`); None when it is in another store."""
        return Path(self.work.removeprefix("file://")) if self.work.startswith("file://") else None

    @property
    def version(self) -> tuple[int, int]:
        """Spark's version: major, minor."""
        first, second = str(self.spark.version).split(".")[:2]
        return int(first), int(second)

    def new_place(self, purpose: str) -> str:
        """A path below the work folder that nobody has used."""
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
        """Write a DataFrame below the work folder as Parquet, so that what led to it is never computed again; its path."""
        place = self.new_place(purpose)
        writer = frame.write.mode("error").option("compression", "lz4" if self.version >= (4, 0) else "snappy")
        with self.in_our_words(origin):
            (writer.partitionBy(by) if by else writer).parquet(place)
        return place

    def kept(self, place: str) -> Any:
        """What `keep` wrote, as a DataFrame."""
        return self.spark.read.parquet(place)

    def forget(self, place: str) -> None:
        """Remove something below the work folder."""
        remove(self.spark, place, connect=self.connect)

    def close(self) -> None:
        """Remove the work folder; stop Spark when we started it."""
        with suppress(Exception):
            remove(self.spark, self.work, connect=self.connect)
        if self.ours:
            self.spark.stop()
            if self.connect:
                os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)  # pyspark leaves it, and every later session would be a remote one

    def _asked(self) -> Workers:
        """What the workers say before anything depends on them; of a local Spark they are this very machine.

        Raises
        ------
        SetupError : `engines.work-not-shared`, `engines.workers-lack`, `engines.python-differs`
        """
        if self.local:
            return Workers()
        try:
            return asked(self)
        except BaseException:
            if self.ours:
                self.close_quietly()
            raise

    def _await_executors(self, master: str) -> None:
        """Spark itself would wait for ever for an executor that no worker has room for.

        Raises
        ------
        EngineError : `engines.spark-no-slots`
        """
        from filon.engines.spark.capacity import slots_of

        conf = self.spark.sparkContext.getConf()
        said = conf.get("spark.scheduler.maxRegisteredResourcesWaitingTime", "")
        patience_s = float(said.removesuffix("s")) if said.removesuffix("s").isdigit() else EXECUTORS_S
        until = time.monotonic() + patience_s
        while slots_of(self) < 1:
            if time.monotonic() > until:
                self.close_quietly()
                asked = (
                    f"spark.executor.memory = {conf.get('spark.executor.memory', '1g')}, cores = {conf.get('spark.executor.cores', 'all')}"
                )
                why = f"waited {patience_s:.0f} s; asked for {asked}: no worker has room for it, or other jobs hold the cluster"
                fix = (
                    'start workers, or ask for less: [places.spark] conf = { "spark.executor.memory" = "1g", "spark.executor.cores" = "1" }'
                )
                raise EngineError("engines.spark-no-slots", f"no executor has started on {master}", why, fix)
            self.listen(Event(stage="read", text=f"waiting for an executor on {master}"))
            time.sleep(2.0)

    def close_quietly(self) -> None:
        """Stop Spark where nothing has been kept yet."""
        with suppress(Exception):
            self.spark.stop()

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


def remove(spark: Any, place: str, *, connect: bool) -> None:
    """Remove a folder of any file system that Spark knows (over Connect: only a local one)."""
    if place.startswith("file://") or connect:
        import shutil

        shutil.rmtree(place.removeprefix("file://"), ignore_errors=True)
        return
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)


def _open(settings: SparkSettings, folder: Path, threads: int, memory_mib: int, listen: Listen) -> tuple[Any, bool]:
    """The session, and whether it is ours to stop.

    Raises
    ------
    SetupError : `engines.spark-missing`, `engines.java-missing`, `engines.java-wrong`, `engines.spark-unreachable`
    """
    try:
        import pyspark
        from pyspark.sql import SparkSession
    except ImportError as exc:
        raise SetupError(
            "engines.spark-missing",
            "the engine spark needs the package pyspark",
            f"import pyspark: {exc}",
            "pip install 'filon[spark]'",
        ) from exc
    active = SparkSession.getActiveSession()
    if active is not None:
        return active, False
    master = settings.master or f"local[{threads or '*'}]"
    if master.startswith("sc://"):
        listen(Event(stage="read", text=f"asking for a session of Spark Connect at {master}"))
        return _remote(SparkSession, master, settings), True
    if not os.environ.get("SPARK_CONNECT_MODE_ENABLED"):
        java.require(str(pyspark.__version__))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    listen(Event(stage="read", text=f"starting Spark {pyspark.__version__} on {master}"))
    builder = SparkSession.builder.appName("filon")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # set by spark-submit, whose JVM knows its master already
        builder = builder.master(master)
    every = defaults(folder, memory_mib, local=master.startswith("local")) | s3a.conf() | settings.conf
    if "spark.executor.cores" in every:  # Spark says 1 (spark.task.cpus) otherwise, and a fit that has the executor to itself crawls
        every.setdefault("spark.executorEnv.OMP_NUM_THREADS", every["spark.executor.cores"])
    for name, value in every.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as exc:  # a JVM that does not come up raises one of several classes
        raise SetupError(
            "engines.spark-unreachable",
            f"Spark did not start on {master}",
            " ".join(str(exc).split())[:300],
            "check places.spark.master and places.spark.conf; `spark-submit --version` tells whether Spark itself works",
        ) from exc
    spark.sparkContext.setLogLevel("OFF" if master.startswith("local") else "ERROR")
    s3a.adapt(spark)
    return spark, True


REMOTE = {"spark.sql.session.timeZone": "UTC", "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_PER_BATCH)}
"""Properties of a session of our own on a Spark Connect server, whose own were set when it was started."""


def _remote(builder: Any, master: str, settings: SparkSettings) -> Any:
    try:
        made = builder.builder.remote(master)
        for name, value in (REMOTE | settings.conf).items():
            made = made.config(name, value)
        spark = made.getOrCreate()
        _ = spark.version  # asks the server: a wrong address shows now
        if settings.archive:
            spark.addArtifacts(f"{settings.archive}#environment", archive=True)
            spark.conf.set("spark.sql.execution.pyspark.python", "environment/bin/python")
    except Exception as exc:
        raise SetupError(
            "engines.spark-unreachable",
            f"no Spark Connect server answers at {master}",
            " ".join(str(exc).split())[:300],
            "start one ($SPARK_HOME/sbin/start-connect-server.sh), correct places.spark.master, and pip install 'filon[connect]' here",
        ) from exc
    return spark


def defaults(folder: Path, memory_mib: int, *, local: bool) -> dict[str, str]:
    """Properties of a session of our own; those of the recipe come on top."""
    logs = folder / "log4j2.properties"
    logs.write_text(QUIET, encoding="utf-8")
    found = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_PER_BATCH),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{logs.absolute()}",
        "spark.sql.parquet.enableVectorizedReader": "true",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "32",
    }
    if local:
        found["spark.ui.enabled"] = "false"
        found["spark.driver.memory"] = f"{max(REST_MIB, memory_mib // 4)}m"
        found["spark.driver.host"] = "127.0.0.1"
        found["spark.driver.bindAddress"] = "127.0.0.1"
        found["spark.local.dir"] = str(folder / "spark")
        found["spark.sql.warehouse.dir"] = str(folder / "warehouse")
        found["spark.executorEnv.OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
        found["spark.sql.shuffle.partitions"] = str(max(2, len(os.sched_getaffinity(0))))
    return found


def refuse_connect(session: Session, why: str) -> None:
    """For what needs Spark's own JVM beside this process.

    Raises
    ------
    SetupError : `engines.connect-lacks`
    """
    if session.connect:
        fix = "--master local[*] or spark://host:7077 (this process is the driver then), or --on spark"
        raise SetupError("engines.connect-lacks", "Spark Connect cannot do this", why, fix)
