"""The Spark engine's fits: against the script that users write, against bare SparkXGBClassifier.fit, and on one worker against two.

    python bench/spark_fit.py                    all three, 1,000,000 x 28
    python bench/spark_fit.py --only script      one of: script, overhead, workers
    python bench/spark_fit.py --rows 200000      a smaller table

Every contender runs in a process of its own with its own Spark. Needs pyspark, scikit-learn and Java 17; tables are written once into
the scratch folder (FILON_BENCH, or /tmp/filon-bench).

script    assembler, SparkXGBClassifier (100 rounds, depth 6, 2 workers), four MulticlassClassificationEvaluator metrics, one AUC, three
          collect()s; against `filon train --engine spark` of the same 100 rounds, which also splits in three, checks and reports
overhead  SparkXGBClassifier.fit on prepared rows against one trial of our engine over the cluster, on the same rows
workers   the 72-setting grid of a bank table on a standalone cluster: search seconds with two workers of one core and with one, in turns;
          and the same searches without Spark, one process against two at once: what the machine's second core is worth
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FILON_DATA", ROOT.parent / "shared" / "data"))
FOLDER = Path(os.environ.get("FILON_BENCH", "/tmp/filon-bench")) / "spark-fit"
FEATURES = 28
ROUNDS, DEPTH, ETA = 100, 6, 0.3

RECIPE = """
name = "spark-fit"
[data]
source = "{source}"
label = "label"
positive = 1
[search.xgboost]
max_depth = 6
eta = 0.3
num_round = {rounds}
early_stopping_rounds = 0
[track]
enabled = false
"""

GRID = """
name = "grid"
[data]
source = "{source}"
label = "{label}"
positive = "yes"
drop = ["duration"]
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
[track]
enabled = false
[places.spark]
master = "{master}"
[places.spark.conf]
"spark.executor.memory" = "1g"
"spark.driver.memory" = "1g"
"spark.driver.host" = "127.0.0.1"
"spark.sql.shuffle.partitions" = "4"
"""


def source(rows: int) -> Path:
    """A table of noise with some truth in it, written once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"table-{rows}.parquet"
    if not path.exists():
        random = np.random.default_rng(7)
        x = random.standard_normal((rows, FEATURES), np.float32)
        margin = x[:, 0] + 0.7 * x[:, 1] * x[:, 2] - 0.8 * np.abs(x[:, 3]) + 0.5 * (x[:, 4] > 0.3) * x[:, 5]
        label = (margin + random.logistic(size=rows) > 0).astype(np.int32)
        pq.write_table(pa.table({**{f"f{i}": x[:, i] for i in range(FEATURES)}, "label": label}), path, row_group_size=100_000)
    return path


def spark(master: str = "local[*]") -> Any:
    """A session with the memory that both sides are given."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master).appName("bench").config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
    made = builder.config("spark.driver.host", "127.0.0.1").config("spark.sql.execution.arrow.maxRecordsPerBatch", "65536").getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


def script(path: Path) -> dict[str, float]:
    """What users write today."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from xgboost.spark import SparkXGBClassifier

    marks = {"start": time.monotonic()}
    session = spark()
    frame = session.read.parquet(str(path))
    marks["session"] = time.monotonic()
    train, test = frame.randomSplit([0.8, 0.2], seed=42)
    assembler = VectorAssembler(inputCols=[f"f{i}" for i in range(FEATURES)], outputCol="features")
    classifier = SparkXGBClassifier(
        features_col="features", label_col="label", num_workers=2, n_estimators=ROUNDS, max_depth=DEPTH, learning_rate=ETA, verbosity=0
    )
    model = classifier.fit(assembler.transform(train))
    marks["fit"] = time.monotonic()
    scored = model.transform(assembler.transform(test))
    for name in ("accuracy", "f1", "weightedPrecision", "weightedRecall"):
        MulticlassClassificationEvaluator(labelCol="label", metricName=name).evaluate(scored)
    auc = BinaryClassificationEvaluator(labelCol="label").evaluate(scored)
    marks["metrics"] = time.monotonic()
    for column in ("label", "prediction", "probability"):
        scored.select(column).collect()
    marks["collects"] = time.monotonic()
    names = list(marks)
    return {"auc": auc, **{name: marks[name] - marks[before] for before, name in itertools.pairwise(names)}}


