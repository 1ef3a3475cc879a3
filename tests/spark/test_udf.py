"""The function of Spark answers as the bundle does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import COLUMNS, rows, seal

import filon
from filon.engines.base import Column
from filon.engines.spark.udf import over_pandas
from filon.errors import DataError, SetupError
from filon.package.structs import FrameScorer

pytestmark = [pytest.mark.spark]


@pytest.mark.parametrize("classes", [2, 3])
def test_udf_answers_as_the_bundle(classes: int, spark_session: Any, tmp_path: Path) -> None:
    from pyspark.sql.functions import struct

    bundle = seal(tmp_path / "bundle", "xgboost", classes, derived=True)
    made = rows(500, classes=classes, seed=3)
    pq.write_table(made, tmp_path / "rows.parquet")
    score = filon.udf(bundle, name=f"score{classes}", spark=spark_session)
    frame = spark_session.read.parquet(str(tmp_path / "rows.parquet"))
    frame.createOrReplaceTempView("people")
    found = [row["p"] for row in frame.select(score(struct("*")).alias("p")).collect()]
    by_sql = [row["p"] for row in spark_session.sql(f"SELECT score{classes}(struct(*)) AS p FROM people").collect()]
    assert found == by_sql
    truth = bundle.predict(made.to_pandas()).iloc[:, 1:].to_numpy()
    np.testing.assert_allclose(np.array(found), truth[:, 1] if classes == 2 else truth, atol=1e-6)


def dated(count: int, seed: int = 7) -> pa.Table:
    """The rows with two columns of time: the label is the hour of a moment, and whether a clock shows the morning."""
    draw = np.random.default_rng(seed)
    moments = pa.array(1_770_000_000 + draw.integers(0, 10_000_000, count), pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC"))
    clocks = pa.array(1_770_000_000 + draw.integers(0, 10_000_000, count), pa.timestamp("s")).cast(pa.timestamp("us"))
    late = pc.xor(pc.less(pc.hour(moments), 12), pc.less(pc.hour(clocks), 12))
    made = rows(count, seed=seed).drop_columns(["label"])
    label = pc.if_else(late, "class 1", "class 0")
    return made.append_column("moment", moments).append_column("clock", clocks).append_column("label", label)


@pytest.fixture
def lima(spark_session: Any) -> Iterator[str]:
    before = spark_session.conf.get("spark.sql.session.timeZone")
    spark_session.conf.set("spark.sql.session.timeZone", "America/Lima")
    yield "America/Lima"
    spark_session.conf.set("spark.sql.session.timeZone", before)


def test_moments_and_clocks_are_read_in_utc_whatever_the_sessions_zone(spark_session: Any, tmp_path: Path, lima: str) -> None:
    from pyspark.sql.functions import struct

    table = dated(1500)
    moment = Column(name="moment", kind="date", role="dropped", stored="timestamp[us, tz=UTC]")
    clock = Column(name="clock", kind="date", role="dropped", stored="timestamp[us]")
    hours = [Column(name=f"{name}_hour", kind="number", stored="BIGINT", sql=f"hour({name})") for name in ("moment", "clock")]
    bundle = seal(tmp_path / "bundle", "xgboost", table=table, columns=(*COLUMNS, moment, clock, *hours))
    pq.write_table(table, tmp_path / "rows.parquet")
    frame = spark_session.read.parquet(str(tmp_path / "rows.parquet"))
    assert dict(frame.dtypes)["moment"] == "timestamp"
    assert dict(frame.dtypes)["clock"] == "timestamp_ntz"
    score = filon.udf(bundle, spark=spark_session)
    truth = bundle.predict(table).column(2).to_numpy()
    assert truth.std() > 0.3
    if int(spark_session.version[0]) < 4:
        with pytest.raises(Exception, match="America/Lima"):
            frame.select(score(struct("*")).alias("p")).collect()
        spark_session.conf.set("spark.sql.session.timeZone", "UTC")
        score = filon.udf(bundle, spark=spark_session)
    found = [row["p"] for row in frame.select(score(struct("*")).alias("p")).collect()]
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_pandas_shows_no_difference_between_moment_and_clock_and_so_another_zone_is_refused() -> None:
    made = dated(5).to_pandas()
    made["moment"] = made["moment"].dt.tz_localize(None)

    def answer(_rows: object) -> np.ndarray:
        return np.full((5, 2), 0.5, np.float32)

    with pytest.raises(SetupError) as caught:
        over_pandas(answer, 2, ["age", "moment"], "America/Lima")(made)
    assert caught.value.code == "engines.udf-zone"
    assert over_pandas(answer, 2, ["age"], "America/Lima")(made).tolist() == [0.5] * 5
    assert over_pandas(answer, 2, ["age", "moment"], "Etc/UTC")(made).tolist() == [0.5] * 5


def test_one_column_in_place_of_a_struct_is_told(tmp_path: Path) -> None:
    scorer = FrameScorer(seal(tmp_path / "bundle", "xgboost"))
    with pytest.raises(DataError) as caught:
        scorer(rows(5).to_pandas()["age"])
    assert caught.value.code == "package.not-a-table"
    assert "struct" in caught.value.fix
