"""Tables of one to forty million rows: the whole command against bare training, and its memory against pandas and scikit-learn.

    python bench/scale.py                    1 and 10 million rows: time and memory, each against its peer in the same run
    python bench/scale.py --rows 1000000     another size
    python bench/scale.py --large 40000000   one large table within 8 GiB

Every contender runs in a process of its own, whose peak resident memory the kernel reports when it ends (`wait4`). Tables are written
once into the scratch folder (FILON_BENCH, or /tmp/filon-bench) and used again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = 28
MISSING = 0.02
CHUNK = 1_000_000
FOLDER = Path(os.environ.get("FILON_BENCH", "/tmp/filon-bench"))
PARAMS = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.2, "tree_method": "hist", "seed": 1}

RECIPE = """
name = "scale"
[data]
source = "{source}"
label = "label"
positive = 1
[search.xgboost]
max_depth = 6
eta = 0.2
num_round = {rounds}
early_stopping_rounds = 0
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One process: seconds of the whole, of all cores, peak resident MiB, and what it printed as JSON on its last line."""

    seconds: float
    cpu_s: float
    memory_mib: float
    said: dict[str, float]


def chunks(rows: int) -> Iterator[pa.Table]:
    """Random features with missing cells, and a label that depends on some of them and on two of their products."""
    for start in range(0, rows, CHUNK):
        random = np.random.default_rng(start)
        x = random.standard_normal((min(CHUNK, rows - start), FEATURES), np.float32)
        margin = x[:, 0] + 0.7 * x[:, 1] * x[:, 2] - 0.8 * np.abs(x[:, 3]) + 0.5 * (x[:, 4] > 0.3) * x[:, 5] + 0.3 * x[:, 6]
        label = (random.random(len(x)) < 1 / (1 + np.exp(-margin))).astype(np.int8)
        x[random.random(x.shape, np.float32) < MISSING] = np.nan
        columns = [pa.array(np.ascontiguousarray(x[:, place]), from_pandas=True) for place in range(FEATURES)]
        yield pa.Table.from_arrays([*columns, pa.array(label)], names=[*(f"f{place}" for place in range(FEATURES)), "label"])


def table(rows: int) -> Path:
    """The Parquet file of so many rows, made if it is not there."""
    path = FOLDER / f"rows-{rows}.parquet"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial, writer = path.with_suffix(".partial"), None
        for chunk in chunks(rows):
            writer = writer or pq.ParquetWriter(partial, chunk.schema)
            writer.write_table(chunk)
        assert writer is not None
        writer.close()
        partial.rename(path)
    return path


def run(command: list[str]) -> Outcome:
    """Run a process to its end."""
    # As in an installed environment: modules are compiled once, not at each start
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(FOLDER / "pycache")
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = list(process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{''.join(lines[-20:])}")
    last = lines[-1] if lines else ""
    said = json.loads(last) if last.startswith("{") else {}
    return Outcome(seconds=seconds, cpu_s=usage.ru_utime + usage.ru_stime, memory_mib=usage.ru_maxrss / 1024, said=said)


def peer(name: str, rows: int, rounds: int = 100) -> Outcome:
    """Run one of `PEERS` in a process of its own."""
    return run([sys.executable, __file__, "--peer", name, "--rows", str(rows), "--rounds", str(rounds)])


def bare(rows: int, rounds: int) -> dict[str, float]:
    """`xgboost.train` on a quantised matrix that is already in memory: only training is timed."""
    import xgboost as xgb

    class Chunks(xgb.DataIter):
        def __init__(self) -> None:
            super().__init__()
            self.groups = pq.ParquetFile(table(rows))
            self.at = 0

        def next(self, input_data) -> bool:  # type: ignore[no-untyped-def]
            if self.at == self.groups.num_row_groups:
                return False
            group = self.groups.read_row_group(self.at)
            x = np.column_stack([group.column(place).to_numpy() for place in range(FEATURES)]).astype(np.float32)
            input_data(data=x, label=group.column("label").to_numpy())
            self.at += 1
            return True

        def reset(self) -> None:
            self.at = 0

    matrix = xgb.QuantileDMatrix(Chunks())
    began, busy = time.monotonic(), time.process_time()
    xgb.train(PARAMS, matrix, num_boost_round=rounds)
    return {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - busy}


def pandas(rows: int, rounds: int) -> dict[str, float]:
    """Read with pandas, split with scikit-learn, build a `DMatrix` of each fold; with `rounds`, train too."""
    import pandas as pd
    import xgboost as xgb
    from sklearn.model_selection import train_test_split

    began = time.monotonic()
    frame = pd.read_parquet(table(rows))
    x, y = frame.drop(columns="label"), frame["label"]
    x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.3, stratify=y, random_state=1)
    x_valid, x_test, y_valid, y_test = train_test_split(x_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=1)
    matrices = [xgb.DMatrix(*fold) for fold in ((x_train, y_train), (x_valid, y_valid), (x_test, y_test))]
    built = time.monotonic() - began
    return {"seconds": built, "rows": float(sum(matrix.num_row() for matrix in matrices)) + rounds * 0}


PEERS = {"bare": bare, "pandas": pandas}


def ours(rows: int, rounds: int = 100) -> Outcome:
    """The whole command."""
    folder = FOLDER / f"ours-{rows}"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "filon.toml"
    recipe.write_text(RECIPE.format(source=table(rows), rounds=rounds))
    return run([sys.executable, "-m", "filon", "train", str(recipe), "--json"])


def main() -> None:
    """Print one line a contender, as Markdown."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    words.add_argument("--rounds", type=int, default=100)
    words.add_argument("--large", type=int, default=0)
    words.add_argument("--peer", choices=sorted(PEERS))
    words.add_argument("--make", action="store_true", help="only write the tables")
    said = words.parse_args()
    if said.peer:
        print(json.dumps(PEERS[said.peer](said.rows[0], said.rounds)))
        return
    if said.make:
        for rows in said.rows:
            print(table(rows))
        return
    if said.large:
        table(said.large)
        outcome = ours(said.large, said.rounds)
        print(f"| {said.large:,} rows, {said.rounds} rounds | {outcome.seconds:.0f} s | {outcome.memory_mib / 1024:.2f} GiB |")
        show_load()
        return
    print("| rows | bare training | whole command | ratio | pandas + scikit-learn + DMatrix | our peak | ratio |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for rows in said.rows:
        table(rows)
        mine, trained, read = ours(rows, said.rounds), peer("bare", rows, said.rounds), peer("pandas", rows)
        print(
            f"| {rows:,} | {trained.said['seconds']:.1f} s | {mine.seconds:.1f} s | {mine.seconds / trained.said['seconds']:.2f} "
            f"| {read.memory_mib:,.0f} MiB | {mine.memory_mib:,.0f} MiB | {mine.memory_mib / read.memory_mib:.2f} |",
            flush=True,
        )
        ratio = mine.cpu_s / trained.said["cpu_s"]
        print(f"  all cores: {mine.cpu_s:.0f} s against {trained.said['cpu_s']:.0f} s, {ratio:.2f}", file=sys.stderr)
    show_load()


def show_load() -> None:
    """Say what else the machine was doing: ratios of wall time mean little when others use its cores."""
    print(f"load over the last minutes: {os.getloadavg()} on {os.cpu_count()} cores", file=sys.stderr)


if __name__ == "__main__":
    main()
