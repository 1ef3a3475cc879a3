"""The production checklist of a job on EMR as code: everything that is known to make jobs fail, or cost, looked at before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filon.errors import FilonError, PlaceError, some
from filon.events import Event, Listen, silence
from filon.places.emr.client import Aws, pages
from filon.places.emr.cost import told_dollars, told_hours
from filon.places.emr.launch import launch
from filon.places.emr.lines import Check, Job, Line, Look, block, failed, ok, refused_look, warn
from filon.places.emr.machines import capacity, cluster, idle, logs, network
from filon.places.emr.policies import PROJECT_TAG
from filon.places.emr.probes import bucket, credentials, data, policies, region, roles
from filon.places.emr.quota import quota
from filon.places.emr.serverless import checks as serverless
from filon.places.environment import lane_of_archive

DEAR = 10.0
"""Dollars of a run above which a cap is worth a word."""


def run(job: Job, aws: Aws, listen: Listen = silence) -> list[Line]:
    """Look at everything; one look that fails does not keep the others from theirs.

    Returns
    -------
    lines in the order in which one would look; only credentials and region are a condition of the rest
    """
    look = Look(job=job, aws=aws)
    found: list[Line] = []
    checks = SERVERLESS if job.settings.serverless else CHECKS
    for number, check in enumerate(checks, 1):
        name = check.__name__.replace("_", " ")
        listen(Event(stage="check", text=f"{name} on EMR", done=number, total=len(checks)))
        try:
            found += check(look)
        except FilonError as exc:
            found.append(failed(name, exc))
        if check in (credentials, region) and found[-1].level == "blocker":
            break  # nothing else can be asked
    return found


def environment(look: Look) -> list[Line]:
    """The archive that the recipe names is there, and built for the cluster's lane."""
    archive = look.settings.archive
    release = str(look.cluster.get("ReleaseLabel") or look.settings.release)
    if not archive:
        return [ok("environment", f"is built for {release} when the job is sent, and kept")]
    fix = f"filon package-env --lane {release}"
    if archive.startswith("s3://"):
        name, _, key = archive.removeprefix("s3://").partition("/")
        try:
            look.aws.call("s3", "head_object", Bucket=name, Key=key)
        except PlaceError as exc:
            if exc.code == "places.access-denied":
                return [refused_look("environment", exc)]
            return [block("environment", "checklist.environment", f"there is no {archive}", f"{fix}, then upload it; or leave archive out")]
        if release not in key:
            return [warn("environment", "checklist.environment-lane", f"{archive} does not say that it is for {release}", fix)]
        return [ok("environment", archive)]
    path = Path(archive)
    if not path.is_file():
        return [block("environment", "checklist.environment", f"there is no {archive}", f"{fix}; or leave archive out")]
    lane = lane_of_archive(path).get("lane", "")
    if not lane:
        return [block("environment", "checklist.environment", f"{archive} is no environment of ours", fix)]
    if lane != release:
        what = f"{archive} is for {lane}, the cluster is {release}"
        return [block("environment", "checklist.environment-lane", what, fix)]
    return [ok("environment", f"{archive}, for {lane}")]


def budget(look: Look) -> list[Line]:
    """Somebody is told when the month costs more than was meant."""
    fix = "filon infra up makes one with alerts (places.emr.infra.budget_dollars, budget_emails)"
    try:
        every = _budgets(look)
        carried = {f"{key}${value}" for key, value in {**look.settings.tags, PROJECT_TAG: look.job.name}.items()}
        ours = [one for one in every if _counted(one) & carried] or [one for one in every if _counts_all(one)]
        blind = [one for one in every if one["BudgetName"] == f"{look.job.name}-emr"]
        if blind and not ours:
            what = f"the budget {look.job.name}-emr counts by {some(sorted(_counted(blind[0]))) or 'no tag'}, which nothing of ours carries"
            again = f"filon infra init, then filon infra up: its filter is the tag {PROJECT_TAG}={look.job.name}"
            return [warn("budget", "checklist.budget-blind", what, again)]
        if not ours:
            return [warn("budget", "checklist.no-budget", f"no budget watches this project or the account {look.account}", fix)]
        name = str(ours[0]["BudgetName"])
        words = {"AccountId": look.account, "BudgetName": name}
        alerts = look.aws.call("budgets", "describe_notifications_for_budget", **words).get("Notifications", [])
    except PlaceError as exc:
        return [refused_look("budget", exc)]
    if not alerts:
        return [warn("budget", "checklist.budget-silent", f"the budget {name} tells nobody", fix)]
    limit = float(ours[0].get("BudgetLimit", {}).get("Amount", 0))
    spent = float(ours[0].get("CalculatedSpend", {}).get("ActualSpend", {}).get("Amount", 0))
    if limit and spent >= limit:
        return [warn("budget", "checklist.budget-spent", f"{told_dollars(spent)} of {told_dollars(limit)} are spent this month", fix)]
    return [ok("budget", f"{name}: {told_dollars(spent)} of {told_dollars(limit)} this month, {len(alerts)} alerts")]


