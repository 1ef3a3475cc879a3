"""Executors by the instances and the table: what spark-submit is told about memory, cores and how many."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from filon.errors import PlaceError
from filon.places.emr.settings import EmrSettings

GIB_PER_CORE: Mapping[str, float] = {"c": 2.0, "m": 4.0, "r": 8.0, "x": 16.0, "z": 8.0, "i": 8.0, "d": 8.0, "g": 4.0, "p": 8.0}
"""Memory by the first letter of the type: the families keep this ratio from generation to generation."""

CORES: Mapping[str, int] = {"medium": 1, "large": 2, "xlarge": 4, "metal": 96}

DRIVER_MIB = 4096
"""Heap and overhead of the driver, which in cluster mode stands on a core node; it holds tallies and models, never rows (law 5)."""

HEAP_SHARE = 0.4
"""Of an executor's container for the JVM; the rest is for Python, Arrow and XGBoost, which live outside it."""

GROWTH = {"parquet": 6.0, "csv": 1.2}
"""Bytes of float32 columns in memory per byte on disk, as a rule of thumb: Parquet is packed, text is wider than its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What a type offers: virtual cores, memory in MiB, and the part of it that YARN gives to containers."""

    name: str
    cores: int
    memory_mib: int
    yarn_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How Spark is to be laid out: containers in MiB (heap and the rest), how many, and whether their number may change while it runs."""

    executors: int
    cores: int
    heap_mib: int
    overhead_mib: int
    driver_heap_mib: int
    driver_overhead_mib: int
    dynamic: bool
    why: str
    driver_cores: int = 0

    @property
    def container_mib(self) -> int:
        """Memory of one executor's container."""
        return self.heap_mib + self.overhead_mib

    def conf(self) -> dict[str, str]:
        """Spark properties."""
        said = {
            "spark.executor.cores": str(self.cores),
            "spark.executor.memory": f"{self.heap_mib}m",
            "spark.executor.memoryOverhead": f"{self.overhead_mib}m",
            "spark.driver.memory": f"{self.driver_heap_mib}m",
            "spark.driver.memoryOverhead": f"{self.driver_overhead_mib}m",
            "spark.dynamicAllocation.enabled": str(self.dynamic).lower(),
        }
        if self.driver_cores:
            said["spark.driver.cores"] = str(self.driver_cores)
        if not self.dynamic:
            return {**said, "spark.executor.instances": str(self.executors)}
        # all at once: there is work for them from the first minute, and those that have none are given back
        limits = ("spark.dynamicAllocation.initialExecutors", "spark.dynamicAllocation.maxExecutors")
        return {**said, **dict.fromkeys(limits, str(self.executors))}


def instance(name: str) -> Instance:
    """What an instance type offers, by its name.

    Raises
    ------
    PlaceError : `places.instance-unknown`

    Examples
    --------
    >>> instance("m5.2xlarge")
    Instance(name='m5.2xlarge', cores=8, memory_mib=32768, yarn_mib=24576)
    """
    found = re.fullmatch(r"([a-z])[a-z0-9-]*\.(?:(\d*)xlarge|(medium|large|metal))", name)
    if not found or found.group(1) not in GIB_PER_CORE:
        raise PlaceError(
            "places.instance-unknown",
            f'"{name}" is no instance type we can size executors for',
            f"the families known are {', '.join(sorted(GIB_PER_CORE))}",
            'core_type = "m5.2xlarge", or give executor_memory_mib and executor_cores',
        )
    cores = int(found.group(2) or 1) * CORES["xlarge"] if found.group(3) is None else CORES[found.group(3)]
    memory = int(cores * GIB_PER_CORE[found.group(1)] * 1024)
    return Instance(name=name, cores=cores, memory_mib=memory, yarn_mib=memory - max(1024, min(8192, memory // 4)))


def plan(settings: EmrSettings, *, table_mib: float = 0.0, strategy: str = "auto") -> Plan:
    """Executors for a job.

    Parameters
    ----------
    table_mib : the table on disk as it will be in memory, in MiB (see `in_memory_mib`); 0 when not known
    strategy : `places.spark.strategy`: only "tasks" never needs a barrier stage

    Returns
    -------
    one executor a node, as large as the node allows beside the driver; no more of them than the table can use
    """
    node = instance(settings.core_type) if not (settings.executor_memory_mib and settings.executor_cores) else None
    room = node.yarn_mib - DRIVER_MIB if node else 0
    container = settings.executor_memory_mib or max(2048, room)
    cores = settings.executor_cores or (node.cores if node else 1)
    nodes = settings.core_count + settings.task_count
    executors = useful(nodes, container, table_mib)
    heap = max(1024, int(container * HEAP_SHARE))
    driver_heap = int(DRIVER_MIB * 0.5)
    dynamic = is_dynamic(settings, strategy)
    why = f"{executors} of {nodes} nodes ({settings.core_type}), {container:,} MiB and {cores} cores each"
    if not dynamic:
        why += FIXED
    return Plan(
        executors=executors,
        cores=cores,
        heap_mib=heap,
        overhead_mib=container - heap,
        driver_heap_mib=driver_heap,
        driver_overhead_mib=DRIVER_MIB - driver_heap,
        dynamic=dynamic,
        why=why,
    )


FIXED = "; dynamic allocation off: a barrier stage needs all its slots at once"


def useful(most: int, container_mib: int, table_mib: float) -> int:
    """Executors that a table can use, of those there may be; all of them when its size is not known."""
    return min(most, max(1, math.ceil(3 * table_mib / container_mib))) if table_mib else most


def is_dynamic(settings: EmrSettings, strategy: str) -> bool:
    """Whether the number of executors may change: only strategy "tasks" never needs a barrier stage."""
    return settings.dynamic_allocation == "on" or (settings.dynamic_allocation == "auto" and strategy == "tasks")


def in_memory_mib(size_bytes: int, name: str) -> float:
    """A table's likely size in memory, from its bytes on disk and the name of one of its files."""
    kind = "csv" if re.search(r"\.(csv|tsv|txt)(\.gz)?$", name) else "parquet"
    packed = 6.0 if name.endswith(".gz") else 1.0
    return size_bytes * GROWTH[kind] * packed / 2**20