def command(path: Path) -> dict[str, float]:
    """`filon train --engine spark` of the same rounds."""
    recipe = FOLDER / "filon.toml"
    recipe.write_text(RECIPE.format(source=path, rounds=ROUNDS), encoding="utf-8")
    return trained(recipe)


def trained(recipe: Path, *words: str) -> dict[str, float]:
    """Seconds of each stage of a run; on Spark unless `words` say otherwise."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("filon")), "train", str(recipe), *(words or ("--engine", "spark")), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    folder = max((recipe.parent / "runs").glob("*/*/manifest.json"), key=lambda found: found.stat().st_mtime)
    stages = json.loads(folder.read_text(encoding="utf-8"))["stages"]
    summary = json.loads((folder.parent / "metrics" / "summary.json").read_text(encoding="utf-8"))
    if not words:
        print(json.loads((folder.parent / "spark.json").read_text(encoding="utf-8"))["held_back"], flush=True)
    return {"auc": summary["winner"]["test_metrics_retrained"]["areaUnderROC"], **{name: one["seconds"] for name, one in stages.items()}}


def bare(path: Path) -> dict[str, float]:
    """SparkXGBClassifier.fit on the fold as our engine has prepared it, columns of float32, twice: the first one warms the workers up."""
    from xgboost.spark import SparkXGBClassifier

    session = spark()
    frame = session.read.parquet(str(path)).select("label", *(f"f{i}" for i in range(FEATURES))).cache()
    frame.count()
    found = {}
    for turn in ("first", "second"):
        began = time.monotonic()
        classifier = SparkXGBClassifier(
            features_col=[f"f{i}" for i in range(FEATURES)],
            label_col="label",
            num_workers=2,
            n_estimators=ROUNDS,
            max_depth=DEPTH,
            learning_rate=ETA,
            verbosity=0,
        )
        classifier.fit(frame)
        found[turn] = time.monotonic() - began
    return found


def engine(path: Path) -> dict[str, float]:
    """One trial of our engine over two tasks, and in one task, on the same rows; no validation fold, as above."""
    from dataclasses import replace

    from filon.engines.base import FitPlan, FoldInfo, LabelPlan, SplitPlan, Trial
    from filon.engines.settings import SparkSettings
    from filon.engines.spark.fitting import fit
    from filon.engines.spark.folds import SparkFolds
    from filon.engines.spark.session import Session
    from filon.rows.encode import Encoding, Feature

    live = spark()
    session = Session(SparkSettings(), FOLDER)
    plan = SplitPlan(shares=(1, 0, 0), seed=1, by="row", stratify=False, label=LabelPlan(column="label", classes=("0", "1")), features=())
    names = [f"f{i} AS x{i}" for i in range(FEATURES)]
    frame = live.read.parquet(str(path)).selectExpr(
        "0 AS fold", f"xxhash64({', '.join(f'f{i}' for i in range(FEATURES))}) AS hash", "label", *names
    )
    frame = frame.cache()
    rows = frame.count()
    folds = SparkFolds(
        plan=plan,
        encoding=Encoding(features=tuple(Feature(name=f"f{i}", kind="number") for i in range(FEATURES)), classes=("0", "1")),
        info={"train": FoldInfo(rows=rows, by_class=(0, rows), digest="")},
        class_weights=(1.0, 1.0),
        left_out={},
        session=session,
        _kept=frame,
    )
    settings = {"num_round": ROUNDS, "max_depth": DEPTH, "eta": ETA, "early_stopping_rounds": 0}
    trial = Trial(number=1, family="xgboost", settings=settings, seed=1)
    found = {}
    for way in ("cluster", "tasks"):
        for turn in ("first", "second"):
            began = time.monotonic()
            (one,) = fit(session, folds, [replace(trial, seed=len(found))], FitPlan(valid=False), way)  # type: ignore[arg-type]
            assert not one.error, one.error
            found[f"{way} {turn}"] = time.monotonic() - began
    return found


TABLES = {"bank": ("bank-kaggle/bank.csv", "deposit"), "bank-full": ("bank-uci/bank-full.csv.gz", "y")}


def workers(small: bool, table: str, times: int) -> None:
    """The grid on two workers of one core, then on one of them; and what two cores of this machine give two plain processes."""
    sys.path.insert(0, str(ROOT))
    from tests.servers.spark_cluster import spark_cluster

    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(times):
        with spark_cluster(FOLDER / "cluster") as cluster:
            for many in (2, 1):
                if many == 1:
                    cluster.kill_worker(2)
                    cluster.wait(1)
                found = trained(grid_recipe(FOLDER / f"workers-{many}", small, table, cluster.master))
                seconds[many].append(found["search"])
                print(f"workers: {many}: search {found['search']:.1f} s, areaUnderROC {found['auc']:.4f}", flush=True)
    each = ", ".join(f"{one / two:.2f}" for one, two in zip(seconds[1], seconds[2], strict=True))
    print(f"workers: two against one: {sum(seconds[1]) / sum(seconds[2]):.2f}x of the sums, each {each} (asked: 1.7x)", flush=True)
    alone, beside = (processes(many, small, table) for many in (1, 2))
    print(f"processes: {alone:.1f} s alone, {beside:.1f} s two at once: two cores do {2 * alone / beside:.2f}x the work of one", flush=True)


def grid_recipe(folder: Path, small: bool, table: str, master: str = "") -> Path:
    """The recipe of the grid, in a folder of its own."""
    trees, rounds = ([20, 40, 60], [10, 20]) if small else ([200, 400, 600], [100, 200])
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "filon.toml"
    name, label = TABLES[table]
    recipe.write_text(GRID.format(source=DATA / name, label=label, trees=trees, rounds=rounds, master=master), encoding="utf-8")
    return recipe


def processes(many: int, small: bool, table: str) -> float:
    """Seconds of the grid's search in processes of one thread, with no Spark: the slowest of `many` that start together."""
    recipes = [grid_recipe(FOLDER / f"process-{number}", small, table) for number in range(many)]
    with ThreadPoolExecutor(many) as pool:
        return max(one["search"] for one in pool.map(lambda recipe: trained(recipe, "--threads", "1"), recipes))


