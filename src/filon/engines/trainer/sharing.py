"""Trials that are one fit: equal settings once, smaller models as parts of the largest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from filon.engines.base import Fitted, Trial
from filon.engines.trainer.families import Work, count_of, depth_of, work_of
from filon.rows.encode import Encoding

Size = tuple[int, int]
"""What a trial takes of its group's fit: rounds or trees, and for a forest their depth (0 elsewhere)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One fit and the trials it serves, largest first (ties by number)."""

    work: Work
    trials: tuple[Trial, ...]

    @property
    def longest(self) -> Trial:
        """The trial that speaks for the group."""
        return self.trials[0]

    @property
    def rounds(self) -> int:
        """The most rounds, trees or steps that any trial asks for."""
        return int(float(str(self.work.acts["maxIter"]))) if self.work.family == "logistic_regression" else count_of(self.longest)

    @property
    def cost(self) -> float:
        """Rough work, comparable between groups on the same rows: for the order of fits, what shares a task, and the time left.

        Trees of 6, 10, 14 and 18 levels took 0.9, 2.8, 6.8 and 10 ms on 8,000 rows of 15 features (5, 11, 33 and 73 on 80,000): about the
        square of the depth. On real tables boosted trees end earlier, since most rows are soon known well.
        """
        if self.work.family != "random_forest":
            return self.rounds * float(str(self.work.acts.get("maxDepth", self.work.acts.get("max_depth", 6)) or 8)) ** 2
        ends = sorted({0, *(count_of(trial) for trial in self.trials)})
        return sum((end - start) * self.depth_of(end) ** 2 * 1.5 for start, end in pairwise(ends))

    def depth_of(self, number: int) -> int:
        """How deep tree `number` of a forest is wanted by some trial."""
        return max(depth for count, depth in map(size_of, self.trials) if count >= number)

    def parts(self) -> Iterator[tuple[Size, tuple[Trial, ...]]]:
        """Each size with its trials, largest first."""
        for size in dict.fromkeys(map(size_of, self.trials)):
            yield size, tuple(trial for trial in self.trials if size_of(trial) == size)

    def shared(self, trial: Trial) -> str:
        """What a trial owes to another one of the group, "" for those that no other holds."""
        size = size_of(trial)
        holder = next(other for other in self.trials if all(has >= wants for has, wants in zip(size_of(other), size, strict=True)))
        first = next(other for other in self.trials if size_of(other) == size)
        if first is not trial:
            return f"same as trial {first.number}"
        return "" if holder is trial else f"prefix of trial {holder.number}"


def size_of(trial: Trial) -> Size:
    """Rounds or trees, and the depth of a forest."""
    return count_of(trial), depth_of(trial)


def grouped(trials: Sequence[Trial], encoding: Encoding) -> tuple[list[Group], list[Fitted]]:
    """The fits that differ, in the order of their first trial, and the trials that cannot be fitted at all."""
    found: dict[tuple[object, ...], tuple[Work, list[Trial]]] = {}
    failed: list[Fitted] = []
    for trial in trials:
        try:
            work = work_of(trial, encoding)
            if count_of(trial) < 1:
                raise ValueError(f"{trial.family} cannot be fitted with {count_of(trial)} rounds")
            if trial.family == "random_forest" and depth_of(trial) < 1:
                raise ValueError(f"a forest cannot be fitted with a depth of {depth_of(trial)}")
        except (KeyError, ValueError) as exc:
            failed.append(Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=one_line(exc)))
            continue
        identity = (work.family, work.seed, *work.matrix, *sorted((name, _plain(value)) for name, value in work.acts.items()))
        found.setdefault(identity, (work, []))[1].append(trial)
    groups = [Group(work=work, trials=tuple(sorted(members, key=_largest_first))) for work, members in found.values()]
    return groups, failed


def one_line(exc: BaseException) -> str:
    """Why a fit failed, on one clean line: XGBoost's C++ errors lose their time, file and stack."""
    if isinstance(exc, MemoryError):
        return "out of memory"
    text = str(exc).split("\nStack trace")[0].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = " ".join(lines[:2]) if lines else type(exc).__name__
    if line.startswith("[") and "] " in line:
        line = line.split("] ", 1)[1]
    parts = line.split(": ", 1)
    if len(parts) == 2 and "/" in parts[0] and " " not in parts[0]:
        line = parts[1]
    return line[:300]


def _largest_first(trial: Trial) -> tuple[int, int, int]:
    count, depth = size_of(trial)
    return -count, -depth, trial.number


def _plain(value: object) -> object:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
