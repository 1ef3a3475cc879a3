"""What somebody does in a notebook on Spark Connect: run by test_connect.py in a process without a JVM.

python -m tests.spark.connecting ADDRESS FOLDER: FOLDER holds t.parquet, recipe.toml (its master is ADDRESS), made/bundle/ and python.tar.gz
(an archived environment); prints what it saw as one line of JSON.
"""

import json
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import filon
from filon.bundles import predict_stream
from filon.engines.settings import SparkSettings
from filon.errors import FilonError
from filon.events import Event

APART = "/proc/self/cwd"
"""Another folder in every process: a disk that the workers do not share with us."""


def refused(work: Any) -> list[str]:
    """Code and reason of what cannot be done."""
    try:
        work()
    except FilonError as exc:
        return [exc.code, exc.why]
    return []


def main(address: str, folder: Path) -> dict[str, Any]:
    """Everything, with one session of the user's own, then with sessions of Filon's."""
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import struct

    os.chdir(folder)
    os.environ["FILON_SCRATCH"] = str(folder / "scratch")  # which the server sees, being on the same machine; runs and data it does not
    seen: dict[str, Any] = {}
    spark = SparkSession.builder.remote(address).getOrCreate()
    score = filon.udf("made/bundle", name="deposit")
    frame = spark.read.parquet(f"file://{folder}/t.parquet")
    frame.createOrReplaceTempView("people")
    seen["udf"] = [row["p"] for row in frame.select(score(struct("*")).alias("p")).collect()]
    seen["sql"] = [row["p"] for row in spark.sql("SELECT deposit(struct(*)) AS p FROM people").collect()]
    done = filon.evaluate("made/bundle", "t.parquet", out="examined", engine="spark")
    seen["auc"] = done.metrics["metrics"]["areaUnderROC"]
    seen["still"] = spark.range(3).count()  # the session that was there before is not ours to stop
    spark.stop()
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED")

    heard: list[float] = []

    def listen(event: Event) -> None:
        heard.append(time.monotonic())

    run = filon.train("recipe.toml", engine="spark", runs=f"{APART}/runs", listen=listen)
    seen["longest silence"] = max(later - sooner for sooner, later in pairwise(heard))
    seen["run"] = str(run.path.resolve())  # here, /proc/self/cwd is the folder
    # scoring keeps nothing in the work folder, so one that workers do not see is no hindrance
    mine = SparkSettings(master=address, archive=str(folder / "python.tar.gz"), work=f"file://{APART}/work")
    written = filon.predict("made/bundle", f"{APART}/t.parquet", f"{APART}/scored.parquet", engine="spark", spark=mine)
    seen["written"] = [written.rows, written.scored]
    seen["environment"] = (folder / "used").exists()
    plain = SparkSettings(master=address)
    ways = {"checkpoint": "notes", "available_now": True}
    seen["stream"] = refused(lambda: predict_stream("made/bundle", "in", "out", spark=plain, **ways))
    apart = [f"places.spark.work=file://{APART}/work"]
    seen["work"] = refused(lambda: filon.train("recipe.toml", sets=apart, engine="spark", runs="apart"))
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
