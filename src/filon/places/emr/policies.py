"""The IAM policies of a project on EMR, with least privilege (`policy_lint` holds them to it).

`filon infra init` writes them for Terraform (with Terraform's `${...}` in the scope); `filon check --on emr` asks IAM for what they grant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Policy = Mapping[str, Any]

PROJECT_TAG = "filon-project"
"""Tag key of everything that belongs to a project; EMR hands a cluster's tags on to its instances and disks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a project's policies are about; each may be a text or a placeholder such as `${bucket}`.

    prefix : folder in the bucket with a slash at its end, or empty
    variable : how IAM's own `${...}` is begun; whoever fills in our placeholders must leave it alone
    """

    partition: str
    region: str
    account: str
    bucket: str
    prefix: str
    project: str
    variable: str = "${"

    @property
    def topic(self) -> str:
        """Name of the topic of the budget's alerts: SNS takes no dots, recipes do."""
        return "${topic}" if self.project == "${project}" else f"{self.project.replace('.', '-')}-budget"

    def arn(self, service: str, what: str, *, region: str = "", account: str = "") -> str:
        """An ARN of this scope."""
        return f"arn:{self.partition}:{service}:{region}:{account}:{what}"

    def ec2(self, *kinds: str) -> list[str]:
        """ARNs of kinds of EC2 resources in the region: "subnet" is any subnet, "image/ami-*" as it says (images are nobody's)."""
        return [
            self.arn("ec2", one if "/" in one else f"{one}/*", region=self.region, account="" if "image" in one else self.account)
            for one in kinds
        ]

    def objects(self) -> str:
        """Everything under the prefix."""
        return self.arn("s3", f"{self.bucket}/{self.prefix}*")

    def role(self, name: str) -> str:
        """A role of the project."""
        return self.arn("iam", f"role/{self.project}-emr-{name}", account=self.account)

    def oneself(self) -> str:
        """The user who asks, whoever that is."""
        return self.arn("iam", f"user/{self.variable}aws:username}}", account=self.account)


TERRAFORM = Scope(
    partition="${partition}",
    region="${region}",
    account="${account}",
    bucket="${bucket}",
    prefix="${prefix}",
    project="${project}",
    variable="$${",
)
"""The scope that Terraform fills in."""


def documents(scope: Scope, data: Sequence[str] = (), *, serverless: bool = False, subnet: str = "") -> dict[str, dict[str, Any]]:
    """Every policy of a project by its name.

    Parameters
    ----------
    data : s3:// addresses that jobs read and that are not under the project's own prefix
    serverless : whoever trains does so on EMR Serverless
    subnet : one that exists and is not the project's own, so that it may not carry its tag
    """
    return {
        "service": service(scope, subnet),
        "service_trust": _trust("elasticmapreduce.amazonaws.com", scope, "elasticmapreduce", "*"),
        "nodes": nodes(scope, data),
        "nodes_trust": _trust("ec2.amazonaws.com", None),
        "serverless": runtime(scope, data),
        "serverless_trust": _trust("emr-serverless.amazonaws.com", scope, "emr-serverless", "/applications/*"),
        "caller": caller(scope, data, serverless=serverless),
        "bucket": bucket(scope),
        "budget_topic": budget_topic(scope),
    }


