"""Trials that are one fit: equal settings once, shorter counts as prefixes of the longest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from filon.engines.base import Fitted, Trial
from filon.engines.trainer.families import Work, count_of, work_of
from filon.rows.encode import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One fit and the trials it serves, longest first (ties by number)."""

    work: Work
    trials: tuple[Trial, ...]

    @property
    def longest(self) -> Trial:
        """The trial whose fit holds all others."""
        return self.trials[0]

    @property
    def rounds(self) -> int:
        """What the longest asks for."""
        return count_of(self.longest)

    @property
    def cost(self) -> float:
        """Rough work, comparable between groups on the same rows: for the order of fits and the time left."""
        acts = self.work.acts
        depth = float(str(acts.get("maxDepth", acts.get("max_depth", 6)) or 8))
        share = float(str(acts.get("featureSubsetStrategy", 8)))
        return self.rounds * depth * (depth * share / 4 if self.work.family == "random_forest" else 4.0)

    def parts(self) -> Iterator[tuple[int, tuple[Trial, ...]]]:
        """Each count with its trials, longest first."""
        counts = dict.fromkeys(count_of(trial) for trial in self.trials)
        for count in counts:
            yield count, tuple(trial for trial in self.trials if count_of(trial) == count)

    def shared(self, trial: Trial) -> str:
        """What a trial owes to another one of the group, "" for the longest."""
        if trial is self.longest:
            return ""
        first = next(other for other in self.trials if count_of(other) == count_of(trial))
        return f"prefix of trial {self.longest.number}" if first is trial else f"same as trial {first.number}"


def grouped(trials: Sequence[Trial], encoding: Encoding) -> tuple[list[Group], list[Fitted]]:
    """The fits that differ, in the order of their first trial, and the trials that cannot be fitted at all."""
    found: dict[tuple[object, ...], tuple[Work, list[Trial]]] = {}
    failed: list[Fitted] = []
    for trial in trials:
        try:
            work = work_of(trial, encoding)
            if count_of(trial) < 1:
                raise ValueError(f"{trial.family} cannot be fitted with {count_of(trial)} rounds")
        except (KeyError, ValueError) as exc:
            failed.append(Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=one_line(exc)))
            continue
        identity = (work.family, work.seed, *work.matrix, *sorted((name, _plain(value)) for name, value in work.acts.items()))
        found.setdefault(identity, (work, []))[1].append(trial)
    groups = [
        Group(work=work, trials=tuple(sorted(members, key=lambda trial: (-count_of(trial), trial.number))))
        for work, members in found.values()
    ]
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


def _plain(value: object) -> object:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