def apart(name: str, rows: int) -> dict[str, float]:
    """One contender in a process of its own: what it printed, and the seconds of the whole."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, __file__, "--peer", name, "--rows", str(rows)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    found["whole"] = time.monotonic() - began
    print(name, {key: round(value, 4 if key == "auc" else 1) for key, value in found.items()}, flush=True)
    return found


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", choices=["script", "overhead", "workers"])
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--small", action="store_true", help="a tenth of the grid's trees")
    words.add_argument("--table", choices=[*TABLES], default="bank", help="of the grid")
    words.add_argument("--times", type=int, default=3, help="how often workers are measured, for a machine that is not alone")
    words.add_argument("--peer", choices=["script", "command", "bare", "engine"], help=argparse.SUPPRESS)
    said = words.parse_args()
    path = source(said.rows)
    if said.peer:
        print(json.dumps({"script": script, "command": command, "bare": bare, "engine": engine}[said.peer](path)))
        return
    print(f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores, {said.rows:,} rows x {FEATURES}", flush=True)
    if said.only in (None, "script"):
        theirs, ours = apart("script", said.rows), apart("command", said.rows)
        print(f"script: ours / theirs: {ours['whole'] / theirs['whole']:.2f} (asked: 0.6 at most)", flush=True)
    if said.only in (None, "overhead"):
        theirs, ours = apart("bare", said.rows), apart("engine", said.rows)
        for way in ("cluster", "tasks"):
            print(f"overhead: {way}: {ours[f'{way} second'] / theirs['second']:.2f} of bare fit (asked: 1.10 at most)", flush=True)
    if said.only in (None, "workers"):
        workers(said.small, said.table, said.times)


if __name__ == "__main__":
    main()
