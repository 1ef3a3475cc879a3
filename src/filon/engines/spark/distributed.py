"""Each trial over all executors: a barrier stage whose tasks hold a part of the rows each and grow one model together.

The tasks talk by XGBoost's collective; the first of them starts its tracker, so that nothing but Spark itself must reach the driver. All
else is the trainer's own code: classes and categories come from the recipe, never from a part of the rows.
"""

from __future__ import annotations

import json
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.spark.capacity import capacity, refuse_dynamic, slots_of, wait_for_slots
from filon.engines.spark.listener import STEP, watched
from filon.engines.spark.pulse import Ear, Line, Mouth, driver_host
from filon.engines.spark.shipped import FoldPiece, ShippedRows
from filon.engines.spark.shipping import LOWEST, first, pack
from filon.engines.spark.tasks import OUTCOME, Jobs, in_batches, packed, said_of, unpacked, why
from filon.engines.spark.words import telling
from filon.engines.tally import merge
from filon.engines.trainer.fitting import BEAT_S
from filon.engines.trainer.sharing import Group, grouped, one_line
from filon.errors import EngineError
from filon.events import Event, Listen
from filon.rows.encode import Encoding

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.spark.folds import SparkFolds
    from filon.engines.spark.session import Session
    from filon.engines.trainer.progress import Progress

PEER_ROWS = 2_000
"""Fewest rows of a peer: fewer would make one without a row of some class, and talking would cost more than the work."""

SHORT_S = 20.0
"""A running stage that has lost a slot for so long cannot go on: it would wait for an executor for ever."""

ATTEMPTS = 3
"""Of one group of trials, each with the slots that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What each peer is told: the trials of one group, the plan, and where to speak to."""

    job: int
    encoding: Encoding
    class_weights: tuple[float, ...]
    trials: tuple[Trial, ...]
    plan: FitPlan
    peers: int
    threads: int
    line: Line | None


@dataclass(slots=True, kw_only=True)
class Spread:
    """The rows spread over so many peers, kept by Spark between trials."""

    frame: Any
    peers: int

    def free(self) -> None:
        """Spark may forget them."""
        self.frame.unpersist()


def fit_over_cluster(session: Session, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan, listen: Listen) -> Iterator[Fitted]:
    """Fit one trial after the other, each over all executors; yields as they come.

    Raises
    ------
    EngineError : `engines.spark-dynamic-allocation`, `engines.spark-no-slots`: before anything waits; `engines.spark-failed` when the
        rows could not be spread in any attempt
    SetupError : `engines.workers-lack`, `engines.python-differs`
    """
    began, stage = time.monotonic(), "search" if plan.valid else "fit"
    groups, failed = grouped(trials, folds.encoding)
    yield from failed
    if not groups:
        return
    refuse_dynamic(session)
    spread: Spread | None = None
    try:
        with Ear(driver_host(session)) as ear:
            for number, group in enumerate(groups):
                if plan.deadline_s is not None and time.monotonic() - began >= plan.deadline_s:
                    return
                work = _Group(session, folds, group, number, len(groups), plan, began, ear, listen)
                for _ in range(ATTEMPTS):
                    outcome, lost = None, None
                    try:
                        spread = spread or _spread(session, folds, plan, listen, stage)
                        outcome = work.attempt(spread)
                    except EngineError as exc:  # an executor may be lost while the rows are spread, too
                        if exc.code != "engines.spark-failed":
                            raise
                        lost = exc
                    if outcome is not None:
                        yield from outcome
                        break
                    if spread is not None:
                        spread.free()
                    spread = None
                    listen(Event(stage=stage, text=f"{lost.why if lost else 'an executor was lost'}: once more with those that are left"))
                else:
                    if lost is not None:
                        raise lost
                    yield from work.failed("executors were lost in every attempt; look at their logs (spark.json of the run names them)")
    finally:
        if spread is not None:
            spread.free()


