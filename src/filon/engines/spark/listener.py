"""What Spark says of its own work: how far it is while it works, and at the end where the time went and what held it back.

All of it comes from the status store of the driver, which is there with and without Spark's pages; Spark Connect has none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filon.engines.spark import eventlog
from filon.engines.trainer.fitting import BEAT_S
from filon.events import Event, Listen

if TYPE_CHECKING:
    from filon.engines.base import Source
    from filon.engines.spark.session import Session

T = TypeVar("T")

STEP = "filon: "
"""Beginning of the description of our jobs; the step of the story follows."""

ALONE = ", in one task"
"""Its end where a whole step is one task on purpose."""

HEARD_MS = 5_000
"""How long Spark may take to note down what has happened so far."""

SKEW, GC_SHARE, SPILL_BYTES = 4.0, 0.15, 1 << 28
"""What is worth a word: a slowest task of four times the median, a seventh of the time in the JVM's collector, a quarter GiB on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """One stage of Spark: `wall_s` from its submission to its end, `run_s` and `gc_s` summed over its tasks; `alone` : one task, on
    purpose."""

    number: int
    step: str
    name: str
    state: str
    tasks: int
    failed: int
    wall_s: float
    run_s: float
    gc_s: float
    read_bytes: int
    shuffle_bytes: int
    spill_memory_bytes: int
    spill_disk_bytes: int
    median_s: float = 0.0
    slowest_s: float = 0.0
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was read, as far as it explains time: files, their bytes, and whether they can be read in parts."""

    files: int = 0
    size_bytes: int = 0
    gzipped: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where the time of a run went."""

    slots: int
    stages: tuple[StageFacts, ...]
    inputs: Inputs = Inputs()
    lost: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def step(session: Session, name: str) -> Iterator[None]:
    """Jobs started within belong to a step of the story; Spark's pages and `spark.json` name it. What Spark raises comes in our words."""
    with session.in_our_words(), _named(session, name):
        yield


@contextmanager
def _named(session: Session, name: str) -> Iterator[None]:
    context = None if session.connect else session.spark.sparkContext
    before = context.getLocalProperty("spark.job.description") if context is not None else None
    if context is not None:
        context.setLocalProperty("spark.job.description", STEP + name)
    try:
        yield
    finally:
        if context is not None:
            with suppress(Exception):  # the session may have been stopped meanwhile
                context.setLocalProperty("spark.job.description", before)


def watched(session: Session, stage: str, said: str, work: Callable[[], T], listen: Listen) -> T:
    """Do a long piece of work in a thread, and say every few seconds which of Spark's stages it is in."""
    outcome: list[T] = []
    errors: list[BaseException] = []
    description = None if session.connect else session.spark.sparkContext.getLocalProperty("spark.job.description")

    def run() -> None:
        try:
            if description is not None:
                session.spark.sparkContext.setLocalProperty("spark.job.description", description)
            outcome.append(work())
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=run, name="filon-watched", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=BEAT_S)
        if thread.is_alive():
            listen(Event(stage=stage, text=f"{said}: {under_way(session)}"))
    if errors:
        raise errors[0]
    return outcome[0]


def under_way(session: Session) -> str:
    """The stages that Spark works on now, on one line."""
    if session.connect:
        return "the server works"
    try:
        tracker = session.spark.sparkContext.statusTracker()
        found = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
    except Exception:  # whoever waits for its work is told why
        return "Spark does not answer"
    active = [f"stage {one.stageId}, {one.numCompletedTasks} of {one.numTasks} tasks" for one in found if one is not None]
    return "; ".join(active[:2]) or "between two stages"


def inputs_of(source: Source) -> Inputs:
    """What a source is read from."""
    zipped = sum(file.path.endswith((".gz", ".gzip")) for file in source.files)
    return Inputs(
        files=len(source.files), size_bytes=sum(file.size_bytes for file in source.files), gzipped=zipped, format=str(source.format)
    )


