"""Whoever has the policy that we write for them may make every request that our commands make."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import filon
from filon.errors import PlaceError
from filon.places.emr.cleanup import find_doomed
from filon.places.emr.ledger import Ledger
from filon.places.emr.policies import Scope, documents
from filon.places.emr.transient import maker

SOURCE = Path(filon.__file__).parent
SCOPE = Scope(partition="aws", region="eu-west-1", account="123456789012", bucket="acme", prefix="mineria/", project="mineria")

ADMINS = ("cli/infra.py",)
"""Terraform's companion: whoever makes and deletes buckets and roles has rights that no job needs."""

SERVICES = ("budgets", "ec2", "emr", "emr-serverless", "iam", "pricing", "s3", "service-quotas", "ssm", "sts")
CONSTANTS = {"SERVICE": "emr-serverless"}
KNOWN: dict[str, set[str]] = {}
PREFIX = {"emr": "elasticmapreduce", "service-quotas": "servicequotas"}
ACTIONS: dict[str, tuple[str, ...]] = {
    # requests whose right has another name. Source: AWS's Service Authorization Reference
    "s3:abort_multipart_upload": ("s3:AbortMultipartUpload",),
    "s3:complete_multipart_upload": ("s3:PutObject",),
    "s3:create_multipart_upload": ("s3:PutObject",),
    "s3:delete_objects": ("s3:DeleteObject",),
    "s3:get_public_access_block": ("s3:GetBucketPublicAccessBlock",),
    "s3:head_bucket": ("s3:ListBucket",),
    "s3:head_object": ("s3:GetObject",),
    "s3:list_multipart_uploads": ("s3:ListBucketMultipartUploads",),
    "s3:list_objects_v2": ("s3:ListBucket",),
    "s3:upload_part": ("s3:PutObject",),
    "budgets:describe_budget": ("budgets:ViewBudget",),
    "budgets:describe_budgets": ("budgets:ViewBudget",),
    "budgets:describe_notifications_for_budget": ("budgets:ViewBudget",),
    "emr:create_persistent_app_ui": ("elasticmapreduce:CreatePersistentAppUI",),
    "emr:get_persistent_app_ui_presigned_url": ("elasticmapreduce:GetPersistentAppUIPresignedURL",),
    "emr:run_job_flow": ("elasticmapreduce:RunJobFlow", "elasticmapreduce:AddTags", "iam:PassRole"),
    "emr-serverless:create_application": ("emr-serverless:CreateApplication", "emr-serverless:TagResource"),
    "emr-serverless:start_job_run": ("emr-serverless:StartJobRun", "emr-serverless:TagResource", "iam:PassRole"),
    "sts:get_caller_identity": (),  # nobody needs a right for it
}


def requests() -> Iterator[tuple[str, str, str]]:
    """File, service and operation of every request that the source names."""
    for path in sorted(SOURCE.glob("places/**/*.py")) + sorted(SOURCE.glob("cli/*.py")):
        file = path.relative_to(SOURCE).as_posix()
        if file not in ADMINS:
            for service, operation in _of_module(ast.parse(path.read_text(encoding="utf-8"))):
                yield file, service, operation


def _of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        texts = _texts(node)
        for service, operation in pairwise(texts):
            if service in SERVICES and operation in operations(service):
                yield service, operation


def _texts(node: ast.AST) -> list[str]:
    """The texts that a call or a tuple holds side by side; our one constant for a service is its service."""
    items = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    return [str(one.value) if isinstance(one, ast.Constant) else CONSTANTS.get(getattr(one, "id", ""), "") for one in items]


def operations(service: str) -> set[str]:
    """What botocore knows of a service, in snake case."""
    if service not in KNOWN:
        import botocore.session
        from botocore import xform_name

        model = botocore.session.get_session().get_service_model(service)
        KNOWN[service] = {xform_name(one) for one in model.operation_names}
    return KNOWN[service]


def needed(service: str, operation: str) -> tuple[str, ...]:
    """Actions of IAM that a request asks for."""
    name = f"{PREFIX.get(service, service)}:{''.join(word.capitalize() for word in operation.split('_'))}"
    return ACTIONS.get(f"{service}:{operation}", (name,))


def granted(*, serverless: bool) -> set[str]:
    """Actions that the policy allows, on whatever."""
    statements: list[dict[str, Any]] = documents(SCOPE, serverless=serverless)["caller"]["Statement"]
    return {action for one in statements if one["Effect"] == "Allow" for action in one["Action"]}


def test_the_source_names_its_requests() -> None:
    found = {(service, operation) for _, service, operation in requests()}
    assert len(found) >= 50, "the collector sees them"
    assert {service for service, _ in found} == set(SERVICES)
    assert {("emr", "set_termination_protection"), ("iam", "simulate_principal_policy"), ("emr-serverless", "list_applications")} <= found


@pytest.mark.parametrize("serverless", [False, True], ids=["clusters", "serverless"])
def test_every_request_is_one_that_the_callers_policy_allows(serverless: bool) -> None:
    allowed = granted(serverless=serverless)
    lacking = []
    for file, service, operation in requests():
        of_serverless = service == "emr-serverless" or "/serverless/" in file
        if (serverless and service == "emr") or (not serverless and of_serverless):
            continue  # asked for only where jobs run on the other of the two
        lacking += [f"{action} ({file})" for action in needed(service, operation) if action not in allowed]
    assert sorted(set(lacking)) == []


class Others:
    """An account in which another project's cluster and application stand beside ours, and only ours may be looked at."""

    region = "eu-west-1"

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        if operation == "list_clusters":
            return {"Clusters": [{"Id": name, "Name": f"filon-{name}"} for name in ("theirs", "ours")]}
        if operation == "list_applications":
            return {"applications": [{"id": name, "name": f"filon-{name}"} for name in ("theirs", "ours")]}
        if operation == "list_job_runs":
            return {"jobRuns": []}
        if "theirs" in words.values():
            raise PlaceError("places.access-denied", "you may not look", f"{service}:{operation}", "ask")
        tags = {"filon:made-by": "filon", "filon:by": maker(), "filon:job": "j"}
        if operation == "get_application":
            return {"application": {"id": "ours", "state": "CREATED", "tags": tags}}
        assert operation == "describe_cluster"
        return {"Cluster": {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}}


def test_clean_up_finds_ours_beside_what_we_may_not_look_at(tmp_path: Path) -> None:
    found = find_doomed(Others(), Ledger(tmp_path / "ledger.jsonl"), None)
    assert {(one.kind, one.resource) for one in found} == {("cluster", "ours"), ("application", "ours")}
