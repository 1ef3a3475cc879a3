"""The part of the production checklist that is EMR Serverless': the application, the role a job takes on, workers and their quota."""

from __future__ import annotations

from filon.errors import FilonError, PlaceError
from filon.places.emr.client import pages
from filon.places.emr.cost import memory_needed_mib
from filon.places.emr.lines import Line, Look, block, failed, ok, refused_look, warn
from filon.places.emr.machines import LONE_MIB, release_line
from filon.places.emr.probes import may_line, no_role_line, object_arn, trust_line
from filon.places.emr.serverless.requests import application_name
from filon.places.emr.serverless.runs import ALIVE, SERVICE, application_of, applications
from filon.places.emr.serverless.workers import plan_workers, workers_of

PRINCIPAL = "emr-serverless.amazonaws.com"
WITHOUT = "leave places.emr.application_id out: one is found or made"


def application(look: Look) -> list[Line]:
    """The recipe's own application takes jobs and stops when idle; where there is none, one is made that does."""
    settings = look.settings
    try:
        workers = workers_of(settings)
        if not settings.application_id:
            there = applications(look.aws, named=application_name(settings, look.job.name, workers))
            what = f"{there[0]['id']} is there" if there else f"one is made for the project: at most {workers.vcpus} vCPUs"
            return [ok("application", what), *release_line(settings.release)]
        found = application_of(look.aws, settings.application_id)
    except PlaceError as exc:
        return [refused_look("application", exc)]
    look.cluster = {"ReleaseLabel": found.get("releaseLabel", "")}
    state = str(found.get("state", "not there"))
    if state not in ALIVE:
        return [block("application", "checklist.cluster", f"{settings.application_id} is {state.lower()}", WITHOUT)]
    lines = [ok("application", f"{settings.application_id} is {state.lower()}"), *release_line(str(found.get("releaseLabel", "")))]
    if str(found.get("type", "")).upper() != "SPARK":
        lines.append(block("application", "checklist.no-spark", f"{settings.application_id} runs {found.get('type')}, not Spark", WITHOUT))
    if found.get("architecture") == "ARM64":
        lines.append(block("application", "checklist.arm", "it has ARM processors; environments of Serverless are built for x86", WITHOUT))
    if not found.get("autoStopConfiguration", {}).get("enabled", True):
        fix = f"aws emr-serverless update-application --application-id {settings.application_id} --auto-stop-configuration enabled=true"
        lines.append(warn("auto-stop", "checklist.never-idle", "pre-initialised workers stay, and are paid, until somebody stops it", fix))
    most = str(found.get("maximumCapacity", {}).get("cpu", "")).split(" ")[0]
    if most.isdigit() and int(most) < workers.driver.cores + workers.executor.cores:
        what = f"it may grow to {most} vCPUs, and the driver and one worker need {workers.driver.cores + workers.executor.cores}"
        lines.append(block("capacity", "checklist.executor-too-large", what, "places.emr.executor_cores lower, or another application"))
    return lines


def role(look: Look) -> list[Line]:
    """The role exists, EMR Serverless may take it on, and it may read the data and write under the prefix."""
    named = look.settings.execution_role
    if not named:
        fix = "filon infra up makes one: then set places.emr.execution_role to its output"
        return [block("execution role", "checklist.role-missing", "places.emr.execution_role is empty", fix)]
    try:
        found = look.aws.call("iam", "get_role", RoleName=named.rpartition("/")[2])["Role"]
    except PlaceError as exc:
        return [no_role_line("execution role", named, exc)]
    scope = look.scope
    whole, objects = scope.arn("s3", look.bucket), scope.arn("s3", f"{look.bucket}/{look.prefix}x")
    wanted: dict[str, list[str]] = {objects: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], whole: ["s3:ListBucket"]}
    for source in look.job.sources:
        if source.startswith("s3://"):
            wanted.setdefault(object_arn(look, source), []).append("s3:GetObject")
    lines = trust_line("execution role", found, PRINCIPAL)
    return lines + may_line(look, "job policy", str(found["Arn"]), wanted, "a job would fail at its first read or write")


def caller(look: Look) -> list[Line]:
    """Whoever asks may make an application, send a job and hand it its role."""
    if ":user/" not in look.caller:
        return []
    scope = look.scope
    one = scope.arn("emr-serverless", f"/applications/{look.settings.application_id or '*'}", region=scope.region, account=scope.account)
    needed = {one: [f"{SERVICE}:StartJobRun", f"{SERVICE}:ListJobRuns"], "*": [f"{SERVICE}:ListApplications"]}
    if not look.settings.application_id:
        needed["*"].append(f"{SERVICE}:CreateApplication")
    return may_line(look, "caller policy", look.caller, needed, "you could not submit, follow or end the job")


def workers(look: Look) -> list[Line]:
    """Workers in shapes that exist, the table in their memory, and a barrier that finds its slots."""
    table = look.job.table
    try:
        asked = workers_of(look.settings)
        size = table.rows * (4 * table.features + 20) / 2**20 if table else 0.0
        layout = plan_workers(look.settings, table_mib=size, strategy=look.job.strategy)
    except FilonError as exc:
        return [failed("workers", exc)]
    lines = [ok("workers", layout.why)]
    if layout.dynamic and look.job.strategy == "cluster":
        what = "a barrier stage needs all its slots at once, and dynamic allocation may not have them"
        lines.append(block("barrier", "checklist.barrier", what, '[places.emr] dynamic_allocation = "auto"'))
    if table:
        needed = memory_needed_mib(table)
        alone = look.job.strategy == "tasks"
        room = asked.executor_mib * LONE_MIB if alone else float(asked.executors_mib)
        what = f"the table takes about {needed:,.0f} MiB in training, there is room for {room:,.0f} in {asked}"
        fix = f"places.emr.core_count = {max(asked.count + 1, round(asked.count * needed / room + 0.5))}, or search.rows"
        lines.append(ok("memory", what) if needed <= room else block("memory", "checklist.memory", what, fix))
    return lines


def quota(look: Look) -> list[Line]:
    """The account's vCPUs of EMR Serverless at once: AWS starts accounts with few."""
    try:
        words = ("service-quotas", "list_service_quotas", "Quotas", ("NextToken", "NextToken"))
        every = pages(look.aws, *words, ServiceCode=SERVICE)
    except PlaceError as exc:
        return [refused_look("quota", exc) if exc.code == "places.access-denied" else failed("quota", exc, "warning")]
    found = [one for one in every if "vcpu" in str(one.get("QuotaName", "")).lower()]
    if not found:
        return []
    needed, allowed = workers_of(look.settings).vcpus, float(found[0]["Value"])
    what = f"{needed} vCPUs are needed at once, the account may have {allowed:g}"
    code = found[0].get("QuotaCode", "CODE")
    fix = f"aws service-quotas request-service-quota-increase --service-code {SERVICE} --quota-code {code} --desired-value {needed}"
    return [block("quota", "checklist.quota", what, fix) if needed > allowed else ok("quota", what)]


def logs(look: Look) -> list[Line]:
    """Logs go to the bucket with each job run."""
    return [ok("logs", look.settings.log_uri or f"{look.settings.bucket}/logs")]
