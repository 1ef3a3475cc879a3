"""What the place `spark` refuses, what it would start, and how a job's words come back. The cluster itself is in tests/spark."""

import json
import sys
from pathlib import Path

import pytest

from filon.engines.settings import SparkSettings
from filon.errors import DataError, FilonError
from filon.events import silence
from filon.places import Handle, Job, open_place
from filon.places.environment import pack
from filon.places.job_words import handle_from, handle_text, hear, job_words
from filon.places.settings import PlacesSettings
from filon.places.spark_cluster import SparkCluster, refuse_versions
from filon.recipe import recipe_from
from filon.remote import job_of

RECIPE = {"name": "bank", "data": {"source": "bank.csv", "label": "deposit"}}


def job(folder: Path, **data: str) -> Job:
    return job_of(recipe_from({**RECIPE, "data": {**RECIPE["data"], **data}}, folder))


def refused(settings: SparkSettings, one: Job) -> FilonError:
    with pytest.raises(FilonError) as caught:
        SparkCluster(settings).submit(one, silence)
    assert not (Path(one.runs)).exists(), "something was left of a job that was refused"
    return caught.value


def test_an_unknown_place_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FilonError) as caught:
        open_place("moon", PlacesSettings())
    assert caught.value.code == "places.unknown"
    assert "spark" in caught.value.why


def test_spark_connect_is_not_submitted_to(tmp_path: Path) -> None:
    assert refused(SparkSettings(master="sc://host:15002"), job(tmp_path)).code == "places.connect-not-submitted"


@pytest.mark.parametrize("master", ["spark://host:7077", "local[2]", ""])
def test_a_master_that_cannot_run_our_driver_is_refused(tmp_path: Path, master: str) -> None:
    assert refused(SparkSettings(master=master, deploy_mode="cluster"), job(tmp_path)).code == "places.cluster-mode-python"


@pytest.mark.parametrize("data", [{"source": "bank.csv"}, {"source": ["s3://b/x.csv", "data/y.csv"]}])
def test_paths_of_this_machine_are_refused_in_cluster_mode(tmp_path: Path, data: dict[str, str]) -> None:
    error = refused(SparkSettings(master="yarn", deploy_mode="cluster"), job(tmp_path, **data))
    assert error.code == "places.local-path"
    assert "data.source" in error.why
    assert "client" in error.fix


def test_kubernetes_without_an_image_is_refused(tmp_path: Path) -> None:
    error = refused(SparkSettings(master="k8s://https://host:6443"), job(tmp_path))
    assert error.code == "places.image-missing"
    assert "spark.kubernetes.container.image" in error.fix


def test_an_environment_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refused(SparkSettings(master="spark://host:7077", archive=str(tmp_path / "none.tar.gz")), job(tmp_path))
    assert error.code == "places.archive-missing"
    assert "package-env --lane" in error.fix


def test_an_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "lane.json").write_text(json.dumps({"lane": "old", "python": "3.9"}))
    pack(tmp_path / "tree", tmp_path / "old.tar.gz")
    with pytest.raises(FilonError) as caught:
        refuse_versions(SparkSettings(master="spark://host:7077", archive=str(tmp_path / "old.tar.gz")))
    assert caught.value.code == "places.outside-lane"
    assert "3.9" in caught.value.why


def test_no_spark_is_an_error_that_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    error = refused(SparkSettings(), job(tmp_path))
    assert error.code == "places.spark-missing"
    assert str(tmp_path) in error.why


def test_the_environment_goes_with_the_job_to_workers_but_not_to_this_machine(tmp_path: Path) -> None:
    settings = SparkSettings(master="spark://host:7077", archive="s3://b/env.tar.gz", conf={"spark.executor.memory": "2g"})
    words = SparkCluster(settings)._options(job(tmp_path))
    assert words[words.index("--archives") + 1] == "s3a://b/env.tar.gz#environment"  # Hadoop knows no other outside of EMR
    assert "spark.pyspark.python=./environment/bin/python" in words
    assert f"spark.pyspark.driver.python={sys.executable}" in words
    assert "spark.executor.memory=2g" in words
    assert "--archives" not in SparkCluster(settings.model_copy(update={"master": "local[*]"}))._options(job(tmp_path))


def test_secrets_are_in_no_file_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILON_TEST_PASSWORD", "hunter-two")
    made = job_of(recipe_from({**RECIPE, "track": {"uri": "http://me:${FILON_TEST_PASSWORD}@server"}}, tmp_path))
    handle = Handle(place="spark", id="1", job=made, state="running", out="")
    assert made.variables == {"FILON_TEST_PASSWORD": "hunter-two"}  # pragma: allowlist secret
    assert "hunter-two" not in made.recipe + repr(made) + handle_text(handle)


def test_a_handle_comes_back_from_its_text(tmp_path: Path) -> None:
    handle = Handle(place="spark", id="1", job=job(tmp_path), state="done", out="runs/x", facts={"log": "l"})
    assert handle_from(handle_text(handle)) == handle


def test_equal_recipes_are_one_job(tmp_path: Path) -> None:
    assert job(tmp_path).key == job(tmp_path).key != job(tmp_path, source="other.csv").key


def test_an_error_comes_back_as_its_class_with_its_words() -> None:
    line = json.dumps({"error": {"code": "read.empty", "what": "w", "why": "y", "fix": "f", "exit": 3}})
    error = hear(line).error
    assert isinstance(error, DataError)
    assert (error.code, error.what, error.why, error.fix) == ("read.empty", "w", "y", "f")


def test_a_code_of_a_newer_filon_is_still_told() -> None:
    error = hear(json.dumps({"error": {"code": "moon.landed", "what": "w", "why": "y", "fix": "f", "exit": 99}})).error
    assert error is not None
    assert (error.code, error.what) == ("bug.unexpected", "w")


def test_words_of_a_training_and_of_an_evaluation(tmp_path: Path) -> None:
    words = job_words(job(tmp_path), recipe="recipe.toml", base="/there")
    assert words[:2] == ("train", "recipe.toml")
    assert words[words.index("--base") + 1] == "/there"
    assert {"--engine", "spark", "--json"} <= set(words)
    exam = Job(verb="evaluate", name="bank", key="k", base=".", runs="runs", bundle="b", data="d.csv", options=("--lang", "es"))
    assert job_words(exam) == ("evaluate", "b", "--data", "d.csv", "--engine", "spark", "--json", "--lang", "es")
