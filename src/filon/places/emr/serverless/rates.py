"""What EMR Serverless costs: vCPU-hours and GB-hours of its workers, before a run and after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from filon.places.emr.bill import Paid
from filon.places.emr.prices import Prices, by_table, price_table
from filon.places.emr.serverless.runs import GOING, SERVICE
from filon.places.emr.serverless.workers import SHAPES, Worker, Workers, workers_of
from filon.places.emr.settings import EmrSettings
from filon.places.emr.shapes import COUNTS, HourPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars of a vCPU, a GB of memory and a GB of disk an hour; `prices` has the rest (S3), and says where all of it is from."""

    vcpu: float
    memory: float
    disk: float
    prices: Prices


def rates(region: str) -> Rates:
    """Rates by the table: AWS's published ones of us-east-1, elsewhere in proportion to what an m5 costs there, which is an estimate.

    Raises
    ------
    RecipeError : `cost.no-price`
    """
    table = price_table()
    told, base, here = table["serverless"], table["ec2"]["us-east-1"]["m5"], table["ec2"].get(region, {}).get("m5", 0.0)
    found = by_table(region, ())
    share, source = here / base, str(told["source"])
    if region != "us-east-1":
        source += f"; {region} by the price of its m5, an estimate"
    found = replace(found, as_of=told["date"], source=source)
    return Rates(vcpu=told["vcpu_hour"] * share, memory=told["gb_hour"] * share, disk=told["disk_gb_hour"] * share, prices=found)


def hour_price(workers: Workers, by: Rates) -> HourPrice:
    """An hour of all workers and the driver: vCPUs as machines, memory in the place of EMR's charge."""
    return HourPrice(machines=workers.vcpus * by.vcpu, emr=workers.memory_gib * by.memory, disks=workers.paid_disk_gib * by.disk)


def dollars_an_hour(settings: EmrSettings, region: str) -> float:
    """What an hour of a job costs when all its workers work: by which `search.budget.dollars` becomes a stop.

    Raises
    ------
    RecipeError : `cost.no-price`
    """
    return hour_price(workers_of(settings), rates(region)).total


def candidates(like: Workers) -> Iterator[Workers]:
    """Shapes to choose from: `like`, and workers of 4, 8 and 16 vCPUs in the same proportion of memory, in usual counts."""
    yield like
    by_core = like.executor.memory_gib / like.executor.cores
    for cores in (4, 8, 16):
        least, most, step = SHAPES[cores]
        memory = min(most, max(least, round(by_core * cores / step) * step))
        for count in COUNTS:
            yield replace(like, executor=Worker(cores=cores, memory_gib=memory, disk_gib=like.executor.disk_gib), count=count)


def paid_run(aws: Any, application: str, run: str) -> Paid:
    """What a job run did cost, by the hours that AWS has counted for it.

    Raises
    ------
    PlaceError : `places.*`
    RecipeError : `cost.no-price`
    """
    told = aws.call(SERVICE, "get_job_run", applicationId=application, jobRunId=run)["jobRun"]
    used = told.get("billedResourceUtilization") or told.get("totalResourceUtilization") or {}
    by = rates(aws.region)
    counted = {
        name: float(used.get(key) or 0.0) for name, key in (("vCPU", "vCPUHour"), ("GB", "memoryGBHour"), ("disk GB", "storageGBHour"))
    }
    return Paid(
        cluster=application,
        hours=float(told.get("totalExecutionDurationSeconds") or 0) / 3600,
        instance_hours={name: round(one, 4) for name, one in counted.items() if one},
        machines=counted["vCPU"] * by.vcpu,
        emr=counted["GB"] * by.memory,
        disks=counted["disk GB"] * by.disk,
        shared=False,
        open=told["state"] in GOING,
        priced=by.prices.told(),
    )
