"""The classic grid (36 random forests, 36 boosted ensembles) against Spark MLlib's own classifiers on the same folds.

    python bench/grid.py --spark VENV/bin/python            both, written into docs/benchmarks.md
    python bench/grid.py --small --spark VENV/bin/python    a smoke run: four settings, nothing is written

8,008 rows x 15 features of the bank table (Kaggle's edition without `duration`), 70/15/15. Ours is the whole of `filon train`: the
process, reading, checking, all 72 settings, the refit, the report and the bundle. MLlib is measured on a sample of its settings, each
fitted in a warm session of `local[*]` on the very rows of our folds (cached, weighted, categories as indices); the grid's time is scaled
from them: linear in trees and iterations, geometric in depth between the depths measured. `--spark` is the python of an environment
with pyspark 3.5; it needs Java 17.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BANK = ROOT.parent / "shared" / "data" / "bank-kaggle" / "bank.csv"
PAGE = ROOT / "docs" / "benchmarks.md"
HEADING = "## The classic grid"
ROWS = 8008

TREES, DEPTHS, BINS = (200, 400, 600), (10, 14, 18), (64, 128)
ROUNDS, BOOSTED, STEPS = (100, 200), (6, 8, 10), (0.05, 0.1, 0.2)

SAMPLE_FORESTS = ((100, 10, 64), (200, 14, 128), (100, 18, 64))
SAMPLE_BOOSTED = ((100, 6, 64, 0.1), (50, 10, 128, 0.1))
SMALL_FORESTS, SMALL_BOOSTED = ((5, 4, 64),), ((3, 3, 64, 0.1),)

RECIPE = """name = "grid"
[data]
source = "bank.csv"
label = "deposit"
positive = "yes"
drop = ["duration"]
[search]
metric = "areaUnderPR"
[search.random_forest]
numTrees = {trees}
maxDepth = {depths}
maxBins = {bins}
featureSubsetStrategy = ["sqrt", "log2"]
[search.gbt]
maxDepth = {boosted}
maxBins = {bins}
maxIter = {rounds}
stepSize = {steps}
"""


def prepare(folder: Path, small: bool) -> None:
    """The first 8,008 rows in the order of a hash (the file has its positives first), and the recipe."""
    import hashlib

    head, *lines = BANK.read_text(encoding="utf-8").splitlines()
    lines.sort(key=lambda line: hashlib.sha256(line.encode()).digest())
    (folder / "bank.csv").write_text("\n".join([head, *lines[:ROWS]]) + "\n", encoding="utf-8")
    grid = {"trees": TREES, "depths": DEPTHS, "bins": BINS, "boosted": BOOSTED, "rounds": ROUNDS, "steps": STEPS}
    chosen = {name: [axis[0]] if small else list(axis) for name, axis in grid.items()}
    (folder / "filon.toml").write_text(RECIPE.format(**chosen), encoding="utf-8")


def ours(folder: Path) -> dict[str, float]:
    """`filon train` as a process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "filon", "train"], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    (run,) = folder.glob("runs/grid/*")
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    stages = json.loads((run / "manifest.json").read_text())["stages"]
    summary = json.loads((run / "metrics" / "summary.json").read_text())
    return {
        "seconds": seconds,
        "search": stages["search"]["seconds"],
        "trials": len(trials),
        "fitted": sum(not trial["shared"] for trial in trials),
        "valid": max(trial["metrics"]["areaUnderPR"] for trial in trials),
        "test": summary["winner"]["test_metrics_retrained"]["areaUnderPR"],
    }


def export(folder: Path) -> None:
    """The training and validation rows of our folds as Parquet for Spark: encoded features, label, class weight."""
    import pyarrow.parquet as pq

    from filon import pipeline
    from filon.engines import open_engine
    from filon.events import silence
    from filon.read import read
    from filon.recipe import load_recipe
    from filon.split import split

    file = load_recipe(folder)
    recipe = file.recipe
    with open_engine("embedded", scratch=folder / "scratch") as engine:
        table = engine.read(read(recipe.data, file.base))
        checked = pipeline.look(file, table, engine, silence)
        folds = split(table, checked, recipe.split, recipe.data, recipe.search.balance, engine)
        for name in ("train", "valid"):
            rows = engine.sample(folds.fold(name), 10_000_000)
            weights = [folds.class_weights[label] for label in rows["label"].to_pylist()]
            pq.write_table(rows.drop_columns(["weight"]).append_column("weight", [weights]), folder / f"{name}.parquet")


