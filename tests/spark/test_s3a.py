"""Spark on a real S3 server, over the wire: tables are read, folds kept and scores written there by S3A."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures
from tests.servers.s3a import jars
from tests.spark.conftest import CONF
from tests.spark.test_cluster import filon
from tests.story.conftest import QUICK, RECIPE, bank_like

pytestmark = [pytest.mark.spark, pytest.mark.server, pytest.mark.slow]


def recipe(folder: Path, source: str, place: str) -> None:
    said = RECIPE.replace("bank.csv", source) + QUICK + "[track]\nenabled = false\n" + place
    (folder / "filon.toml").write_text(said, encoding="utf-8")


def spark_table(work: str = "", **conf: str) -> str:
    lines = "".join(f'"{name}" = "{value}"\n' for name, value in {**CONF, **conf}.items())
    return f'[places.spark]\nmaster = "local[2]"\nwork = "{work}"\n[places.spark.conf]\n{lines}'


def folds(run: Path) -> Any:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))["folds"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_recipe_on_s3_ends_as_on_disk_and_its_scores_go_back_there(tmp_path: Path, s3: S3) -> None:  # noqa: F811
    with_jars = {"spark.jars": ",".join(str(one) for one in jars())}
    table = bank_like(1200)
    pacsv.write_csv(table, tmp_path / "bank.csv")
    pq.write_table(table, tmp_path / "bank.parquet")
    csv, parquet = (s3.put(f"in/bank.{kind}", (tmp_path / f"bank.{kind}").read_bytes()) for kind in ("csv", "parquet"))
    recipe(tmp_path, csv, spark_table("s3://mine/work", **with_jars))
    there = filon(tmp_path, "train", "--json", "--engine", "spark", "--runs", "there", **s3.environment())
    assert there.code == 0, there.out[-2000:] + there.err[-2000:]
    here = filon(tmp_path, "train", "--json", "--set", "data.source=bank.csv", "--runs", "here")
    run = tmp_path / there.result["result"]["run"]
    assert folds(run) == folds(tmp_path / here.result["result"]["run"])

    options = [word for name, value in {**CONF, **with_jars}.items() for word in ("--spark-conf", f"{name}={value}")]
    words = ["predict", str(run / "bundle"), "--data", parquet, "--json"]
    out = "s3://mine/out/scored.parquet"
    sent = filon(tmp_path, *words, "--out", out, "--engine", "spark", *options, **s3.environment())
    assert sent.code == 0, sent.out[-2000:] + sent.err[-2000:]
    kept = filon(tmp_path, *words, "--out", "scored.parquet", **s3.environment())
    assert kept.result["result"]["scored"] == sent.result["result"]["scored"] == 1200
    wanted = pq.read_table(tmp_path / "scored.parquet").sort_by("customer")
    found = scored(s3).select(wanted.column_names).sort_by("customer")
    pd.testing.assert_frame_equal(found.to_pandas(), wanted.to_pandas(), check_dtype=False, atol=1e-6)
    left = [one.path for one in s3.filesystem().get_file_info(selector()) if "work" in one.path.split("/") and one.is_file]
    assert left == []


def selector() -> Any:
    from pyarrow import fs

    return fs.FileSelector("mine", recursive=True)


def scored(server: S3) -> Any:
    """The scores, one object or a folder of parts."""
    import pyarrow as pa

    paths = [one.path for one in server.filesystem().get_file_info(selector()) if one.is_file]
    parts = [path for path in paths if path.startswith("mine/out/scored.parquet") and path.endswith(".parquet")]
    return pa.concat_tables([pq.read_table(io.BytesIO(server.get(path.removeprefix("mine/")))) for path in sorted(parts)])


def test_without_the_jars_the_error_says_which(tmp_path: Path, s3: S3) -> None:  # noqa: F811
    pacsv.write_csv(bank_like(400), tmp_path / "bank.csv")
    recipe(tmp_path, "bank.csv", spark_table("s3://mine/work"))
    said = filon(tmp_path, "train", "--json", "--engine", "spark", **s3.environment())
    assert said.result["error"]["code"] == "engines.s3a-missing"
    assert "hadoop-aws" in said.result["error"]["fix"]
