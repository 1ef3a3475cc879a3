"""The bundle as an MLflow model: it is one already, so it is copied, and asked through `mlflow.pyfunc` in a process of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filon.errors import BundleError
from filon.package import Bundle, sealed

ASKED = "filon.track.asking"
"""The program that asks MLflow, behind MLflow's own door."""


def write(bundle: Bundle, out: Path, table: pa.Table) -> np.ndarray:
    """Copy the bundle; probability by class as MLflow gives it: (rows, classes) float32.

    Raises
    ------
    BundleError : `export.not-the-same` when MLflow cannot answer at all
    """
    out.mkdir()
    for name in ("bundle.json", *bundle.record["files"]):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / name, out / name)
    rows = out.with_name(f"{out.name}.rows.parquet")
    try:
        pq.write_table(table.select([column.name for column in bundle.inputs]), rows)
        done = subprocess.run([sys.executable, "-m", ASKED, str(out), str(rows)], capture_output=True, text=True, check=False, timeout=300)
    finally:
        rows.unlink(missing_ok=True)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else f"exit code {done.returncode}"
        fix = f"pip install pandas mlflow-skinny; the files would be those of {bundle.path / sealed.RECORD}"
        raise BundleError("export.not-the-same", "the model does not answer in mlflow", why, fix)
    return np.array(json.loads(done.stdout.strip().splitlines()[-1]), np.float32)
