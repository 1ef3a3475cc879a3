"""A model as a function of Spark's own: over a struct of columns, in DataFrames and in SQL."""

from collections.abc import Callable
from typing import Any

import numpy as np

from filon.errors import SetupError


def udf(answer: Callable[[object], np.ndarray], classes: int, *, name: str = "", spark: Any = None) -> Any:
    """The probability of the second of two classes (float), or of each class in order (array of float).

    Parameters
    ----------
    answer : probability by class of a pandas DataFrame's rows, (rows, classes) float32
    name : the function's name in SQL; "" registers nothing

    Raises
    ------
    SetupError : `engines.spark-missing`, `engines.spark-unreachable` (there is no session to register with)
    """
    try:
        import pandas as pd
        from pyspark.sql import SparkSession
        from pyspark.sql.functions import pandas_udf
    except ImportError as exc:
        said = "a function of Spark needs the packages pyspark and pandas"
        raise SetupError("engines.spark-missing", said, str(exc), "pip install 'filon[spark]'") from exc

    def two(rows: pd.DataFrame) -> pd.Series:
        return pd.Series(answer(rows)[:, 1])

    def many(rows: pd.DataFrame) -> pd.Series:
        return pd.Series(list(answer(rows)))

    made = pandas_udf(two, "float") if classes == 2 else pandas_udf(many, "array<float>")
    if name:
        session = spark or SparkSession.getActiveSession()
        if session is None:
            raise SetupError(
                "engines.spark-unreachable",
                f'there is no Spark session to register "{name}" with',
                "no session is active in this process",
                "start one before, or give it: filon.udf(bundle, name=..., spark=spark)",
            )
        session.udf.register(name, made)
    return made
