"""Looks at the cluster, the one that stands or the one that would be made: state, release, room for the job, network, idle time, logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from filon.errors import FilonError, PlaceError, some
from filon.places.emr.client import pages
from filon.places.emr.cost import memory_needed_mib
from filon.places.emr.lines import Line, Look, block, failed, ok, refused_look, warn
from filon.places.emr.shapes import machine_of, shape_of
from filon.places.emr.sizing import DRIVER_MIB, instance
from filon.places.emr.sizing import plan as plan_executors
from filon.places.emr.standing import as_it_stands, log_uri_of
from filon.places.environment import built_for
from filon.places.lanes import LANES, Lane, find_lane

READY, STARTING = ("RUNNING", "WAITING"), ("STARTING", "BOOTSTRAPPING")
LONE_MIB = 0.5
"""Of an executor's container, which one process may fill with a training fold: the rest is the JVM and what is read and encoded."""


def cluster(look: Look) -> list[Line]:
    """A standing cluster takes steps; its release is a lane of ours."""
    if not look.settings.cluster_id:
        return [ok("cluster", f"one is made for the job: {shape_of(look.settings)}"), *release_line(look.settings.release)]
    try:
        look.cluster = look.aws.call("emr", "describe_cluster", ClusterId=look.settings.cluster_id)["Cluster"]
        look.groups = pages(look.aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=look.settings.cluster_id)
        waiting = pages(look.aws, "emr", "list_steps", "Steps", ClusterId=look.settings.cluster_id, StepStates=["PENDING", "RUNNING"])
    except PlaceError as exc:
        if exc.code == "places.access-denied":
            return [refused_look("cluster", exc)]
        fix = "filon infra up, or leave places.emr.cluster_id out: a cluster is made for the job"
        return [block("cluster", "checklist.cluster", f"{look.settings.cluster_id} cannot be described: {exc.why}"[:300], fix)]
    found = [_state(look, len(waiting)), *release_line(str(look.cluster.get("ReleaseLabel", "")))]
    names = {one.get("Name") for one in look.cluster.get("Applications", []) if one.get("Name")}
    if names and "Spark" not in names:
        fix = "filon infra up makes one that has it"
        found.append(block("applications", "checklist.no-spark", f"the cluster has {some(sorted(names))} and no Spark", fix))
    return found


def _state(look: Look, waiting: int) -> Line:
    state = look.cluster["Status"]["State"]
    name = f"{look.settings.cluster_id} ({look.cluster.get('Name', '')})"
    if state in STARTING:
        return warn("cluster", "checklist.cluster-starting", f"{name} is {state}", "the job waits for it; nothing to do")
    if state not in READY:
        why = look.cluster["Status"].get("StateChangeReason", {}).get("Message", "")
        fix = "filon infra up makes it again; or leave places.emr.cluster_id out"
        return block("cluster", "checklist.cluster", f"{name} is {state} {why}".strip(), fix)
    if waiting and look.cluster.get("StepConcurrencyLevel", 1) <= waiting:
        fix = "wait for them, or filon cleanup what is not wanted any more"
        return warn("cluster", "checklist.cluster-busy", f"{name} has {waiting} steps before ours", fix)
    return ok("cluster", f"{name} is {state}")


def release_line(release: str) -> list[Line]:
    """The release is one that environments are built and tested for, and AWS still supports it."""
    names = [lane.name for lane in LANES if lane.name.startswith("emr")]
    try:
        lane: Lane = find_lane(release)
    except FilonError:
        fix = f'[places.emr] release = "{names[0]}"'
        what = f"{release or 'the release'} is none of the lanes {', '.join(names)}"
        return [block("release", "checklist.release", what, fix)]
    if lane.ends and lane.ends < datetime.now(UTC).date():
        return [warn("release", "checklist.release-old", f"AWS's support of {release} ended on {lane.ends}", f"one of {', '.join(names)}")]
    return [ok("release", f"{release}: Spark {lane.spark}, Python {lane.python}")]


