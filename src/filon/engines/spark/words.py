"""Errors on their way from a task to the driver, and Spark's own, in Filon's words."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from filon import errors
from filon.engines.spark.resting import rest
from filon.errors import EngineError, FilonError, SetupError

T = TypeVar("T")
MARK, END = "filon-error<<<", ">>>filon-error"


class CodedInTask(Exception):  # noqa: N818 (it is a carrier)
    """A coded error as text, since Spark hands over nothing but the traceback of a task."""


def telling(batches: Iterator[T]) -> Iterator[T]:
    """Pass batches on, at the end of a task; a coded error crosses to the driver by its message."""
    try:
        yield from batches
    except FilonError as exc:
        said = [type(exc).__name__, exc.code, exc.what, exc.why, exc.fix]
        raise CodedInTask(MARK + json.dumps(said).encode("ascii").hex() + END) from None
    finally:
        rest()


@dataclass(frozen=True, slots=True)
class Telling:
    """The work of a task on batches, with its coded errors told."""

    work: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Work on them."""
        return telling(self.work(batches))


def translated(exc: BaseException, origin: str) -> FilonError | None:
    """A coded error for what Spark raised; None for what is not Spark's."""
    said = _said(exc)
    if MARK in said:
        return _carried(said)
    if _is_lost(exc, said):
        fix = "run it again (a training with --resume); if memory ran out here, give it more, or less to spark.driver.memory"
        return EngineError("engines.spark-lost", f"Spark itself has ended while it worked on {origin}", _reason(said), fix)
    if type(exc).__module__.split(".")[0] not in {"pyspark", "py4j"}:
        return None
    return _ours(said, origin)


LOST = "SparkContext was shut ?down|SparkContext has been shut ?down|stopped SparkContext|Master removed our application"


def _is_lost(exc: BaseException, said: str) -> bool:
    """Whether no other job can be done: Spark's own JVM is gone (the system takes it when memory runs out), or its application ended."""
    if type(exc).__name__ == "Py4JNetworkError" or re.search(LOST, said):
        return True
    # A JVM that ends in the middle of an answer leaves an error of any kind: EOFError, a refused socket, "An error occurred while calling"
    return not _jvm_answers()


def _jvm_answers() -> bool:
    """Whether the JVM of this process answers; True where there is none (Connect, or nothing was started)."""
    try:
        from pyspark import SparkContext
    except ImportError:
        return True
    context = SparkContext._active_spark_context
    if context is None:
        return True
    try:
        context._jvm.java.lang.System.nanoTime()  # no JVM once it is stopped: lost as well
    except Exception:
        return False
    return True


def _said(exc: BaseException) -> str:
    """The text of an error; that of one of Java's is asked of the JVM."""
    try:
        return str(exc)
    except Exception as lost:  # which may be gone
        return f"{type(exc).__name__}: {lost}"


def _carried(said: str) -> FilonError:
    start = said.index(MARK) + len(MARK)
    name, *parts = json.loads(bytes.fromhex(said[start : said.index(END, start)]).decode())
    kind: type[FilonError] = getattr(errors, name)
    return kind(*parts)


