"""The production checklist on a whole account: each seeded fault is caught before anything is sent, and good jobs raise nothing."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.infra.conftest import BUCKET, DATA, NAME, TAGS, Good

from filon.places.emr.checklist import blockers, run
from filon.places.emr.client import Client
from filon.places.emr.lines import Line
from filon.places.emr.policies import service
from filon.places.emr.work import Table

pytestmark = pytest.mark.server


ASKERS: dict[tuple[str, str], Client] = {}


def look(good: Good) -> list[Line]:
    key = (good.account.endpoint, good.job.settings.region)
    if key not in ASKERS:
        ASKERS[key] = Client(good.job.settings.region, attempts=2)
    return run(good.job, ASKERS[key])


def codes(lines: list[Line]) -> set[str]:
    return {one.code for one in lines if one.level != "ok"}


# Good jobs: not one warning


def _standing(good: Good) -> None:
    good.start_cluster()
    _wait_for_cluster(good)


def _wait_for_cluster(good: Good) -> None:
    import time

    for _ in range(100):
        if good.client("emr").describe_cluster(ClusterId=good.cluster)["Cluster"]["Status"]["State"] in ("WAITING", "RUNNING"):
            return
        time.sleep(0.1)


def _spot(good: Good) -> None:
    good.settings(task_count=1, core_count=3)


def _cheap_cap(good: Good) -> None:
    good.job = replace(good.job, dollars=5.0)


def _several_sources(good: Good) -> None:
    good.client("s3").put_object(Bucket=BUCKET, Key="mineria/data/more.csv", Body=b"a,b\n1,2\n")
    good.job = replace(good.job, sources=(*good.job.sources, f"s3://{BUCKET}/mineria/data/more.csv"))


def _serverless(good: Good) -> None:
    iam, policies = good.client("iam"), good.facts["policies"]
    name = f"{NAME}-emr-serverless"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policies["serverless_trust"]))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policies["serverless"]))
    good.settings(serverless=True, execution_role=name, subnet="")


def _stranger_of_serverless(good: Good) -> None:
    _serverless(good)
    document = json.dumps(good.facts["policies"]["nodes_trust"])
    good.client("iam").update_assume_role_policy(RoleName=f"{NAME}-emr-serverless", PolicyDocument=document)


def _closed_application(good: Good) -> None:
    _serverless(good)
    client = good.client("emr-serverless")
    one = client.create_application(name="a", releaseLabel="emr-7.13.0", type="SPARK", clientToken="a")["applicationId"]
    client.delete_application(applicationId=one)
    good.settings(application_id=one)


def _small_application(good: Good) -> None:
    _serverless(good)
    words = {"name": "b", "releaseLabel": "emr-7.13.0", "type": "SPARK", "maximumCapacity": {"cpu": "4 vCPU", "memory": "16 GB"}}
    good.settings(application_id=good.client("emr-serverless").create_application(clientToken="b", **words)["applicationId"])


def _too_large_for_serverless(good: Good) -> None:
    _serverless(good)
    good.settings(executor_memory_mib=200_000, executor_cores=16)


def _graviton(good: Good) -> None:
    good.settings(primary_type="m7g.xlarge", core_type="m7g.2xlarge")


def _x86_on_graviton(good: Good) -> None:
    _graviton(good)
    _archive({"lane": "emr-7.13.0", "machine": "x86_64"})(good)


EMRS_TAG = {"for-use-with-amazon-emr-managed-policies": "true"}


def _role_of_amazons(good: Good, *, tagged: bool = True) -> None:
    """EMR_DefaultRole_V2 in the account's default network: its policy grants by a tag of Amazon's, and knows nothing of ours."""
    ec2, iam = good.client("ec2"), good.client("iam")
    there = [one["SubnetId"] for one in ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]]
    if tagged:
        ec2.create_tags(Resources=there, Tags=[{"Key": key, "Value": value} for key, value in EMRS_TAG.items()])
    by = {way: {"StringEquals": {f"aws:{way}Tag/{key}": value for key, value in EMRS_TAG.items()}} for way in ("Resource", "Request")}
    arn = "arn:aws:ec2:*:*:"
    statements = [
        {"Action": ["ec2:RunInstances"], "Resource": [f"{arn}subnet/*", f"{arn}security-group/*"], "Condition": by["Resource"]},
        {"Action": ["ec2:RunInstances"], "Resource": [f"{arn}instance/*"], "Condition": by["Request"]},
        {"Action": ["ec2:TerminateInstances"], "Resource": "*", "Condition": by["Resource"]},
        {"Action": ["ec2:CreateSecurityGroup"], "Resource": f"{arn}security-group/*", "Condition": by["Request"]},
        {"Action": ["iam:PassRole"], "Resource": "*", "Condition": {"StringLike": {"iam:PassedToService": "ec2.amazonaws.com*"}}},
    ]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    iam.create_role(RoleName="EMR_DefaultRole_V2", AssumeRolePolicyDocument=json.dumps(good.facts["policies"]["service_trust"]))
    iam.put_role_policy(RoleName="EMR_DefaultRole_V2", PolicyName="p", PolicyDocument=json.dumps(document))
    good.settings(service_role="EMR_DefaultRole_V2", subnet="", primary_group="", nodes_group="", tags=EMRS_TAG)


def _untagged_amazons(good: Good) -> None:
    _role_of_amazons(good)
    good.settings(tags={})


def _untagged_default(good: Good) -> None:
    _role_of_amazons(good, tagged=False)


def _subnet_of_anothers(good: Good) -> None:
    good.settings(subnet=good.subnet_of("10.71.6.0/24", tagged=False))


def _subnet_that_the_policy_names(good: Good) -> None:
    _subnet_of_anothers(good)
    ec2, route = good.client("ec2"), {"DestinationCidrBlock": "0.0.0.0/0"}
    tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [good.subnet]}])["RouteTables"]
    assert any(one["DestinationCidrBlock"] == route["DestinationCidrBlock"] for one in tables[0]["Routes"])
    ec2.associate_route_table(RouteTableId=tables[0]["RouteTableId"], SubnetId=good.job.settings.subnet)
    good.policy("service", service(good.facts["scope"], good.job.settings.subnet))


def _closed_but_endpoint(good: Good) -> None:
    ec2, vpc = good.client("ec2"), good.facts["vpc"]
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", VpcEndpointType="Gateway")
    group = ec2.create_security_group(GroupName="service", Description="EMR", VpcId=vpc)["GroupId"]
    ec2.create_tags(Resources=[group], Tags=TAGS)
    good.settings(subnet=good.subnet_of("10.71.9.0/24"), service_group=group)


def _no_service_group(good: Good) -> None:
    _closed_but_endpoint(good)
    good.settings(service_group="")


def _budget_by(**filters: Any) -> Callable[[Good], None]:
    """The project's budget with other filters, and its alerts as before."""

    def put(good: Good) -> None:
        client, words = good.client("budgets"), {"AccountId": "123456789012", "BudgetName": f"{NAME}-emr"}
        budget = client.describe_budget(**words)["Budget"]
        client.update_budget(AccountId=words["AccountId"], NewBudget={**budget, "CostFilters": {}, **filters})

    return put


