"""Trials side by side: one Spark task fits one group of them, by the very code of the embedded engine.

The folds travel once, as files; each task is a small job of its own, so that outcomes come as they are ready, and what is lost with an
executor is one attempt of one task, which Spark makes again elsewhere. Small groups of a small table share a task, which costs more than
their fits; when it fails, each is tried again alone.
"""

from __future__ import annotations

import pickle
import queue
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.engines.base import FitPlan, Fitted, FoldName, SplitPlan, Trial
from filon.engines.spark.listener import STEP, watched
from filon.engines.spark.pulse import Ear, Line, Mouth, driver_host
from filon.engines.spark.shipped import ShippedRows, parted
from filon.engines.spark.shipping import Shipment, ship
from filon.engines.spark.words import telling, translated
from filon.engines.trainer.fitting import BEAT_S, SMALL_CELLS
from filon.engines.trainer.fitting import fit as fit_here
from filon.engines.trainer.matrix import Built
from filon.engines.trainer.sharing import Group, grouped, one_line
from filon.errors import FilonError, SetupError
from filon.events import Event, Listen
from filon.rows.encode import Encoding

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.spark.capacity import Capacity
    from filon.engines.spark.folds import SparkFolds
    from filon.engines.spark.session import Session

MORE_ROOM = 'give executors more room: [places.spark] conf = { "spark.executor.memoryOverhead" = "4g" }, or fewer cores each'

TASKS_A_SLOT = 5
"""Tasks of a small table that each slot is given: enough for the slots to end together."""

OUTCOME = "number int, body binary, model binary"
"""What a task gives for each trial: the record without its model, and the model (unless it lies in a file), both compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Everything a task needs: the folds by name, the trials of one group, the plan."""

    job: int
    rows: str
    train: tuple[Shipment, ...]
    valid: tuple[Shipment, ...]
    encoding: Encoding
    class_weights: tuple[float, ...]
    trials: tuple[Trial, ...]
    plan: FitPlan
    split: SplitPlan
    threads: int
    line: Line | None
    models: str = ""
    """a folder that the driver sees too: models are left there, for a large one costs the JVMs more than its fit"""

    def opened(self) -> tuple[ShippedRows, ShippedRows | None]:
        """Training and validation rows, in the task."""
        train = [shipment.opened() for shipment in self.train]
        if self.plan.part is not None:
            return parted(train, self.plan.part, self.plan.rows, self.encoding, self.class_weights, self.split)
        valid = [shipment.opened() for shipment in self.valid]
        rows = ShippedRows(train, self.encoding, self.class_weights, cap=self.plan.rows)
        return rows, ShippedRows(valid, self.encoding, self.class_weights) if valid else None


_KEPT: dict[str, tuple[Any, Built]] = {}
"""In a Python worker, which Spark uses again: the rows opened last and their matrices, so that groups with equal bins share one."""


def carry_out(task: Task) -> Iterator[Fitted]:
    """In the task: fit the group."""
    if task.rows not in _KEPT:
        _KEPT.clear()
        _KEPT[task.rows] = (task.opened(), {})
    (train, valid), built = _KEPT[task.rows]
    groups, _ = grouped(task.trials, task.encoding)
    for key in set(built) - {group.work.matrix for group in groups}:
        del built[key]
    mouth = Mouth(task.line, task.job)
    with tempfile.TemporaryDirectory(prefix="filon-fit-") as scratch:
        yield from fit_here(
            train,
            valid,
            task.trials,
            task.plan,
            threads=task.threads,
            scratch=scratch,
            listen=lambda event: mouth.say(event.fields),
            kept=built,
        )


def packed(fitted: Fitted, models: str = "") -> dict[str, Any]:
    """An outcome as a row; its model in a file where there is a folder for it."""
    import pyarrow as pa

    model = b"" if fitted.ensemble is None else fitted.ensemble.model
    place = ""
    if models and model:
        place = f"{models}/{uuid.uuid4().hex}"
        Path(place).write_bytes(model)
        model = b""
    bare = fitted if fitted.ensemble is None else replace(fitted, ensemble=replace(fitted.ensemble, model=b""))
    return {"number": fitted.trial.number, "body": _small(pickle.dumps((bare, place), protocol=5), pa), "model": _small(model, pa)}


