"""What `--on spark` gives to spark-submit for YARN and Kubernetes, as Spark's own parser understands it. No such cluster is here: it
stops before Spark would ask for one."""

import sys
from pathlib import Path
from typing import Any

import pytest

from filon.engines.settings import SparkSettings
from filon.places.elsewhere import PROGRAM
from filon.places.spark_cluster import LAUNCHER, SparkCluster
from filon.recipe import recipe_from
from filon.remote import job_of

pytestmark = [pytest.mark.spark]

CONF = {"spark.executor.memory": "8g", "spark.kubernetes.container.image": "mine/spark:4.1"}


def understood(spark: Any, settings: SparkSettings, folder: Path) -> tuple[str, list[str], dict[str, str]]:
    """The class that Spark would start, its words, and the properties."""
    job = job_of(recipe_from({"name": "bank", "data": {"source": "s3://mine/in/bank.csv", "label": "deposit"}}, folder))
    cluster = settings.deploy_mode == "cluster"
    program = [str(PROGRAM), "--job", "s3://mine/job", "--out", "s3://mine/out", "--"] if cluster else [str(LAUNCHER)]
    words = [*SparkCluster(settings)._options(job), *program, "train", "recipe.toml", "--json"]
    jvm = spark._jvm
    there = jvm.java.util.HashMap()
    there.put("YARN_CONF_DIR", str(folder))
    given = jvm.org.apache.spark.deploy.SparkSubmitArguments(jvm.PythonUtils.toSeq(words), jvm.PythonUtils.toScalaMap(there))
    ready = jvm.org.apache.spark.deploy.SparkSubmit().prepareSubmitEnvironment(given, jvm.scala.Option.empty())
    said = ready._1()
    conf = {pair._1(): pair._2() for pair in ready._3().getAll()}
    return str(ready._4()), [str(said.apply(place)) for place in range(said.length())], conf


def archive(folder: Path) -> str:
    (folder / "environment.tar.gz").touch()
    return str(folder / "environment.tar.gz")


def test_yarn_gets_our_program_and_its_environment(spark_session: Any, tmp_path: Path) -> None:
    settings = SparkSettings(master="yarn", deploy_mode="cluster", archive=archive(tmp_path), out="s3://mine", conf=CONF)
    started, words, conf = understood(spark_session, settings, tmp_path)
    assert started == "org.apache.spark.deploy.yarn.YarnClusterApplication"
    assert words[words.index("--primary-py-file") + 1].endswith("on_cluster.py")
    told = [words[place + 1] for place, word in enumerate(words) if word == "--arg"]
    assert told == ["--job", "s3://mine/job", "--out", "s3://mine/out", "--", "train", "recipe.toml", "--json"]
    assert (conf["spark.master"], conf["spark.submit.deployMode"], conf["spark.executor.memory"]) == ("yarn", "cluster", "8g")
    assert conf["spark.yarn.dist.archives"].endswith("/environment.tar.gz#environment")
    assert conf["spark.pyspark.python"] == "./environment/bin/python"
    assert "spark.pyspark.driver.python" not in conf, "the driver runs in the environment, too"
    assert conf["spark.app.name"] == "filon bank"


def test_yarn_from_here_keeps_our_own_python_for_the_driver(spark_session: Any, tmp_path: Path) -> None:
    started, words, conf = understood(spark_session, SparkSettings(master="yarn", archive=archive(tmp_path), conf=CONF), tmp_path)
    assert started == "org.apache.spark.deploy.PythonRunner"
    assert words[0].endswith("launcher.py")
    assert words[-3:] == ["train", "recipe.toml", "--json"]
    assert conf["spark.yarn.dist.archives"].endswith("environment.tar.gz#environment")
    assert conf["spark.pyspark.driver.python"] == sys.executable


def test_kubernetes_gets_our_program_by_way_of_the_bucket(spark_session: Any, tmp_path: Path) -> None:
    settings = SparkSettings(master="k8s://https://host:6443", deploy_mode="cluster", archive=archive(tmp_path), out="s3://mine", conf=CONF)
    started, words, conf = understood(spark_session, settings, tmp_path)
    assert started == "org.apache.spark.deploy.k8s.submit.KubernetesClientApplication"
    assert words[words.index("--primary-py-file") + 1].endswith("on_cluster.py")
    assert [words[place + 1] for place, word in enumerate(words) if word == "--arg"][-3:] == ["train", "recipe.toml", "--json"]
    assert conf["spark.master"] == "k8s://https://host:6443"
    assert conf["spark.kubernetes.file.upload.path"] == "s3a://mine/jobs"
    assert conf["spark.archives"].endswith("/environment.tar.gz#environment")
