"""The ledger of a search: fits trials once, records each, remembers the best of every family."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from filon.engines.base import Engine, FitPlan, Fitted, Folds, Trial
from filon.engines.tally import Tally
from filon.errors import DataError, EngineError
from filon.events import Event, Listen
from filon.search.budget import Clock
from filon.search.grid import family_of, key
from filon.search.records import Choice, Member, TrialRecord
from filon.search.settings import METRICS, FamilyName
from filon.trees import Ensemble

SMALLER_IS_BETTER = frozenset({"logLoss", "brier"})

Keep = Callable[[TrialRecord, Fitted], None]
Load = Callable[[int], Ensemble | None]


def measure(tally: Tally) -> dict[str, float | None]:
    """Every metric of `METRICS` on one tally; None where it is not defined."""
    from filon.evaluate.metrics import value

    return {name: value(tally, name) for name in METRICS}


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One search's memory. It keeps no more than one fitted trial a family, however many trials there are."""

    folds: Folds
    engine: Engine
    metric: str
    keep: Keep
    listen: Listen
    clock: Clock
    done: Mapping[str, TrialRecord]
    load: Load | None
    total: int = 0
    records: list[TrialRecord] = field(default_factory=list)
    best: dict[FamilyName, Fitted] = field(default_factory=dict)
    _best_record: dict[FamilyName, TrialRecord] = field(default_factory=dict)

    def run(self, trials: Sequence[Trial], plan: FitPlan, *, final: bool = True) -> list[TrialRecord]:
        """Fit what is not known yet, record everything; records in the order of the trials.

        Parameters
        ----------
        final : whether these trials may win (False for the smaller rungs of a search by halving)
        """
        found: dict[int, TrialRecord] = {}
        twins: dict[str, list[Trial]] = {}
        for trial in trials:
            twins.setdefault(key(trial, self.folds, plan), []).append(trial)
        fresh: dict[int, str] = {}
        for name, equal in twins.items():
            if name in self.done:
                for trial in equal:
                    found[trial.number] = self._recall(self.done[name], trial, final)
            else:
                fresh[equal[0].number] = name
        for fitted in self._fit([trial for trial in trials if trial.number in fresh], plan):
            name = fresh.pop(fitted.trial.number)
            for record in self._enter(name, fitted, twins[name], plan, final):
                found[record.number] = record
        for name in fresh.values():  # the engine did not begin these: the time was up
            for trial in twins[name]:
                found[trial.number] = self._write(_record(name, trial, "skipped", plan, error="the time was up before this trial began"))
        return [found[trial.number] for trial in trials]

    def next_number(self, after: int = 0) -> int:
        """The number of the next trial (and of those `after` it), counted over everything recorded."""
        return len(self.records) + 1 + after

    def _fit(self, trials: Sequence[Trial], plan: FitPlan) -> Iterable[Fitted]:
        if not trials or self.clock.over:
            return ()
        return self.engine.fit(self.folds, trials, replace(plan, deadline_s=self.clock.left_s()))

    def _enter(self, name: str, fitted: Fitted, equal: Sequence[Trial], plan: FitPlan, final: bool) -> list[TrialRecord]:
        """Record a fitted trial, and under it those that amount to the same."""
        entered = []
        for trial in equal:
            own = fitted if trial is equal[0] else replace(fitted, trial=trial, seconds=0.0, shared=f"same as trial {fitted.trial.number}")
            record = _of(name, own, plan)
            if record.state == "done" and final:
                self._offer(record, own)
            self.keep(record, own)
            entered.append(self._write(record))
        return entered

    def _recall(self, known: TrialRecord, trial: Trial, final: bool) -> TrialRecord:
        """A trial that an earlier, interrupted search finished: its record stands, its model is loaded if it is the best of its family."""
        record = replace(known, number=trial.number)
        if record.state == "done" and final and self._leads(record):
            self._best_record[record.family] = record
            ensemble = self.load(known.number) if self.load else None
            self.best.pop(record.family, None)
            if ensemble is not None:
                scored = self.engine.score(self.folds.fold("valid"), ensemble, self.folds.encoding)
                tally = self.engine.tally(scored)[()]
                self.best[record.family] = Fitted(
                    trial=trial,
                    ensemble=ensemble,
                    tally=tally,
                    rounds=record.rounds,
                    curve=record.curve,
                    curve_metric=record.curve_metric,
                    seconds=record.seconds,
                    shared=record.shared,
                )
        return self._write(record)

    def _offer(self, record: TrialRecord, fitted: Fitted) -> None:
        if self._leads(record):
            self._best_record[record.family] = record
            self.best[record.family] = fitted

    def _leads(self, record: TrialRecord) -> bool:
        known = self._best_record.get(record.family)
        return known is None or rank(record, self.metric) < rank(known, self.metric)

    def _write(self, record: TrialRecord) -> TrialRecord:
        self.records.append(record)
        self.listen(self._event(record))
        return record

    def _event(self, record: TrialRecord) -> Event:
        number, total = len(self.records), max(self.total, len(self.records))
        spent = sum(each.seconds for each in self.records)
        left = self.clock.left_s()
        estimate = spent / number * (total - number)
        value = record.metrics.get(self.metric)
        said = f"{self.metric} {value:.4f}" if value is not None else record.error or record.state
        return Event(
            stage="search",
            text=f"trial {number} of {total}: {record.family} {said}",
            done=number,
            total=total,
            left_s=estimate if left is None else min(left, estimate),
            fields={
                "trial": record.number,
                "family": record.family,
                "state": record.state,
                "metric": self.metric,
                "value": value,
                "rounds": record.rounds,
            },
        )

    def choice(self, members: tuple[Member, ...] = ()) -> Choice:
        """The winner over the families.

        Raises
        ------
        EngineError : `search.all-failed` with the commonest reason
        DataError : `search.metric-undefined` when no trial has a value of the metric
        """
        if not self._best_record:
            raise _nothing_fitted(self.records)
        winner = min(self._best_record.values(), key=lambda record: rank(record, self.metric))
        if winner.metrics.get(self.metric) is None:
            raise DataError(
                "search.metric-undefined",
                f"{self.metric} is not defined on the validation fold",
                f"rows by class in it: {dict(zip(self.folds.encoding.classes, self.folds.info['valid'].by_class, strict=False))}",
                "give split.valid a larger share, or choose another search.metric",
            )
        trial = Trial(number=winner.number, family=winner.family, settings=winner.settings, seed=winner.seed)
        return Choice(
            metric=self.metric, winner=trial, rounds=winner.rounds, best=dict(self.best), records=tuple(self.records), members=members
        )


