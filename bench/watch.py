"""`filon watch` over captured rows: time and memory, false alarms on resamples of the training rows, and shifts that must be caught.

    python bench/watch.py                              10 million captured rows x 28 columns, 1,000 resamples, 100 shifts a shape
    python bench/watch.py --rows 1000000 --resamples 50
    python bench/watch.py --form json --per-request 1  JSON records, one a request (the hardest to parse)

The model has 100 trees of depth 6 over 28 numbers. Lines are in SageMaker's layout, as `filon serve --capture` and endpoints write them,
in hourly files of 250,000 rows; all files have the same rows (each is a copy, so that the disk is read as it would be). The command runs
in a process of its own, JSON and page included; seconds are those of the clock, memory is its peak resident set, of a tenth of the rows
and of all.

False alarms: rows drawn with replacement from the training table, 5,000 at a time. Shifts: 10,000 new rows, one column moved by 0.2
standard deviations. It ends with 1 where a promise was not met: too slow, memory that grows, false alarms, a shift that was not caught.
"""

import argparse
import json
import os
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

COLUMNS, FILE_ROWS, HOUR = 28, 250_000, 3600
SHAPES = ("normal", "uniform", "lognormal", "poisson")
LIMIT_S = 60.0
FLAT = 1.2
"""Ten times the rows may take so many times the memory: allocators do not give all back at once."""


def table(rows: int, seed: int) -> pa.Table:
    """Numbers of four shapes, and a label that some of them tell."""
    draw = np.random.default_rng(seed)
    makers = {
        "normal": lambda: draw.standard_normal(rows),
        "uniform": lambda: draw.random(rows),
        "lognormal": lambda: draw.lognormal(0, 1, rows),
        "poisson": lambda: draw.poisson(4, rows).astype(float),
    }
    columns = {f"f{place}": np.round(makers[SHAPES[place % 4]](), 4) for place in range(COLUMNS)}
    score = columns["f0"] + columns["f4"] + columns["f1"] + 0.1 * columns["f3"] + draw.standard_normal(rows)
    return pa.table({**columns, "y": np.where(score > 1, "yes", "no")})


def train(folder: Path) -> Path:
    """One trial: what is measured does not depend on a search."""
    import filon

    pq.write_table(table(50_000, 1), folder / "train.parquet")
    trial = {"num_round": 100, "max_depth": 6, "eta": 0.1, "early_stopping_rounds": 0}
    data = {"source": str(folder / "train.parquet"), "label": "y", "positive": "yes"}
    recipe = {"name": "bench", "data": data, "search": {"xgboost": trial}, "track": {"enabled": False}}
    return Path(filon.train(recipe, runs=folder / "runs").path / "bundle")


