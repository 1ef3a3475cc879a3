"""Leaves an archive of the classes that Spark loads (Java's class data sharing): each JVM of the tests starts in half the time with it.

Run with SPARK_SUBMIT_OPTS=-XX:ArchiveClassesAtExit=FILE.
"""

import tempfile

from pyspark import SparkContext
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
with tempfile.TemporaryDirectory() as folder:
    spark.range(100).selectExpr("id", "id % 3 as k", "cast(id as string) as s").write.parquet(f"{folder}/t")
    table = spark.read.parquet(f"{folder}/t")
    table.mapInArrow(lambda batches: batches, table.schema).groupBy("k").count().orderBy("k").toPandas()
    table.write.csv(f"{folder}/c")
    spark.read.csv(f"{folder}/c").count()
spark.stop()
gateway = SparkContext._gateway
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
