"""Scoring on Spark against what people write today, and the driver's memory during a tally. Ratios of one run, on one machine.

python bench/spark_score.py score --rows 10000000          ours, a row-by-row Python UDF, SparkXGBClassifierModel.transform
python bench/spark_score.py tally --rows 100000000         the driver's memory against that for 1,000,000 rows
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = 28
TREES = 100
BLOCK = 500_000


def table(path: Path, rows: int, features: int) -> None:
    """Rows of standard normals, a label that depends on some of them; one row group per block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"f{place}" for place in range(features)]
    writer = None
    for start in range(0, rows, BLOCK):
        draw = np.random.default_rng(start)
        x = draw.standard_normal((min(BLOCK, rows - start), features), dtype=np.float32)
        pull = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] + draw.standard_normal(len(x), dtype=np.float32)
        columns = {name: np.ascontiguousarray(x[:, place]) for place, name in enumerate(names)}
        block = pa.table({**columns, "label": (pull > 0).astype(np.int32)})
        writer = writer or pq.ParquetWriter(path, block.schema, compression="lz4", use_dictionary=False)
        writer.write_table(block, row_group_size=BLOCK)
    assert writer is not None
    writer.close()


def booster(features: int) -> Any:
    """A model of 100 trees of depth 6."""
    import xgboost

    draw = np.random.default_rng(1)
    x = draw.standard_normal((100_000, features), dtype=np.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] + draw.standard_normal(len(x)) > 0).astype(int)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 6, "eta": 0.1}, xgboost.DMatrix(x, y), TREES)


def ensemble(trained: Any, features: int) -> tuple[Any, Any]:
    """The same model as ours."""
    from filon.rows.encode import Encoding, Feature
    from filon.trees import Ensemble

    made = Ensemble(
        family="xgboost",
        form="trees",
        link="logistic",
        model=bytes(trained.save_raw("ubj")),
        classes=("0", "1"),
        features=features,
        categorical=(False,) * features,
        rounds=TREES,
        trees=TREES,
    )
    return made, Encoding(features=tuple(Feature(name=f"f{place}", kind="number") for place in range(features)), classes=("0", "1"))


def engine(folder: Path, master: str = "local[2]") -> Any:
    """Ours: on all cores of this machine, or on a cluster."""
    from filon.engines import open_engine
    from filon.engines.settings import SparkSettings

    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "2g", "spark.driver.host": "127.0.0.1", "spark.executor.memory": "640m"}
    return open_engine("spark", scratch=folder, spark=SparkSettings(master=master, conf=conf))


def opened(computing: Any, path: Path) -> Any:
    from filon.read import read
    from filon.read.settings import DataSettings

    return computing.read(read(DataSettings(source=str(path), label="label"), path.parent))


