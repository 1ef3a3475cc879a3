"""The dry run: every request as botocore's model of the service wants it, none sent."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from filon.errors import FilonError, PlaceError, RecipeError
from filon.events import Event
from filon.places import open_place
from filon.places.base import Job
from filon.places.dry_run import PaperAws, check_request
from filon.places.emr.settings import EmrSettings
from filon.places.emr.submit import refuse
from filon.places.settings import PlacesSettings

RECIPE = 'name = "bank"\n[data]\nsource = "s3://mine/data/bank.csv"\nlabel = "deposit"\n'


@pytest.fixture
def settings() -> PlacesSettings:
    return PlacesSettings.model_validate(
        {
            "emr": {
                "region": "us-east-1",
                "bucket": "s3://mine/filon",
                "subnet": "subnet-1",
                "primary_group": "sg-1",
                "nodes_group": "sg-2",
                "service_group": "sg-3",
                "task_count": 2,
            }
        }
    )


def submitted(settings: PlacesSettings, tmp_path: Path) -> list[dict[str, Any]]:
    heard: list[Event] = []
    job = Job(verb="train", name="bank", key="bank-train-1", base=".", runs=str(tmp_path / "runs"), recipe=RECIPE)
    open_place("dry-run", settings).submit(job, heard.append)
    return [{"text": event.text, **event.fields} for event in heard if event.stage == "dry-run"]


def test_every_creation_is_shown_with_its_whole_request(settings: PlacesSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody is there: whoever sends, fails
    monkeypatch.setenv("FILON_HOME", str(tmp_path / "home"))
    said = submitted(settings, tmp_path)
    cluster = next(one["request"] for one in said if one["text"].startswith("emr:run_job_flow"))
    assert [group["InstanceRole"] for group in cluster["Instances"]["InstanceGroups"]] == ["MASTER", "CORE", "TASK"]
    groups = ("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup")
    assert [cluster["Instances"][key] for key in ("Ec2SubnetId", *groups)] == ["subnet-1", "sg-1", "sg-2", "sg-3"]
    yarn = next(one["Properties"] for one in cluster["Configurations"] if one["Classification"] == "yarn-site")
    assert yarn["yarn.node-labels.enabled"] == "true"
    assert yarn["yarn.node-labels.am.default-node-label-expression"] == "CORE", "no driver on a node that may be taken back"
    assert cluster["Steps"][0]["HadoopJarStep"]["Args"][0] == "spark-submit"
    recipe = next(one["request"] for one in said if "recipe.toml" in one["text"] and one["text"].startswith("s3:put_object"))
    assert 'label = "deposit"' in recipe["Body"]["text"]
    assert said[-1]["text"].startswith(f"{len(said) - 1} requests"), "reads are shown too"
    assert "none was sent" in said[-1]["text"]
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "runs").exists()


def test_a_request_that_aws_would_refuse_is_refused_on_paper() -> None:
    with pytest.raises(PlaceError) as refused:
        check_request("emr", "run_job_flow", {"Name": "x", "Instances": {"InstanceCount": "two"}})
    assert refused.value.code == "places.request-refused"
    assert "InstanceCount" in refused.value.why


def test_an_operation_that_does_not_exist_is_refused_on_paper() -> None:
    with pytest.raises(PlaceError):
        PaperAws(region="us-east-1").call("emr", "run_job_flows")


def test_a_job_without_a_cluster_is_shown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    emr = {"region": "us-east-1", "bucket": "s3://mine/filon", "serverless": True, "execution_role": "runtime", "subnet": "subnet-1"}
    said = submitted(PlacesSettings.model_validate({"emr": emr}), tmp_path)
    application = next(one["request"] for one in said if one["text"].startswith("emr-serverless:create_application"))
    assert application["maximumCapacity"]["cpu"] == "18 vCPU"
    run = next(one["request"] for one in said if one["text"].startswith("emr-serverless:start_job_run"))
    assert run["executionRoleArn"] == "arn:aws:iam::123456789012:role/runtime"
    assert "--conf spark.archives=" in run["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"].replace("'", "")
    assert said[-1]["text"].startswith(f"{len(said) - 1} requests"), "reads are shown too"
    assert "none was sent" in said[-1]["text"]


@pytest.mark.parametrize("named", ["primary_group", "nodes_group", "service_group"])
def test_one_security_group_without_the_others_is_refused(named: str) -> None:
    with pytest.raises(ValueError, match=r"go(es)? (together|with)"):
        PlacesSettings.model_validate({"emr": {named: "sg-1"}})


@pytest.mark.parametrize(
    "said",
    [
        {"bucket": "s3://"},
        {"bucket": "s3:///filon"},
        {"log_uri": "s3://"},
        {"tags": {"": "x"}},
        {"tags": {"a": "<x>"}},
        {"tags": {"a": "x" * 257}},
        {"tags": {"aws:by": "x"}},
        {"tags": {"filon:job": "x"}},
    ],
    ids=str,
)
def test_what_aws_would_refuse_after_the_uploads_is_refused_in_the_recipe(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmrSettings.model_validate(said)


def test_tags_and_addresses_that_aws_takes_are_taken() -> None:
    kept = EmrSettings.model_validate({"tags": {"línea de negocio": "minería: año 2026 @ñ"}, "bucket": "s3://my.bucket-1"})
    assert EmrSettings.model_validate({"tags": {"again": 2}, "conf": {"spark.ui.enabled": False}}).conf == {"spark.ui.enabled": "false"}
    assert kept.tags == {"línea de negocio": "minería: año 2026 @ñ"}


@pytest.mark.parametrize(
    ("named", "fix"),
    [({"bundle": "nada"}, "bundle.json"), ({"out": "scored.csv"}, "--out s3://"), ({"data": "live.csv"}, "--data s3://")],
    ids=["bundle", "out", "data"],
)
def test_a_path_of_this_machine_is_told_with_what_to_write_instead(named: dict[str, str], fix: str) -> None:
    there = {"bundle": "s3://mine/b/bundle", "data": "s3://mine/live.csv", "out": "s3://mine/scored/"}
    with pytest.raises(RecipeError) as refused:
        refuse(Job(verb="predict", name="bank", key="bank-predict-1", base=".", runs="runs", **{**there, **named}))
    assert refused.value.code == "places.local-path"
    assert fix in refused.value.fix
    assert "data.source" not in refused.value.fix


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"release": "emr-6.0.0"}, "places.lane-unknown"), ({"core_type": "m7g.2xlarge"}, "places.processors-mixed")],
    ids=["release", "processors"],
)
def test_an_environment_that_could_not_be_built_is_refused_as_in_the_true_run(
    settings: PlacesSettings, tmp_path: Path, changed: dict[str, str], code: str
) -> None:
    other = settings.model_copy(update={"emr": settings.emr.model_copy(update=changed)})
    with pytest.raises(FilonError) as refused:
        submitted(other, tmp_path)
    assert refused.value.code == code
