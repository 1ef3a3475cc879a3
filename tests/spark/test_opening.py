"""Whose session is used, and where ours may work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.unit.package.conftest import seal

import filon
from filon.engines.spark.opening import defaults

pytestmark = [pytest.mark.spark]


def test_a_session_that_another_thread_has_made_is_used_and_left_alone(spark_session: Any, tmp_path: Path) -> None:
    """As in a notebook that gives its cells to a pool of threads."""
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{row % 97},{'no' if row % 3 else 'yes'}\n" for row in range(300)))
    recipe = {"name": "t", "data": {"source": str(tmp_path / "t.csv"), "label": "b"}}
    spark_session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1234")
    try:
        with ThreadPoolExecutor(1) as pool:
            looked = pool.submit(filon.check, recipe, engine="spark").result()
            pool.submit(filon.udf, seal(tmp_path / "bundle", "xgboost"), name="threaded").result()
        assert looked.checked.profile.rows == 300
        assert spark_session.range(3).count() == 3, "it is not ours to stop"
        assert spark_session.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == "1234", "nor to change"
        assert spark_session.catalog.functionExists("threaded")
    finally:
        spark_session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "65536")


def test_the_jvm_of_a_driver_without_rows_spares_its_second_compiler(tmp_path: Path) -> None:
    far, here = (defaults(tmp_path, 4096, local=local)["spark.driver.extraJavaOptions"].split() for local in (False, True))
    assert "-XX:TieredStopAtLevel=1" in far
    assert set(far) - set(here) == {"-XX:TieredStopAtLevel=1"}, "in a local session the same JVM does the tasks' work"
