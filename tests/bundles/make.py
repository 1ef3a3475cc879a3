"""How `watched-1` was sealed: `python tests/bundles/make.py FOLDER` seals such a bundle anew, for a new format."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("age", "balance", "job", "member")


def rows(count: int, seed: int, *, older: float = 0.0) -> pa.Table:
    """Customers; `older` adds years to all of them."""
    draw = np.random.default_rng(seed)
    age = np.round(draw.normal(45, 12, count) + older, 1)
    balance = np.where(draw.random(count) < 0.05, np.nan, np.round(draw.lognormal(6, 1, count), 2))
    job = draw.choice(["admin", "técnico", "retired"], count, p=[0.5, 0.3, 0.2])
    member = draw.random(count) < 0.4
    yes = draw.random(count) < 1 / (1 + np.exp(-(0.08 * (age - 45) + (job == "retired") - 0.5 * member)))
    cells = {"age": age, "balance": pa.array(balance, from_pandas=True), "job": job, "member": member}
    return pa.table({**cells, "deposit": np.where(yes, "yes", "no")})


def main(out: Path) -> None:
    """Train on 3,000 rows, and keep the bundle alone."""
    import filon

    with tempfile.TemporaryDirectory() as scratch:
        pq.write_table(rows(3000, 1), Path(scratch) / "bank.parquet")
        recipe = {
            "name": "bank",
            "data": {"source": "bank.parquet", "label": "deposit", "positive": "yes"},
            "search": {"xgboost": {"num_round": 8, "max_depth": 3, "eta": 0.3, "early_stopping_rounds": 0}},
            "track": {"enabled": False},
        }
        run = filon.train(recipe, base=scratch, runs=Path(scratch) / "runs")
        shutil.copytree(run.path / "bundle", out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
