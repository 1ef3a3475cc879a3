"""moto's server with the actions that Terraform, our place and our checklist need and moto 5.2 lacks or has wrong.

`python -m tests.servers.moto_shim -H 127.0.0.1 -p PORT` serves it; `install()` only patches, for a launcher that adds more (see aws.py).
What is kept lives on moto's own backends, so that POST /moto-api/reset forgets it too. Why each is here: shared/facts, "the moto shim".
"""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as AutoScaling
from moto.budgets.responses import BudgetsResponse as Budgets
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidPermissionDuplicateError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.emr.exceptions import InvalidRequestException
from moto.emr.responses import ElasticMapReduceResponse as Emr
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.responses import IamResponse as Iam
from moto.s3.models import FakeBucket
from moto.servicequotas.responses import ServiceQuotasResponse as Quotas

DEFAULT_QUOTAS = {
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 256.0),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 256.0),
}
"""EC2's two quotas in vCPUs; `request_service_quota_increase` grants any value at once (the only way a test can set one)."""


def install() -> None:
    """Patch moto's response classes; calling it twice does no harm."""
    if getattr(Emr, "shimmed", False):
        return
    Emr.shimmed = True
    for response, actions in ACTIONS.items():
        for action in actions:
            setattr(response, action.__name__, action)
    Emr.run_job_flow = _keeping_policies(Emr.run_job_flow)
    Emr.add_instance_groups = _telling_ids(Emr.add_instance_groups)
    Budgets.create_budget = _keeping_tags(Budgets.create_budget)
    AutoScaling.register_scalable_target = _keeping_target_tags(AutoScaling.register_scalable_target)
    FakeBucket.get_permission = _without_conditions(FakeBucket.get_permission)
    SecurityGroupBackend.authorize_security_group_ingress = _twice_is_once(SecurityGroupBackend.authorize_security_group_ingress)
    SecurityGroupBackend.revoke_security_group_ingress = _gone_is_gone(SecurityGroupBackend.revoke_security_group_ingress)
    SecurityGroupBackend.revoke_security_group_egress = _gone_is_gone(SecurityGroupBackend.revoke_security_group_egress)


def plain(value: Any) -> Any:
    """Moto's parsed parameters as plain dictionaries and lists."""
    value = value.original_dict() if hasattr(value, "original_dict") else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def kept(response: Any, kind: str) -> dict[Any, Any]:
    """What the shim remembers of a kind, on the backend of the request's account and region."""
    return response.backend.__dict__.setdefault(f"shim_{kind}", {})


def _policy_actions(name: str, kind: str) -> list[Callable[[Any], Any]]:
    """put, get and remove of one policy of a cluster."""
    field = "".join(word.capitalize() for word in name.split("_"))

    def put(self: Any) -> Any:
        kept(self, kind)[self._get_param("ClusterId")] = plain(self._get_param(field))
        return EmptyResult()

    def get(self: Any) -> Any:
        policy = kept(self, kind).get(self._get_param("ClusterId"))
        return ActionResult({field: policy} if policy else {})

    def remove(self: Any) -> Any:
        kept(self, kind).pop(self._get_param("ClusterId"), None)
        return EmptyResult()

    put.__name__, get.__name__, remove.__name__ = f"put_{name}", f"get_{name}", f"remove_{name}"
    return [put, get, remove]


def list_instance_fleets(self: Any) -> Any:
    """Clusters here have instance groups."""
    raise InvalidRequestException("Instance fleets and instance groups are mutually exclusive.")


def cancel_steps(self: Any) -> Any:
    """A pending step is cancelled; a running one is only asked to (the executor of aws.py sees `cancel_asked`)."""
    told = []
    for step in self.backend.clusters[self._get_param("ClusterId")].steps:
        if step.id not in self._get_param("StepIds", []):
            continue
        cancelled = step.state == "PENDING"
        if cancelled:
            step.state = "CANCELLED"
        step.cancel_asked = True
        told.append({"StepId": step.id, "Status": "SUBMITTED" if cancelled or step.state == "RUNNING" else "FAILED"})
    return ActionResult({"CancelStepsInfoList": told})