def mllib(folder: Path, small: bool) -> None:
    """Run inside the Spark environment: fit the sample, print one JSON line a setting."""
    from pyspark.ml.classification import GBTClassifier, RandomForestClassifier
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[*]").config("spark.driver.memory", "8g").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frames = {}
    for name in ("train", "valid"):
        frame = spark.read.parquet(str(folder / f"{name}.parquet")).fillna(-1.0)
        features = [column for column in frame.columns if column not in ("label", "weight")]
        frames[name] = (
            VectorAssembler(inputCols=features, outputCol="features").transform(frame).select("features", "label", "weight").cache()
        )
        frames[name].count()
    judge = BinaryClassificationEvaluator(metricName="areaUnderPR", numBins=0)
    RandomForestClassifier(numTrees=2, maxDepth=3, weightCol="weight").fit(frames["train"])  # the JVM is warm before the clock starts
    forests, boosted = (SMALL_FORESTS, SMALL_BOOSTED) if small else (SAMPLE_FORESTS, SAMPLE_BOOSTED)
    models = [
        (RandomForestClassifier(numTrees=n, maxDepth=d, maxBins=b, weightCol="weight", seed=42), ("forest", n, d)) for n, d, b in forests
    ]
    models += [
        (GBTClassifier(maxIter=n, maxDepth=d, maxBins=b, stepSize=s, weightCol="weight", seed=42), ("boosted", n, d))
        for n, d, b, s in boosted
    ]
    for model, (family, count, depth) in models:
        began = time.perf_counter()
        fitted = model.fit(frames["train"])
        area = judge.evaluate(fitted.transform(frames["valid"]))
        line = {"family": family, "count": count, "depth": depth, "seconds": time.perf_counter() - began, "valid": area}
        print("MLLIB " + json.dumps(line), flush=True)
    spark.stop()


def scaled(measured: list[dict[str, float]], family: str, depths: tuple[int, ...], counts: tuple[int, ...], twins: int) -> float:
    """Seconds of a family's whole grid; `twins` settings cost the same for each depth and count."""
    per_unit = {int(one["depth"]): one["seconds"] / one["count"] for one in measured if one["family"] == family}
    known = sorted(per_unit)
    for depth in depths:
        if depth not in per_unit:  # between two depths measured: their geometric mean; nothing is extrapolated
            below, above = max(d for d in known if d < depth), min(d for d in known if d > depth)
            per_unit[depth] = statistics.geometric_mean([per_unit[below], per_unit[above]])
    return sum(per_unit[depth] * count for depth, count in product(depths, counts)) * twins


def page(found: dict[str, float], measured: list[dict[str, float]], total: float) -> str:
    """The section of docs/benchmarks.md."""
    load = os.getloadavg()[0]
    names = {"forest": "trees of depth", "boosted": "rounds of depth"}
    line = "| {family}: {count:.0f} {unit} {depth:.0f} | {seconds:.1f} | {valid:.4f} |"
    rows = "\n".join(line.format(**one, unit=names[str(one["family"])]) for one in measured)
    own = f"`filon train`, all {found['trials']:.0f} settings, whole process ({found['fitted']:.0f} fits; search {found['search']:.1f} s)"
    best = max(one["valid"] for one in measured)
    return f"""{HEADING}

`python bench/grid.py --spark VENV/bin/python`: 36 random forests and 36 boosted ensembles of MLlib's names on {ROWS:,} rows x 15 features.

| | seconds | validation areaUnderPR |
| --- | --- | --- |
| {own} | {found["seconds"]:.1f} | {found["valid"]:.4f} |
| Spark MLlib 3.5 in `local[*]`, the same grid, scaled from the sample below | {total:,.0f} | {best:.4f} (best of the sample) |
| **ratio** | **{total / found["seconds"]:.0f}x** | |

MLlib's sample, each fit in a warm session:

| setting | seconds | validation areaUnderPR |
| --- | --- | --- |
{rows}

Our winner's areaUnderPR on the test fold: {found["test"]:.4f}. Two cores, load {load:.1f} when it ended.
"""


def write(section: str) -> None:
    """Put the section in its place."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEADING)
    after = rest.partition("\n## ")[2]
    PAGE.write_text(before.rstrip() + "\n\n" + section + ("\n## " + after if after else ""), encoding="utf-8")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--spark", help="python of an environment with pyspark; left out: ours only")
    words.add_argument("--small", action="store_true")
    words.add_argument("--mllib", type=Path, help=argparse.SUPPRESS)
    said = words.parse_args()
    if said.mllib:
        mllib(said.mllib, said.small)
        return
    with tempfile.TemporaryDirectory(prefix="filon-grid-") as name:
        folder = Path(name)
        prepare(folder, said.small)
        found = ours(folder)
        print("ours", found, flush=True)
        if not said.spark:
            return
        export(folder)
        command = [said.spark, str(Path(__file__)), "--mllib", str(folder), *(["--small"] if said.small else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            measured = [
                json.loads(line.removeprefix("MLLIB ")) for line in process.stdout if line.startswith("MLLIB ") and not print(line, end="")
            ]
    if said.small:
        return
    total = scaled(measured, "forest", DEPTHS, TREES, len(BINS) * 2) + scaled(measured, "boosted", BOOSTED, ROUNDS, len(BINS) * len(STEPS))
    section = page(found, measured, total)
    print(section)
    write(section)


if __name__ == "__main__":
    main()
