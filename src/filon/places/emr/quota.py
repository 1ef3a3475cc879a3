"""EC2's quotas of virtual cores against what a new cluster needs and what already runs."""

from __future__ import annotations

import math

from filon.errors import PlaceError
from filon.places.emr.client import pages
from filon.places.emr.lines import Line, Look, block, ok, refused_look, warn
from filon.places.emr.shapes import shape_of
from filon.places.emr.sizing import instance

QUOTAS = {"on demand": "L-1216C47A", "spot": "L-34B43A08"}
"""Codes of "Running On-Demand Standard instances" and "All Standard Spot Instance Requests", in vCPUs (families C, I, M, R and others)."""

TIGHT = 0.9


def quota(look: Look) -> list[Line]:
    """Whether the cores of a new cluster are within the account's quotas; a standing cluster has its own already."""
    if look.settings.cluster_id:
        return []
    shape, found = shape_of(look.settings), []
    for market, code in QUOTAS.items():
        needed = shape.vcpus(spot=market == "spot")
        if not needed:
            continue
        try:
            allowed = float(look.aws.call("service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])
            used = _used(look, market)
        except PlaceError as exc:
            found.append(refused_look(f"quota {market}", exc))
            continue
        what = f"{needed} vCPUs {market} are needed, {used:g} of {allowed:g} are in use"
        more = needed + used if needed + used > allowed else math.ceil(allowed * 1.25)  # AWS takes no request for less than there is
        fix = f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} --desired-value {more:g}"
        if needed + used > allowed:
            found.append(block(f"quota {market}", "checklist.quota", what, fix))
        elif needed + used > TIGHT * allowed:
            found.append(warn(f"quota {market}", "checklist.quota-tight", what, fix))
        else:
            found.append(ok(f"quota {market}", what))
    return found


def _used(look: Look, market: str) -> float:
    """Virtual cores that run now in the market."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    total = 0.0
    for reservation in pages(look.aws, "ec2", "describe_instances", "Reservations", ("NextToken", "NextToken"), Filters=running):
        for one in reservation["Instances"]:
            if (one.get("InstanceLifecycle") == "spot") != (market == "spot"):
                continue
            cores = one.get("CpuOptions", {})
            try:
                total += cores["CoreCount"] * cores["ThreadsPerCore"] if cores.get("CoreCount") else instance(one["InstanceType"]).cores
            except PlaceError:
                total += 1  # a family that we do not know: EMR has none of it
    return total