def rank(record: TrialRecord, metric: str) -> tuple[bool, float, int, int]:
    """Order of merit, best first: the metric, then fewer trees, then the lower number; an undefined metric comes last."""
    value = record.metrics.get(metric)
    worth = 0.0 if value is None else value if metric in SMALLER_IS_BETTER else -value
    return (value is None, worth, max(record.trees, record.rounds), record.number)


def _of(name: str, fitted: Fitted, plan: FitPlan) -> TrialRecord:
    if fitted.ensemble is None or fitted.tally is None:
        return _record(name, fitted.trial, "failed", plan, error=fitted.error or "no reason given", seconds=fitted.seconds)
    return replace(
        _record(name, fitted.trial, "done", plan, seconds=fitted.seconds),
        metrics=measure(fitted.tally),
        rounds=fitted.rounds,
        trees=fitted.ensemble.trees,
        shared=fitted.shared,
        curve_metric=fitted.curve_metric,
        curve=fitted.curve,
    )


def _record(name: str, trial: Trial, state: str, plan: FitPlan, *, error: str = "", seconds: float = 0.0) -> TrialRecord:
    return TrialRecord(
        number=trial.number,
        key=name,
        family=family_of(trial),
        settings=dict(trial.settings),
        seed=trial.seed,
        state=state,  # type: ignore[arg-type]  # one of the three words, by the callers above
        error=error,
        seconds=seconds,
        rows=plan.rows,
    )


def _nothing_fitted(records: Sequence[TrialRecord]) -> EngineError:
    failed = Counter(
        record.error.strip().splitlines()[0] if record.error.strip() else "no reason given"
        for record in records
        if record.state == "failed"
    )
    if not failed:
        return EngineError(
            "search.no-time",
            "the time was up before one trial ended",
            f"{len(records)} trials were waiting",
            "give search.budget.minutes more, or name fewer rows (search.rows)",
        )
    reason, count = failed.most_common(1)[0]
    return EngineError(
        "search.all-failed",
        f"all {sum(failed.values())} trials failed",
        f"the commonest reason ({count} of them): {reason}",
        "correct the settings under [search], or run with --debug to see where it comes from",
    )
