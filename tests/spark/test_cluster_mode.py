"""Deploy mode "cluster": the driver runs where nobody sees its output, in an empty folder; all goes through a real S3 server.

There is no YARN here: a stand-in for `spark-submit` does as YARN would, with a real Spark: an empty folder, an output thrown away.
"""

import json
import sys
from pathlib import Path

import pyarrow.csv as pacsv
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures
from tests.servers.spark_cluster import spark_home
from tests.spark.conftest import CONF
from tests.spark.test_cluster import filon
from tests.story.conftest import QUICK, RECIPE, bank_like

pytestmark = [pytest.mark.spark, pytest.mark.server, pytest.mark.slow]

STAND_IN = """#!{python}
import os, subprocess, sys, tempfile
words = sys.argv[1:]
assert words[words.index("--deploy-mode") + 1] == "cluster"
words[words.index("--deploy-mode") + 1] = "client"
words[words.index("--master") + 1] = "local[2]"
environment = {{**os.environ, "SPARK_HOME": "{spark}", "PYSPARK_PYTHON": "{python}", "PYSPARK_DRIVER_PYTHON": "{python}"}}
done = subprocess.run(["{spark}/bin/spark-submit", *words], cwd=tempfile.mkdtemp(), env=environment, stdout=subprocess.DEVNULL)
sys.exit(done.returncode)
"""


@pytest.fixture
def yarn(tmp_path: Path) -> Path:
    """A SPARK_HOME whose spark-submit is the stand-in."""
    program = tmp_path / "spark" / "bin" / "spark-submit"
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN.format(python=sys.executable, spark=spark_home()))
    program.chmod(0o755)
    return program.parents[1]


def recipe(folder: Path, source: str) -> None:
    said = "".join(f'"{name}" = "{value}"\n' for name, value in CONF.items())
    place = f'[places.spark]\nmaster = "yarn"\ndeploy_mode = "cluster"\nout = "s3://mine/filon"\n[places.spark.conf]\n{said}'
    (folder / "features.py").write_text("import wording\n\ndef long(rows):\n    return wording.lengths(rows['job'])\n")
    (folder / "wording.py").write_text("import pyarrow.compute as pc\n\ndef lengths(cells):\n    return pc.utf8_length(cells)\n")
    derived = '[data.derive]\nlong = "features:long"\n'  # modules of this folder, which the driver does not have
    text = RECIPE.replace("bank.csv", source) + derived + QUICK + "[track]\nenabled = false\n" + place
    (folder / "filon.toml").write_text(text, encoding="utf-8")


def test_a_driver_elsewhere_is_heard_and_its_run_comes_to_s3(tmp_path: Path, s3: S3, yarn: Path) -> None:  # noqa: F811
    pacsv.write_csv(bank_like(1200), tmp_path / "bank.csv")
    recipe(tmp_path, s3.put("in/bank.csv", (tmp_path / "bank.csv").read_bytes()))
    environment = {**s3.environment(), "SPARK_HOME": str(yarn)}
    there = filon(tmp_path, "train", "--json", "--on", "spark", **environment)
    assert there.code == 0, there.out[-2000:] + there.err[-2000:]
    assert {"read", "check", "split", "search", "fit", "evaluate", "package", "upload"} <= set(there.stages)
    out = there.result["result"]["out"]
    assert out.startswith("s3://mine/filon/models/model_")
    there_folds = json.loads(s3.get(f"{out.removeprefix('s3://mine/')}/manifest.json"))["folds"]
    here = filon(tmp_path, "train", "--json", "--set", "data.source=bank.csv", "--runs", "here")
    assert json.loads((tmp_path / here.result["result"]["run"] / "manifest.json").read_text())["folds"] == there_folds


def test_an_error_elsewhere_comes_back_as_it_was_raised(tmp_path: Path, s3: S3, yarn: Path) -> None:  # noqa: F811
    recipe(tmp_path, "s3://mine/in/nowhere.csv")
    there = filon(tmp_path, "train", "--json", "--on", "spark", **s3.environment(), SPARK_HOME=str(yarn))
    here = filon(tmp_path, "train", "--json", "--engine", "embedded", **s3.environment())
    assert there.code == here.code == 3
    assert there.result["error"] == here.result["error"]