GOOD: dict[str, Callable[[Good], None]] = {
    "a cluster for the job": lambda good: None,
    "a standing cluster": _standing,
    "without a cluster": _serverless,
    "on Graviton": _graviton,
    "task nodes on spot": _spot,
    "a cap above the price": _cheap_cap,
    "several sources": _several_sources,
    "Amazon's own role, by Amazon's own tag": _role_of_amazons,
    "a subnet of the team's own that the policy names": _subnet_that_the_policy_names,
    "a budget of the whole account": _budget_by(),
    "a budget by an expression": _budget_by(FilterExpression={"Tags": {"Key": "filon-project", "Values": [NAME]}}),
    "a closed subnet with S3's endpoint": _closed_but_endpoint,
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_job_raises_nothing(good: Good, name: str) -> None:
    GOOD[name](good)
    lines = look(good)
    assert [one for one in lines if one.level != "ok"] == []
    assert len(lines) >= 14
    left = [one["Key"] for one in good.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="mineria/").get("Contents", [])]
    assert not [key for key in left if "probe" in key], "the probe was deleted again"


# Faults


def _denied(action: str) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        good.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    return put


def _settings(**changed: Any) -> Callable[[Good], None]:
    return lambda good: good.settings(**changed)


def _job(**changed: Any) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        good.job = replace(good.job, **changed)

    return put