def _keeping_policies(run_job_flow: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(self: Any) -> Any:
        made = run_job_flow(self)
        cluster = made.result["JobFlowId"]
        for field, kind in (("AutoTerminationPolicy", "idle"), ("ManagedScalingPolicy", "scaling")):
            if self._get_param(field):
                kept(self, kind)[cluster] = plain(self._get_param(field))
        self.backend.clusters[cluster].scale_down_behavior = self._get_param("ScaleDownBehavior")
        return made

    return run


def _telling_ids(add_instance_groups: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(self: Any) -> Any:
        made = add_instance_groups(self)
        made.result.update(JobFlowId=self._get_param("JobFlowId"), InstanceGroupIds=[one.id for one in made.result["InstanceGroups"]])
        return made  # without the identifiers, Terraform's provider crashes

    return add


def _without_conditions(get_permission: Callable[..., Any]) -> Callable[..., Any]:
    """Moto ignores Condition: "deny what is not over TLS" would deny everything."""

    def get(self: Any, action: str, resource: str) -> Any:
        whole = self.policy
        if whole is None:
            return get_permission(self, action, resource)
        policy = json.loads(whole)
        policy["Statement"] = [one for one in policy["Statement"] if "Condition" not in one]
        # not on the bucket itself: requests come side by side, and one may be removing the policy meanwhile
        return get_permission(SimpleNamespace(policy=json.dumps(policy).encode() if policy["Statement"] else None), action, resource)

    return get


def _twice_is_once(authorize: Callable[..., Any]) -> Callable[..., Any]:
    """A rule sent again is the same rule: moto's server may lose an answer, and Terraform then asks again."""

    def add(self: Any, group_name_or_id: str, ip_protocol: str, from_port: Any, to_port: Any, ip_ranges: Any, **named: Any) -> Any:
        try:
            return authorize(self, group_name_or_id, ip_protocol, from_port, to_port, ip_ranges, **named)
        except InvalidPermissionDuplicateError:
            if not named.get("sgrule_tags"):
                raise  # EMR's own rules between its nodes: moto counts on hearing of those that are there
            group = self.get_security_group_by_name_or_id(group_name_or_id, named.get("vpc_id"))
            asked = (str(ip_protocol), str(from_port), str(to_port))
            same = [one for one in group.ingress_rules if (str(one.ip_protocol), str(one.from_port), str(one.to_port)) == asked]
            return same[:1], group

    return add


def _gone_is_gone(revoke: Callable[..., Any]) -> Callable[..., Any]:
    """A rule revoked again, by its id, is gone all the same, for the same reason; one that never was is an error."""

    def remove(self: Any, *asked: Any, security_rule_ids: list[str] | None = None, **named: Any) -> Any:
        gone = self.__dict__.setdefault("shim_revoked", set())
        if security_rule_ids and gone.issuperset(security_rule_ids):
            return None
        answer = revoke(self, *asked, security_rule_ids=security_rule_ids, **named)
        gone.update(security_rule_ids or ())
        return answer

    return remove


def describe_subscribers_for_notification(self: Any) -> str:
    """Who hears of an alert."""
    budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
    wanted = self._get_param("Notification")
    same = ("NotificationType", "ComparisonOperator", "Threshold")
    found = [one.subscribers for one in budget.notifications if all(one.details.get(key) == wanted.get(key) for key in same)]
    return json.dumps({"Subscribers": found[0] if found else []})


def update_budget(self: Any) -> str:
    """Replace what is given."""
    new = self._get_param("NewBudget")
    self.backend.budgets[self._get_param("AccountId")][new["BudgetName"]].budget.update(new)
    return json.dumps({})


def _keeping_tags(create_budget: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(self: Any) -> Any:
        made = create_budget(self)
        arn = f"arn:aws:budgets::{self._get_param('AccountId')}:budget/{self._get_param('Budget')['BudgetName']}"
        kept(self, "tags")[arn] = self._get_param("ResourceTags") or []
        return made

    return create


def budget_tags(self: Any) -> str:
    """Tags of a budget."""
    return json.dumps({"ResourceTags": kept(self, "tags").get(self._get_param("ResourceARN"), [])})


def target_tags(self: Any) -> str:
    """Tags of a scalable target."""
    return json.dumps({"Tags": kept(self, "tags").get(self._get_param("ResourceARN"), {})})


budget_tags.__name__ = target_tags.__name__ = "list_tags_for_resource"


def tag_resource(self: Any) -> str:
    """Tag a scalable target."""
    kept(self, "tags").setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
    return json.dumps({})


def untag_resource(self: Any) -> str:
    """Untag a scalable target."""
    for key in self._get_param("TagKeys"):
        kept(self, "tags").get(self._get_param("ResourceARN"), {}).pop(key, None)
    return json.dumps({})


def _keeping_target_tags(register: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def registered(self: Any) -> Any:
        made, tags = register(self), self._get_param("Tags")
        if tags:
            kept(self, "tags").setdefault(json.loads(made)["ScalableTargetARN"], {}).update(tags)
        return made

    return registered


def simulate_principal_policy(self: Any) -> Any:
    """Whether a role's or user's own policies allow actions on resources: evaluated for good, with the context that the request gives."""
    arn = self._get_param("PolicySourceArn")
    entries = plain(self._get_param("ContextEntries") or [])
    context = {one["ContextKeyName"]: [str(value) for value in one["ContextKeyValues"]] for one in entries}
    policies = [_under(policy, context) for policy in _policies_of(self.backend, arn)]
    results = []
    for action in self._get_param("ActionNames") or []:
        for resource in self._get_param("ResourceArns") or ["*"]:
            said = {policy.is_action_permitted(action, resource) for policy in policies}
            denied, allowed = PermissionResult.DENIED in said, PermissionResult.PERMITTED in said
            decision = "explicitDeny" if denied else "allowed" if allowed else "implicitDeny"
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision})
    return ActionResult({"IsTruncated": False, "EvaluationResults": results})


def _under(policy: IAMPolicy, context: dict[str, list[str]]) -> IAMPolicy:
    """The statements whose conditions hold: moto would take an allowance whose condition does not hold for a denial."""
    document = json.loads(json.dumps(policy._policy_json))
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    held = [
        {key: value for key, value in one.items() if key != "Condition"}
        for one in statements
        if all(_holds(kind, wanted, context) for kind, wanted in one.get("Condition", {}).items())
    ]
    return IAMPolicy(json.dumps({**document, "Statement": held}))


def _holds(kind: str, wanted: dict[str, Any], context: dict[str, list[str]]) -> bool:
    """One condition of a policy: texts that are equal, or alike; of any other kind it holds."""
    if kind not in ("StringEquals", "StringLike"):
        return True
    for key, values in wanted.items():
        patterns = values if isinstance(values, list) else [values]
        if not any(fnmatchcase(told, one) if kind == "StringLike" else told == one for told in context.get(key, []) for one in patterns):
            return False
    return True


def _policies_of(backend: Any, arn: str) -> list[IAMPolicy]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    name = name.rpartition("/")[2]
    if kind not in ("role", "user"):  # the root of an account may do everything
        return [IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))]
    found: list[Any] = []
    if kind == "role":
        found += [backend.get_role_policy(name, one)[1] for one in backend.list_role_policies(name)]
        found += backend.list_attached_role_policies(name)[0]
    else:
        found += [backend.get_user_policy(name, one)["policy_document"] for one in backend.list_user_policies(name)]
        found += backend.list_attached_user_policies(name)[0]
    return [IAMPolicy(one) for one in found]


