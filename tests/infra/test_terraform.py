"""Terraform for real: what `filon infra` writes is checked, planned, made on the emulated account, planned again and taken down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.aws import Account, aws_server

from filon.cli.group import run
from filon.errors import FilonError
from filon.places.emr.policy_lint import excesses
from filon.places.infra.terraform import Terraform

pytestmark = [pytest.mark.server, pytest.mark.slow]

RECIPE = """name = "mineria"
[data]
source = "s3://raw-data/bands/*.parquet"
label = "mine"
[places.emr]
region = "us-east-1"
bucket = "s3://acme-filon/mineria"
task_count = 1
[places.emr.infra]
task_max = 4
budget_emails = ["a@example.com"]
ssh_cidrs = ["10.0.0.0/8"]
"""

SERVICES = ("s3", "s3control", "iam", "sts", "ec2", "emr", "budgets", "sns")


def mirror() -> Path | None:
    """A folder of providers on this machine, unless the environment names its own way to them."""
    places = (os.environ.get("FILON_TF_MIRROR", ""), "/opt/tf-plugins", str(Path.home() / ".terraform.d/plugins"))
    return next((Path(one) for one in places if one and (Path(one) / "registry.terraform.io/hashicorp/aws").is_dir()), None)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account of its own: Terraform works on it for minutes."""
    with aws_server(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture(scope="module")
def folder(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The recipe's folder after `filon infra init`, with Terraform pointed at the emulator and its provider fetched."""
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed")
    base = tmp_path_factory.mktemp("recipe")
    (base / "filon.toml").write_text(RECIPE, encoding="utf-8")
    assert run(["infra", "init", str(base / "filon.toml")]) == 0
    infrastructure = base / "infrastructure"
    (infrastructure / "override.tf").write_text(_override(account), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.environment().items():
            patch.setenv(name, value)
        found = mirror()
        if found is not None:
            file = base / "terraform.rc"
            include = 'include = ["registry.terraform.io/*/*"]'
            file.write_text(
                f'provider_installation {{\n filesystem_mirror {{\n  path = "{found}"\n  {include}\n }}\n}}\n', encoding="utf-8"
            )
            patch.setenv("TF_CLI_CONFIG_FILE", str(file))
        try:
            Terraform(infrastructure).init()
        except FilonError as exc:
            pytest.skip(f"the AWS provider is not to be had: {exc.why[:200]}")
        yield base


def _override(account: Account) -> str:
    """What a test adds: the emulator's address. The files that ship have none of it."""
    ends = "\n".join(f'    {name} = "{account.endpoint}"' for name in SERVICES)
    return f"""provider "aws" {{
  access_key                  = "testing"
  secret_key                  = "testing" # pragma: allowlist secret
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true
  max_retries                 = 3
  endpoints {{
{ends}
  }}
}}
"""


def words(action: str, folder: Path, *more: str) -> list[str]:
    return ["infra", action, str(folder / "filon.toml"), *more]


def terraform(folder: Path, *said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["terraform", f"-chdir={folder / 'infrastructure'}", *said], capture_output=True, text=True, check=False)


def test_what_is_written_is_formatted_and_valid(folder: Path) -> None:
    assert terraform(folder, "fmt", "-check", "-no-color", "-write=false").stdout.replace("terraform.tfvars", "").strip() in (
        "",
        "override.tf",
    )
    checked = terraform(folder, "validate", "-json")
    assert json.loads(checked.stdout)["valid"] is True, checked.stdout


def test_nothing_is_made_without_a_yes(folder: Path, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("up", folder)) == 2
    said = capsys.readouterr()
    assert "infra.not-confirmed" in said.err
    assert "aws_emr_cluster.filon" in said.out, "the plan was shown"
    assert account.client("emr").list_clusters()["Clusters"] == []


def test_the_whole_life_of_an_infrastructure(
    folder: Path, account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)  # every test begins without AWS's variables
    assert run(words("up", folder, "--yes")) == 0
    said = capsys.readouterr().out
    stands = _stands(account)
    cluster = stands["cluster"]
    assert f'cluster_id = "{cluster["Id"]}"' in said
    made = json.loads(terraform(folder, "output", "-json").stdout)
    groups = made["security_groups"]["value"]
    assert f'primary_group = "{groups["primary"]}"\nnodes_group = "{groups["nodes"]}"' in said
    # what was printed is in the recipe now: it is still ours
    assert run(words("init", folder, "--set", f"places.emr.subnet={made['subnet']['value']}")) == 0
    _cluster_is_as_asked(account, cluster)
    _bucket_is_kept_well(account)
    _budget_counts_the_project(account)
    _policies_in_force_are_tight(account)
    # a step of somebody's and a second plan: no change
    step = {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}
    account.client("emr").add_job_flow_steps(JobFlowId=cluster["Id"], Steps=[step])
    again = terraform(folder, "plan", "-detailed-exitcode", "-no-color", "-input=false")
    assert again.returncode == 0, again.stdout[-3000:]
    capsys.readouterr()
    # what is not ours is not lost: a model in the bucket stops `down`, and --keep-bucket leaves it
    account.client("s3").put_object(Bucket="acme-filon", Key="mineria/models/m/model.ubj", Body=b"x")
    assert run(words("down", folder, "--yes")) == 2
    assert "infra.bucket-not-empty" in capsys.readouterr().err
    assert _stands(account)["cluster"]["Id"] == cluster["Id"]
    assert run(words("down", folder, "--yes", "--keep-bucket")) == 0
    assert account.alive() == []
    kept = [one["Key"] for one in account.client("s3").list_objects_v2(Bucket="acme-filon")["Contents"]]
    assert "mineria/models/m/model.ubj" in kept
    _empty(account)
    assert run(words("down", folder, "--yes")) == 0, capsys.readouterr().err
    assert "acme-filon" not in [one["Name"] for one in account.client("s3").list_buckets()["Buckets"]]
    assert run(words("down", folder, "--yes")) == 2
    assert "infra.nothing-made" in capsys.readouterr().err
    assert account.client("iam").list_roles()["Roles"] == []
    assert {
        "aws_security_group.service[0]",
        'aws_vpc_security_group_ingress_rule.service["primary"]',
        'aws_vpc_security_group_egress_rule.service["nodes"]',
    } <= _planned_in_a_private_subnet(folder, account)


def _planned_in_a_private_subnet(folder: Path, account: Account) -> set[str]:
    """Addresses of what would be made in a subnet of the team's own that has no way in."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    planned = terraform(folder, "plan", "-json", "-input=false", f"-var=subnet={subnet}")
    assert planned.returncode == 0, planned.stdout[-3000:]
    told = [json.loads(line) for line in planned.stdout.splitlines()]
    made = {one["change"]["resource"]["addr"] for one in told if one["type"] == "planned_change"}
    assert not {one for one in made if one.startswith(("aws_vpc.", "aws_subnet.", "aws_ec2_tag."))}, "the network is left as it is"
    return made


def _stands(account: Account) -> dict[str, Any]:
    emr = account.client("emr")
    (found,) = [one["Id"] for one in emr.list_clusters()["Clusters"] if not one["Status"]["State"].startswith("TERMINAT")]
    return {"cluster": emr.describe_cluster(ClusterId=found)["Cluster"]}


def _cluster_is_as_asked(account: Account, cluster: dict[str, Any]) -> None:
    emr = account.client("emr")
    assert cluster["Name"] == "mineria-ml-cluster"
    assert cluster["LogUri"] == "s3://acme-filon/mineria/logs/"
    assert {one["Key"]: one["Value"] for one in cluster["Tags"]}["filon-project"] == "mineria"
    assert emr.get_auto_termination_policy(ClusterId=cluster["Id"])["AutoTerminationPolicy"]["IdleTimeout"] == 3600
    groups = {one["InstanceGroupType"]: one for one in emr.list_instance_groups(ClusterId=cluster["Id"])["InstanceGroups"]}
    assert (groups["MASTER"]["InstanceType"], groups["CORE"]["InstanceType"]) == ("m5.xlarge", "m5.2xlarge")
    assert (groups["CORE"]["RequestedInstanceCount"], groups["TASK"]["RequestedInstanceCount"]) == (2, 1)
    task = groups["TASK"]
    assert (task["Market"], task["BidPrice"]) == ("SPOT", "0.384")
    limits = emr.get_managed_scaling_policy(ClusterId=cluster["Id"])["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]) == (2, 6)
    settings = {one["Classification"]: one["Properties"] for one in cluster["Configurations"]}
    assert settings["spark"]["maximizeResourceAllocation"] == "true"
    assert settings["spark-defaults"]["spark.serializer"].endswith("KryoSerializer")
    assert settings["yarn-site"] == {
        "yarn.node-labels.enabled": "true",
        "yarn.node-labels.am.default-node-label-expression": "CORE",
    }, "a driver on core nodes only"
    (bootstrap,) = emr.list_bootstrap_actions(ClusterId=cluster["Id"])["BootstrapActions"]
    assert bootstrap["ScriptPath"] == "s3://acme-filon/mineria/infrastructure/bootstrap.sh"


def _bucket_is_kept_well(account: Account) -> None:
    s3 = account.client("s3")
    assert s3.get_bucket_versioning(Bucket="acme-filon")["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket="acme-filon")["PublicAccessBlockConfiguration"].values())
    (script,) = s3.list_object_versions(Bucket="acme-filon", Prefix="mineria/infrastructure/")["Versions"]
    assert script["VersionId"] != "null", "what Terraform puts there was put after versions were kept"
    rule = s3.get_bucket_encryption(Bucket="acme-filon")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    policy = json.loads(s3.get_bucket_policy(Bucket="acme-filon")["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    rules = {one["ID"]: one for one in s3.get_bucket_lifecycle_configuration(Bucket="acme-filon")["Rules"]}
    assert rules["logs"]["Expiration"]["Days"] == 30
    assert rules["logs"]["Filter"]["Prefix"] == "mineria/logs/"


def _budget_counts_the_project(account: Account) -> None:
    """By the very text that AWS compares: KEY$VALUE of a tag that the cluster carries."""
    (budget,) = account.client("budgets").describe_budgets(AccountId="123456789012")["Budgets"]
    assert budget["CostFilters"] == {"TagKeyValue": ["user:filon-project$mineria"]}
    assert budget["BudgetLimit"] == {"Amount": "100.0", "Unit": "USD"}


def _policies_in_force_are_tight(account: Account) -> None:
    """What IAM holds after Terraform filled the names in, not only what we wrote."""
    iam = account.client("iam")
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
            assert excesses(role["RoleName"], document) == []
            assert "${" not in json.dumps(document)
    (caller,) = iam.list_policies(Scope="Local")["Policies"]
    document = iam.get_policy_version(PolicyArn=caller["Arn"], VersionId=caller["DefaultVersionId"])["PolicyVersion"]["Document"]
    assert excesses("caller", document) == []
    assert "user/${aws:username}" in json.dumps(document), "IAM's variable, not Terraform's"


def _empty(account: Account) -> None:
    """Remove all that is not Terraform's own, until nothing more comes: the logs of what ran are late, as EMR's are."""
    s3 = account.client("s3")
    quiet = 0
    while quiet < 3:
        listed = s3.list_object_versions(Bucket="acme-filon")
        left = [one for one in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])] if not one["Key"].endswith("bootstrap.sh")]
        for one in left:
            s3.delete_object(Bucket="acme-filon", Key=one["Key"], VersionId=one["VersionId"])
        quiet = 0 if left else quiet + 1
        time.sleep(1)