def capture(folder: Path, rows: int, form: str, each: int) -> int:
    """Hourly files of captured lines; bytes written."""
    live = table(FILE_ROWS, 2).drop_columns(["y"])
    names = live.schema.names
    cells = [np.char.mod("%.10g", column.to_numpy()) for column in live.columns]
    lines = []
    for start in range(0, FILE_ROWS, each):
        some = [column[start : start + each] for column in cells]
        if form == "csv":
            body = "\n".join(map(",".join, zip(*some, strict=True)))
            kind, encoding = "text/csv", "CSV"
        else:
            records = [
                "{" + ", ".join(f'"{name}": {cell}' for name, cell in zip(names, row, strict=True)) + "}" for row in zip(*some, strict=True)
            ]
            body = records[0] if each == 1 else "[" + ", ".join(records) + "]"
            kind, encoding = "application/json", "JSON"
        answers = [{"label": "yes", "probability": {"no": 0.25, "yes": 0.75}}] * each
        asked = {"observedContentType": kind, "mode": "INPUT", "data": body, "encoding": encoding}
        answered = {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": json.dumps({"predictions": answers}),
            "encoding": "JSON",
        }
        about = {"eventId": f"00000000-0000-0000-0000-{start:012d}", "inferenceTime": "2026-11-20T10:15:00Z"}
        lines.append(
            json.dumps({"captureData": {"endpointInput": asked, "endpointOutput": answered}, "eventMetadata": about, "eventVersion": "0"})
        )
    text = ("\n".join(lines) + "\n").encode()
    size = 0
    for number in range(max(1, rows // FILE_ROWS)):
        file = folder / "2026" / "11" / f"{20 + number // 24:02d}" / f"{number % 24:02d}" / "x.jsonl"
        file.parent.mkdir(parents=True)
        file.write_bytes(text)
        size += len(text)
    return size


def peak_mib(pid: int) -> float:
    """Peak resident set of a process (`VmHWM`: what it was forked from does not count), 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def watched(bundle: Path, place: Path, out: Path) -> dict[str, float]:
    """The command in a process of its own."""
    began = time.monotonic()
    words = [sys.executable, "-m", "filon", "watch", str(bundle), "--capture", str(place), "--out", str(out), "--json"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, peak_mib(process.pid))
        time.sleep(0.1)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"filon watch ended with {os.waitstatus_to_exitcode(status)}")
    found = json.loads((out / "watch.json").read_text())
    seconds = time.monotonic() - began
    return {
        "rows": found["rows"],
        "seconds": seconds,
        "processor_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": peak,
        "alarms": found["alarms"],
    }


def judged(bundle_path: Path, resamples: int, shifts: int, folder: Path) -> dict[str, object]:
    """Alarms on resamples and on shifts; estimates without labels, which never alarm, are left out."""
    from filon.engines.survey import Surveyor
    from filon.package import open_bundle
    from filon.trees import predict
    from filon.watch import compare as comparing
    from filon.watch.asking import settings_of
    from filon.watch.baseline import baseline_of

    comparing.estimates = lambda *_: {}
    bundle = open_bundle(bundle_path)
    baseline, settings = baseline_of(bundle), settings_of(bundle, ())
    plan = baseline.plan()

    def alarms(x: np.ndarray) -> set[str]:
        surveyor = Surveyor(plan)
        probability = predict(bundle.ensemble, x)
        surveyor.add(x, probability, bundle.decide(probability), np.full(len(x), -1, np.int32), None)
        found = comparing.compare(baseline, plan, surveyor.result(), settings, "areaUnderPR").findings
        return {f"{one.code} {one.column}" for one in found if one.level == "warning"}

    def matrix(made: pa.Table) -> np.ndarray:
        return np.column_stack([made.column(name).to_numpy() for name in bundle.encoding.names]).astype(np.float32)

    known, draw = matrix(pq.read_table(folder / "train.parquet")), np.random.default_rng(0)
    raised = sum(bool(alarms(known[draw.integers(0, len(known), 5000)])) for _ in range(resamples))
    caught = {}
    for place, shape in enumerate(SHAPES):
        name, hits = bundle.encoding.names[place + 8], 0
        for number in range(shifts):
            x = matrix(table(10_000, 1000 + number))
            x[:, place + 8] += 0.2 * x[:, place + 8].std()
            hits += f"watch.column-drifted {name}" in alarms(x)
        caught[shape] = hits
    return {"resamples": resamples, "false_alarms": raised, "shifts": shifts, "caught": caught}


def missed(report: dict[str, Any], rows: int) -> list[str]:
    """Promises that were not met; `rows` : 0 where no captured rows were watched."""
    found = {f"a shift of a {shape} column": hits < report["shifts"] for shape, hits in report["caught"].items()}
    found["false alarms"] = report["false_alarms"] > 0.01 * report["resamples"]
    if rows:
        found["time"] = report["all"]["seconds"] > LIMIT_S * rows / 10_000_000
        # a process that was never seen alive has no peak, which proves nothing
        found["flat memory"] = not 0 < report["all"]["peak_mib"] <= FLAT * report["tenth"]["peak_mib"]
        found["every row"] = report["all"]["rows"] != max(1, rows // FILE_ROWS) * FILE_ROWS
    return [name for name, is_missed in found.items() if is_missed]


def main() -> int:
    """Measure; 1 when a promise was not met."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=10_000_000)
    words.add_argument("--form", choices=["csv", "json"], default="csv")
    words.add_argument("--per-request", type=int, default=1)
    words.add_argument("--resamples", type=int, default=1000)
    words.add_argument("--shifts", type=int, default=100)
    words.add_argument("--scratch", type=Path, default=None)
    given = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-watch-", dir=given.scratch))
    try:
        bundle = train(folder)
        report: dict[str, Any] = {"form": given.form, "rows_a_request": given.per_request, "cores": len(os.sched_getaffinity(0))}
        if given.rows:
            capture(folder / "tenth", given.rows // 10, given.form, given.per_request)
            report["bytes"] = capture(folder / "all", given.rows, given.form, given.per_request)
            report["tenth"] = watched(bundle, folder / "tenth", folder / "w1")
            report["all"] = watched(bundle, folder / "all", folder / "w2")
            shutil.rmtree(folder / "all")
        report |= judged(bundle, given.resamples, given.shifts, folder)
        report["not_met"] = missed(report, given.rows)
        print(json.dumps(report, indent=1))
        return int(bool(report["not_met"]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