def service(scope: Scope, subnet: str = "") -> dict[str, Any]:
    """What EMR may do in our name: AWS's AmazonEMRServicePolicy_v2 (v6) for this account, region and tag, without what we never use.

    Left out: placement groups, custom automatic scaling (managed scaling needs none of it) and the service's VPC endpoint.
    """
    ours, asked = _tagged("aws:ResourceTag", scope), _tagged("aws:RequestTag", scope)
    launch = ["ec2:RunInstances", "ec2:CreateFleet"]
    template = ["ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion"]
    made = ["RunInstances", "CreateFleet", "CreateLaunchTemplate", "CreateNetworkInterface"]
    named = scope.ec2(f"subnet/{subnet}") if subnet else []
    return _policy(
        _allow("LaunchInOurNetwork", [*launch, *template, "ec2:CreateNetworkInterface"], scope.ec2("subnet", "security-group"), ours),
        *([_allow("LaunchInTheSubnetNamed", [*launch, *template, "ec2:CreateNetworkInterface"], named)] if named else []),
        _allow("LaunchByOurTemplate", [*launch, "ec2:CreateLaunchTemplateVersion"], scope.ec2("launch-template"), ours),
        _allow("MakeTaggedTemplates", ["ec2:CreateLaunchTemplate"], scope.ec2("launch-template"), asked),
        _allow("MakeTaggedInstances", launch, scope.ec2("instance", "volume"), asked),
        _allow("MakeTaggedInterfaces", ["ec2:CreateNetworkInterface"], scope.ec2("network-interface"), asked),
        _allow("LaunchWith", [*launch, *template], scope.ec2("network-interface", "image/ami-*", "key-pair", "fleet")),
        _allow(
            "EndOurs",
            ["ec2:DeleteLaunchTemplate", "ec2:DeleteNetworkInterface", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"],
            scope.ec2("instance", "network-interface", "launch-template"),
            ours,
        ),
        _allow("EndOurDisks", ["ec2:DeleteVolume", "ec2:DetachVolume"], scope.ec2("volume", "instance"), ours),
        _allow(
            "TagOurs",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            scope.ec2("instance", "volume", "network-interface", "launch-template"),
            ours,
        ),
        _allow(
            "TagWhatIsMade",
            ["ec2:CreateTags"],
            scope.ec2("instance", "volume", "network-interface", "launch-template"),
            {"StringEquals": {"ec2:CreateAction": made}},
        ),
        _allow(
            "RulesBetweenOurNodes",
            [f"ec2:{verb}SecurityGroup{way}" for verb in ("Authorize", "Revoke") for way in ("Egress", "Ingress")],
            scope.ec2("security-group"),
            ours,
        ),
        _allow("Look", [f"ec2:Describe{name}" for name in LOOKS], ["*"]),
        _allow("LookAtNetworks", ["ec2:DescribeVpcAttribute"], scope.ec2("vpc")),
        _allow("GiveNodesTheirRole", ["iam:PassRole"], [scope.role("nodes")], _passed_to("ec2.amazonaws.com")),
        _allow(
            "SpotMarket",
            ["iam:CreateServiceLinkedRole"],
            [scope.arn("iam", "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot", account=scope.account)],
            {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        ),
    )


LOOKS = (
    *("AccountAttributes", "CapacityReservations", "DhcpOptions", "Images", "Instances", "InstanceTypeOfferings", "LaunchTemplates"),
    *("NetworkAcls", "NetworkInterfaces", "PlacementGroups", "RouteTables", "SecurityGroups", "SpotPriceHistory", "Subnets"),
    *("Volumes", "VolumeStatus", "VpcEndpoints", "Vpcs"),
)


def nodes(scope: Scope, data: Sequence[str] = ()) -> dict[str, Any]:
    """What a job may do: read and write under the project's prefix, read its data, be reached by Session Manager."""
    return _policy(
        _allow("FindObjects", ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [scope.arn("s3", scope.bucket)]),
        _allow("ReadAndWrite", [*OBJECT_WRITES, "s3:GetObject"], [scope.objects()]),
        *_reads(scope, data),
        _allow("BeReached", CHANNELS, ["*"]),
        _allow("TellSessionManager", ["ssm:UpdateInstanceInformation"], scope.ec2("instance"), _tagged("ssm:resourceTag", scope)),
    )


def runtime(scope: Scope, data: Sequence[str] = ()) -> dict[str, Any]:
    """What a job on EMR Serverless may do: read and write under the project's prefix, read its data."""
    return _policy(
        _allow("FindObjects", ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [scope.arn("s3", scope.bucket)]),
        _allow("ReadAndWrite", [*OBJECT_WRITES, "s3:GetObject"], [scope.objects()]),
        *_reads(scope, data),
    )


OBJECT_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
CHANNELS = tuple(f"ssmmessages:{verb}{what}Channel" for verb in ("Create", "Open") for what in ("Control", "Data"))

CLUSTER_LOOKS = tuple(
    f"elasticmapreduce:{name}"
    for name in (
        *("DescribeCluster", "DescribeStep", "ListBootstrapActions", "ListInstanceFleets", "ListInstanceGroups", "ListInstances"),
        *("ListSteps", "GetAutoTerminationPolicy", "GetManagedScalingPolicy", "DescribePersistentAppUI"),
        *("GetOnClusterAppUIPresignedURL", "GetPersistentAppUIPresignedURL"),
    )
)
CLUSTER_WORK = tuple(
    f"elasticmapreduce:{name}"
    for name in (
        *("AddInstanceGroups", "AddJobFlowSteps", "AddTags", "CancelSteps", "ModifyCluster", "ModifyInstanceGroups"),
        *("PutAutoTerminationPolicy", "PutManagedScalingPolicy", "RemoveManagedScalingPolicy", "SetTerminationProtection"),
        *("TerminateJobFlows", "CreatePersistentAppUI"),
    )
)


def caller(scope: Scope, data: Sequence[str] = (), *, serverless: bool = False) -> dict[str, Any]:
    """What a person needs who trains on EMR, checks, looks at logs, pays and cleans up; on clusters, or on EMR Serverless."""
    roles = [scope.role("service"), scope.role("nodes"), scope.role("serverless")]
    profile = scope.arn("iam", f"instance-profile/{scope.project}-emr-nodes", account=scope.account)
    tunnel = scope.arn("ssm", "document/AWS-StartPortForwardingSessionToRemoteHost", region=scope.region)
    budget = scope.arn("budgets", f"budget/{scope.project}-emr", account=scope.account)
    quotas = [
        scope.arn("servicequotas", f"ec2/{code}", region=scope.region, account=scope.account) for code in ("L-1216C47A", "L-34B43A08")
    ]
    return _policy(
        *(_serverless_work(scope) if serverless else _cluster_work(scope)),
        _allow("LookAtRoles", ["iam:GetRole", "iam:SimulatePrincipalPolicy"], roles),
        _allow("LookAtOneself", ["iam:SimulatePrincipalPolicy"], [scope.oneself()]),
        _allow("LookAtProfile", ["iam:GetInstanceProfile"], [profile]),
        _allow("FindObjects", ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [scope.arn("s3", scope.bucket)]),
        _allow("LookAtTheBucket", ["s3:GetBucketVersioning", "s3:GetBucketPublicAccessBlock"], [scope.arn("s3", scope.bucket)]),
        _allow("ReadAndWrite", [*OBJECT_WRITES, "s3:GetObject"], [scope.objects()]),
        *_reads(scope, data),
        _allow(
            "LookAtTheNetwork",
            [f"ec2:Describe{name}" for name in NETWORK_LOOKS],
            ["*"],
        ),
        _allow("LookAtQuotas", ["servicequotas:GetServiceQuota"], quotas),
        _allow("LookAtTheBudget", ["budgets:ViewBudget"], [budget]),
        _allow("LookAtPrices", ["pricing:GetProducts"], ["*"]),
        _allow("OpenATunnel", ["ssm:StartSession"], scope.ec2("instance"), _tagged("ssm:resourceTag", scope)),
        _allow("TunnelByPort", ["ssm:StartSession"], [tunnel]),
    )


def _cluster_work(scope: Scope) -> list[dict[str, Any]]:
    """Clusters of the project and their steps."""
    clusters = [scope.arn("elasticmapreduce", "cluster/*", region=scope.region, account=scope.account)]
    ours, asked = _tagged("elasticmapreduce:ResourceTag", scope), _tagged("elasticmapreduce:RequestTag", scope)
    return [
        _allow("OurClusters", [*CLUSTER_LOOKS, *CLUSTER_WORK], clusters, ours),
        _allow("MakeTaggedClusters", ["elasticmapreduce:RunJobFlow"], ["*"], asked),
        _allow("TagThem", ["elasticmapreduce:AddTags"], clusters, asked),
        _allow("ListClusters", ["elasticmapreduce:ListClusters"], ["*"]),
        _allow("GiveEmrItsRole", ["iam:PassRole"], [scope.role("service")], _passed_to("elasticmapreduce.amazonaws.com")),
        _allow("GiveNodesTheirRole", ["iam:PassRole"], [scope.role("nodes")], _passed_to("ec2.amazonaws.com")),
    ]


SERVERLESS_OPS = "ops.emr-serverless.amazonaws.com"
"""Whose role AWS makes with the first application of an account."""


def _serverless_work(scope: Scope) -> list[dict[str, Any]]:
    """Applications of the project and their job runs on EMR Serverless."""

    def arn(what: str) -> str:
        return scope.arn("emr-serverless", what, region=scope.region, account=scope.account)

    def may(*names: str) -> list[str]:
        return [f"emr-serverless:{name}" for name in names]

    ours, asked = _tagged("aws:ResourceTag", scope), _tagged("aws:RequestTag", scope)
    both = [arn("/applications/*"), arn("/applications/*/jobruns/*")]
    lives = may("GetApplication", "StartApplication", "StopApplication", "DeleteApplication", "StartJobRun", "ListJobRuns")
    return [
        _allow("LookAtServerlessQuotas", ["servicequotas:ListServiceQuotas"], ["*"]),
        _allow("ListApplications", may("ListApplications"), ["*"]),
        _allow("MakeTaggedApplications", may("CreateApplication"), ["*"], asked),
        _allow(
            "FirstApplication",
            ["iam:CreateServiceLinkedRole"],
            [scope.arn("iam", f"role/aws-service-role/{SERVERLESS_OPS}/AWSServiceRoleForAmazonEMRServerless", account=scope.account)],
            {"StringEquals": {"iam:AWSServiceName": SERVERLESS_OPS}},
        ),
        _allow("TagApplications", may("TagResource"), both, asked),
        _allow("OurApplications", lives, both[:1], ours),
        _allow("OurJobRuns", may("GetJobRun", "CancelJobRun", "GetDashboardForJobRun"), both[1:], ours),
        _allow("GiveJobsTheirRole", ["iam:PassRole"], [scope.role("serverless")], _passed_to("emr-serverless.amazonaws.com")),
    ]


NETWORK_LOOKS = ("Instances", "RouteTables", "SecurityGroups", "SpotPriceHistory", "Subnets", "VpcEndpoints")


def bucket(scope: Scope) -> dict[str, Any]:
    """No request without TLS."""
    whole = scope.arn("s3", scope.bucket)
    return _policy(
        {
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [whole, f"{whole}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def budget_topic(scope: Scope) -> dict[str, Any]:
    """AWS Budgets of this account may publish alerts."""
    topic = scope.arn("sns", scope.topic, region=scope.region, account=scope.account)
    statement = _allow("AlertsOfOurBudgets", ["sns:Publish"], [topic], {"StringEquals": {"aws:SourceAccount": scope.account}})
    return _policy({**statement, "Principal": {"Service": "budgets.amazonaws.com"}})


def _reads(scope: Scope, data: Sequence[str]) -> list[dict[str, Any]]:
    """Reading of tables outside the project's prefix: what stands before the first wildcard of each address."""
    places = sorted({one.removeprefix("s3://").removeprefix("s3a://").split("*")[0].split("?")[0] for one in data})
    if not places:
        return []
    buckets = sorted({one.partition("/")[0] for one in places})
    objects = [scope.arn("s3", f"{name}/{key}*") for name, _, key in (one.partition("/") for one in places)]
    return [
        _allow("FindData", ["s3:GetBucketLocation", "s3:ListBucket"], [scope.arn("s3", one) for one in buckets]),
        _allow("ReadData", ["s3:GetObject"], objects),
    ]


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: Iterable[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement


def _trust(principal: str, scope: Scope | None, service: str = "", what: str = "") -> dict[str, Any]:
    """Who may take a role on; EMR only in the name of this account's own clusters and applications (the confused deputy)."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    if scope is not None:
        statement["Condition"] = {
            "StringEquals": {"aws:SourceAccount": scope.account},
            "ArnLike": {"aws:SourceArn": scope.arn(service, what, region=scope.region, account=scope.account)},
        }
    return _policy(statement)


def _tagged(key: str, scope: Scope) -> dict[str, Any]:
    return {"StringEquals": {f"{key}/{PROJECT_TAG}": scope.project}}


def _passed_to(principal: str) -> dict[str, Any]:
    return {"StringLike": {"iam:PassedToService": f"{principal}*"}}
