"""Shapes of a cluster: what an hour of one costs, how much of it computes, and which shapes are worth comparing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from filon.errors import PlaceError, some
from filon.places.emr.prices import Prices
from filon.places.emr.settings import EmrSettings
from filon.places.emr.sizing import DRIVER_MIB, instance

MONTH_HOURS = 730.0

ARM = re.compile(r"[a-z]+\d+g[a-z]*\.|a1\.")
"""Types with Graviton: m6g, r7gd, c8gn."""


def machine_of(kinds: Iterable[str]) -> str:
    """The processors of a cluster's nodes, as wheels name them: "x86_64" or "aarch64".

    Raises
    ------
    PlaceError : `places.processors-mixed`, because one environment goes to all nodes

    Examples
    --------
    >>> machine_of(["m5.xlarge", "r6i.2xlarge"]), machine_of(["m7g.xlarge", "c6gd.2xlarge"])
    ('x86_64', 'aarch64')
    """
    every = list(kinds)
    arm = sorted({kind for kind in every if ARM.match(kind)})
    if arm and len(arm) < len(set(every)):
        others = sorted(set(every) - set(arm))
        raise PlaceError(
            "places.processors-mixed",
            "the cluster has ARM processors and others, and one environment cannot be for both",
            f"{some(arm)} beside {some(others)}",
            "primary_type, core_type and task_type of one kind: all with a g (m7g.xlarge), or none (m6i.xlarge)",
        )
    return "aarch64" if arm else "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A cluster: one primary node, core nodes on demand with two disks each, task nodes with one."""

    primary_type: str
    primary_disk_gib: int
    core_type: str
    core_count: int
    core_disk_gib: int
    task_type: str
    task_count: int
    task_spot: bool

    def __str__(self) -> str:
        text = f"1 x {self.primary_type} + {self.core_count} x {self.core_type}"
        return text + (f" + {self.task_count} x {self.task_type}{' spot' if self.task_spot else ''}" if self.task_count else "")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Instance types in it."""
        return tuple(dict.fromkeys((self.primary_type, self.core_type, *((self.task_type,) if self.task_count else ()))))

    @property
    def working_cores(self) -> int:
        """Virtual cores of the nodes that run executors."""
        task = instance(self.task_type).cores * self.task_count if self.task_count else 0
        return instance(self.core_type).cores * self.core_count + task

    @property
    def executor_mib(self) -> int:
        """Memory of the largest executor, one a node, beside the driver."""
        return instance(self.core_type).yarn_mib - DRIVER_MIB

    @property
    def executors_mib(self) -> int:
        """Memory of all executors, one a node."""
        return self.executor_mib * (self.core_count + self.task_count)

    @property
    def parts(self) -> tuple[str, str, str]:
        """What an hour is paid for."""
        return "instances", "EMR", "disks"

    @property
    def disk_gib(self) -> int:
        """Of all nodes; EMR also gives each a root disk of 15 GiB."""
        nodes = 1 + self.core_count + self.task_count
        return self.primary_disk_gib + self.core_disk_gib * (2 * self.core_count + self.task_count) + 15 * nodes

    def vcpus(self, *, spot: bool) -> int:
        """What counts against EC2's quota of the market."""
        task = instance(self.task_type).cores * self.task_count if self.task_count else 0
        if spot:
            return task if self.task_spot else 0
        standing = instance(self.primary_type).cores + instance(self.core_type).cores * self.core_count
        return standing + (0 if self.task_spot else task)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPrice:
    """Dollars of an hour, by what they are for."""

    machines: float
    emr: float
    disks: float

    @property
    def total(self) -> float:
        """Dollars of an hour."""
        return self.machines + self.emr + self.disks


def shape_of(settings: EmrSettings) -> Shape:
    """The cluster that the recipe's table asks for."""
    return Shape(
        primary_type=settings.primary_type,
        primary_disk_gib=settings.primary_disk_gib,
        core_type=settings.core_type,
        core_count=settings.core_count,
        core_disk_gib=settings.core_disk_gib,
        task_type=settings.task_type or settings.core_type,
        task_count=settings.task_count,
        task_spot=settings.task_spot,
    )


def hour_price(shape: Shape, prices: Prices) -> HourPrice:
    """What an hour of a cluster costs."""
    machines = prices.machine(shape.primary_type) + shape.core_count * prices.machine(shape.core_type)
    emr = prices.emr[shape.primary_type] + shape.core_count * prices.emr[shape.core_type]
    if shape.task_count:
        machines += shape.task_count * prices.machine(shape.task_type, spot=shape.task_spot)
        emr += shape.task_count * prices.emr[shape.task_type]
    return HourPrice(machines=machines, emr=emr, disks=shape.disk_gib * prices.gp3_gib_month / MONTH_HOURS)


CORE_TYPES = tuple(
    f"{family}.{size}" for family in ("m5", "m6i", "r5", "r6i", "c5") for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge")
)
COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Shapes that are compared for a deadline: usual families of x86 (environments are built for it), in the sizes that EMR is used with."""


def candidates(like: Shape, *, spot: bool, families: tuple[str, ...] = ()) -> Iterator[Shape]:
    """Shapes to choose from: `like`, and every core type and count with the same primary node.

    Parameters
    ----------
    spot : also shapes whose further nodes are task nodes on the spot market (one core node stays on demand for the driver and the data)
    families : of instances that have a price; empty for all
    """
    yield like
    for kind in CORE_TYPES:
        if families and kind.partition(".")[0] not in families:
            continue
        for count in COUNTS:
            changed = replace(like, core_type=kind, task_type=kind, task_spot=True)
            yield replace(changed, core_count=count, task_count=0)
            if spot and count > 1:
                yield replace(changed, core_count=1, task_count=count - 1)