def unpacked(row: Any) -> Fitted:
    """The outcome of a row; it comes from a task of our own."""
    import pyarrow as pa

    found: tuple[Fitted, str] = pickle.loads(_large(row["body"], pa))
    fitted, place = found
    if fitted.ensemble is None:
        return fitted
    model = Path(place).read_bytes() if place else _large(row["model"], pa)
    if place:
        Path(place).unlink()
    return replace(fitted, ensemble=replace(fitted.ensemble, model=model))


def _small(raw: bytes, pa: Any) -> bytes:
    return len(raw).to_bytes(8, "big") + bytes(pa.compress(raw, codec="zstd", asbytes=True))


def _large(raw: bytes, pa: Any) -> bytes:
    raw = bytes(raw)
    return bytes(pa.decompress(raw[8:], decompressed_size=int.from_bytes(raw[:8], "big"), codec="zstd", asbytes=True))


def in_batches(rows: Iterator[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """One batch a row: a model may be large."""
    import pyarrow as pa

    for row in rows:
        yield pa.RecordBatch.from_arrays(
            [pa.array([row["number"]], pa.int32()), pa.array([row["body"]], pa.binary()), pa.array([row["model"]], pa.binary())],
            ["number", "body", "model"],
        )


def _worker(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield from telling(in_batches(packed(fitted, task.models) for fitted in carry_out(task)))

    return work


@dataclass(slots=True, kw_only=True)
class Cargo:
    """Folds that have been shipped in this session, by fold and cap."""

    shipped: dict[tuple[int, FoldName, int], Shipment] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)

    def get(self, session: Session, folds: SparkFolds, name: FoldName, cap: int, listen: Listen, stage: str) -> Shipment:
        """A fold's files, laid down when first asked for."""
        if folds.pieces:
            return Shipment(piece=folds.pieces[name], carried=False)
        fold = folds.fold(name)  # type: ignore[arg-type]  # train or valid
        cap = 0 if cap >= fold.rows else cap
        key = (id(folds), name, cap)
        if key not in self.shipped:
            self.kept.append(folds)  # so that its id is not given to another
            said = f"the {name} fold to the tasks, {min(cap or fold.rows, fold.rows):,} rows"
            lay = partial(ship, session, fold, cap, f"fold-{uuid.uuid4().hex[:12]}")
            self.shipped[key] = watched(session, stage, said, lay, listen)
        return self.shipped[key]


def fit_in_tasks(
    session: Session, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan, room: Capacity, cargo: Cargo, listen: Listen
) -> Iterator[Fitted]:
    """Fit each trial in a task; yields as they come.

    Raises
    ------
    SetupError : `engines.workers-lack`, `engines.python-differs`: no trial could be fitted
    """
    began = time.monotonic()
    stage = "search" if plan.valid else "fit"
    groups, failed = grouped(trials, folds.encoding)
    yield from failed
    if not groups:
        return
    names: tuple[FoldName, ...] = tuple(sorted(plan.train))
    train = tuple(cargo.get(session, folds, name, plan.rows, listen, stage) for name in names)
    valid = (cargo.get(session, folds, "valid", 0, listen, stage),) if plan.valid and plan.part is None else ()
    small = min(plan.rows or folds.fold(*plan.train).rows, folds.fold(*plan.train).rows) * len(folds.encoding.features) <= SMALL_CELLS
    # A table that is not small may use the cores that no other group needs
    threads = 1 if small else max(room.cores, room.slots // room.executors // -(-len(groups) // room.executors))
    models = ""
    if session.shared:
        models = str(session.shared / "models")
        Path(models).mkdir(parents=True, exist_ok=True)
    with Ear(driver_host(session)) as ear:
        batches = _batches(groups, room.slots, small=small, hurried=plan.deadline_s is not None)
        tasks = [
            Task(
                job=number,
                rows=":".join([*(shipment.piece.paths["x"] for shipment in (*train, *valid)), str(plan.rows), str(plan.part)]),
                train=train,
                valid=valid,
                encoding=folds.encoding,
                class_weights=folds.class_weights,
                trials=tuple(trial for group in batch for trial in group.trials),
                plan=plan,
                split=folds.plan,
                threads=threads,
                line=ear.line,
                models=models,
            )
            for number, batch in enumerate(batches)
        ]
        crew = Crew(session, list(zip(tasks, batches, strict=True)), plan, began)
        yield from crew.work(room.slots + 1, ear, listen, stage)


def _batches(groups: Sequence[Group], slots: int, *, small: bool, hurried: bool) -> list[list[Group]]:
    """The groups of each task, in order; those of a small table together while they cost less than a fair share."""
    ordered = _ordered(groups, small=small, hurried=hurried)
    share = sum(group.cost for group in groups) / (slots * TASKS_A_SLOT) if small and not hurried else 0.0
    batches: list[list[Group]] = []
    for group in ordered:
        if batches and sum(one.cost for one in batches[-1]) + group.cost <= share:
            batches[-1].append(group)
        else:
            batches.append([group])
    return batches


def _ordered(groups: Sequence[Group], *, small: bool, hurried: bool) -> list[Group]:
    """The longest first, so that the slots end together; of a large table, those that share a matrix one after the other."""
    if hurried and small:
        return list(groups)
    if small:
        return sorted(groups, key=lambda group: -group.cost)
    first = {group.work.matrix: place for place, group in reversed(list(enumerate(groups)))}
    return sorted(groups, key=lambda group: (first[group.work.matrix], 0 if hurried else -group.cost))


class Crew:
    """Threads of the driver, each waiting for the job of one task."""

    def __init__(self, session: Session, given: Sequence[tuple[Task, Sequence[Group]]], plan: FitPlan, began: float) -> None:
        """`given` holds each task, numbered by its place, with the groups that it fits."""
        self._session, self._given, self._plan, self._began = session, list(given), plan, began
        self._jobs = Jobs(session)
        self._outcomes: queue.SimpleQueue[tuple[int, list[Fitted] | BaseException]] = queue.SimpleQueue()

    def work(self, width: int, ear: Ear, listen: Listen, stage: str) -> Iterator[Fitted]:
        """Carry out all tasks, `width` at a time."""
        groups = {group.longest.number: group for _, batch in self._given for group in batch}
        spoken, left, ended, spent = time.monotonic(), len(self._given), 0, 0.0
        whole = sum(group.cost for group in groups.values()) or 1.0
        with ThreadPoolExecutor(max_workers=min(width, left), thread_name_prefix="filon-spark") as pool:
            try:
                for job in range(left):
                    pool.submit(self._one, job)
                while left:
                    try:
                        job, outcome = self._outcomes.get(timeout=max(0.05, spoken + BEAT_S - time.monotonic()))
                    except queue.Empty:
                        passed = time.monotonic() - self._began
                        listen(said_of(ear.last, groups, stage, (ended, len(groups)), spent / whole, passed))
                        spoken = time.monotonic()
                        continue
                    left -= 1
                    ear.last.pop(job, None)
                    task, batch = self._given[job]
                    error = why(outcome) if isinstance(outcome, BaseException) else ""
                    if error and len(batch) > 1:
                        for again in self._apart(task, batch):
                            pool.submit(self._one, again)
                            left += 1
                        continue
                    ended += len(batch)
                    spent += sum(group.cost for group in batch)
                    if isinstance(outcome, BaseException):  # after Spark's own attempts: the trials failed (law 7)
                        yield from (Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=error) for trial in task.trials)
                    else:
                        yield from outcome
            finally:
                self._jobs.cancel()
                pool.shutdown(wait=True, cancel_futures=True)

    def _apart(self, task: Task, batch: Sequence[Group]) -> Iterator[int]:
        """The groups of a task that failed, as tasks of their own: only what fails alone has failed."""
        for group in batch:
            self._given.append((replace(task, job=len(self._given), trials=group.trials), (group,)))
            yield len(self._given) - 1

    def _one(self, job: int) -> None:
        try:
            self._outcomes.put((job, self._attempt(self._given[job][0])))
        except BaseException as exc:  # whatever it was, somebody waits for an outcome
            self._outcomes.put((job, exc))

    def _attempt(self, task: Task) -> list[Fitted]:
        left = None
        if self._plan.deadline_s is not None:
            left = self._plan.deadline_s - (time.monotonic() - self._began)
            if left <= 0:
                return []
        mine = replace(task, plan=replace(task.plan, deadline_s=left))
        said = f"{STEP}{'search' if self._plan.valid else 'fit'}, trial {task.trials[0].number}, {task.trials[0].family}"
        spark = self._session.spark
        return [unpacked(row) for row in self._jobs.run(said, lambda: spark.range(0, 1, 1, 1).mapInArrow(_worker(mine), OUTCOME).collect())]


class Jobs:
    """Jobs of one call, which can be ended together."""

    def __init__(self, session: Session) -> None:
        self._session, self._name, self.cancelled = session, f"filon-{uuid.uuid4().hex[:12]}", False

    def run(self, said: str, work: Callable[[], Any]) -> Any:
        """Run a job in this thread, under a name that people see in Spark's pages."""
        if self.cancelled:
            raise RuntimeError("the fits were ended")
        if self._session.connect:
            self._session.spark.addTag(self._name)
        else:
            self._session.spark.sparkContext.setJobGroup(self._name, said, interruptOnCancel=True)
        return work()

    def cancel(self) -> None:
        """End those that still run."""
        self.cancelled = True
        with suppress(Exception):  # where Spark itself is gone, that is told by whoever waited for it
            if self._session.connect:
                self._session.spark.interruptTag(self._name)
            else:
                self._session.spark.sparkContext.cancelJobGroup(self._name)


def why(exc: BaseException) -> str:
    """Why a job failed, on one line.

    Raises
    ------
    SetupError : when no other job could do better: a worker lacks Python packages, or has another Python
    EngineError : `engines.spark-lost`, likewise
    """
    found = exc if isinstance(exc, FilonError) else translated(exc, "a trial")
    if isinstance(found, SetupError) or (found is not None and found.code == "engines.spark-lost"):
        raise found from exc
    if found is None:
        return one_line(exc)
    if found.code == "engines.spark-failed" and "exited unexpectedly" in str(exc):
        return f"a Python worker was ended from outside, as happens when memory runs out (exit 137); {MORE_ROOM}"
    fix = "" if found.code == "engines.spark-failed" else f"; {found.fix}"
    return f"{found.what}: {found.why}{fix}"[:600]


def said_of(
    last: Mapping[int, Mapping[str, Any]], groups: Mapping[int, Group], stage: str, ended: tuple[int, int], share: float, passed: float
) -> Event:
    """What is being fitted now.

    Parameters
    ----------
    last : the last word of each job; groups : by the number of their longest trial
    ended : fits done, and all of them; share : of the work that is done; passed : seconds since it began
    """
    words = [word for word in list(last.values()) if word.get("trial") in groups]
    whole = sum(group.cost for group in groups.values()) or 1.0
    part = 1.0 if len(groups) == ended[1] else 1 / ended[1]  # one group of many, or all of them
    for word in words:
        share += part * groups[word["trial"]].cost / whole * min(1.0, word["round"] / max(1, word["rounds"]))
    left = passed * max(0.0, 1 - share) / share if share > 0.01 else None
    if not words:
        return Event(stage=stage, text=f"fit {ended[0] + 1} of {ended[1]}: Spark's tasks prepare the rows", left_s=left)
    word = max(words, key=lambda one: groups[one["trial"]].cost)
    group = groups[word["trial"]]
    value = f", validation {word['valid']:.5f}" if word.get("valid") is not None else ""
    many = f" (and {len(words) - 1} beside it)" if len(words) > 1 else ""
    text = f"fit {ended[0] + 1} of {ended[1]}: {group.work.family}, round {word['round']} of {word['rounds']}{value}{many}"
    return Event(stage=stage, text=text, left_s=left, fields=dict(word))
