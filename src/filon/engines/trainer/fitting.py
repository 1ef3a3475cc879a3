"""Trials to fitted ensembles, sharing what can be shared."""

from collections.abc import Callable, Iterator, Sequence

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.trainer.rows import FoldRows
from filon.events import Listen, silence


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
) -> Iterator[Fitted]:
    """Fit each trial on `train` and tally it on `valid`; yields as they come, each trial once.

    Parameters
    ----------
    train : rows to fit on, already capped to `plan.rows`
    valid : rows for early stopping and the tally, or None (refit: every round asked for, no tally)
    threads : cores to use, 0 for all
    memory_mib : resident memory the fit may take, 0 for no limit; past it the matrix lives on disk
    scratch : folder for that, "" for the system's
    stop : asked between rounds; once True, what runs ends and the trials left are yielded with the error "stopped"

    Yields
    ------
    Fitted : with `error` when the trial failed, was stopped, or was not begun before `plan.deadline_s`
    """
    raise NotImplementedError