def _cluster(**changed: Any) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        good.start_cluster(**changed)
        _wait_for_cluster(good)

    return put


def _without(action: str, role: str = "nodes") -> Callable[[Good], None]:
    """The role's policy without one action."""

    def put(good: Good) -> None:
        policy = json.loads(json.dumps(good.facts["policies"][role]))
        for statement in policy["Statement"]:
            statement["Action"] = [one for one in statement["Action"] if one != action] or ["s3:ListAllMyBuckets"]
        good.policy(role, policy)

    return put


def _no_data_right(good: Good) -> None:
    policy = json.loads(json.dumps(good.facts["policies"]["nodes"]))
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != "ReadData"]
    good.policy("nodes", policy)


def _explicit_deny(good: Good) -> None:
    policy = json.loads(json.dumps(good.facts["policies"]["nodes"]))
    policy["Statement"].append({"Sid": "No", "Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"})
    good.policy("nodes", policy)


def _trust(role: str, principal: str) -> Callable[[Good], None]:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}],
    }
    return lambda good: good.client("iam").update_assume_role_policy(RoleName=f"{NAME}-emr-{role}", PolicyDocument=json.dumps(document))


def _empty_profile(good: Good) -> None:
    good.client("iam").remove_role_from_instance_profile(InstanceProfileName=f"{NAME}-emr-nodes", RoleName=f"{NAME}-emr-nodes")


def _public(good: Good) -> None:
    good.client("s3").delete_public_access_block(Bucket=BUCKET)


def _unversioned(good: Good) -> None:
    good.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def _bucket_elsewhere(good: Good) -> None:
    good.client("s3").create_bucket(Bucket="acme-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    good.settings(bucket="s3://acme-eu/mineria")


def _ended(good: Good) -> None:
    good.start_cluster()
    good.client("emr").terminate_job_flows(JobFlowIds=[good.cluster])


def _busy(good: Good) -> None:
    _standing(good)
    step = {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["sleep", "20"]}}
    good.client("emr").add_job_flow_steps(JobFlowId=good.cluster, Steps=[step, step])


def _full_subnet(good: Good) -> None:
    good.settings(subnet=good.subnet_of("10.71.8.0/28"), core_count=20)


def _closed_subnet(good: Good) -> None:
    good.settings(subnet=good.subnet_of("10.71.7.0/24"))


def _untagged_groups(good: Good) -> None:
    good.client("ec2").delete_tags(Resources=list(good.groups), Tags=TAGS)


def _open_group(good: Good) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 8888, "ToPort": 8888, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    good.client("ec2").authorize_security_group_ingress(GroupId=good.groups[0], IpPermissions=[rule])
    _standing(good)


def _shut_group(good: Good) -> None:
    _standing(good)
    ec2 = good.client("ec2")
    egress = ec2.describe_security_groups(GroupIds=[good.groups[1]])["SecurityGroups"][0]["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=good.groups[1], IpPermissions=egress)


def _quota(code: str, value: float, **changed: Any) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        good.client("service-quotas").request_service_quota_increase(ServiceCode="ec2", QuotaCode=code, DesiredValue=value)
        good.settings(**changed)

    return put


def _idle(policy: dict[str, int] | None) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        _standing(good)
        emr = good.client("emr")
        emr.remove_auto_termination_policy(ClusterId=good.cluster)
        if policy:
            emr.put_auto_termination_policy(ClusterId=good.cluster, AutoTerminationPolicy=policy)

    return put


def _protected(good: Good) -> None:
    _standing(good)
    good.client("emr").set_termination_protection(JobFlowIds=[good.cluster], TerminationProtected=True)


def _no_budget(good: Good) -> None:
    good.client("budgets").delete_budget(AccountId="123456789012", BudgetName=f"{NAME}-emr")


def _silent_budget(good: Good) -> None:
    _no_budget(good)
    good.client("budgets").create_budget(
        AccountId="123456789012",
        Budget={
            "BudgetName": f"{NAME}-emr",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "1", "Unit": "USD"},
        },
    )


