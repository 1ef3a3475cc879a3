"""Tables by their names, in catalogs that Spark has: those built in, and one whose jar is not there."""

from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import rows

import filon
from filon.errors import FilonError

pytestmark = [pytest.mark.spark]


@pytest.fixture(scope="module")
def people(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("catalog")
    pq.write_table(rows(300, seed=5), folder / "t.parquet")
    frame = spark_session.read.parquet(str(folder / "t.parquet"))
    frame.write.mode("overwrite").partitionBy("month").option("path", f"{folder}/a table").saveAsTable("filon_people")
    spark_session.sql("CREATE OR REPLACE VIEW filon_view AS SELECT * FROM filon_people")
    return str(folder / "a table")


def looked_at(source: str) -> Any:
    return filon.check({"name": "people", "data": {"source": source, "label": "label"}}, engine="spark").checked


def test_a_table_is_found_by_its_name(people: str) -> None:
    by_name, by_folder = looked_at("table:default.filon_people"), looked_at(people)
    assert by_name.profile.rows == by_folder.profile.rows == 300
    assert by_name.profile.columns == by_folder.profile.columns
    assert looked_at("table:spark_catalog.default.filon_people").profile.rows == 300


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("table:default.nothing", "read.lake-missing"),
        ("table:default.filon_view", "read.lake-unsupported"),
        ("iceberg:lakehouse.db.sales", "engines.catalog-missing"),
    ],
)
def test_what_no_catalog_can_give_is_told(source: str, code: str, people: str, spark_session: Any) -> None:
    spark_session.conf.set("spark.sql.catalog.lakehouse", "org.apache.iceberg.spark.SparkCatalog")
    try:
        with pytest.raises(FilonError) as caught:
            looked_at(source)
    finally:
        spark_session.conf.unset("spark.sql.catalog.lakehouse")
    assert caught.value.code == code
    assert source.split(":")[1] in caught.value.what


def test_the_embedded_engine_has_no_catalog() -> None:
    with pytest.raises(FilonError) as caught:
        filon.check({"name": "people", "data": {"source": "table:default.filon_people", "label": "label"}})
    assert caught.value.code == "read.lake-catalog"
    assert "--engine spark" in caught.value.fix