def score(folder: Path, rows: int) -> dict[str, Any]:
    """Rows per second of the three ways, the first pass of each thrown away on a tenth of the rows."""
    from filon.engines.base import Sink

    table(folder / "rows.parquet", rows, FEATURES)
    table(folder / "warm.parquet", max(BLOCK, rows // 10), FEATURES)
    trained = booster(FEATURES)
    ours, encoding = ensemble(trained, FEATURES)
    with engine(folder) as computing:

        def filon(name: str) -> None:
            scored = computing.score(opened(computing, folder / name), ours, encoding, 0.5)
            computing.write(scored, Sink(path=str(folder / "ours.parquet"), format="parquet"))

        theirs, frames = _transformer(computing.session.spark, trained, folder)

        def transform(name: str) -> None:
            theirs.transform(frames(name)).select("prediction", "probability").write.mode("overwrite").parquet(
                str(folder / "theirs.parquet")
            )

        found: dict[str, Any] = {"rows": rows}
        for way, work in (("filon", filon), ("transform", transform)):
            work("warm.parquet")
            began = time.monotonic()
            work("rows.parquet")
            found[f"{way}_rows_per_s"] = round(rows / (time.monotonic() - began))
        found["udf_rows_per_s"] = _row_by_row(computing.session.spark, trained, folder)
    found["against_udf"] = round(found["filon_rows_per_s"] / found["udf_rows_per_s"], 2)
    found["against_transform"] = round(found["filon_rows_per_s"] / found["transform_rows_per_s"], 2)
    return found


def _transformer(spark: Any, trained: Any, folder: Path) -> tuple[Any, Any]:
    """The same booster within xgboost.spark's own model."""
    from xgboost import XGBClassifier
    from xgboost.spark import SparkXGBClassifierModel
    from xgboost.spark.estimator import SparkXGBClassifier

    trained.save_model(folder / "model.json")
    plain = XGBClassifier()
    plain.load_model(folder / "model.json")
    names = [f"f{place}" for place in range(FEATURES)]
    params = SparkXGBClassifier(features_col=names, label_col="label", num_workers=1)
    model = SparkXGBClassifierModel(plain, {})
    params._copyValues(model)
    return model, lambda name: spark.read.parquet(str(folder / name))


def _row_by_row(spark: Any, trained: Any, folder: Path) -> int:
    """What a first script does: a Python function of one row; on few rows, since it takes a quarter of a millisecond for each."""
    from pyspark.sql.functions import struct, udf

    raw = bytes(trained.save_raw("ubj"))
    names = [f"f{place}" for place in range(FEATURES)]
    held: dict[str, Any] = {}

    @udf("float")
    def one(row: Any) -> float:
        import numpy
        import xgboost

        if "model" not in held:
            held["model"] = xgboost.Booster(model_file=bytearray(raw))
            held["model"].set_param({"nthread": 1})
        return float(held["model"].inplace_predict(numpy.array([[row[name] for name in names]], numpy.float32))[0])

    frame = spark.read.parquet(str(folder / "warm.parquet")).limit(60_000).repartition(2).cache()
    frame.count()
    rates = []
    for _ in range(2):
        began = time.monotonic()
        frame.select(one(struct(*names)).alias("p")).write.mode("overwrite").parquet(str(folder / "udf.parquet"))
        rates.append(60_000 / (time.monotonic() - began))
    return round(max(rates))


def tally(folder: Path, rows: int) -> dict[str, Any]:
    """Peak memory of the driver, this process and its JVM, whose tasks run in two workers of one core."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.servers.spark_cluster import spark_cluster

    features = 6
    table(folder / "rows.parquet", rows, features)
    ours, encoding = ensemble(booster(features), features)
    with spark_cluster(folder / "cluster") as cluster, engine(folder, cluster.master) as computing:
        began = time.monotonic()
        found = computing.tally(computing.score(opened(computing, folder / "rows.parquet"), ours, encoding))[()]
        seconds = time.monotonic() - began
        jvm = computing.session.spark.sparkContext._gateway.proc.pid
        return {
            "rows": found.rows,
            "seconds": round(seconds, 1),
            "distinct": len(found.curves[0].scores),
            "resolution": found.resolution,
            "driver_mib": peak_mib("self"),
            "jvm_mib": peak_mib(str(_java(jvm))),
        }


def _java(pid: int) -> int:
    """The JVM below the launcher's shell."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return int(children[0]) if children and Path(f"/proc/{pid}/comm").read_text().strip() != "java" else pid


def peak_mib(process: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["score", "tally", "tally-once"])
    parser.add_argument("--rows", type=int, default=0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="filon-bench-"))
    try:
        if given.what == "score":
            print(json.dumps(score(folder, given.rows or 10_000_000)))
        elif given.what == "tally-once":
            print(json.dumps(tally(folder, given.rows)))
        else:  # a process each: a peak never comes down
            runs = []
            for rows in (1_000_000, given.rows or 100_000_000):
                words = [sys.executable, __file__, "tally-once", "--rows", str(rows)]
                runs.append(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))
            grown = {name: runs[1][name] - runs[0][name] for name in ("driver_mib", "jvm_mib")}
            print(json.dumps({"small": runs[0], "large": runs[1], "grown": grown}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
