"""Least privilege: our policies pass the linter, and the linter sees what is too wide."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from filon.places.emr.policies import TERRAFORM, Scope, documents
from filon.places.emr.policy_lint import NO_RESOURCE, excesses
from filon.places.emr.settings import EmrSettings
from filon.places.infra.writing import contents

REAL = Scope(partition="aws", region="eu-west-1", account="123456789012", bucket="acme", prefix="mineria/", project="mineria")
DATA = ["s3://raw/bands/*.parquet", "s3://raw/labels.csv"]


@pytest.mark.parametrize("serverless", [False, True], ids=["clusters", "serverless"])
@pytest.mark.parametrize("subnet", ["", "subnet-0abc"], ids=["a network of ours", "a subnet of theirs"])
@pytest.mark.parametrize("scope", [TERRAFORM, REAL], ids=["for Terraform", "of an account"])
def test_no_policy_of_ours_grants_more_than_its_work_needs(scope: Scope, subnet: str, serverless: bool) -> None:
    written = documents(scope, DATA, serverless=serverless, subnet=subnet)
    found = [one for name, policy in written.items() for one in excesses(name, policy)]
    assert found == []


def test_every_star_resource_is_one_for_which_aws_takes_no_narrower() -> None:
    starred = {
        action
        for serverless in (False, True)
        for policy in documents(REAL, DATA, serverless=serverless).values()
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and "*" in statement.get("Resource", [])
        for action in statement["Action"]
    }
    assert starred
    assert starred <= NO_RESOURCE


def test_the_topic_of_a_name_with_dots_is_one_that_sns_takes() -> None:
    dotted = replace(REAL, project="bank.v2")
    (statement,) = documents(dotted)["budget_topic"]["Statement"]
    assert statement["Resource"] == ["arn:aws:sns:eu-west-1:123456789012:bank-v2-budget"]
    written = contents("bank.v2", EmrSettings(bucket="s3://acme/mineria"))
    assert "${topic}" in written["policies/budget_topic.json"]
    assert 'topic     = "${replace(var.name, ".", "-")}-budget"' in written["versions.tf"], "as Terraform makes it"


def test_policies_are_within_the_sizes_that_iam_takes() -> None:
    kinds = {name: documents(REAL, DATA, serverless=name == "serverless") for name in ("clusters", "serverless")}
    sizes = {name: len(json.dumps(policy, separators=(",", ":"))) for kind in kinds.values() for name, policy in kind.items()}
    callers = [len(json.dumps(kind["caller"], separators=(",", ":"))) for kind in kinds.values()]
    assert max(callers) <= 6144 - 1000, "a managed policy, with room for long names"
    assert sizes["service"] <= 10240
    assert sizes["nodes"] <= 10240


def test_data_outside_the_prefix_may_be_read_and_not_written() -> None:
    statements = {one["Sid"]: one for one in documents(REAL, DATA)["nodes"]["Statement"]}
    assert statements["ReadData"]["Resource"] == ["arn:aws:s3:::raw/bands/*", "arn:aws:s3:::raw/labels.csv*"]
    assert statements["ReadData"]["Action"] == ["s3:GetObject"]
    assert "ReadData" not in {one["Sid"] for one in documents(REAL)["nodes"]["Statement"]}


def test_a_person_may_ask_what_they_themselves_may_do() -> None:
    """IAM's own variable for whoever asks; where Terraform fills in ours, it is escaped."""
    for scope, written in ((REAL, "user/${aws:username}"), (TERRAFORM, "user/$${aws:username}")):
        (found,) = [one for one in documents(scope)["caller"]["Statement"] if one["Sid"] == "LookAtOneself"]
        assert found["Action"] == ["iam:SimulatePrincipalPolicy"]
        assert [one[-len(written) :] for one in found["Resource"]] == [written]


def _wide(**changed: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "s", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["x"], **changed}],
    }


WIDE = {
    "every action": _wide(Action="*", Resource="arn:aws:s3:::b/x"),
    "every action of a service": _wide(Action=["s3:*"], Resource="arn:aws:s3:::b/x"),
    "objects of every bucket": _wide(Resource="arn:aws:s3:::*/x"),
    "every object": _wide(Resource="*"),
    "describing one cluster on all": _wide(Action=["elasticmapreduce:DescribeCluster"], Resource="*"),
    "ending any instance": _wide(Action=["ec2:TerminateInstances"], Resource="arn:aws:ec2:eu-west-1:1:instance/*"),
    "instances of every region": _wide(Action=["ec2:TerminateInstances"], Resource="arn:aws:ec2:*:1:instance/i-1"),
    "passing any role": _wide(Action=["iam:PassRole"], Resource="arn:aws:iam::1:role/*"),
    "passing a role to any service": _wide(Action=["iam:PassRole"], Resource="arn:aws:iam::1:role/a"),
    "service-linked roles of any service": _wide(Action=["iam:CreateServiceLinkedRole"], Resource="arn:aws:iam::1:role/a"),
    "anybody": _wide(Principal="*", Resource="arn:aws:s3:::b/x"),
    "anybody of AWS": _wide(Principal={"AWS": "*"}, Resource="arn:aws:s3:::b/x"),
    "all but one action": {"Statement": [{"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "arn:aws:s3:::b/x"}]},
    "all but one resource": {"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "NotResource": ["arn:aws:s3:::b"]}]},
    "no ARN": _wide(Resource="bucket"),
    "one of two actions on all": _wide(Action=["ec2:DescribeSubnets", "ec2:DescribeVpcAttribute"], Resource="*"),
}


@pytest.mark.parametrize("name", WIDE)
def test_what_is_too_wide_is_seen(name: str) -> None:
    assert excesses("p", WIDE[name])


def test_every_statement_of_ours_made_wide_is_seen() -> None:
    for name, policy in documents(REAL, DATA).items():
        for number, statement in enumerate(policy["Statement"]):
            narrow = [one for one in statement["Action"] if one not in NO_RESOURCE] if isinstance(statement["Action"], list) else []
            if statement["Effect"] != "Allow" or not narrow:
                continue
            wide = copy.deepcopy(policy)
            wide["Statement"][number]["Resource"] = "*"
            assert excesses(name, wide), f"{name}: {statement.get('Sid')}"
