"""The classic grid (36 random forests, 36 boosted models) on the bank table, against Spark MLlib's own classifiers in local[*].

    FILON_SPARK_PYTHON=spark/bin/python python bench/grid.py      ours, a sample of MLlib's settings, and the ratio
    python bench/grid.py --only ours                              ours alone
    python bench/grid.py --small                                  a few trees, to see that it runs

`FILON_SPARK_PYTHON` names a Python that has pyspark (`python -m venv spark && spark/bin/pip install "pyspark==3.5.*" setuptools pandas`),
with Java 17. The data are the public sets' `bank-kaggle/bank.csv` (FILON_DATA, or ../shared/data), without `duration`: 8,008 training
rows x 15 features; the rest is shared between validation and test. Both sides train and validate on the very same encoded rows, with
class weights.

MLlib is measured on six settings of the grid (200 trees at each depth, 100 rounds at each depth; 64 bins, square root, step 0.1) and scaled
by the counts: its time is proportional to trees and rounds, and taken as the same for 128 bins (which is in its favour).
CPU seconds are compared too, since other work on the machine changes them less: MLlib's of its fits alone, ours of the whole command.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FILON_DATA", ROOT.parent / "shared" / "data"))
FOLDER = Path(os.environ.get("FILON_BENCH", "/tmp/filon-bench")) / "grid"

SHARES = {"train": 0.7175, "valid": 0.14125, "test": 0.14125}
"""Of 11,162 rows: 8,008 to train on."""

RECIPE = """
name = "grid"
[data]
source = "{source}"
label = "deposit"
positive = "yes"
drop = ["duration"]
[split]
train = {train}
valid = {valid}
test = {test}
[search.random_forest]
numTrees = {trees}
maxDepth = [10, 14, 18]
maxBins = [64, 128]
featureSubsetStrategy = ["sqrt", "log2"]
[search.gbt]
maxDepth = [6, 8, 10]
maxBins = [64, 128]
maxIter = {rounds}
stepSize = [0.05, 0.1, 0.2]
"""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Counts of the grid, whole or small."""

    trees: tuple[int, ...] = (200, 400, 600)
    rounds: tuple[int, ...] = (100, 200)
    depths: tuple[tuple[str, int], ...] = (("forest", 10), ("forest", 14), ("forest", 18), ("gbt", 6), ("gbt", 8), ("gbt", 10))


WHOLE = Grid()
SMALL = Grid(trees=(2, 4), rounds=(2, 4), depths=(("forest", 10), ("gbt", 6)))


def recipe(grid: Grid) -> Path:
    """The recipe file of the grid."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "filon.toml"
    text = RECIPE.format(source=DATA / "bank-kaggle" / "bank.csv", trees=list(grid.trees), rounds=list(grid.rounds), **SHARES)
    path.write_text(text, encoding="utf-8")
    return path


def folds(grid: Grid) -> None:
    """The encoded rows of training and validation, as Parquet files that MLlib reads."""
    import pyarrow.parquet as pq

    from filon.check import check
    from filon.engines import open_engine
    from filon.engines.base import LabelPlan
    from filon.read import read
    from filon.recipe import load_recipe
    from filon.split import split

    file = load_recipe(recipe(grid))
    settings = file.recipe
    with open_engine("embedded", scratch=FOLDER) as engine:
        table = engine.read(read(settings.data, file.base))
        checked = check(engine.profile(table, LabelPlan(column=settings.data.label)), table.source, settings.check, settings.data)
        parts = split(table, checked, settings.split, settings.data, settings.search.balance, engine)
        for name in ("train", "valid"):
            rows = engine.sample(parts.fold(name), most=10**9)
            pq.write_table(rows, FOLDER / f"{name}.parquet")
        levels = {one.name: len(one.categories) for one in parts.encoding.features if one.kind == "category"}
        facts = {
            "features": list(parts.encoding.names),
            "levels": levels,
            "weights": list(parts.class_weights),
            "rows": parts.info["train"].rows,
        }
    (FOLDER / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def ours(grid: Grid) -> dict[str, float]:
    """`filon train`: seconds of the whole command and of its search, CPU seconds, and the best of each family on validation."""
    file = recipe(grid)
    before = set(FOLDER.glob("runs/grid/*"))
    seconds, cpu = timed([str(Path(sys.executable).with_name("filon")), "train", str(file), "--json"])
    run = next(iter(set(FOLDER.glob("runs/grid/*")) - before))
    stages = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["stages"]
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    best = {
        family: max(trial["metrics"]["areaUnderPR"] for trial in trials if trial["family"] == family and trial["state"] == "done")
        for family in ("random_forest", "gbt")
    }
    search = stages["search"]["seconds"] if isinstance(stages, dict) else next(one["seconds"] for one in stages if one["name"] == "search")
    return {"seconds": seconds, "cpu": cpu, "search": search, "trials": len(trials), "forest": best["random_forest"], "gbt": best["gbt"]}


def mllib(grid: Grid) -> list[dict[str, float | str]]:
    """The sample of MLlib's settings, each in a process of its own, so that one line is kept whatever happens to the next."""
    folds(grid)
    python = os.environ.get("FILON_SPARK_PYTHON", "")
    if not python:
        raise SystemExit("FILON_SPARK_PYTHON must name a Python that has pyspark")
    found = []
    for family, depth in grid.depths:
        count = grid.trees[0] if family == "forest" else grid.rounds[0]
        out = FOLDER / f"mllib-{family}-{depth}-{count}.json"
        timed([python, __file__, "--peer", family, "--depth", str(depth), "--count", str(count), "--out", str(out)])
        one = {**json.loads(out.read_text(encoding="utf-8")), "family": family, "depth": depth, "count": count}
        print(json.dumps(one), flush=True)
        found.append(one)
    return found


