"""The command line as a user's shell sees it, and small tables to run it on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

Words = tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict:
        """The last JSON line of a command with --json."""
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def stages(self) -> list[str]:
        """Stages heard, in order, each once."""
        heard = [json.loads(line)["event"]["stage"] for line in self.out.splitlines() if '"event"' in line]
        return list(dict.fromkeys(heard))


def environment(**more: str) -> dict[str, str]:
    """The test's environment without what would colour or redirect the command."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FILON_", "MLFLOW_", "AWS_"))}
    return {**kept, "PYTHONWARNINGS": "default", "COLUMNS": "120", **more}


COMMAND = (sys.executable, "-m", "filon")


@pytest.fixture
def filon(tmp_path: Path) -> Callable[..., Said]:
    """Run `filon WORDS` in the test's folder."""

    def run(*words: str, cwd: Path | None = None, timeout: float = 120, **env: str) -> Said:
        done = subprocess.run(
            [*COMMAND, *words], cwd=cwd or tmp_path, capture_output=True, text=True, timeout=timeout, env=environment(**env), check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


def bank_like(rows: int, seed: int = 7) -> pa.Table:
    """A table of customers with numbers, categories, missing cells and a label that trees can learn."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    balance = np.round(rng.normal(1200, 900, rows), 2)
    job = rng.choice(["admin", "técnico", "services", "retired"], rows, p=[0.4, 0.3, 0.2, 0.1])
    contact = rng.choice(["cellular", "telephone", ""], rows, p=[0.6, 0.2, 0.2])
    campaign = rng.poisson(2.5, rows)
    logit = 0.04 * (age - 45) + balance / 900 + 1.2 * (job == "retired") - 0.4 * campaign - 1.0 + (contact == "cellular") * 0.8
    yes = rng.random(rows) < 1 / (1 + np.exp(-logit))
    return pa.table(
        {
            "customer": np.char.add("c", np.arange(rows).astype(str)),
            "age": age,
            "balance": pa.array(np.where(rng.random(rows) < 0.05, np.nan, balance), from_pandas=True),
            "job": job,
            "contact": contact,
            "campaign": campaign,
            "deposit": np.where(yes, "yes", "no"),
        }
    )


QUICK = """
[search.xgboost]
max_depth = [3, 4]
eta = 0.3
num_round = 20
[search.random_forest]
numTrees = 20
maxDepth = 6
[search.logistic_regression]
[evaluate]
resamples = 50
shap_rows = 100
"""

RECIPE = """name = "bank"
[data]
source = "bank.csv"
label = "deposit"
positive = "yes"
key = ["customer"]
"""


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A folder with bank.csv (1,200 rows) and a recipe of a few quick trials."""
    pacsv.write_csv(bank_like(1200), tmp_path / "bank.csv")
    (tmp_path / "filon.toml").write_text(RECIPE + QUICK + "[track]\nenabled = false\n", encoding="utf-8")
    return tmp_path