def get_service_quota(self: Any) -> str:
    """EC2's vCPU quotas; moto knows those of VPC only."""
    asked = json.loads(self.body)
    if asked["ServiceCode"] != "ec2" or asked["QuotaCode"] not in DEFAULT_QUOTAS:
        return json.dumps({"Quota": self.backend.get_service_quota(asked["ServiceCode"], asked["QuotaCode"])})
    name, value = DEFAULT_QUOTAS[asked["QuotaCode"]]
    value = kept(self, "quotas").get(asked["QuotaCode"], value)
    return json.dumps({"Quota": {"ServiceCode": "ec2", "QuotaCode": asked["QuotaCode"], "QuotaName": name, "Value": value}})


def request_service_quota_increase(self: Any) -> str:
    """Granted at once, whatever was asked for."""
    asked = json.loads(self.body)
    kept(self, "quotas")[asked["QuotaCode"]] = asked["DesiredValue"]
    return json.dumps({"RequestedQuota": {"QuotaCode": asked["QuotaCode"], "DesiredValue": asked["DesiredValue"], "Status": "APPROVED"}})


ACTIONS: dict[Any, list[Callable[[Any], Any]]] = {
    Emr: [
        list_instance_fleets,
        cancel_steps,
        *_policy_actions("auto_termination_policy", "idle"),
        *_policy_actions("managed_scaling_policy", "scaling"),
    ],
    Budgets: [describe_subscribers_for_notification, update_budget, budget_tags],
    AutoScaling: [target_tags, tag_resource, untag_resource],
    Iam: [simulate_principal_policy],
    Quotas: [get_service_quota, request_service_quota_increase],
}

if __name__ == "__main__":
    from moto.server import main

    install()
    main()
