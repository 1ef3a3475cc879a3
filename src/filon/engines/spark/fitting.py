"""Which way trials are fitted: side by side in tasks when the fold fits one, each over all executors when it does not."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.spark.capacity import Capacity, capacity, need_mib
from filon.engines.spark.listener import Inputs, step
from filon.engines.spark.listener import leave as account_left
from filon.engines.spark.tasks import Cargo, fit_in_tasks
from filon.events import Event, Listen, silence

if TYPE_CHECKING:
    from filon.engines.spark.folds import SparkFolds
    from filon.engines.spark.session import Session

Strategy = Literal["auto", "tasks", "cluster"]


@dataclass(slots=True, kw_only=True)
class Memory:
    """What one session's fits remember of each other: folds shipped, and what was said."""

    cargo: Cargo = field(default_factory=Cargo)
    told: set[str] = field(default_factory=set)
    pipeline: str = ""
    """where MLlib's pipeline of the last refit is, "" when there is none"""

    def keep(self, place: str) -> None:
        """A refit by MLlib has left its pipeline there."""
        self.pipeline = place


_MEMORIES: weakref.WeakKeyDictionary[Session, Memory] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The way, and why."""

    way: Literal["tasks", "cluster"]
    why: str


def fit(
    session: Session, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan, strategy: Strategy, listen: Listen = silence
) -> Iterator[Fitted]:
    """Fit each trial; yields as they come, a failed one with its error.

    Raises
    ------
    EngineError : `engines.spark-dynamic-allocation`, `engines.spark-no-slots` before training over the cluster; `engines.spark-lost`
    """
    stage = "search" if plan.valid else "fit"
    with step(session, stage):
        yield from _fitted(session, folds, trials, plan, strategy, stage, listen)


def _fitted(
    session: Session, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan, strategy: Strategy, stage: str, listen: Listen
) -> Iterator[Fitted]:
    memory = _MEMORIES.setdefault(session, Memory())
    asked = [trial for trial in trials if trial.settings.get("library") == "mllib"]
    ours = [trial for trial in trials if trial.settings.get("library") != "mllib"]
    if ours:
        room = capacity(session)
        fold = folds.fold(*plan.train)
        rows = min(plan.rows, fold.rows) if plan.rows else fold.rows
        # parts of a cross-validation are asked for on small tables only
        decision = decided("tasks" if plan.part is not None else strategy, rows, len(folds.encoding.features), room)
        if decision.why not in memory.told:
            memory.told.add(decision.why)
            listen(Event(stage=stage, text=decision.why, fields={"strategy": decision.way, "slots": room.slots, "rows": rows}))
        if decision.way == "tasks":
            yield from fit_in_tasks(session, folds, ours, plan, room, memory.cargo, listen)
        else:
            from filon.engines.spark.distributed import fit_over_cluster

            yield from fit_over_cluster(session, folds, ours, plan, listen)
    if asked:
        from filon.engines.spark.mllib import fit_mllib

        yield from fit_mllib(session, folds, asked, plan, memory.keep, listen)


def decided(strategy: Strategy, rows: int, features: int, room: Capacity) -> Decision:
    """Tasks when one fit on so many rows fits the memory of a task."""
    need = need_mib(rows, features)
    fold = f"{rows:,} rows x {features} features need {need:,.0f} MiB in a task"
    has = f"each of {room.slots} has {room.room_mib:,.0f} MiB ({room.said})"
    if strategy != "auto":
        return Decision(way=strategy, why=f'{_WAYS[strategy]}, since places.spark.strategy = "{strategy}" ({fold}, {has})')
    if need <= room.room_mib:
        return Decision(way="tasks", why=f"{_WAYS['tasks']}: {fold}, {has}")
    return Decision(way="cluster", why=f"{_WAYS['cluster']}: {fold}, and {has}")


_WAYS = {"tasks": "trials side by side, each in one Spark task", "cluster": "each trial over all executors"}


def leave(session: Session, folder: Path, inputs: Inputs, listen: Listen = silence) -> None:
    """What only this engine knows, into the run's folder: `spark.json`, and `pipeline_best/` when MLlib fitted the winner."""
    account_left(session, folder, inputs, listen)
    memory = _MEMORIES.get(session)
    if memory is None or not memory.pipeline:
        return
    target = folder / "pipeline_best"
    shutil.rmtree(target, ignore_errors=True)
    if memory.pipeline.startswith("file://"):
        shutil.copytree(memory.pipeline.removeprefix("file://"), target)
    elif not session.connect:
        path = session.spark._jvm.org.apache.hadoop.fs.Path
        source = path(memory.pipeline)
        source.getFileSystem(session.spark._jsc.hadoopConfiguration()).copyToLocalFile(source, path(f"file://{target.absolute()}"))
