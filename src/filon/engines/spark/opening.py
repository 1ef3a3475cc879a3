"""How a session comes to be: the active one, one on a server of Spark Connect, or a new one with our properties."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filon import interrupts
from filon.engines.settings import SparkSettings
from filon.engines.spark import eventlog, java, s3a
from filon.engines.spark.turns import TURN
from filon.errors import SetupError
from filon.events import Event, Listen

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
REST_MIB = 1024
"""Memory of the JVM that holds no table: rows stream through it, and its shuffles spill."""


def open_session(settings: SparkSettings, folder: Path, threads: int, memory_mib: int, listen: Listen) -> tuple[Any, bool]:
    """The session, and whether it is ours to stop (and to give the turn back after it).

    Raises
    ------
    SetupError : `engines.spark-missing`, `engines.java-missing`, `engines.java-wrong`, `engines.spark-unreachable`
    """
    try:
        import pyspark  # noqa: F401
    except ImportError as exc:
        raise SetupError(
            "engines.spark-missing",
            "the engine spark needs the package pyspark",
            f"import pyspark: {exc}",
            "pip install 'filon[spark]'",
        ) from exc
    there = None if TURN.elsewhere else existing()
    if there is not None:
        return there, False
    TURN.take(lambda: listen(Event(stage="read", text="waiting until other work of this process has done with Spark")))
    try:
        there = existing()  # somebody else's, made in the meantime
        spark = there or _started(settings, folder, threads, memory_mib, listen)
    except BaseException:
        TURN.give_back()
        raise
    if there is not None:
        TURN.give_back()
    return spark, there is None


def _started(settings: SparkSettings, folder: Path, threads: int, memory_mib: int, listen: Listen) -> Any:
    """A session of our own."""
    import pyspark
    from pyspark.sql import SparkSession

    master = settings.master or f"local[{threads or '*'}]"
    if master.startswith("sc://"):
        listen(Event(stage="read", text=f"asking for a session of Spark Connect at {master}"))
        return _remote(SparkSession, master, settings)
    if not os.environ.get("SPARK_CONNECT_MODE_ENABLED"):
        java.require(str(pyspark.__version__))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    listen(Event(stage="read", text=f"starting Spark {pyspark.__version__} on {master}"))
    builder = SparkSession.builder.appName("filon")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # set by spark-submit, whose JVM knows its master already
        builder = builder.master(master)
    local = master.startswith("local")
    every = defaults(folder, memory_mib, local=local) | eventlog.conf(folder) | s3a.conf() | settings.conf
    carried = settings.archive if not local and "PYSPARK_GATEWAY_PORT" not in os.environ else ""
    if carried:  # Hadoop outside of EMR has a client for s3a:// only; spark-submit has taken it along already
        every.setdefault("spark.archives", f"{carried.replace('s3://', 's3a://', 1)}#environment")
    if "spark.executor.cores" in every:  # Spark says 1 (spark.task.cpus) otherwise, and a fit that has the executor to itself crawls
        every.setdefault("spark.executorEnv.OMP_NUM_THREADS", every["spark.executor.cores"])
    for name, value in every.items():
        builder = builder.config(name, value)
    try:
        with _workers_python("./environment/bin/python" if carried else ""), interrupts.held(_starting):
            spark = builder.getOrCreate()
        interrupts.renew()
    except Exception as exc:  # a JVM that does not come up raises one of several classes
        if interrupts.pressed():
            raise KeyboardInterrupt from exc
        raise SetupError(
            "engines.spark-unreachable",
            f"Spark did not start on {master}",
            " ".join(str(exc).split())[:300],
            "check places.spark.master and places.spark.conf; `spark-submit --version` tells whether Spark itself works",
        ) from exc
    for name in (*eventlog.NAMES, "spark.archives"):  # of this session alone: the JVM would hand them to the next one, too
        spark._jvm.java.lang.System.clearProperty(name)
    spark.sparkContext.setLogLevel("OFF" if local else "ERROR")
    s3a.adapt(spark)
    return spark


def existing() -> Any:
    """The session that this process has already, None where it has none: this thread's, or one that another thread has made (a notebook
    gives cells to a pool of them), which `getOrCreate` would hand to us as if it were ours to change and to stop."""
    import pyspark
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if getattr(getattr(pyspark, "SparkContext", None), "_active_spark_context", None) is not None:  # a client of Connect has none
        return SparkSession.builder.getOrCreate()
    if os.environ.get("SPARK_CONNECT_MODE_ENABLED"):
        with suppress(Exception):  # there is none
            return SparkSession.active()
    return None


def _starting() -> bool:
    """Whether the JVM is on its way up: until PySpark knows it, it would stay behind without us."""
    from pyspark import SparkContext

    return SparkContext._gateway is None


@contextmanager
def _workers_python(path: str) -> Iterator[None]:
    """A session that is made within takes that Python for its workers; the variable is as before when another one is made."""
    before = os.environ["PYSPARK_PYTHON"]
    os.environ["PYSPARK_PYTHON"] = path or before
    try:
        yield
    finally:
        os.environ["PYSPARK_PYTHON"] = before


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
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logs.absolute().as_uri()}",  # a URI has no spaces
        "spark.sql.parquet.enableVectorizedReader": "true",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "32",
    }
    if not local:
        # Such a driver holds no rows and plans small jobs: half of its JVM's processor time went into the second compiler (5.9 s for 30
        # jobs, 2.8 without it), which executors on the same machine waited for
        found["spark.driver.extraJavaOptions"] += " -XX:TieredStopAtLevel=1"
    if local:
        found["spark.ui.enabled"] = "false"
        found["spark.driver.memory"] = f"{max(REST_MIB, memory_mib // 4)}m"
        found["spark.driver.host"] = "127.0.0.1"
        found["spark.driver.bindAddress"] = "127.0.0.1"
        if "," not in str(folder):  # which would be two folders
            found["spark.local.dir"] = str(folder / "spark")
        found["spark.sql.warehouse.dir"] = str(folder / "warehouse")
        found["spark.executorEnv.OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
        found["spark.sql.shuffle.partitions"] = str(max(2, len(os.sched_getaffinity(0))))
    return found