def _archive(content: dict[str, str] | None) -> Callable[[Good], None]:
    def put(good: Good) -> None:
        path = good.account.folder / "environment.tar.gz"
        if content is None:
            path.write_bytes(b"not an archive")
        else:
            with tarfile.open(path, "w:gz") as archive:
                text = json.dumps(content).encode()
                entry = tarfile.TarInfo("lane.json")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
        good.settings(archive=str(path))

    return put


def _empty_data(good: Good) -> None:
    good.client("s3").put_object(Bucket=DATA, Key="bands/part-0.parquet", Body=b"")


def _data_elsewhere(good: Good) -> None:
    s3 = good.client("s3")
    s3.create_bucket(Bucket="acme-far", CreateBucketConfiguration={"LocationConstraint": "sa-east-1"})
    s3.put_object(Bucket="acme-far", Key="t.csv", Body=b"a\n1\n")
    good.job = replace(good.job, sources=("s3://acme-far/t.csv",))


HUGE = Table(rows=2_000_000_000, features=60, size_bytes=10**11, name="x.parquet")
MIDDLING = Table(rows=150_000_000, features=20, size_bytes=10**10, name="x.parquet")

FAULTS: dict[str, tuple[Callable[[Good], Any], str]] = {
    "the region does not exist": (_settings(region="us-nowhere-1"), "checklist.region"),
    "the recipe names no bucket": (_settings(bucket=""), "checklist.bucket-unnamed"),
    "the bucket does not exist": (_settings(bucket="s3://nobody-has-this/x"), "places.bucket-missing"),
    "the bucket is in another region": (_bucket_elsewhere, "checklist.bucket-region"),
    "the bucket refuses writes": (_denied("s3:PutObject"), "checklist.bucket-rights"),
    "the bucket refuses reads": (_denied("s3:GetObject"), "checklist.bucket-rights"),
    "the bucket refuses deletes": (_denied("s3:DeleteObject"), "checklist.bucket-rights"),
    "public access is not blocked": (_public, "checklist.bucket-settings"),
    "no versions are kept": (_unversioned, "checklist.bucket-settings"),
    "the cluster does not exist": (_settings(cluster_id="j-NOSUCHCLUSTER"), "checklist.cluster"),
    "the cluster has ended": (_ended, "checklist.cluster"),
    "other steps are before ours": (_busy, "checklist.cluster-busy"),
    "the standing cluster's release is no lane": (_cluster(ReleaseLabel="emr-5.36.0"), "checklist.release"),
    "the release asked for is no lane": (_settings(release="emr-7.99.0"), "checklist.release"),
    "the service role is missing": (_settings(service_role="EMR_DefaultRole"), "checklist.role-missing"),
    "the instance profile is missing": (_settings(instance_profile="EMR_EC2_DefaultRole"), "checklist.role-missing"),
    "the instance profile holds no role": (_empty_profile, "checklist.role-missing"),
    "EMR may not take the service role on": (_trust("service", "lambda.amazonaws.com"), "checklist.role-trust"),
    "EC2 may not take the nodes' role on": (_trust("nodes", "lambda.amazonaws.com"), "checklist.role-trust"),
    "nodes may not write": (_without("s3:PutObject"), "checklist.policy"),
    "nodes may not list": (_without("s3:ListBucket"), "checklist.policy"),
    "nodes may not read the data": (_no_data_right, "checklist.policy"),
    "a denial stands against an allowance": (_explicit_deny, "checklist.policy"),
    "EMR may not give nodes their role": (_without("iam:PassRole", "service"), "checklist.policy"),
    "EMR may not end nodes": (_without("ec2:TerminateInstances", "service"), "checklist.policy"),
    "an executor is larger than its node": (_settings(executor_memory_mib=40_000, executor_cores=4), "checklist.executor-too-large"),
    "an executor has more cores than its node": (_settings(executor_cores=16), "checklist.executor-too-large"),
    "the instance type does not exist": (_settings(core_type="q9.gigantic"), "places.instance-unknown"),
    "the nodes have processors of two kinds": (_settings(core_type="m7g.2xlarge"), "places.processors-mixed"),
    "the environment is for other processors": (_x86_on_graviton, "checklist.arm"),
    "the table is too large for the cluster": (_job(table=HUGE), "checklist.memory"),
    "the table is too large for one executor": (_job(table=MIDDLING, strategy="tasks"), "checklist.memory"),
    "a barrier with dynamic allocation": (
        lambda good: (good.settings(dynamic_allocation="on"), _job(strategy="cluster")(good)),
        "checklist.barrier",
    ),
    "a barrier on the spot market": (
        lambda good: (good.settings(task_count=4), _job(strategy="cluster")(good)),
        "checklist.barrier-spot",
    ),
    "the subnet does not exist": (_settings(subnet="subnet-00000000000000000"), "checklist.subnet"),
    "the subnet is full": (_full_subnet, "checklist.subnet-full"),
    "the subnet has no way to S3": (_closed_subnet, "checklist.subnet-closed"),
    "the primary node is open to the internet": (_open_group, "checklist.group-open"),
    "nodes may not go out": (_shut_group, "checklist.group-shut"),
    "our role in the account's default network": (_settings(subnet="", primary_group="", nodes_group=""), "checklist.launch"),
    "our role in a subnet without our tag": (_subnet_of_anothers, "checklist.launch"),
    "our role and the groups that EMR keeps": (_settings(primary_group="", nodes_group=""), "checklist.launch"),
    "a private subnet and no group for EMR itself": (_no_service_group, "checklist.launch"),
    "our role and groups without our tag": (_untagged_groups, "checklist.launch"),
    "Amazon's role in a network without its tag": (_untagged_default, "checklist.launch"),
    "Amazon's role and a cluster without its tag": (_untagged_amazons, "checklist.policy"),
    "too few cores on demand": (_quota("L-1216C47A", 8), "checklist.quota"),
    "too few cores on the spot market": (_quota("L-34B43A08", 8, task_count=4), "checklist.quota"),
    "hardly enough cores": (_quota("L-1216C47A", 21), "checklist.quota-tight"),
    "the cluster never ends": (_idle(None), "checklist.never-idle"),
    "the cluster ends after days": (_idle({"IdleTimeout": 5 * 86400}), "checklist.never-idle"),
    "termination protection": (_protected, "checklist.protected"),
    "no logs": (_cluster(LogUri=""), "checklist.no-logs"),
    "logs to a bucket that is not there": (_cluster(LogUri="s3://nobody-has-this/logs/"), "checklist.no-logs"),
    "the cluster is not tagged": (_cluster(Tags=[]), "checklist.tag"),
    "a role that EMR Serverless may not take on": (_stranger_of_serverless, "checklist.role-trust"),
    "an application that is gone": (_closed_application, "checklist.cluster"),
    "an application that is too small": (_small_application, "checklist.executor-too-large"),
    "a worker that EMR Serverless has not": (_too_large_for_serverless, "places.worker-too-large"),
    "no role for EMR Serverless": (_settings(serverless=True), "checklist.role-missing"),
    "no budget": (_no_budget, "checklist.no-budget"),
    "a budget without alerts": (_silent_budget, "checklist.budget-silent"),
    "a budget that counts nothing of ours": (
        _budget_by(CostFilters={"TagKeyValue": ["user:filon-project${var.name}"]}),
        "checklist.budget-blind",
    ),
    "a budget of another project": (
        _budget_by(FilterExpression={"Tags": {"Key": "filon-project", "Values": ["forests"]}}),
        "checklist.budget-blind",
    ),
    "the environment is not there": (_settings(archive="/nowhere/environment.tar.gz"), "checklist.environment"),
    "the environment is no archive": (_archive(None), "checklist.environment"),
    "the environment is of another lane": (_archive({"lane": "emr-spark-8.0.0"}), "checklist.environment-lane"),
    "the environment is not in S3": (_settings(archive=f"s3://{BUCKET}/mineria/env/emr-7.13.0.tar.gz"), "checklist.environment"),
    "the data are on this machine": (_job(sources=("data/bands.csv",)), "checklist.data-local"),
    "the data are not there": (_job(sources=(f"s3://{DATA}/bnads/*.parquet",)), "checklist.data-missing"),
    "the data only begin alike": (_job(sources=(f"s3://{DATA}/bands/part",)), "checklist.data-missing"),
    "the data have another ending": (_job(sources=(f"s3://{DATA}/bands/*.csv",)), "checklist.data-missing"),
    "the data are empty": (_empty_data, "checklist.data-missing"),
    "the data are in another region": (_data_elsewhere, "checklist.data-region"),
    "the data's bucket does not exist": (_job(sources=("s3://nobody-has-this/t.csv",)), "places.bucket-missing"),
    "dearer than the cap": (_job(dollars=1.0), "checklist.price"),
    "dear, and without a cap": (_job(expected=(80.0, 20.0)), "checklist.price-uncapped"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_caught_before_the_job_is_sent(good: Good, name: str) -> None:
    put, code = FAULTS[name]
    put(good)
    lines = look(good)
    assert code in codes(lines), [one for one in lines if one.level != "ok"]
    caught = [one for one in lines if one.code == code]
    assert all(one.fix for one in caught), "each line says what to do"


def test_the_corpus_has_the_thirty_faults_that_were_asked_for() -> None:
    assert len(FAULTS) >= 30


def test_without_credentials_nothing_else_is_asked(good: Good, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    lines = run(good.job, Client(good.job.settings.region, attempts=2))
    assert [one.code for one in blockers(lines)] == ["places.no-credentials"]
    assert len(lines) == 1


def test_the_command_says_each_line_and_exits_by_the_blockers(good: Good, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from filon.cli.group import run as filon

    sink = io.BytesIO()
    pq.write_table(pa.table({"band": [0.1, 0.2, 0.3] * 100, "mine": ["yes", "no", "no"] * 100}), sink)
    good.client("s3").put_object(Bucket=DATA, Key="bands/part-0.parquet", Body=sink.getvalue())
    emr = good.job.settings
    (tmp_path / "filon.toml").write_text(
        f'name = "{NAME}"\n[data]\nsource = "s3://{DATA}/bands/*.parquet"\nlabel = "mine"\n[places.emr]\nregion = "{emr.region}"\n'
        f'bucket = "{emr.bucket}"\nservice_role = "{emr.service_role}"\ninstance_profile = "{emr.instance_profile}"\n'
        f'subnet = "{emr.subnet}"\nprimary_group = "{emr.primary_group}"\nnodes_group = "{emr.nodes_group}"\n',
        encoding="utf-8",
    )
    assert filon(["check", str(tmp_path / "filon.toml"), "--on", "emr", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (result["blockers"], result["warnings"]) == (0, 0)
    assert {"credentials", "bucket rights", "node policy", "memory", "quota on demand", "price"} <= {one["name"] for one in result["lines"]}
    assert filon(["check", str(tmp_path / "filon.toml"), "--on", "emr", "--set", "places.emr.service_role=nobody"]) == 1
    said = capsys.readouterr().out
    assert "[checklist.role-missing]" in said
    assert "fix  " in said
