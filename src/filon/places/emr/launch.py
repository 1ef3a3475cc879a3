"""Looks at whether EMR's role may start nodes where the cluster would be made: policies that ask for tags refuse a network without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filon.errors import PlaceError, some
from filon.places.emr.lines import Line, Look, block, ok, refused_look
from filon.places.emr.machines import routes_of
from filon.places.emr.policies import PROJECT_TAG

KEPT = tuple(f"ElasticMapReduce-{name}" for name in ("master", "slave", "Master-Private", "Slave-Private")) + tuple(
    f"ElasticMapReduce-{name}" for name in ("primary", "core", "Primary-Private", "Core-Private")
)
"""Security groups that EMR keeps in a network, and takes where the request names none."""

THEN = "EMR could start no node"


def launch(look: Look) -> list[Line]:
    """The service role may start nodes in the subnet and with the security groups of a cluster that is made for the job."""
    if look.settings.cluster_id or not look.service_role:
        return []
    try:
        subnets = _subnets(look)
        if not subnets:
            return []  # the look at the network says so
        shut = [one for one in subnets if _refused(look, "subnet", str(one["SubnetId"]), one)]
        if len(shut) == len(subnets):
            return [_no_subnet(look, shut)]
        allowed = next(one for one in subnets if one not in shut)
        lacking = _groups(look, str(allowed["VpcId"])) or _service_group(look, allowed)
        return lacking or [ok("launch", f"{_name(look)} may start nodes in {allowed['SubnetId']}")]
    except PlaceError as exc:
        if "InvalidSubnetID" in exc.why:
            return []  # the look at the network says so
        return [refused_look("launch", exc)]


def _subnets(look: Look) -> list[dict[str, Any]]:
    """The subnet that the recipe names, else the default ones of the account."""
    if look.settings.subnet:
        return list(look.aws.call("ec2", "describe_subnets", SubnetIds=[look.settings.subnet])["Subnets"])
    filters = [{"Name": "default-for-az", "Values": ["true"]}]
    return list(look.aws.call("ec2", "describe_subnets", Filters=filters)["Subnets"])


def _groups(look: Look, vpc: str) -> list[Line]:
    """What keeps the role from the security groups, those of the recipe or those that EMR keeps; empty when nothing does."""
    settings = look.settings
    given = list(dict.fromkeys(one for one in (settings.primary_group, settings.nodes_group, settings.service_group) if one))
    if given:
        seen = look.aws.call("ec2", "describe_security_groups", GroupIds=given)["SecurityGroups"]
        shut = [one for one in seen if _refused(look, "security-group", str(one["GroupId"]), one)]
        if not shut:
            return []
        names = some([str(one["GroupId"]) for one in shut])
        what = f"{_name(look)} may not use {names}, whose tags are {_told(shut[0])}: {THEN}"
        return [block("launch", "checklist.launch", what, _tag_them(look, [str(one["GroupId"]) for one in shut]))]
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": list(KEPT)}]
    seen = look.aws.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
    if any(not _refused(look, "security-group", str(one["GroupId"]), one) for one in seen):
        return []
    if not seen and not look.may(look.service_role, {look.scope.ec2("security-group")[0]: ["ec2:CreateSecurityGroup"]}):
        return []
    what = f"the recipe names no security groups, and {_name(look)} may not use those that EMR keeps in {vpc}: {THEN}"
    fix = "places.emr.primary_group and nodes_group: filon infra up makes and prints them"
    return [block("launch", "checklist.launch", what, fix)]


def _service_group(look: Look, subnet: Mapping[str, Any]) -> list[Line]:
    """In a private subnet EMR reaches the nodes by an interface of its own: where the groups are ours, it takes one of ours too."""
    if not look.settings.primary_group or look.settings.service_group:
        return []
    name = str(subnet["SubnetId"])
    if any(str(one.get("GatewayId", "")).startswith("igw-") for one in routes_of(look, name, str(subnet["VpcId"]))):
        return []
    what = f"{name} is private, and the recipe names no group by which EMR reaches nodes there: it would refuse the cluster"
    return [block("launch", "checklist.launch", what, "places.emr.service_group: filon infra up makes and prints it")]


def _refused(look: Look, kind: str, resource: str, seen: Mapping[str, Any]) -> bool:
    arn = look.scope.ec2(f"{kind}/{resource}")[0]
    return bool(look.may(look.service_role, {arn: ["ec2:RunInstances"]}, held=_tags(seen)))


def _tags(seen: Mapping[str, Any]) -> dict[str, str]:
    return {str(one["Key"]): str(one["Value"]) for one in seen.get("Tags", [])}


def _told(seen: Mapping[str, Any]) -> str:
    return some([f"{key}={value}" for key, value in sorted(_tags(seen).items())]) or "none"


def _no_subnet(look: Look, shut: list[dict[str, Any]]) -> Line:
    names = [str(one["SubnetId"]) for one in shut]
    if look.settings.subnet:
        what = f"{_name(look)} may not start nodes in {names[0]}, whose tags are {_told(shut[0])}: {THEN}"
        fix = f"filon infra init, then up: its policy names {names[0]}; or {_tag_them(look, names)}"
        return block("launch", "checklist.launch", what, fix)
    what = f"{_name(look)} may not start nodes in the account's default subnets ({some(names, 3)}): {THEN}"
    return block("launch", "checklist.launch", what, "places.emr.subnet: filon infra up makes and prints one")


def _tag_them(look: Look, names: list[str]) -> str:
    tag = f"Key={PROJECT_TAG},Value={look.job.name}"
    return f"the tags that the role's policy asks for; of filon infra: aws ec2 create-tags --resources {' '.join(names)} --tags {tag}"


def _name(look: Look) -> str:
    return look.service_role.rpartition("/")[2]