def _ours(said: str, origin: str) -> FilonError:
    if "PYTHON_VERSION_MISMATCH" in said or ("different version" in said and "PYSPARK_PYTHON" in said):
        return SetupError(
            "engines.python-differs",
            "the Python of Spark's workers is not that of the driver",
            _line(said, "different version"),
            _this_python() or f"set PYSPARK_PYTHON to the same Python on all machines, {CARRY}",
        )
    lacking = re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", said)
    if lacking:
        return SetupError(
            "engines.workers-lack",
            f'Spark\'s workers have no Python package "{lacking[1].split(".")[0]}"',
            f"a task said: No module named '{lacking[1]}'",
            _this_python(lacking[1]) or f"install it on all machines, {CARRY}",
        )
    if "S3AFileSystem not found" in said or 'No FileSystem for scheme "s3' in said or "org/apache/hadoop/fs/s3a" in said:
        return SetupError(
            "engines.s3a-missing",
            "Spark has no client for S3",
            "the class org.apache.hadoop.fs.s3a.S3AFileSystem is not on its classpath",
            f'[places.spark] conf = {{ "spark.jars.packages" = "org.apache.hadoop:hadoop-aws:{_hadoop()}" }}, or spark.jars',
        )
    if re.search(
        r"(?i)exit(ed)?( with)? (code|status)( is)?[: ]*137|exitCode 137|\(137\)|OOMKilled|beyond.*memory limits|exceeding.*memory", said
    ):
        return EngineError(
            "engines.executor-memory",
            "an executor was killed because it ran out of memory",
            "exit 137: " + _line(said, "137"),
            'give executors more room: [places.spark] conf = { "spark.executor.memoryOverhead" = "4g" }, or fewer cores each',
        )
    if "No space left on device" in said:
        return SetupError(
            "engines.disk-full",
            "a disk of the cluster has no room for Spark's files",
            _line(said, "No space"),
            "free some space, or point FILON_SCRATCH (on a cluster places.spark.work, or spark.local.dir) to a larger disk",
        )
    unheard = _unheard(said, origin)
    if unheard is not None:
        return unheard
    return EngineError(
        "engines.spark-failed", f"Spark failed while it worked on {origin}", _reason(said), "run with --debug for all that Spark said"
    )


CARRY = "or carry the environment: filon package-env, then places.spark.archive"


def _this_python(module: str = "filon") -> str:
    """What mends it where workers are processes of this machine, in a session that was made with another Python than this one (PySpark
    takes `python3` of the PATH); "" on a cluster, or where this Python lacks the module, too."""
    try:
        from pyspark import SparkContext

        context = SparkContext._active_spark_context
        if context is None or not str(context.master).startswith("local") or importlib.util.find_spec(module.split(".")[0]) is None:
            return ""
    except Exception:  # a JVM that has ended, or a client of Connect, which has no SparkContext
        return ""
    return (
        f'the Python that Filon runs on: spark.conf.set("spark.sql.execution.pyspark.python", "{sys.executable}"), '
        "or PYSPARK_PYTHON before the session is made"
    )


NO_MASTER = "Could not connect to any|masters? (is|are) unresponsive|[Ff]ailed to connect to master|StatusCode.UNAVAILABLE"


def _unheard(said: str, origin: str) -> FilonError | None:
    """Nobody answered: Spark itself, S3, or another server that Spark was to ask (a file system, a catalog, Kafka)."""
    master = re.search(NO_MASTER, said)
    if master:
        return SetupError(
            "engines.spark-unreachable",
            "Spark does not answer",
            _line(said, master[0]),
            "check that the master runs and places.spark.master",
        )
    if "Connection refused" not in said:
        return None
    line = _line(said, "Connection refused")
    if re.search(r"fs\.s3a|awssdk|amazonaws", said):
        return SetupError(
            "read.s3-unreachable",
            f"S3 does not answer Spark, which works on {origin}",
            line,
            "check the network, AWS_REGION and AWS_ENDPOINT_URL (the workers must reach it, not this machine alone)",
        )
    return EngineError(
        "engines.spark-failed",
        f"Spark found no answer at a server that it needs for {origin}",
        line,
        "check that what listens at that address runs, and that this machine and the workers reach it",
    )


def _hadoop() -> str:
    """The version of the Hadoop in Spark's JVM, by which S3A's jars must go."""
    with suppress(Exception):  # no JVM (Connect), or one that has ended
        from pyspark import SparkContext

        said = str(SparkContext._active_spark_context._jvm.org.apache.hadoop.util.VersionInfo.getVersion())
        return said.partition("-")[0]
    return "VERSION"


def _line(said: str, word: str) -> str:
    """The first line with a word in it."""
    return next((line.strip()[:300] for line in said.splitlines() if word in line), _reason(said))


def _reason(said: str) -> str:
    """The innermost reason of a Java or Python trace."""
    causes = [line.strip() for line in said.splitlines() if re.match(r"\s*(Caused by: |[\w.]*(Error|Exception)\b)", line)]
    lines = causes or [line.strip() for line in said.splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:300] if lines else "nothing more is known"
