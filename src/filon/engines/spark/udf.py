"""A model as a function of Spark's own: over a struct of columns, in DataFrames and in SQL."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from filon.errors import SetupError

Answer = Callable[[object], np.ndarray]

ARROW_SINCE = (4, 1)
"""Spark from which on a function is given Arrow: cells of TIMESTAMP are moments there. pandas gets them as clocks of the session's zone
show them, and cells of TIMESTAMP_NTZ likewise, so that nothing tells the two apart."""


def udf(answer: Answer, classes: int, columns: Sequence[str], *, name: str = "", spark: Any = None) -> Any:
    """The probability of the second of two classes (float), or of each class in order (array of float).

    Parameters
    ----------
    answer : probability by class of the rows of a pandas DataFrame or an Arrow RecordBatch, (rows, classes) float32
    columns : those that the answer depends on
    name : the function's name in SQL; "" registers nothing

    Raises
    ------
    SetupError : `engines.spark-missing`, `engines.spark-unreachable` (there is no session to register with)
    """
    try:
        import pyspark
        from pyspark.sql import functions as F  # noqa: N812

        from filon.engines.spark.opening import existing
    except ImportError as exc:
        said = "a function of Spark needs the packages pyspark and pandas"
        raise SetupError("engines.spark-missing", said, str(exc), "pip install 'filon[spark]'") from exc

    session = spark or existing()
    kind = "float" if classes == 2 else "array<float>"
    if _version(pyspark.__version__ if session is None else session.version) >= ARROW_SINCE:
        made = F.arrow_udf(over_arrow(answer, classes), kind)
    else:
        zone = "UTC" if session is None else str(session.conf.get("spark.sql.session.timeZone"))
        made = F.pandas_udf(over_pandas(answer, classes, columns, zone), kind)
    if name:
        if session is None:
            raise SetupError(
                "engines.spark-unreachable",
                f'there is no Spark session to register "{name}" with',
                "no session is active in this process",
                "start one before, or give it: filon.udf(bundle, name=..., spark=spark)",
            )
        session.udf.register(name, made)
    return made


def over_arrow(answer: Answer, classes: int) -> Callable[..., Any]:
    """The work on a struct as Arrow has it."""
    import pyarrow as pa

    def work(rows: pa.Array) -> pa.Array:
        if not pa.types.is_struct(rows.type):
            return answer(rows)  # which says what is amiss
        found = answer(pa.RecordBatch.from_arrays(rows.flatten(), names=[field.name for field in rows.type]))
        if classes == 2:
            return pa.array(found[:, 1], pa.float32())
        ends = np.arange(len(found) + 1, dtype=np.int32) * classes
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(found.reshape(-1), pa.float32()))

    return work


def over_pandas(answer: Answer, classes: int, columns: Sequence[str], zone: str) -> Callable[..., Any]:
    """The work on a struct as pandas has it; moments are refused where the session's zone is not UTC.

    Raises
    ------
    SetupError : `engines.udf-zone`
    """
    import pandas as pd

    def work(rows: pd.DataFrame) -> pd.Series:
        clocks = [] if is_utc(zone) else [name for name in columns if name in rows and rows[name].dtype.kind == "M"]
        if clocks:
            raise SetupError(
                "engines.udf-zone",
                f'before Spark 4.1 the moments of "{clocks[0]}" can be read in a session in UTC only',
                f"spark.sql.session.timeZone is {zone}, by which Spark shows them to functions; the model learned them in UTC",
                'spark.conf.set("spark.sql.session.timeZone", "UTC"), then make the function anew',
            )
        found = answer(rows)
        return pd.Series(found[:, 1] if classes == 2 else list(found))

    return work


def is_utc(zone: str) -> bool:
    """Whether a zone's clocks are those of UTC all year.

    >>> is_utc("Etc/UTC"), is_utc("Europe/London")
    (True, False)
    """
    return zone.upper().removeprefix("ETC/") in {"UTC", "Z", "GMT", "ZULU", "UNIVERSAL", "UCT", "+00:00", "UTC+00:00", "GMT+00:00"}


def _version(said: str) -> tuple[int, int]:
    major, minor = said.split(".")[:2]
    return int(major), int(minor)