def account(session: Session, inputs: Inputs = Inputs()) -> Account:
    """The facts of every stage since the session was opened (a notebook's own Spark may have done much before); none over Spark Connect."""
    from filon.engines.spark.capacity import slots_of

    if session.connect:
        return Account(slots=session.parallel, stages=(), inputs=inputs)
    store = session.spark.sparkContext._jsc.sc().statusStore()
    newest, steps = _stages(session), _steps(store)
    gateway = session.spark.sparkContext._gateway
    quantiles = gateway.new_array(gateway.jvm.double, 2)
    quantiles[0], quantiles[1] = 0.5, 1.0
    stages = []
    for one in newest:
        if int(one.stageId()) <= session.stages_before:
            break
        facts = _stage(one, steps.get(int(one.stageId()), ""))
        if facts is not None:
            stages.append(_with_tasks(facts, store, one, quantiles))
    stages.sort(key=lambda facts: facts.number)
    seconds: dict[str, float] = {}
    for facts in stages:
        seconds[facts.step] = seconds.get(facts.step, 0.0) + facts.wall_s
    return Account(slots=slots_of(session), stages=tuple(stages), inputs=inputs, lost=_lost(store), seconds=seconds)


def last_stage(session: Session) -> int:
    """The number of the newest stage so far; -1 when there is none, or when nobody tells."""
    if session.connect:
        return -1
    with suppress(Exception):  # an internal of Spark: without it the account has more stages than ours
        return max((int(one.stageId()) for one in islice(_stages(session), 1)), default=-1)
    return -1


def _stages(session: Session) -> Iterator[Any]:
    """The stages that Spark remembers, the newest first."""
    context = session.spark.sparkContext
    scala = context._jsc.sc()
    with suppress(Exception):  # what it has not heard of in time is missing
        scala.listenerBus().waitUntilEmpty(HEARD_MS)
    numbers = context._gateway.new_array(context._gateway.jvm.double, 0)
    return _each(scala.statusStore().stageList(None, False, False, numbers, None))


def _steps(store: Any) -> dict[int, str]:
    """The step of each stage, by the description of its job."""
    found: dict[int, str] = {}
    for job in _each(store.jobsList(None)):
        said = _optional(job.description()) or ""
        name = said.removeprefix(STEP) if said.startswith(STEP) else "other"
        for number in _each(job.stageIds()):
            found.setdefault(int(number), name)
    return found


def _stage(one: Any, name: str) -> StageFacts | None:
    state = str(one.status().toString())
    began, ended = _optional(one.submissionTime()), _optional(one.completionTime())
    if state == "SKIPPED" or began is None:
        return None
    wall = (ended.getTime() if ended is not None else time.time() * 1000) - began.getTime()
    return StageFacts(
        number=int(one.stageId()),
        step=name.split(",")[0] or "other",
        alone=name.endswith(ALONE),
        name=str(one.name())[:120],
        state=state.lower(),
        tasks=int(one.numTasks()),
        failed=int(one.numFailedTasks()),
        wall_s=round(wall / 1000, 3),
        run_s=round(one.executorRunTime() / 1000, 3),
        gc_s=round(one.jvmGcTime() / 1000, 3),
        read_bytes=int(one.inputBytes()),
        shuffle_bytes=int(one.shuffleReadBytes()),
        spill_memory_bytes=int(one.memoryBytesSpilled()),
        spill_disk_bytes=int(one.diskBytesSpilled()),
    )


def _with_tasks(facts: StageFacts, store: Any, one: Any, quantiles: Any) -> StageFacts:
    """The median and the slowest task, where there are several."""
    if facts.tasks < 2 or facts.wall_s < 1:
        return facts
    from dataclasses import replace

    with suppress(Exception):  # an internal of Spark: without it the account lacks the skew, no more
        summary = _optional(store.taskSummary(int(one.stageId()), int(one.attemptId()), quantiles))
        if summary is not None:
            times = summary.executorRunTime()
            return replace(facts, median_s=times.apply(0) / 1000, slowest_s=times.apply(1) / 1000)
    return facts


def _lost(store: Any) -> tuple[str, ...]:
    """Executors that are no more, and why."""
    found = []
    with suppress(Exception):
        for one in _each(store.executorList(False)):
            reason = _optional(one.removeReason())
            if not bool(one.isActive()) and reason is not None:
                found.append(f"executor {one.id()}: {' '.join(str(reason).split())[:200]}")
    return tuple(found)


def _each(many: Any) -> Iterator[Any]:
    """Items of a Scala sequence."""
    walk = many.iterator()
    while walk.hasNext():
        yield walk.next()


def _optional(value: Any) -> Any:
    return value.get() if value.isDefined() else None


