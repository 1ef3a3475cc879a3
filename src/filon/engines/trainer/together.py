"""The same fits by several processes, each with a part of the rows: one after the other, in the thread that talks to the others."""

import time
from collections.abc import Callable, Iterator, Sequence

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.trainer.matrix import Machine, Matrices
from filon.engines.trainer.peers import Peers
from filon.engines.trainer.progress import Progress
from filon.engines.trainer.rows import FoldRows
from filon.engines.trainer.sharing import Group, grouped
from filon.engines.trainer.work import Work


def fit_together(
    train: FoldRows,
    valid: FoldRows | None,
    trials: Sequence[Trial],
    plan: FitPlan,
    peers: Peers,
    *,
    threads: int,
    tell: Callable[[Progress], None],
) -> Iterator[Fitted]:
    """Fit each trial on the rows of all peers; every peer is given the same trials and plan, and has a row of each fold at least.

    Parameters
    ----------
    train, valid : this peer's part, in canonical order
    threads : cores of this peer
    tell : hears of each round

    Yields
    ------
    Fitted : the same model for every peer, with the tally of its own part of the validation rows

    Raises
    ------
    Exception : whatever went wrong: the others must not wait for a peer that has gone on to the next trial
    """
    began = time.monotonic()
    groups, failed = grouped(trials, train.encoding)
    yield from failed

    def late() -> bool:
        return plan.deadline_s is not None and time.monotonic() - began >= plan.deadline_s

    machine = Machine(threads=threads)
    uses = [group.work.matrix for group in groups if group.work.bins]
    matrices = Matrices(train, valid, machine, uses, lambda: False, peers=peers)
    progress = _Speaking(groups, "search" if plan.valid else "fit", tell)
    for group in groups:
        work = Work(group, matrices, plan, progress, lambda: False, late)
        work.pieces(1)
        work.do(0)
        yield from work.outcomes()
        matrices.done(group.work.matrix)
        progress.end(group)


class _Speaking(Progress):
    """Says each round as it is done."""

    def __init__(self, groups: Sequence[Group], stage: str, tell: Callable[[Progress], None]) -> None:
        super().__init__(groups, stage)
        self._tell = tell

    def step(self, group: Group, value: float | None) -> None:
        """A round of it is done."""
        super().step(group, value)
        self._tell(self)