def _budgets(look: Look) -> list[dict[str, Any]]:
    """Every budget of the account; the project's own where only that may be seen, as the policy has it that we write."""
    try:
        return pages(look.aws, "budgets", "describe_budgets", "Budgets", ("NextToken", "NextToken"), AccountId=look.account)
    except PlaceError as exc:
        if exc.code != "places.access-denied":
            raise
        return [look.aws.call("budgets", "describe_budget", AccountId=look.account, BudgetName=f"{look.job.name}-emr")["Budget"]]


def _counted(budget: Mapping[str, Any]) -> set[str]:
    """Tags by which a budget counts, each as KEY$VALUE: of its filters (the older form) and of its expression (the newer)."""
    filters = {str(one).removeprefix("user:") for one in budget.get("CostFilters", {}).get("TagKeyValue", [])}
    return filters | set(_of_expression(budget.get("FilterExpression", {})))


def _of_expression(expression: Mapping[str, Any]) -> Iterator[str]:
    """KEY$VALUE of every tag that an expression asks for; what it asks not to be is left out."""
    tags = expression.get("Tags", {})
    yield from (f"{str(tags.get('Key', '')).removeprefix('user:')}${value}" for value in tags.get("Values", []))
    for one in (*expression.get("And", []), *expression.get("Or", [])):
        yield from _of_expression(one)


def _counts_all(budget: Mapping[str, Any]) -> bool:
    """Whether a budget is one of the whole account."""
    return not budget.get("CostFilters") and not budget.get("FilterExpression")


def price(look: Look) -> list[Line]:
    """What the run is expected to cost, against the recipe's cap."""
    if look.job.expected is None:
        return []
    dollars, hours = look.job.expected
    what = f"about {told_dollars(dollars)} in {told_hours(hours)}; {look.job.priced}"
    cap = look.job.dollars
    if cap is not None and dollars > cap:
        fix = f"search.budget.dollars = {dollars * 1.3:.2f}, or a smaller search; filon cost --deadline compares clusters"
        return [block("price", "checklist.price", f"{what}; search.budget.dollars = {cap:g} would stop it", fix)]
    if cap is None and dollars > DEAR:
        fix = f"[search.budget] dollars = {dollars * 1.3:.2f} stops a run that costs more"
        return [warn("price", "checklist.price-uncapped", f"{what}; nothing stops it at a sum", fix)]
    return [ok("price", what)]


def tags(look: Look) -> list[Line]:
    """A standing cluster carries the project's tag, by which its cost is found and its policies grant."""
    if not look.cluster:
        return []
    held = {one.get("Key"): one.get("Value") for one in look.cluster.get("Tags", [])}
    if held.get(PROJECT_TAG) != look.job.name:
        fix = f"aws emr add-tags --resource-id {look.settings.cluster_id} --tags {PROJECT_TAG}={look.job.name}"
        what = f"{look.settings.cluster_id} has no tag {PROJECT_TAG}={look.job.name}: the budget does not count it"
        return [warn("tags", "checklist.tag", what, fix)]
    return [ok("tags", f"{PROJECT_TAG}={look.job.name}")]


CHECKS: tuple[Check, ...] = (
    *(credentials, region, bucket, cluster, roles, policies, capacity, network, launch, quota),
    *(idle, logs, tags, budget, environment, data, price),
)
"""In the order in which one would look."""


SERVERLESS: tuple[Check, ...] = (
    *(credentials, region, bucket, serverless.application, serverless.role, serverless.caller, serverless.workers, serverless.quota),
    *(serverless.logs, budget, environment, data, price),
)
"""The same where there is no cluster: no service role, no nodes, no network of ours."""


def blockers(lines: Sequence[Line]) -> list[Line]:
    """What would make the job fail."""
    return [one for one in lines if one.level == "blocker"]


__all__ = ["CHECKS", "Job", "Line", "blockers", "run"]
