"""What Spark says, in Filon's words; no Spark is started."""

import pytest

from filon.engines.spark.words import MARK, telling, translated
from filon.errors import CODES, DataError, FilonError


class SparkSaidError(Exception):
    """An error of pyspark's, by its module."""

    __module__ = "pyspark.errors"


SAYINGS = {
    "engines.python-differs": "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 than that in driver: 3.11",
    "engines.workers-lack": "Traceback ...\nModuleNotFoundError: No module named 'filon.engines'",
    "engines.s3a-missing": "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found",
    "engines.executor-memory": "ExecutorLostFailure (executor 3 exited): Container exited with exit code: 137",
    "engines.disk-full": "java.io.IOException: No space left on device",
    "engines.spark-failed": "org.apache.spark.SparkException: Job aborted\nCaused by: java.lang.IllegalStateException: no idea",
}


REFUSED = {
    "org.apache.spark.SparkException: Could not connect to any of the masters: spark://h:7077": "engines.spark-unreachable",
    "ERROR StandaloneSchedulerBackend: All masters are unresponsive! Giving up.": "engines.spark-unreachable",
    "org.apache.hadoop.fs.s3a.AWSClientIOException: ...\nConnect to 10.0.0.9:9000 failed: Connection refused": "read.s3-unreachable",
    "Call From a/10.0.0.1 to b:8020 failed on connection exception: java.net.ConnectException: Connection refused": "engines.spark-failed",
}
"""Who it is that does not answer."""


@pytest.mark.parametrize("said", REFUSED)
def test_whoever_does_not_answer_is_named(said: str) -> None:
    found = translated(SparkSaidError(said), "t.csv")
    assert found is not None
    assert found.code == REFUSED[said]
    assert found.why in said
    assert ("master" in found.fix) == (found.code == "engines.spark-unreachable")


@pytest.mark.parametrize("code", SAYINGS)
def test_what_spark_says_becomes_a_code(code: str) -> None:
    found = translated(SparkSaidError(SAYINGS[code]), "t.csv")
    assert found is not None
    assert found.code == code
    assert code in CODES
    assert "Caused by" not in found.what


def test_a_coded_error_crosses_as_it_was_raised() -> None:
    raised = DataError("read.ragged", "líneas de t.csv", "line 7", 'quote the cells: "a;b"')

    def batches():
        yield 1
        raise raised

    with pytest.raises(Exception, match=MARK) as caught:
        list(telling(batches()))
    found = translated(SparkSaidError(f"Traceback\n  File x\n{caught.value}\n\tat org.apache.spark"), "t.csv")
    assert type(found) is DataError
    assert isinstance(found, FilonError)
    assert found.args == raised.args


def test_what_is_not_sparks_is_left_alone() -> None:
    assert translated(ValueError("mine"), "t.csv") is None
