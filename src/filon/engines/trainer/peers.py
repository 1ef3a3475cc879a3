"""Those who fit together: each has a part of the rows, and all end with the same model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Peers(Protocol):
    """What a fit asks of the others; every peer asks the same questions in the same order.

    `rank` counts from 0. A fit without others is `ALONE`: each answer is then what was given, to the bit."""

    rank: int

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum over all peers, element by element (float64)."""
        ...

    def gather(self, values: np.ndarray) -> np.ndarray:
        """(peers, ...) float64: what each gave, by rank."""
        ...

    def any(self, said: bool) -> bool:
        """Whether one of them says so."""
        ...


class _Alone:
    rank = 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        return values

    def gather(self, values: np.ndarray) -> np.ndarray:
        return values[None]

    def any(self, said: bool) -> bool:
        return said


ALONE: Peers = _Alone()


class Together:
    """The peers of XGBoost's collective: to be made by the thread that fits, inside its communicator."""

    def __init__(self) -> None:
        from xgboost import collective

        self._talk: Any = collective
        self.rank, self.many = collective.get_rank(), collective.get_world_size()

    def sum(self, values: np.ndarray) -> np.ndarray:
        """See `Peers`."""
        flat = np.ascontiguousarray(values, dtype=np.float64).reshape(-1).copy()
        return np.asarray(self._talk.allreduce(flat, self._talk.Op.SUM)).reshape(np.shape(values))

    def gather(self, values: np.ndarray) -> np.ndarray:
        """See `Peers`."""
        whole = np.zeros((self.many, *np.shape(values)))
        whole[self.rank] = values
        return self.sum(whole)

    def any(self, said: bool) -> bool:
        """See `Peers`."""
        return bool(self.sum(np.array([float(said)]))[0])


def mean(values: np.ndarray, peers: Peers) -> float:
    """The mean over the rows of all peers."""
    if peers is ALONE:
        return float(values.mean(dtype=np.float64))
    total = peers.sum(np.array([values.sum(dtype=np.float64), len(values)]))
    return float(total[0] / total[1])


def tracker(host: str, peers: int) -> dict[str, Any]:
    """Start what the peers meet by, on this host; the words that each of them needs."""
    import threading

    from xgboost.tracker import RabitTracker

    made = RabitTracker(n_workers=peers, host_ip=host, sortby="task")
    made.start()
    threading.Thread(target=made.wait_for, name="filon-tracker", daemon=True).start()
    return dict(made.worker_args())


def communicator(words: dict[str, Any], number: int) -> Any:
    """The context within which peer `number` talks to the others; `Together` is made inside, in the same thread."""
    from xgboost.collective import CommunicatorContext

    return CommunicatorContext(**words, dmlc_task_id=f"{number:06d}")