def timed(command: list[str]) -> tuple[float, float]:
    """Run a process to its end: seconds, and CPU seconds of it and its children."""
    began, used = time.monotonic(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    return time.monotonic() - began, cpu


def peer(family: str, depth: int, count: int, out: Path) -> None:
    """One MLlib fit, scored on validation; run by the Python that has pyspark. Starting Spark and reading the rows are not counted."""
    from pyspark.ml.classification import GBTClassifier, RandomForestClassifier
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as sql

    spark = SparkSession.builder.master("local[*]").config("spark.driver.memory", "8g").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    facts = json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))

    def fold(name: str):  # type: ignore[no-untyped-def]
        rows = spark.read.parquet(str(FOLDER / f"{name}.parquet"))
        for column, levels in facts["levels"].items():  # as StringIndexer would leave them: MLlib then splits them by sets too
            attribute = {"ml_attr": {"type": "nominal", "num_vals": levels, "name": column}}
            rows = rows.withColumn(column, sql.col(column).cast("double").alias(column, metadata=attribute))
        weights = facts["weights"]
        rows = rows.withColumn("class_weight", sql.when(sql.col("label") == 1, weights[1]).otherwise(weights[0]))
        rows = VectorAssembler(inputCols=facts["features"], outputCol="features").transform(rows)
        rows = (
            rows.select("features", sql.col("label").cast("double").alias("label"), "class_weight").repartition(os.cpu_count() or 2).cache()
        )
        rows.count()
        return rows

    train, valid = fold("train"), fold("valid")
    shared = {"featuresCol": "features", "labelCol": "label", "weightCol": "class_weight", "maxDepth": depth, "maxBins": 64, "seed": 42}
    classifier = (
        RandomForestClassifier(numTrees=count, featureSubsetStrategy="sqrt", **shared)
        if family == "forest"
        else GBTClassifier(maxIter=count, stepSize=0.1, **shared)
    )
    judge = BinaryClassificationEvaluator(metricName="areaUnderPR", numBins=0)
    machine = spark.sparkContext._gateway.proc.pid
    began, used = time.monotonic(), cpu_of(machine)
    area = judge.evaluate(classifier.fit(train).transform(valid))
    facts = {"seconds": time.monotonic() - began, "cpu": cpu_of(machine) - used, "area": area}
    out.write_text(json.dumps(facts), encoding="utf-8")
    spark.stop()


def cpu_of(process: int) -> float:
    """CPU seconds of a process until now (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scaled(sample: list[dict[str, float | str]], grid: Grid, name: str) -> float:
    """What the whole grid would take MLlib, in the unit of `name`."""
    total = 0.0
    for one in sample:
        forest = one["family"] == "forest"
        counts = sum(grid.trees) if forest else sum(grid.rounds)
        others = 2 * 2 if forest else 2 * 3  # bins x strategies, bins x steps
        total += float(one[name]) * counts / float(one["count"]) * others
    return total


def main() -> None:
    """Print the lines of docs/benchmarks.md."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", choices=("ours", "mllib"))
    words.add_argument("--small", action="store_true")
    words.add_argument("--peer", choices=("forest", "gbt"))
    words.add_argument("--depth", type=int, default=0)
    words.add_argument("--count", type=int, default=0)
    words.add_argument("--out", type=Path)
    said = words.parse_args()
    if said.peer:
        peer(said.peer, said.depth, said.count, said.out)
        return
    grid = SMALL if said.small else WHOLE
    mine = ours(grid) if said.only != "mllib" else {}
    if mine:
        print(json.dumps(mine), flush=True)
    theirs = mllib(grid) if said.only != "ours" else []
    if not mine or not theirs:
        return
    best = max(float(one["area"]) for one in theirs)
    whole, cpu = scaled(theirs, grid, "seconds"), scaled(theirs, grid, "cpu")
    print("| MLlib, whole grid (scaled) | our search | ratio | our command | CPU seconds, MLlib / ours | best areaUnderPR, MLlib | ours |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    print(
        f"| {whole:,.0f} s | {mine['search']:.1f} s | **{whole / mine['search']:.0f}x** | {mine['seconds']:.1f} s "
        f"| {cpu:,.0f} / {mine['cpu']:.0f} | {best:.4f} | {max(mine['forest'], mine['gbt']):.4f} |"
    )


if __name__ == "__main__":
    main()
