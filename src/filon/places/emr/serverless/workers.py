"""Workers of EMR Serverless: the shapes that it takes, and the driver and executors of a job in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from filon.errors import PlaceError
from filon.places.emr.settings import EmrSettings
from filon.places.emr.sizing import FIXED, HEAP_SHARE, Plan, instance, is_dynamic, useful

SHAPES: Mapping[int, tuple[int, int, int]] = {1: (2, 8, 1), 2: (4, 16, 1), 4: (8, 30, 1), 8: (16, 60, 4), 16: (32, 120, 8)}
"""Memory in GB by vCPUs: the least, the most, the step (AWS's guide of EMR Serverless, "Supported worker configurations"). What lies
between is rounded up by AWS, and paid."""

DRIVER = (2, 8)
"""vCPUs and GB of the driver: it holds tallies and models, never rows (law 5)."""

DISK_GIB = (20, 200)
"""Of a worker's own disk: the least and the most; the least is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker in a shape that exists: virtual cores, memory in GiB, disk in GiB."""

    cores: int
    memory_gib: int
    disk_gib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """All workers that a job may have: what an application must be able to grow to, and what an hour of it costs."""

    executor: Worker
    driver: Worker
    count: int

    def __str__(self) -> str:
        one = self.executor
        return f"{self.count} workers of {one.cores} vCPUs and {one.memory_gib} GB on EMR Serverless"

    @property
    def working_cores(self) -> int:
        """Virtual cores of the executors."""
        return self.executor.cores * self.count

    @property
    def executors_mib(self) -> int:
        """Memory of all executors."""
        return self.executor.memory_gib * 1024 * self.count

    @property
    def executor_mib(self) -> int:
        """Memory of one executor."""
        return self.executor.memory_gib * 1024

    @property
    def parts(self) -> tuple[str, str, str]:
        """What an hour is paid for."""
        return "vCPUs", "memory", "disks"

    @property
    def vcpus(self) -> int:
        """Virtual cores with the driver's."""
        return self.working_cores + self.driver.cores

    @property
    def memory_gib(self) -> int:
        """Memory with the driver's."""
        return self.executor.memory_gib * self.count + self.driver.memory_gib

    @property
    def disk_gib(self) -> int:
        """Disks with the driver's."""
        return self.executor.disk_gib * self.count + self.driver.disk_gib

    @property
    def paid_disk_gib(self) -> int:
        """Disks beyond what each worker has for nothing."""
        return self.disk_gib - DISK_GIB[0] * (self.count + 1)


def fitted(cores: int, memory_mib: float) -> tuple[int, int]:
    """The smallest shape that has so many cores and so much memory: vCPUs and GB.

    Raises
    ------
    PlaceError : `places.worker-too-large`

    Examples
    --------
    >>> fitted(4, 20_000), fitted(8, 33_000), fitted(3, 1), fitted(4, 40_000)
    ((4, 20), (8, 36), (4, 8), (8, 40))
    """
    for have, (least, most, step) in SHAPES.items():
        if have >= cores and most * 1024 >= memory_mib:
            return have, least + max(0, math.ceil((math.ceil(memory_mib / 1024) - least) / step)) * step
    cores_most, (_, most, _) = max(SHAPES.items())
    raise PlaceError(
        "places.worker-too-large",
        f"no worker of EMR Serverless has {cores} vCPUs and {memory_mib:,.0f} MiB",
        f"the largest has {cores_most} vCPUs and {most} GB",
        f"places.emr.executor_cores = {cores_most} and executor_memory_mib = {most * 1024}, or less; or a cluster (serverless = false)",
    )


def workers_of(settings: EmrSettings) -> Workers:
    """The workers that a recipe asks for: as many as it has nodes, each in the shape nearest to a core node.

    Raises
    ------
    PlaceError : `places.worker-too-large`, `places.instance-unknown`
    """
    given = settings.executor_cores and settings.executor_memory_mib
    node = None if given else instance(settings.core_type)
    cores = settings.executor_cores or min(max(SHAPES), node.cores if node else 1)
    most = SHAPES[min(have for have in SHAPES if have >= min(cores, max(SHAPES)))][1] * 1024
    memory = settings.executor_memory_mib or min(most, node.memory_mib if node else most)
    cores, memory_gib = fitted(cores, memory)
    disk = min(DISK_GIB[1], max(DISK_GIB[0], settings.core_disk_gib))
    return Workers(
        executor=Worker(cores=cores, memory_gib=memory_gib, disk_gib=disk),
        driver=Worker(cores=DRIVER[0], memory_gib=DRIVER[1], disk_gib=DISK_GIB[0]),
        count=settings.core_count + settings.task_count,
    )


def plan_workers(settings: EmrSettings, *, table_mib: float = 0.0, strategy: str = "auto") -> Plan:
    """Driver and executors of a job, as `sizing.plan` has them for a cluster.

    Raises
    ------
    PlaceError : `places.worker-too-large`, `places.instance-unknown`
    """
    all_of_them = workers_of(settings)
    one, driver = all_of_them.executor, all_of_them.driver
    container = one.memory_gib * 1024
    executors = useful(all_of_them.count, container, table_mib)
    heap, driver_heap = int(container * HEAP_SHARE), driver.memory_gib * 512
    dynamic = is_dynamic(settings, strategy)
    why = f"{executors} of {all_of_them.count} workers of {one.cores} vCPUs and {one.memory_gib} GB" + ("" if dynamic else FIXED)
    return Plan(
        executors=executors,
        cores=one.cores,
        heap_mib=heap,
        overhead_mib=container - heap,
        driver_heap_mib=driver_heap,
        driver_overhead_mib=driver.memory_gib * 1024 - driver_heap,
        dynamic=dynamic,
        why=why,
        driver_cores=driver.cores,
    )
