"""A cluster made for one job: by RunJobFlow with the steps in it, so that there is no cluster without work, and it ends by itself."""

from __future__ import annotations

import re
from typing import Any

from filon.places.emr.policies import PROJECT_TAG
from filon.places.emr.settings import EmrSettings

ALIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
TAG = "filon:job"
BY = "filon:by"
"""Who made it, user@machine: clean-up leaves a colleague's cluster alone."""
MADE_BY = {"Key": "filon:made-by", "Value": "filon"}

CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"Classification": "spark", "Properties": {"maximizeResourceAllocation": "false"}},  # executors are sized by our own arguments
    {
        "Classification": "yarn-site",
        "Properties": {
            "yarn.log-aggregation-enable": "true",
            # the driver on core nodes only, which nobody takes back: from EMR 6 on YARN would place it on a spot node too
            "yarn.node-labels.enabled": "true",
            "yarn.node-labels.am.default-node-label-expression": "CORE",
        },
    },
)

PYTHON_SCRIPT = """#!/bin/bash
# the lane's Python: the environment that Spark unpacks has packages, not an interpreter
set -e
command -v python3.11 >/dev/null || sudo dnf install -y -q python3.11
"""


def run_job_flow(
    settings: EmrSettings, *, name: str, job: str, project: str, log_uri: str, bootstrap: str, steps: list[dict[str, Any]]
) -> dict[str, Any]:
    """The request of a transient cluster.

    Parameters
    ----------
    bootstrap : s3:// address of `PYTHON_SCRIPT`
    """
    request: dict[str, Any] = {
        "Name": name,
        "ReleaseLabel": _release(settings.release),
        "LogUri": f"{log_uri}/",
        "Applications": [{"Name": "Spark"}],
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "VisibleToAllUsers": True,
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_minutes * 60},
        "Configurations": list(CONFIGURATIONS),
        "BootstrapActions": [{"Name": "python3.11", "ScriptBootstrapAction": {"Path": bootstrap}}],
        "Tags": tags(settings, job, project),
        "Steps": steps,
        "Instances": {
            "InstanceGroups": groups(settings),
            "KeepJobFlowAliveWhenNoSteps": False,
            "TerminationProtected": False,
        },
    }
    if settings.key_pair:
        request["Instances"]["Ec2KeyName"] = settings.key_pair
    if settings.subnet:
        request["Instances"]["Ec2SubnetId"] = settings.subnet
    if settings.primary_group:
        request["Instances"]["EmrManagedMasterSecurityGroup"] = settings.primary_group
        request["Instances"]["EmrManagedSlaveSecurityGroup"] = settings.nodes_group
    if settings.service_group:
        request["Instances"]["ServiceAccessSecurityGroup"] = settings.service_group
    return request


def _release(release: str) -> str:
    return release if release.startswith("emr-") else f"emr-{release}"


def tags(settings: EmrSettings, job: str, project: str) -> list[dict[str, str]]:
    """How clean-up knows its own, and the account its costs."""
    return [
        MADE_BY,
        {"Key": TAG, "Value": job},
        {"Key": PROJECT_TAG, "Value": project},
        {"Key": BY, "Value": maker()},
        *({"Key": key, "Value": value} for key, value in sorted(settings.tags.items())),
    ]


def maker() -> str:
    """user@machine, as a tag's value may be."""
    import getpass
    import platform

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "nobody"
    return re.sub(r"[^\w@.:/=+-]", "-", f"{user}@{platform.node()}")[:256]


def groups(settings: EmrSettings) -> list[dict[str, Any]]:
    """Instance groups: primary and core on demand, so that a spot loss takes no data and no driver; task nodes as the recipe says."""
    found = [
        _group("PRIMARY", "MASTER", settings.primary_type, 1, settings.primary_disk_gib, 1, spot=False),
        _group("CORE", "CORE", settings.core_type, settings.core_count, settings.core_disk_gib, 2, spot=False),
    ]
    if settings.task_count:
        kind = settings.task_type or settings.core_type
        found.append(_group("TASK", "TASK", kind, settings.task_count, settings.core_disk_gib, 1, spot=settings.task_spot))
    return found


def _group(name: str, role: str, kind: str, count: int, disk_gib: int, disks: int, *, spot: bool) -> dict[str, Any]:
    disk = {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": disk_gib}, "VolumesPerInstance": disks}
    return {
        "Name": name,
        "InstanceRole": role,
        "InstanceType": kind,
        "InstanceCount": count,
        "Market": "SPOT" if spot else "ON_DEMAND",
        "EbsConfiguration": {"EbsBlockDeviceConfigs": [disk]},
    }