class _Group:
    """One group of trials, one barrier stage."""

    def __init__(
        self,
        session: Session,
        folds: SparkFolds,
        group: Group,
        number: int,
        total: int,
        plan: FitPlan,
        began: float,
        ear: Ear,
        listen: Listen,
    ) -> None:
        self._session, self._folds, self._group, self._number, self._total = session, folds, group, number, total
        self._plan, self._began, self._ear, self._listen = plan, began, ear, listen
        self._stage = "search" if plan.valid else "fit"

    def attempt(self, spread: Spread) -> list[Fitted] | None:
        """Outcomes of the group's trials; None when a slot was lost and the rows must be spread anew."""
        left = None if self._plan.deadline_s is None else self._plan.deadline_s - (time.monotonic() - self._began)
        share = Share(
            job=self._number,
            encoding=self._folds.encoding,
            class_weights=self._folds.class_weights,
            trials=self._group.trials,
            plan=replace(self._plan, deadline_s=left),
            peers=spread.peers,
            threads=capacity(self._session).cores,
            line=self._ear.line,
        )
        jobs, found = Jobs(self._session), _Found()
        said = f"{STEP}{self._stage}, trial {self._group.longest.number}, {self._group.work.family}, over {spread.peers} tasks"
        frame = spread.frame.mapInArrow(_peer(share), OUTCOME, barrier=True)
        thread = threading.Thread(target=lambda: found.take(lambda: jobs.run(said, frame.collect)), name="filon-barrier", daemon=True)
        thread.start()
        short_since: float | None = None
        try:
            while thread.is_alive():
                thread.join(timeout=BEAT_S)
                self._speak()
                short = thread.is_alive() and slots_of(self._session) < spread.peers
                short_since = (short_since or time.monotonic()) if short else None
                if short_since is not None and time.monotonic() - short_since > SHORT_S:
                    return None
        finally:
            if thread.is_alive():
                jobs.cancel()
                thread.join(timeout=30)
        self._ear.last.pop(self._number, None)
        if found.error is None:
            return joined(found.rows)
        if slots_of(self._session) < spread.peers:
            return None
        return list(self.failed(why(found.error)))

    def failed(self, error: str) -> Iterator[Fitted]:
        """The group's trials with the error (law 7)."""
        for trial in self._group.trials:
            yield Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=error)

    def _speak(self) -> None:
        groups = {self._group.longest.number: self._group}
        share, passed = self._number / self._total, time.monotonic() - self._began
        self._listen(said_of(self._ear.last, groups, self._stage, (self._number, self._total), share, passed))


class _Found:
    """What a thread brings back."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.error: BaseException | None = None

    def take(self, work: Callable[[], Any]) -> None:
        """Do the work and keep its outcome."""
        try:
            self.rows = work()
        except BaseException as exc:
            self.error = exc


def joined(rows: Sequence[Any]) -> list[Fitted]:
    """One outcome a trial: the first peer's, with the tally of all of them."""
    by_trial: dict[int, list[Fitted]] = {}
    for row in rows:
        fitted = unpacked(row)
        by_trial.setdefault(fitted.trial.number, []).append(fitted)
    outcomes = []
    for parts in by_trial.values():
        whole = next((part for part in parts if part.ensemble is not None and part.ensemble.model), parts[0])
        tallies = [part.tally for part in parts if part.tally is not None]
        outcomes.append(replace(whole, tally=merge(tallies) if tallies else None))
    return outcomes


def _spread(session: Session, folds: SparkFolds, plan: FitPlan, listen: Listen, stage: str) -> Spread:
    """The rows over the peers by their hash, so that each has an even part of every class; a function of the number of peers alone.

    Raises
    ------
    EngineError : `engines.spark-no-slots`, `engines.spark-failed`
    """
    from pyspark import StorageLevel
    from pyspark.sql import functions as F  # noqa: N812

    slots = wait_for_slots(session, 1, lambda text: listen(Event(stage=stage, text=text)))
    fold = folds.fold(*plan.train)
    frame = first(fold.plain, fold.rows, plan.rows).withColumn("_valid", F.lit(False))
    if plan.valid:
        seen = folds.fold("valid").plain.withColumn("_valid", F.lit(True))
        frame = frame.unionByName(seen)
    rows = min(plan.rows, fold.rows) if plan.rows else fold.rows
    peers = max(1, min(slots, math.ceil(rows / PEER_ROWS)))
    listen(Event(stage=stage, text=f"{rows:,} rows over {peers} tasks that fit together", fields={"peers": peers, "slots": slots}))
    while True:
        keyed = frame.withColumn("_order", F.col("hash").bitwiseXOR(F.lit(LOWEST)))
        order = ["_valid", "_order", "label", *(["weight"] if "weight" in frame.columns else [])]
        even = keyed.repartition(peers, F.shiftrightunsigned("hash", 7)).sortWithinPartitions(*order).drop("_order")
        kept = even.persist(StorageLevel.MEMORY_AND_DISK)
        parts = kept.groupBy(F.spark_partition_id().alias("peer"), "_valid").count()
        with session.in_our_words("the rows of a fold"):
            counts = watched(session, stage, f"{rows:,} rows over {peers} tasks", parts.collect, listen)
        both = 2 if plan.valid else 1
        if len(counts) == peers * both or peers == 1:
            return Spread(frame=kept, peers=peers)
        kept.unpersist()  # a peer without rows would have nothing to say, and the others would wait for it
        peers -= 1


