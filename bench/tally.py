"""Evaluation of ten million scored rows: one pass in constant memory, against scikit-learn's metrics on the same arrays in the same run.

    python bench/tally.py                    10 million rows, and 40 million for the memory
    python bench/tally.py --rows 1000000     another size

Rows come in batches, as an engine scores them. What is timed is counting them and every metric, and beside it the exam with its
intervals. Each contender runs in a process of its own. Memory is what the process grew by: its peak (`VmHWM`, reset before) above what it
held when it began; the seconds are those of the processor (on a quiet machine they are those of the clock, which is printed beside them:
all of this runs in one thread). The arrays themselves are drawn batch by batch for us, and whole for scikit-learn, which needs them whole.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

BATCH = 65_536
LIMIT_S = 3.0
CLASSES = ("no", "yes")


def batches(rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scores of a fair model, nearly all distinct (the hard case), and labels."""
    for start in range(0, rows, BATCH):
        random = np.random.default_rng(start)
        size = min(BATCH, rows - start)
        label = (random.random(size) < 0.2).astype(np.int32)
        logit = random.normal(size=size).astype(np.float32) + 1.2 * label - 1.5
        positive = (1 / (1 + np.exp(-logit))).astype(np.float32)
        yield np.stack([1 - positive, positive], axis=1), label


def memory_mib(field: str) -> float:
    """A figure of this process from the kernel, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def ours(rows: int) -> dict[str, float]:
    """Count, metrics, exam; the drawing of batches is not in the time."""
    from filon.engines.tally import Tallier
    from filon.evaluate import EvaluateSettings, examine, metrics

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = memory_mib("VmRSS")
    tallier, spent, wall = Tallier(CLASSES), {"count_s": 0.0, "metrics_s": 0.0, "exam_s": 0.0}, 0.0

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        nonlocal wall
        clock, processor = time.perf_counter(), time.process_time()
        yield
        spent[name] += time.process_time() - processor
        wall += time.perf_counter() - clock

    for probability, label in batches(rows):
        with timed("count_s"):
            tallier.add(probability, label)
    with timed("count_s"):
        tally = tallier.result()
    with timed("metrics_s"):
        found = {name: value for name, value in metrics.values(tally).items() if value is not None}
    counted = wall
    with timed("exam_s"):
        examine({(): tally}, EvaluateSettings(), 0.5)
    peak = memory_mib("VmHWM") - before
    return {**spent, "wall_s": counted, "memory_mib": peak, "distinct": float(len(tally.curves[0].scores)), **found}


def theirs(rows: int) -> dict[str, float]:
    """The same metrics by scikit-learn, on arrays in memory."""
    from sklearn import metrics as sk

    parts = [(probability[:, 1], label) for probability, label in batches(rows)]
    scores, label = (np.concatenate(part) for part in zip(*parts, strict=True))
    del parts
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mib("VmRSS")
    clock, processor = time.perf_counter(), time.process_time()
    exact, predicted = scores.astype(np.float64), scores >= 0.5
    found = {
        "areaUnderROC": sk.roc_auc_score(label, exact),
        "average_precision": sk.average_precision_score(label, exact),
        "logLoss": sk.log_loss(label, exact),
        "brier": sk.brier_score_loss(label, exact),
        "accuracy": sk.accuracy_score(label, predicted),
        "f1": sk.f1_score(label, predicted, average="weighted"),
        "weightedPrecision": sk.precision_score(label, predicted, average="weighted"),
        "weightedRecall": sk.recall_score(label, predicted, average="weighted"),
    }
    took = {"metrics_s": time.process_time() - processor, "wall_s": time.perf_counter() - clock}
    return {**took, "memory_mib": memory_mib("VmHWM") - before, **{name: float(value) for name, value in found.items()}}


def apart(who: str, rows: int) -> dict[str, float]:
    """One contender in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--only", who, "--rows", str(rows)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print the table; 1 when a limit is broken."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=10_000_000)
    words.add_argument("--only", choices=["ours", "theirs"])
    given = words.parse_args()
    if given.only:
        print(json.dumps(ours(given.rows) if given.only == "ours" else theirs(given.rows)))
        return 0
    mine, peer, larger = apart("ours", given.rows), apart("theirs", given.rows), apart("ours", 4 * given.rows)
    took = mine["count_s"] + mine["metrics_s"]
    whole = mine["count_s"] + mine["exam_s"]
    ratio = {"time": took / peer["metrics_s"], "memory": mine["memory_mib"] / peer["memory_mib"]}
    print(f"| {given.rows:,} rows, {mine['distinct']:,.0f} distinct scores | Filon | scikit-learn | ratio |\n|---|---:|---:|---:|")
    print(f"| counting, and every metric (16; scikit-learn 8) | {took:.2f} s | {peer['metrics_s']:.2f} s | {ratio['time']:.2f} |")
    print(f"| the same by the clock, on a machine with other work | {mine['wall_s']:.2f} s | {peer['wall_s']:.2f} s | – |")
    print(f"| the whole exam beside the counting, with 500 resamples | {mine['exam_s']:.2f} s | – | – |")
    print(f"| memory beside the arrays | {mine['memory_mib']:,.0f} MiB | {peer['memory_mib']:,.0f} MiB | {ratio['memory']:.2f} |")
    print(f"| memory with {4 * given.rows:,} rows | {larger['memory_mib']:,.0f} MiB | – | – |")
    apart_most = max(abs(mine[name] - peer[name]) for name in peer if name in mine and not name.endswith(("_s", "_mib")))
    print(f"\nLargest difference of a metric: {apart_most:.1e}. Limit: {LIMIT_S} s for 10 million rows.")
    return int(whole > LIMIT_S * given.rows / 10_000_000 or apart_most > 1e-9)


if __name__ == "__main__":
    raise SystemExit(main())
