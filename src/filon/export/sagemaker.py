"""model.tar.gz for SageMaker: the bundle, XGBoost's own file, and a script for the XGBoost image; proved from the archive itself.

It answers in two ways. In SageMaker's XGBoost image by `code/inference.py`, which needs xgboost and numpy only; in a container of one's own
by `filon serve`, whose environment says FILON_BUNDLE=/opt/ml/model (SageMaker starts an image with the word `serve`), since the bundle's
files lie at the archive's root.
"""

import csv
import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filon.errors import BundleError
from filon.package import Bundle, open_bundle, sealed
from filon.package.doors import onnx_door
from filon.package.frames import take
from filon.package.match import typed

MODEL = "xgboost-model"
"""The name by which SageMaker's XGBoost algorithm knows a model."""

SCRIPT = "code/inference.py"

ASK = """
import json, os, sys
folder, rows = sys.argv[1:]
sys.path.insert(0, os.path.join(folder, "code"))
import inference
model = inference.model_fn(folder)
with open(rows, encoding="utf-8") as file:
    bodies = json.load(file)
for kind, body in bodies.items():
    answers = inference.predict_fn(inference.input_fn(body, kind), model)
    told, _ = inference.output_fn(answers, "application/json")
    print(json.dumps([list(row["probability"].values()) for row in json.loads(told)["predictions"]]))
"""


def write(bundle: Bundle, out: Path, table: pa.Table) -> tuple[np.ndarray, tuple[str, ...]]:
    """Write the archive; what it answers when it is unpacked elsewhere: (rows, classes) float32.

    Raises
    ------
    BundleError : `export.not-the-same`
    """
    dated = any(column.stored.startswith(("date", "timestamp")) for column in bundle.inputs)
    with_script = bundle.ensemble.form == "trees" and not bundle.derived and not dated
    with (
        out.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in ("bundle.json", *bundle.record["files"]):
            _add(archive, name, (bundle.path / name).read_bytes())
        if bundle.ensemble.form == "trees":
            _add(archive, MODEL, bundle.ensemble.model)
        if with_script:
            _add(archive, SCRIPT, resources.files("filon.export").joinpath("inference_in_image.txt").read_bytes())
    own = "own container: ENTRYPOINT filon, ENV FILON_BUNDLE=/opt/ml/model FILON_HOST=0.0.0.0, on an image with filon[cpu,serve]"
    with tempfile.TemporaryDirectory(prefix="filon-sagemaker-") as scratch:
        with tarfile.open(out) as archive:
            archive.extractall(scratch, filter="data")
        opened = open_bundle(scratch)
        found = onnx_door(opened, table) if sealed.ONNX in opened.record["files"] else _many(opened, table)
        if not with_script:
            return found, (own,)
        for kind, answers in _script(bundle, Path(scratch), table).items():
            apart = float(np.abs(answers - found).max())
            if not apart <= 1e-6:
                why = f"{SCRIPT} differs by {apart:g} for {kind}"
                raise BundleError("export.not-the-same", "the model does not answer the same in SageMaker's script", why, "tell us")
    image = f"XGBoost image 3.2-0 or newer: entry point inference.py, source_dir code (SAGEMAKER_PROGRAM={Path(SCRIPT).name})"
    return found, (image, own)


def _many(bundle: Bundle, table: pa.Table) -> np.ndarray:
    return bundle.probability(bundle.matrix(typed(take(table.select([column.name for column in bundle.inputs])), bundle.inputs)))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """A file without the date and the owner of this machine: one bundle gives one archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    archive.addfile(info, io.BytesIO(data))


def _script(bundle: Bundle, folder: Path, table: pa.Table) -> dict[str, np.ndarray]:
    """Golden rows through the script, as JSON and as CSV, in a process that imports nothing of Filon."""
    records = table.select([column.name for column in bundle.inputs]).to_pylist()
    cells = io.StringIO()
    csv.writer(cells, lineterminator="\n").writerows([_cell(value) for value in row.values()] for row in records)
    rows = folder / ".golden.json"
    bodies = {"application/json": json.dumps(records, default=str), "text/csv": cells.getvalue()}
    rows.write_text(json.dumps(bodies), encoding="utf-8")
    command = [sys.executable, "-c", ASK, str(folder), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else f"exit code {done.returncode}"
        raise BundleError("export.not-the-same", "SageMaker's script cannot answer the golden rows", why, "tell us")
    told = done.stdout.strip().splitlines()[-len(bodies) :]
    return {kind: np.array(json.loads(line), np.float32) for kind, line in zip(bodies, told, strict=True)}


def _cell(value: Any) -> str:
    """As a CSV has it: nothing where it is missing, true and false in words."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