def capacity(look: Look) -> list[Line]:
    """Executors fit their nodes, the table fits the executors, and a barrier finds its slots."""
    settings = as_it_stands(look.settings, look.groups)
    try:
        machine = machine_of(shape_of(settings).kinds)
        node = instance(settings.core_type)
        table = look.job.table
        size = table.rows * (4 * table.features + 20) / 2**20 if table else 0.0
        layout = plan_executors(settings, table_mib=size, strategy=look.job.strategy)
    except FilonError as exc:
        return [failed("capacity", exc)]
    if machine not in ("x86_64", built_for(look.settings.archive)) and look.settings.archive:
        what = f"the nodes have ARM processors, and {look.settings.archive} is for another kind"
        return [block("executors", "checklist.arm", what, "filon package-env --machine aarch64; or leave places.emr.archive out")]
    if layout.container_mib > node.yarn_mib:
        what = f"an executor of {layout.container_mib:,} MiB fits no {settings.core_type}: YARN has {node.yarn_mib:,} MiB there"
        return [
            block("executors", "checklist.executor-too-large", what, f"places.emr.executor_memory_mib = {node.yarn_mib - DRIVER_MIB}, or 0")
        ]
    if layout.cores > node.cores:
        what = f"an executor of {layout.cores} cores fits no {settings.core_type}, which has {node.cores}"
        return [block("executors", "checklist.executor-too-large", what, "places.emr.executor_cores = 0")]
    found = [ok("executors", layout.why)]
    if layout.dynamic and look.job.strategy == "cluster":
        what = "a barrier stage needs all its slots at once, and dynamic allocation may not have them"
        found.append(block("barrier", "checklist.barrier", what, '[places.emr] dynamic_allocation = "auto"'))
    elif look.job.strategy == "cluster" and settings.task_count and settings.task_spot and settings.task_count >= settings.core_count:
        nodes = settings.task_count + settings.core_count
        what = f"{settings.task_count} of {nodes} nodes are on the spot market: a loss ends a barrier stage"
        found.append(warn("barrier", "checklist.barrier-spot", what, 'places.emr.task_spot = false, or strategy = "tasks"'))
    if table:
        found.append(_room(look, settings, layout.container_mib))
    return found


def _room(look: Look, settings: Any, container_mib: int) -> Line:
    table = look.job.table
    assert table is not None
    needed = memory_needed_mib(table)
    nodes = settings.core_count + settings.task_count
    if look.job.strategy == "tasks":
        room, how = container_mib * LONE_MIB, f"one executor of {container_mib:,} MiB (strategy tasks)"
    else:
        room, how = float(container_mib * nodes), f"{nodes} executors of {container_mib:,} MiB"
    what = f"the table takes about {needed:,.0f} MiB in training, there is room for {room:,.0f} in {how}"
    if needed <= room:
        return ok("memory", what)
    fix = f"places.emr.core_count = {max(nodes + 1, round(nodes * needed / room + 0.5))}, or a larger core_type, or search.rows"
    if look.job.strategy == "tasks":
        fix = 'places.spark.strategy = "auto", so that a large table is trained over the cluster; or a larger core_type'
    return block("memory", "checklist.memory", what, fix)


def network(look: Look) -> list[Line]:
    """The subnet has addresses and a way to S3; the security groups let the nodes out and nobody in."""
    subnet = str(look.cluster.get("Ec2InstanceAttributes", {}).get("Ec2SubnetId") or look.settings.subnet)
    found: list[Line] = []
    if not subnet:
        found.append(ok("subnet", "the account's default"))
    else:
        try:
            found += _subnet(look, subnet)
        except PlaceError as exc:
            if "InvalidSubnetID" in exc.why:
                fix = "places.emr.subnet: take the output `subnet` of filon infra up"
                return [block("subnet", "checklist.subnet", f"there is no subnet {subnet} in {look.aws.region}", fix)]
            return [refused_look("subnet", exc)]
    try:
        return found + _groups(look)
    except PlaceError as exc:
        return [*found, refused_look("security groups", exc)]


def _subnet(look: Look, subnet: str) -> list[Line]:
    seen = look.aws.call("ec2", "describe_subnets", SubnetIds=[subnet])["Subnets"][0]
    free, shape = int(seen["AvailableIpAddressCount"]), shape_of(look.settings)
    nodes = 1 + shape.core_count + shape.task_count
    if not look.settings.cluster_id and free < nodes:
        what = f"{subnet} has {free} free addresses, the cluster needs {nodes}"
        return [block("subnet", "checklist.subnet-full", what, "a larger subnet, or fewer nodes")]
    routes = routes_of(look, subnet, str(seen["VpcId"]))
    out = any(str(one.get("GatewayId", "")).startswith("igw-") or one.get("NatGatewayId") for one in routes)
    by_door = any(str(one.get("GatewayId", "")).startswith("vpce-") for one in routes) or _s3_endpoint(look, str(seen["VpcId"]))
    if not out and not by_door:
        fix = "add a gateway endpoint for S3 to its route table: it costs nothing (filon infra init writes one)"
        return [block("subnet", "checklist.subnet-closed", f"{subnet} has no way to S3: no internet or NAT gateway, no endpoint", fix)]
    return [ok("subnet", f"{subnet}: {free} free addresses, {'S3 by its own endpoint' if by_door else 'S3 over the internet'}")]


def routes_of(look: Look, subnet: str, vpc: str) -> list[dict[str, Any]]:
    """Routes of a subnet: of its own table, else of the network's main one."""
    asked = {"association.subnet-id": subnet}, {"vpc-id": vpc, "association.main": "true"}
    for wanted in asked:
        filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
        tables = look.aws.call("ec2", "describe_route_tables", Filters=filters)["RouteTables"]
        if tables:
            return [route for table in tables for route in table["Routes"]]
    return []


