"""The function of Spark answers as the bundle does."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import rows, seal

import filon
from filon.errors import DataError
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


def test_one_column_in_place_of_a_struct_is_told(tmp_path: Path) -> None:
    scorer = FrameScorer(seal(tmp_path / "bundle", "xgboost"))
    with pytest.raises(DataError) as caught:
        scorer(rows(5).to_pandas()["age"])
    assert caught.value.code == "package.not-a-table"
    assert "struct" in caught.value.fix