def _peer(share: Share) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from telling(in_batches(packed(fitted) for fitted in _fit_as_peer(batches, share)))

    return work


def _fit_as_peer(batches: Iterator[pa.RecordBatch], share: Share) -> Iterator[Fitted]:
    """In a task of the barrier stage: lay the part of the rows down, meet the others, fit."""
    from pyspark import BarrierTaskContext

    from filon.engines.trainer.peers import Together, tracker
    from filon.engines.trainer.together import fit_together

    context = BarrierTaskContext.get()
    here = context.partitionId()
    with tempfile.TemporaryDirectory(prefix="filon-part-") as folder:
        train, valid = laid_down(batches, Path(folder), share)
        context.barrier()
        address = str(context.getTaskInfos()[0].address).rsplit(":", 1)[0]
        words = tracker(address, share.peers) if here == 0 else {}
        arguments = json.loads(context.allGather(json.dumps(words))[0])
        mouth = Mouth(share.line if here == 0 else None, share.job)

        def tell(progress: Progress) -> None:
            mouth.say(progress.event().fields)

        found: list[Fitted] = []
        error = ""
        try:
            with met(arguments, here):
                peers = Together()
                for fitted in fit_together(train, valid, share.trials, share.plan, peers, threads=share.threads, tell=tell):
                    first = peers.rank == 0 or fitted.ensemble is None  # one model is enough
                    found.append(fitted if first else replace(fitted, ensemble=_without_model(fitted)))
        except Exception as exc:  # told to the others, so that nobody waits for a peer that has given up
            error = one_line(exc)
        errors = [said for said in context.allGather(error) if said]
        if not errors:
            yield from found
        elif here == 0:
            own = next((said for said in errors if "allreduce" not in said and "collective" not in said), errors[0])
            for trial in share.trials:
                yield Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=own)


@contextmanager
def met(arguments: dict[str, Any], here: int) -> Iterator[None]:
    """The context of a peer that has a process to itself, without the line that XGBoost prints there: of a local Spark it would come to the
    user's screen, one for each fit."""
    from filon.engines.trainer.peers import communicator

    with ExitStack() as stack:
        with redirect_stdout(StringIO()):
            stack.enter_context(communicator(arguments, here))
        yield


def _without_model(fitted: Fitted) -> Any:
    return None if fitted.ensemble is None else replace(fitted.ensemble, model=b"")


def laid_down(batches: Iterator[pa.RecordBatch], folder: Path, share: Share) -> tuple[ShippedRows, ShippedRows | None]:
    """A peer's part of the rows as files of its own, which the trainer reads as often as it likes."""
    features, files, rows = len(share.encoding.features), _Files(folder), {False: 0, True: 0}
    for batch in batches:
        for valid in (False, True):
            some = batch.filter(_is(batch, valid))
            if some.num_rows:
                files.add(valid, pack(some, features))
                rows[valid] += some.num_rows
    files.close()
    made = [
        ShippedRows([FoldPiece(rows=rows[w], paths=files.paths(w))], share.encoding, share.class_weights) for w in (False, True) if rows[w]
    ]
    if not rows[False]:
        raise RuntimeError("a task of the fit has no rows to train on")
    return made[0], made[1] if rows[True] else None


def _is(batch: pa.RecordBatch, watched: bool) -> Any:
    import pyarrow.compute as pc

    column = batch.column("_valid")
    return column if watched else pc.invert(column)


class _Files:
    """Two folds' files, opened as they are needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._open = folder, dict[tuple[bool, str], BinaryIO]()

    def add(self, watched: bool, columns: dict[str, bytes]) -> None:
        """Append a batch."""
        for name, raw in columns.items():
            key = watched, name
            if key not in self._open:
                self._open[key] = (self._folder / f"{'valid' if watched else 'train'}.{name}").open("wb")
            self._open[key].write(raw)

    def paths(self, watched: bool) -> dict[str, str]:
        """Where a fold's columns are."""
        return {name: str(self._folder / f"{'valid' if watched else 'train'}.{name}") for fold, name in self._open if fold is watched}

    def close(self) -> None:
        """Nothing more is added."""
        for file in self._open.values():
            file.close()
