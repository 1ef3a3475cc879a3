"""What the executors have: slots, cores, memory; and what a fold needs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filon.engines.trainer.matrix import CELL_BYTES, ROW_BYTES
from filon.errors import EngineError

if TYPE_CHECKING:
    from filon.engines.spark.session import Session

TASK_MIB = 256
"""Resident memory of a Python worker beside its matrix: libraries and the buffers of a block."""

WAIT_S = 30.0
"""Executors that were asked for may come late: so long are they waited for."""

UNBOUND = 32
"""Executors counted on where dynamic allocation names no limit: work beyond what the cluster gives waits in Spark's own queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """slots : tasks that run at the same time; executors : how many there are; cores : of one task
    room_mib : memory of one task; said : where that is from, for the reason that is told
    """

    slots: int
    executors: int
    cores: int
    room_mib: float
    said: str


def need_mib(rows: int, features: int) -> float:
    """Memory of one fit on so many rows, in the task that does it."""
    return TASK_MIB + (rows * features * CELL_BYTES + rows * ROW_BYTES) / 2**20


def capacity(session: Session) -> Capacity:
    """As Spark tells it now."""
    conf = _conf(session)
    cores = int(conf("spark.task.cpus", "1"))
    if conf("spark.master", "").startswith("local"):
        slots = slots_of(session)
        # Python's workers stand beside the JVM of a local Spark, not in it
        whole = max(mib(conf("spark.driver.memory", "1g")), (session.workers.memory_mib or memory_mib()) / 2)
        whose = "the server's" if session.connect else "this machine's"
        return Capacity(slots=slots, executors=1, cores=cores, room_mib=whole / slots, said=f"half of {whose} memory")
    slots = slots_of(session)
    if session.connect:
        executors = -(-slots // int(conf("spark.executor.cores", "1")))
    else:
        executors = max(1, slots // _each(session)) if is_dynamic(session) else max(1, len(executors_of(session)))
    beside = max(1, -(-slots // executors))
    python = conf("spark.executor.pyspark.memory", "")
    if python:
        return Capacity(slots=slots, executors=executors, cores=cores, room_mib=mib(python) / beside, said="spark.executor.pyspark.memory")
    heap = mib(conf("spark.executor.memory", "1g"))
    factor = float(conf("spark.executor.memoryOverheadFactor", "0.1"))
    over = mib(conf("spark.executor.memoryOverhead", "")) if conf("spark.executor.memoryOverhead", "") else max(384.0, heap * factor)
    room = (heap + over) / 2 / beside  # the other half is the JVM's
    return Capacity(
        slots=slots, executors=executors, cores=cores, room_mib=room, said="half of spark.executor.memory and its memoryOverhead"
    )


def cores(session: Session) -> int:
    """Cores that a task of an executor has while nothing else runs there."""
    room = capacity(session)
    return max(room.cores, room.slots // room.executors)


def slots_of(session: Session) -> int:
    """Tasks that Spark can run at the same time: now, or once dynamic allocation has asked for all the executors it may have."""
    now = slots_now(session)
    if session.connect or not is_dynamic(session):
        return now
    most = int(_conf(session)("spark.dynamicAllocation.maxExecutors", "0"))
    return max(now, (UNBOUND if most in (0, _NO_LIMIT) else most) * _each(session))


_NO_LIMIT = 2**31 - 1
"""What Spark itself says where nobody has set a limit."""


def slots_now(session: Session) -> int:
    """Tasks that the executors of this moment run at the same time."""
    if session.connect:
        return session.parallel
    context = session.spark.sparkContext
    try:
        scala = context._jsc.sc()
        return int(scala.maxNumConcurrentTasks(scala.resourceProfileManager().defaultResourceProfile()))
    except Exception:  # an internal of Spark, which may go; its own estimate is next best
        return max(1, int(context.defaultParallelism))


def is_dynamic(session: Session) -> bool:
    """Whether executors come and go with the work that there is; without work there may be none."""
    return not session.local and _conf(session)("spark.dynamicAllocation.enabled", "false").lower() == "true"


def _each(session: Session) -> int:
    """Tasks that one executor runs at the same time."""
    conf = _conf(session)
    said = conf("spark.executor.cores", "")
    if said:
        return max(1, int(said) // int(conf("spark.task.cpus", "1")))
    return max(1, slots_now(session) // max(1, len(executors_of(session))))


def executors_of(session: Session) -> list[str]:
    """Addresses of the executors, without the driver's own."""
    try:
        found = session.spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        every = [f"{one.host()}:{one.port()}" for one in found]
    except Exception:  # as above
        return []
    return every[1:] if len(every) > 1 else every


def refuse_dynamic(session: Session) -> None:
    """Raise `engines.spark-dynamic-allocation` when a barrier stage could not be run."""
    if not is_dynamic(session):
        return
    raise EngineError(
        "engines.spark-dynamic-allocation",
        "training over the cluster needs a fixed number of executors, and dynamic allocation is on",
        "spark.dynamicAllocation.enabled = true (the default on EMR): executors that come and go cannot train one model together",
        '[places.spark] conf = { "spark.dynamicAllocation.enabled" = "false", "spark.executor.instances" = "4" }',
    )


def wait_for_slots(session: Session, least: int, tell: Callable[[str], None], patience_s: float = WAIT_S) -> int:
    """Slots, once there are `least` or the patience is over.

    Raises
    ------
    EngineError : `engines.spark-no-slots` when there are fewer
    """
    until = time.monotonic() + patience_s
    while (slots := slots_of(session)) < least and time.monotonic() < until:
        tell(f"waiting for executors: {slots} of {least} slots are there")
        time.sleep(2.0)
    if slots >= least:
        return slots
    raise EngineError(
        "engines.spark-no-slots",
        f"training over the cluster needs {least} tasks at the same time, and Spark has room for {slots}",
        f"{len(executors_of(session))} executors; waited {patience_s:.0f} s for more",
        'start workers, or ask for executors: [places.spark] conf = { "spark.executor.instances" = "2", "spark.executor.cores" = "2" }',
    )


def mib(text: str) -> float:
    """A Spark size in MiB; a bare number counts as MiB, as Spark reads its memory settings.

    >>> mib("2g"), mib("512m"), mib("1024"), mib("1048576b")
    (2048.0, 512.0, 1024.0, 1.0)
    """
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgtpb]?)b?\s*", text.lower())
    if not found:
        return 1024.0
    unit = {"": 1.0, "b": 2.0**-20, "k": 2.0**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20, "p": 2.0**30}[found[2]]
    return float(found[1]) * unit


def memory_mib() -> float:
    """Memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20


def _conf(session: Session) -> Callable[[str, str], str]:
    """Spark's properties by name, "" or the default where one is not set."""

    def read(name: str, default: str) -> str:
        try:
            if session.connect:
                return str(session.spark.conf.get(name, default))
            return session.properties.get(name, default)
        except Exception:  # Connect refuses to tell some of them
            return default

    return read


def conf_of(session: Any, name: str, default: str = "") -> str:
    """One property of Spark."""
    return _conf(session)(name, default)