def held_back(found: Account) -> str:
    """One line: where most of the time went, and what to do about it."""
    total = sum(found.seconds.values())
    if not total:
        return "Spark told nothing of its stages (over Spark Connect it never does)"
    name, spent = max(found.seconds.items(), key=lambda item: item[1])
    share = f"{100 * spent / total:.0f} % of the time in {_READING.get(name, name)}"
    mine = [facts for facts in found.stages if facts.step == name]
    longest = max(mine, key=lambda facts: facts.wall_s)
    run = sum(facts.run_s for facts in mine) or 1e-9
    spill, gc = sum(facts.spill_disk_bytes for facts in mine), sum(facts.gc_s for facts in mine)
    if gc / run > GC_SHARE:
        return f"{share}: {100 * gc / run:.0f} % of it in the JVM's garbage collector; give more spark.executor.memory"
    if spill > SPILL_BYTES:
        return f"{share}: {_size(spill)} spilled to disk; give more spark.executor.memory, or more spark.sql.shuffle.partitions"
    if longest.slowest_s > SKEW * max(longest.median_s, 0.1) and longest.slowest_s > longest.wall_s / 2:
        return (
            f"{share}: one task took {longest.slowest_s:.0f} s, half of them less than {longest.median_s:.0f} s; "
            "the rows are spread unevenly, look for files of very different size"
        )
    few = name in _OURS and longest.tasks == 1 and len(mine) <= found.slots
    if longest.alone or (few and len(mine) == 1):
        return f"{share}: one task did it, with all the cores of its executor; more of them would help, more executors would not"
    if few:
        return f"{share}: {len(mine)} tasks did it, each a fit of its own; more cores for each would help, more executors would not"
    if longest.tasks < found.slots and name not in _OURS:
        return f"{share}: {_few(longest, found)}"
    if found.lost:
        return f"{share}; {len(found.lost)} executors were lost ({found.lost[0]})"
    return f"{share}: nothing stands in the way but the work itself; more executors would share it"


_READING = {
    "read": "reading",
    "check": "reading for the profile",
    "split": "reading for the split",
    "search": "the search",
    "fit": "the refit",
}
_OF_THE_SOURCE = ("read", "check", "split")
"""Steps that read the user's files; later ones read the folds, however the source is written."""
_OURS = ("search", "fit")
"""Steps whose stages have one task each, side by side."""


def _few(longest: StageFacts, found: Account) -> str:
    from filon.engines.spark.pieces import LEAST_BYTES

    many = f"{longest.tasks} partition{'s' if longest.tasks > 1 else ''}"
    inputs = found.inputs if longest.step in _OF_THE_SOURCE else Inputs()
    if inputs.size_bytes and inputs.size_bytes // LEAST_BYTES <= longest.tasks:
        return f"{many} for {_size(inputs.size_bytes)} of {inputs.format.upper()}: too little to share, Spark's own work takes the time"
    if inputs.gzipped and longest.tasks <= inputs.files:
        return f"{many} for {_size(inputs.size_bytes)} of gzipped {inputs.format.upper()}; split the file, or keep it as Parquet"
    if inputs.size_bytes:
        return f"{many} for {_size(inputs.size_bytes)} of {inputs.format.upper()} on {found.slots} slots; split the files"
    return f"{many} on {found.slots} slots; the others waited"


def _size(many: float) -> str:
    for unit in ("B", "KB", "MB"):
        if many < 1000:
            return f"{many:.0f} {unit}"
        many /= 1000
    return f"{many:.1f} GB"


def leave(session: Session, folder: Path, inputs: Inputs, listen: Listen) -> None:
    """Write `spark.json` and Spark's event log into the run's folder, and say what held the run back."""
    try:
        found = account(session, inputs)
    except Exception as exc:  # internals of Spark: a run that went well does not fail because they have changed
        found = Account(slots=0, stages=(), inputs=inputs, lost=(f"Spark's status store could not be read: {exc}"[:300],))
    said = held_back(found)
    written = {"held_back": said, "spark": str(session.spark.version), "event_log": eventlog.keep(session, folder), **asdict(found)}
    (folder / "spark.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
    listen(Event(stage="package", text=f"Spark: {said}", fields={"held_back": said, "seconds": dict(found.seconds)}))