def _s3_endpoint(look: Look, vpc: str) -> bool:
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    found = look.aws.call("ec2", "describe_vpc_endpoints", Filters=filters).get("VpcEndpoints", [])
    return any(one["ServiceName"].endswith(".s3") and one["State"].lower() in ("available", "pending") for one in found)


def _groups(look: Look) -> list[Line]:
    attributes = look.cluster.get("Ec2InstanceAttributes", {})
    ids = [attributes.get(key) for key in ("EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup")]
    ids += [] if look.settings.cluster_id else [look.settings.primary_group, look.settings.nodes_group]
    ids = [one for one in (*ids, *attributes.get("AdditionalMasterSecurityGroups", [])) if one]
    if not ids:
        return []
    seen = look.aws.call("ec2", "describe_security_groups", GroupIds=list(dict.fromkeys(ids)))["SecurityGroups"]
    open_ports = sorted({_ports(rule) for group in seen for rule in group["IpPermissions"] if _for_anybody(rule)})
    shut = [group["GroupId"] for group in seen if not group["IpPermissionsEgress"]]
    if shut:
        fix = "allow them out (filon infra init writes the rule): S3, EMR and package indexes are outside"
        return [block("security groups", "checklist.group-shut", f"{some(shut)} let nothing out", fix)]
    if open_ports:
        fix = "take the rules away; Session Manager needs none, SSH only your own address (places.emr.infra.ssh_cidrs)"
        return [block("security groups", "checklist.group-open", f"anybody on the internet may reach ports {', '.join(open_ports)}", fix)]
    return [ok("security groups", f"{len(seen)} groups, nobody from outside")]


def _for_anybody(rule: dict[str, Any]) -> bool:
    cidrs = [one.get("CidrIp") for one in rule.get("IpRanges", [])] + [one.get("CidrIpv6") for one in rule.get("Ipv6Ranges", [])]
    return "0.0.0.0/0" in cidrs or "::/0" in cidrs


def _ports(rule: dict[str, Any]) -> str:
    if rule["IpProtocol"] == "-1":
        return "all"
    low, high = rule.get("FromPort"), rule.get("ToPort")
    return str(low) if low == high else f"{low}-{high}"


def idle(look: Look) -> list[Line]:
    """A cluster that nobody uses ends by itself."""
    if not look.settings.cluster_id:
        return [
            ok("auto-termination", f"the cluster ends with the job, and after {look.settings.idle_minutes} idle minutes whatever happens")
        ]
    try:
        policy = look.aws.call("emr", "get_auto_termination_policy", ClusterId=look.settings.cluster_id).get("AutoTerminationPolicy")
    except PlaceError as exc:
        return [refused_look("auto-termination", exc)]
    fix = f"aws emr put-auto-termination-policy --cluster-id {look.settings.cluster_id} --auto-termination-policy IdleTimeout=3600"
    if not policy or not policy.get("IdleTimeout"):
        return [warn("auto-termination", "checklist.never-idle", "the cluster stays, and is paid, until somebody ends it", fix)]
    minutes = int(policy["IdleTimeout"]) // 60
    if minutes > MOST_IDLE:
        return [warn("auto-termination", "checklist.never-idle", f"only after {minutes:,} idle minutes", fix)]
    if look.cluster.get("TerminationProtected"):
        fix = f"aws emr modify-cluster-attributes --cluster-id {look.settings.cluster_id} --no-termination-protected"
        return [warn("auto-termination", "checklist.protected", "termination protection keeps it from ending when idle", fix)]
    return [ok("auto-termination", f"after {minutes} idle minutes")]


MOST_IDLE = 12 * 60


def logs(look: Look) -> list[Line]:
    """Logs go to a bucket that is there: without them `filon logs` and `filon doctor` see nothing."""
    if look.settings.cluster_id and not look.cluster:
        return []
    where = log_uri_of(look.cluster) if look.settings.cluster_id else look.settings.log_uri or f"{look.settings.bucket}/logs"
    if not where.startswith("s3://"):
        what = "the cluster writes no logs to S3: a failure could not be explained"
        return [warn("logs", "checklist.no-logs", what, "a cluster's log URI cannot be changed: filon infra up makes one that has it")]
    name = where.removeprefix("s3://").partition("/")[0]
    if name and name != look.bucket:
        try:
            look.aws.call("s3", "head_bucket", Bucket=name)
        except PlaceError as exc:
            what = f"logs go to {where}, and its bucket answers: {exc.what}"
            return [warn("logs", "checklist.no-logs", what, "places.emr.log_uri: a bucket that you may read")]
    return [ok("logs", where)]
