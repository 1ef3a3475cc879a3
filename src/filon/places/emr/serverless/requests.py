"""The requests of EMR Serverless: an application that grows no further than its jobs need, and a job run in it."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import Any

from filon.places.emr.serverless.workers import Workers
from filon.places.emr.settings import EmrSettings
from filon.places.emr.submit import Order
from filon.places.emr.transient import tags

IDLE_MINUTES = 15
"""After so long without a job an application gives its workers back; `places.emr.idle_minutes` may ask for less."""

TIMEOUT_MINUTES = 24 * 60
"""Of a job run: AWS ends one after twelve hours where nobody says otherwise."""

PYTHON = "./environment/bin/python"
DRIVER_ENV = "spark.emr-serverless.driverEnv."
YARN_DRIVER_ENV = "spark.yarn.appMasterEnv."
"""How a cluster's driver is given variables; a recipe that names one means the driver, wherever it is."""

YARN_ONLY = ("spark.yarn.",)


def application_name(settings: EmrSettings, project: str, workers: Workers) -> str:
    """Name of the application for a project and what its jobs need: jobs that need the same share one."""
    capacity = f"{_vcpus(settings, workers)} {_memory(settings, workers)} {_disk(settings, workers)}"
    spec = "\n".join([settings.release, settings.image, settings.subnet, capacity, *sorted(f"{a}={b}" for a, b in settings.tags.items())])
    return f"filon-{re.sub(r'[^A-Za-z0-9._-]', '-', project)[:40]}-{hashlib.sha256(spec.encode()).hexdigest()[:8]}"


def _vcpus(settings: EmrSettings, workers: Workers) -> int:
    return max(settings.max_vcpus, workers.driver.cores + workers.executor.cores) if settings.max_vcpus else workers.vcpus


def _memory(settings: EmrSettings, workers: Workers) -> int:
    """As much as fits the vCPUs in this worker's proportion."""
    executors = max(1, (_vcpus(settings, workers) - workers.driver.cores) // workers.executor.cores)
    return workers.driver.memory_gib + executors * workers.executor.memory_gib


def _disk(settings: EmrSettings, workers: Workers) -> int:
    executors = max(1, (_vcpus(settings, workers) - workers.driver.cores) // workers.executor.cores)
    return workers.driver.disk_gib + executors * workers.executor.disk_gib


def application(settings: EmrSettings, *, name: str, token: str, project: str, workers: Workers) -> dict[str, Any]:
    """CreateApplication: starts by itself, stops by itself, and never grows beyond what the job needs.

    Parameters
    ----------
    token : the same token makes one application, however often it is sent
    """
    request: dict[str, Any] = {
        "name": name,
        "releaseLabel": settings.release,
        "type": "SPARK",
        "clientToken": token,
        "architecture": "X86_64",
        "maximumCapacity": {
            "cpu": f"{_vcpus(settings, workers)} vCPU",
            "memory": f"{_memory(settings, workers)} GB",
            "disk": f"{_disk(settings, workers)} GB",
        },
        "autoStartConfiguration": {"enabled": True},
        "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": min(IDLE_MINUTES, settings.idle_minutes)},
        "tags": {one["Key"]: one["Value"] for one in tags(settings, "", project) if one["Value"]},
    }
    if settings.subnet:
        request["networkConfiguration"] = {"subnetIds": [settings.subnet]}
    if settings.image:
        request["imageConfiguration"] = {"imageUri": settings.image}
    return request


def job_run(
    order: Order, settings: EmrSettings, *, application_id: str, token: str, role: str, log_uri: str, region: str
) -> dict[str, Any]:
    """StartJobRun: the same program and words as a step's, with the environment by `spark.archives`."""
    return {
        "applicationId": application_id,
        "clientToken": token,
        "executionRoleArn": role,
        "name": order.name,
        "executionTimeoutMinutes": TIMEOUT_MINUTES,
        # a second attempt would train all over again, unseen and paid
        "retryPolicy": {"maxAttempts": 1},
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": order.script,
                "entryPointArguments": list(order.words),
                "sparkSubmitParameters": parameters(order, settings, region),
            }
        },
        "configurationOverrides": {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{log_uri}/"}}},
        "tags": {one["Key"]: one["Value"] for one in tags(settings, order.job.key, order.job.name)},
    }


def parameters(order: Order, settings: EmrSettings, region: str) -> str:
    """Spark's properties as one line of words: those of the order that are not YARN's, and Serverless' own."""
    disk = str(max(20, min(200, settings.core_disk_gib)))
    ours = {
        "spark.archives": f"{order.environment}#environment",
        f"{DRIVER_ENV}PYSPARK_PYTHON": PYTHON,
        f"{DRIVER_ENV}PYSPARK_DRIVER_PYTHON": PYTHON,
        f"{DRIVER_ENV}AWS_REGION": region,
        "spark.emr-serverless.executor.disk": f"{disk}G",
    }
    given = {
        f"{DRIVER_ENV}{name.removeprefix(YARN_DRIVER_ENV)}": value
        for name, value in order.conf.items()
        if name.startswith(YARN_DRIVER_ENV) and name.removeprefix(YARN_DRIVER_ENV) not in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    }
    kept = {name: value for name, value in order.conf.items() if not name.startswith(YARN_ONLY)}
    # a recipe's own properties come last here too
    conf = {**kept, **ours, **given, **{name: value for name, value in settings.conf.items() if not name.startswith(YARN_ONLY)}}
    return " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in sorted(conf.items()))
