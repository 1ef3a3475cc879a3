"""How soon the command line answers: `filon --help`, and `filon train` with one setting on the small bank table (4,521 rows).

    python bench/start.py

The table is `bank-uci/bank.csv` of the public sets (FILON_DATA, or ../shared/data).
Both are whole processes by the clock, each the best of five: what else the machine does makes them slower, never faster. Beside them, for
comparison, what Python itself takes to start, and to import the libraries that a training needs whoever calls them.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("FILON_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
BEST_OF = 5
HELP_S, TRAIN_S = 0.3, 4.0
ROWS = 4521
LIBRARIES = "import duckdb, matplotlib.figure, onnx, onnxruntime, pyarrow.parquet, xgboost"

RECIPE = """name = "bank"
[data]
source = "{source}"
label = "y"
positive = "yes"
drop = ["duration"]
[search.xgboost]
max_depth = 6
eta = 0.2
num_round = 100
[track]
enabled = false
"""


def best(command: list[str], folder: Path) -> float:
    """Seconds of the quickest of five runs."""
    found = []
    for _ in range(BEST_OF):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> None:
    """Measure, print the table of docs/benchmarks.md, and exit with 1 where a promise is broken."""
    source = (DATA / "bank-uci" / "bank.csv").resolve()
    rows = len(source.read_text(encoding="utf-8").splitlines()) - 1
    if rows != ROWS:
        raise SystemExit(f"{source} has {rows:,} rows, the promise is about {ROWS:,}")
    filon = [sys.executable, "-c", "import sys; from filon.cli import main; main(sys.argv[1:])"]  # as the installed script does
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "filon.toml").write_text(RECIPE.format(source=source), encoding="utf-8")
        python, libraries = best([sys.executable, "-c", ""], folder), best([sys.executable, "-c", LIBRARIES], folder)
        told, trained = best([*filon, "--help"], folder), best([*filon, "train"], folder)
    print("| whole process, best of five | seconds | promised |\n|---|---:|---:|")
    print(f"| `filon --help` | {told:.2f} | {HELP_S} |")
    print(f"| `filon train`, {ROWS:,} rows, one setting | {trained:.2f} | {TRAIN_S:g} |")
    print(f"| Python alone; with the libraries of a training | {python:.2f}; {libraries:.2f} | – |")
    raise SystemExit(int(told > HELP_S or trained > TRAIN_S))


if __name__ == "__main__":
    main()
