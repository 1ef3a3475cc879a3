"""An account on this machine in which everything is as `filon infra` would make it, so that one fault at a time can be put in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.servers.aws import Account, aws, aws_account  # noqa: F401 - fixtures

from filon.places.emr.lines import Job
from filon.places.emr.policies import Scope, documents
from filon.places.emr.settings import EmrSettings
from filon.places.emr.work import Table

NAME, BUCKET, DATA, REGION = "mineria", "acme-filon", "acme-raw", "us-east-1"


TAGS = [{"Key": "filon-project", "Value": NAME}]

CLIENTS: dict[tuple[str, str], Any] = {}
"""By endpoint and service: to make one costs more than all that is asked of it here."""


@dataclass
class Good:
    """The account and the job on it; a fault changes either."""

    account: Account
    job: Job
    cluster: str = ""
    subnet: str = ""
    groups: tuple[str, str] = ("", "")
    facts: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return client_of(self.account, service)

    def settings(self, **changed: Any) -> None:
        """Change the recipe's table."""
        self.job = replace(self.job, settings=self.job.settings.model_copy(update=changed))

    def policy(self, role: str, document: dict[str, Any]) -> None:
        """Replace a role's policy."""
        self.client("iam").put_role_policy(RoleName=f"{NAME}-emr-{role}", PolicyName="p", PolicyDocument=json.dumps(document))

    def subnet_of(self, addresses: str, *, tagged: bool = True) -> str:
        """Another subnet of the network, without a way out."""
        tags = [{"ResourceType": "subnet", "Tags": TAGS}] if tagged else []
        made = self.client("ec2").create_subnet(VpcId=self.facts["vpc"], CidrBlock=addresses, TagSpecifications=tags)
        return str(made["Subnet"]["SubnetId"])

    def start_cluster(self, **changed: Any) -> str:
        """A standing cluster, and the recipe that names it."""
        words: dict[str, Any] = {
            "Name": f"{NAME}-ml-cluster",
            "ReleaseLabel": "emr-7.13.0",
            "LogUri": f"s3://{BUCKET}/mineria/logs/",
            "ServiceRole": f"{NAME}-emr-service",
            "JobFlowRole": f"{NAME}-emr-nodes",
            "AutoTerminationPolicy": {"IdleTimeout": 3600},
            "Tags": [{"Key": "filon-project", "Value": NAME}],
            "Instances": {
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                    {"InstanceRole": "CORE", "InstanceType": "m5.2xlarge", "InstanceCount": 2},
                ],
                "KeepJobFlowAliveWhenNoSteps": True,
                "Ec2SubnetId": self.subnet,
                "EmrManagedMasterSecurityGroup": self.groups[0],
                "EmrManagedSlaveSecurityGroup": self.groups[1],
            },
        }
        self.cluster = str(self.client("emr").run_job_flow(**{**words, **changed})["JobFlowId"])
        self.settings(cluster_id=self.cluster)
        return self.cluster


def client_of(account: Account, service: str) -> Any:
    """A client of the tests' own, made once."""
    key = (account.endpoint, service)
    if key not in CLIENTS:
        CLIENTS[key] = account.client(service)
    return CLIENTS[key]


@pytest.fixture
def good(aws: Account) -> Good:  # noqa: F811 - the fixture
    """Everything as it should be, without a standing cluster."""
    s3, iam, ec2 = (client_of(aws, name) for name in ("s3", "iam", "ec2"))
    for name in (BUCKET, DATA):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(every, True))
    s3.put_object(Bucket=DATA, Key="bands/part-0.parquet", Body=b"PAR1" * 10)
    scope = Scope(partition="aws", region=REGION, account="123456789012", bucket=BUCKET, prefix="mineria/", project=NAME)
    policies = documents(scope, [f"s3://{DATA}/bands/*.parquet"])
    for role in ("service", "nodes"):
        iam.create_role(RoleName=f"{NAME}-emr-{role}", AssumeRolePolicyDocument=json.dumps(policies[f"{role}_trust"]))
        iam.put_role_policy(RoleName=f"{NAME}-emr-{role}", PolicyName="p", PolicyDocument=json.dumps(policies[role]))
    iam.create_instance_profile(InstanceProfileName=f"{NAME}-emr-nodes")
    iam.add_role_to_instance_profile(InstanceProfileName=f"{NAME}-emr-nodes", RoleName=f"{NAME}-emr-nodes")
    vpc, subnet, groups = _network(ec2)
    client_of(aws, "budgets").create_budget(
        AccountId="123456789012",
        Budget={
            "BudgetName": f"{NAME}-emr",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "100", "Unit": "USD"},
            "CostFilters": {"TagKeyValue": [f"user:filon-project${NAME}"]},
        },
        NotificationsWithSubscribers=[
            {
                "Notification": {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80},
                "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "a@example.com"}],
            }
        ],
    )
    settings = EmrSettings(
        region=REGION,
        bucket=f"s3://{BUCKET}/mineria",
        service_role=f"{NAME}-emr-service",
        instance_profile=f"{NAME}-emr-nodes",
        subnet=subnet,
        primary_group=groups[0],
        nodes_group=groups[1],
    )
    table = Table(rows=5_000_000, features=20, size_bytes=10**9, name="part-0.parquet")
    job = Job(
        name=NAME, settings=settings, sources=(f"s3://{DATA}/bands/*.parquet",), table=table, expected=(1.5, 0.5), priced="prices of today"
    )
    return Good(account=aws, job=job, subnet=subnet, groups=groups, facts={"vpc": vpc, "policies": policies, "scope": scope})


def _network(ec2: Any) -> tuple[str, str, tuple[str, str]]:
    vpc = ec2.create_vpc(CidrBlock="10.71.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.71.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    primary, nodes = (
        ec2.create_security_group(GroupName=f"{NAME}-{name}", Description=name, VpcId=vpc)["GroupId"] for name in ("primary", "nodes")
    )
    ec2.create_tags(Resources=[vpc, subnet, primary, nodes], Tags=TAGS)
    return vpc, subnet, (primary, nodes)
