"""Trials to fitted ensembles: what is shared is fitted once, small fits run side by side, big ones take every core."""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.trainer.matrix import Built, Machine, Matrices, Stopped
from filon.engines.trainer.progress import Progress
from filon.engines.trainer.rows import FoldRows
from filon.engines.trainer.sharing import Group, grouped
from filon.engines.trainer.work import Work
from filon.events import Listen, silence

SMALL_CELLS = 4_000_000
"""Up to this many training cells (rows x features) each fit runs on one core, side by side with others; above, one fit at a time takes all
cores. A function of the table alone: so a small table gives the same model, to the bit, whatever the number of cores."""

BEAT_S = 2.0
"""Seconds between signs of life (law 8 asks for five at most)."""


def _never() -> bool:
    return False


def fit(
    train: FoldRows,
    valid: FoldRows | None,
    trials: Sequence[Trial],
    plan: FitPlan,
    *,
    threads: int = 0,
    memory_mib: int = 0,
    scratch: str = "",
    listen: Listen = silence,
    stop: Callable[[], bool] = _never,
    kept: Built | None = None,
) -> Iterator[Fitted]:
    """Fit each trial on `train` and tally it on `valid`; yields as they come, each trial at most once.

    Parameters
    ----------
    train : rows to fit on, already capped to `plan.rows`
    valid : rows for early stopping and the tally, or None (refit: every round asked for, no tally)
    threads : cores to use, 0 for all
    memory_mib : resident memory the matrix may take, 0 for no limit; past it its pages live on disk
    scratch : folder for that, "" for the system's
    stop : asked between rounds; once True nothing more is yielded
    kept : matrices of the same rows that outlive the call (a worker of a cluster is given one group at a time)

    Yields
    ------
    Fitted : with `error` when the trial failed. A trial not begun before `plan.deadline_s` is not yielded; one cut short by it neither,
        except a fit with early stopping, which keeps its best round so far

    Notes
    -----
    `listen` is called in the caller's thread. Closing the iterator, or Ctrl-C, ends the fits at their next round.
    """
    began = time.monotonic()
    groups, failed = grouped(trials, train.encoding)
    yield from failed
    if not groups:
        return
    if not train.rows:
        yield from _all_failed(groups, "the training fold has no rows")
        return
    cores = threads or os.cpu_count() or 1
    small = train.rows * max(1, len(train.encoding.features)) <= SMALL_CELLS
    beside = cores if small else 1
    machine = Machine(threads=1 if small else cores, memory_mib=memory_mib, scratch=scratch)
    ended = threading.Event()
    closing = began + plan.deadline_s if plan.deadline_s is not None else None

    def over() -> bool:
        return ended.is_set() or stop()

    def late() -> bool:
        return closing is not None and time.monotonic() >= closing

    matrices = Matrices(train, valid, machine, [group.work.matrix for group in groups if group.work.bins], over, kept=kept)
    progress = Progress(groups, "search" if plan.valid else "fit")
    outcomes: Outcomes = queue.SimpleQueue()
    ordered = _ordered(groups, small=small, hurried=closing is not None)
    jobs = [
        (work, piece) for work in (Work(group, matrices, plan, progress, over, late) for group in ordered) for piece in work.pieces(beside)
    ]
    with ThreadPoolExecutor(max_workers=min(beside, len(jobs)), thread_name_prefix="filon-fit") as pool:
        try:
            for work, piece in jobs:
                pool.submit(_carry_out, work, piece, matrices, progress, outcomes)
            yield from _as_they_come(outcomes, len(jobs), progress, listen)
        finally:
            ended.set()
            pool.shutdown(wait=True, cancel_futures=True)


Outcomes = queue.SimpleQueue[list[Fitted] | None]
"""Trials as they are done, and None for each piece of work that has ended."""


def _carry_out(work: Work, piece: int, matrices: Matrices, progress: Progress, outcomes: Outcomes) -> None:
    """One piece in a thread of the pool; whoever ends the last piece of a work gives its outcomes."""
    try:
        _guarded(work, lambda: work.do(piece), outcomes)
        if work.end():
            _guarded(work, lambda: _give(work, outcomes), outcomes)
            matrices.done(work.group.work.matrix)
            progress.end(work.group)
    finally:
        outcomes.put(None)


def _give(work: Work, outcomes: Outcomes) -> None:
    for fitted in work.outcomes():
        outcomes.put([fitted])


def _guarded(work: Work, step: Callable[[], object], outcomes: Outcomes) -> None:
    try:
        step()
    except Stopped:
        pass  # nobody waits for what was asked to end
    except Exception as exc:  # law 7: one bad trial is a finding, whatever went wrong in it
        outcomes.put(work.fail(exc))


def _as_they_come(outcomes: Outcomes, pieces: int, progress: Progress, listen: Listen) -> Iterator[Fitted]:
    spoken = time.monotonic()
    while pieces:
        try:
            outcome = outcomes.get(timeout=max(0.05, spoken + BEAT_S - time.monotonic()))
        except queue.Empty:
            outcome = []
        if outcome is None:
            pieces -= 1
        yield from outcome or []
        if time.monotonic() >= spoken + BEAT_S:
            listen(progress.event())
            spoken = time.monotonic()


def _ordered(groups: Sequence[Group], *, small: bool, hurried: bool) -> list[Group]:
    """Small: the longest first, so that the cores end together; with a deadline, in the order of the search.

    Big: by matrix, so that each is built once and freed before the next."""
    if small:
        return list(groups) if hurried else sorted(groups, key=lambda group: -group.cost)
    first = {group.work.matrix: i for i, group in reversed(list(enumerate(groups)))}
    return sorted(groups, key=lambda group: first[group.work.matrix])


def _all_failed(groups: Sequence[Group], why: str) -> Iterator[Fitted]:
    for group in groups:
        for trial in group.trials:
            yield Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=why)
