"""The default search on real tables, through the benchmark's own door."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
NOISE = 0.02
"""Test folds of 133 to 977 rows: areas of two good models differ by this much by chance."""


def measured(root: Path, folder: Path, table: str) -> dict[str, float]:
    """areaUnderROC by contender on one split."""
    command = [sys.executable, str(root / "bench" / "quality.py"), "--tables", table, "--seeds", "0"]
    subprocess.run(command, check=True, env={**os.environ, "FILON_BENCH": str(folder)}, capture_output=True)
    found = (folder / "quality").glob(f"*-{table}-0.json")
    return {path.name.split("-")[0]: float(json.loads(path.read_text())["auc"]) for path in found}


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the public data sets are not here")
@pytest.mark.parametrize(("table", "least"), [("titanic", 0.80), ("wine-quality-7", 0.85), ("mushroom", 1.0)])
def test_the_default_search_is_not_beaten_by_stock_boosters(root: Path, tmp_path: Path, table: str, least: float) -> None:
    area = measured(root, tmp_path, table)
    assert set(area) == {"filon", "xgboost", "histgb"}
    assert area["filon"] >= least - 1e-9
    assert area["filon"] >= max(area["xgboost"], area["histgb"]) - NOISE
