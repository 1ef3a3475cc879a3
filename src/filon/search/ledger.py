"""The ledger of a search: fits trials once, records each, remembers the best of every family."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from filon.engines.base import CurvePoint, Engine, FitPlan, Fitted, Folds, Trial
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
    """One search's memory. It keeps no more than `podium` fitted trials a family, however many trials there are."""

    folds: Folds
    engine: Engine
    metric: str
    keep: Keep
    listen: Listen
    clock: Clock
    done: Mapping[str, TrialRecord]
    load: Load | None
    total: int = 0
    podium: int = 1
    records: list[TrialRecord] = field(default_factory=list)
    filed: dict[tuple[str, int], TrialRecord] = field(default_factory=dict)
    """by key and number: what `keep` was told, in the attempt before, too"""
    known: dict[str, tuple[TrialRecord, bool]] = field(default_factory=dict)
    """by key: the first trial of this search that did this work, and whether it could win"""
    _leaders: dict[FamilyName, list[tuple[TrialRecord, Fitted | None]]] = field(default_factory=dict)

    def run(self, trials: Sequence[Trial], plan: FitPlan, *, final: bool = True, hurried: bool = True) -> list[TrialRecord]:
        """Fit what is not known yet, record everything; records in the order of the trials.

        Parameters
        ----------
        final : whether these trials may win (False for the smaller rungs of a search by halving)
        hurried : whether the time may run out on them
        """
        trials = self._numbered([(trial, key(trial, self.folds, plan)) for trial in trials])
        found: dict[int, TrialRecord] = {}
        twins: dict[str, list[Trial]] = {}
        for trial in trials:
            twins.setdefault(key(trial, self.folds, plan), []).append(trial)
        fresh: dict[int, str] = {}
        for name, equal in twins.items():
            if self._stands(name, final):
                for trial in equal:
                    found[trial.number] = self._again(name, trial)
            elif name in self.done:
                for trial in equal:
                    found[trial.number] = self._recall(name, trial, final)
            else:
                fresh[equal[0].number] = name
        for fitted in self._fit([trial for trial in trials if trial.number in fresh], plan, hurried):
            name = fresh.pop(fitted.trial.number)
            for record in self._enter(name, fitted, twins[name], plan, final):
                found[record.number] = record
        for name in fresh.values():  # the engine did not begin these: the time was up
            for trial in twins[name]:
                found[trial.number] = self._write(_record(name, trial, "skipped", plan, error="the time was up before this trial began"))
        return [found[trial.number] for trial in trials]

    def run_parts(self, trials: Sequence[Trial], plan: FitPlan, parts: int) -> list[TrialRecord]:
        """Cross-validate: each trial is fitted `parts` times within train + validation, each time scored on the part it did not see.

        None of these models may win (they are not kept): what is found is the settings and their rounds. A trial counts as finished when
        all its parts are.
        """
        found: dict[int, TrialRecord] = {}
        fresh = []
        for trial in trials:
            name = key(trial, self.folds, plan, parts)
            if name in self.done:
                found[trial.number] = self._recall(name, trial, final=False)
            else:
                fresh.append(trial)
        halves: dict[int, list[Fitted]] = {trial.number: [] for trial in fresh}
        for part in range(parts):
            for fitted in self._fit(fresh, replace(plan, train=("train", "valid"), part=(part, parts))):
                halves[fitted.trial.number].append(fitted)
        for trial in fresh:
            record = _crossed(key(trial, self.folds, plan, parts), trial, halves[trial.number], plan, parts)
            if record.state != "skipped":
                self._file(record, Fitted(trial=trial, ensemble=None, tally=None, rounds=record.rounds, seconds=record.seconds))
            found[trial.number] = self._write(record)
            _refuse_to_go_on(record)
        return [found[trial.number] for trial in trials]

    def enter(self, record: TrialRecord, fitted: Fitted) -> TrialRecord:
        """Record a model that was made of others; it may win."""
        (trial,) = self._numbered([(fitted.trial, record.key)])
        record, fitted = replace(record, number=trial.number), replace(fitted, trial=trial)
        if record.key not in self.done:
            self._file(record, fitted)
        self._offer(record, fitted)
        return self._write(record)

    def next_number(self, after: int = 0) -> int:
        """The number of the next trial (and of those `after` it), counted over everything recorded."""
        return max((record.number for record in self.records), default=0) + 1 + after

    def _numbered(self, trials: Sequence[tuple[Trial, str]]) -> list[Trial]:
        """The trials under numbers that no other work has: a number names a model on the disk and a run of MLflow.

        An interrupted search whose time was up goes on elsewhere when it is resumed, and would give numbers of its own work to other work.
        """
        taken = {number for _, number in self.filed}
        used = {record.number for record in self.records} | {one.number for one, name in trials if (name, one.number) in self.filed}
        free = max(taken | used | {one.number for one, _ in trials}, default=0) + 1
        numbered = []
        for one, name in trials:
            number = one.number
            if (name, number) not in self.filed:
                own = self.done[name].number if name in self.done else 0
                number = own if own and own not in used else number if number not in taken | used else free
                free += number == free
                used.add(number)
            numbered.append(one if number == one.number else replace(one, number=number))
        return numbered

    def _fit(self, trials: Sequence[Trial], plan: FitPlan, hurried: bool = True) -> Iterable[Fitted]:
        if not trials or (hurried and self.clock.over):
            return ()
        return self.engine.fit(self.folds, trials, replace(plan, deadline_s=self.clock.left_s() if hurried else None))

    def _enter(self, name: str, fitted: Fitted, equal: Sequence[Trial], plan: FitPlan, final: bool) -> list[TrialRecord]:
        """Record a fitted trial, and under it those that amount to the same."""
        entered = []
        for trial in equal:
            own = fitted if trial is equal[0] else replace(fitted, trial=trial, seconds=0.0, shared=f"same as trial {fitted.trial.number}")
            record = _of(name, own, plan)
            stands = self._offer(record, own) if record.state == "done" and final else not final
            # The model of one that others of its family have beaten is never asked for again: a forest may be 50 MB on the disk
            self._file(record, own if stands else replace(own, ensemble=None))
            entered.append(self._write(record))
        self.known[name] = (entered[0], final)
        _refuse_to_go_on(entered[0])
        return entered

    def _recall(self, name: str, trial: Trial, final: bool) -> TrialRecord:
        """A trial that an earlier, interrupted search finished: its record stands, its model is loaded when it is asked for."""
        if self._stands(name, final) and (name, trial.number) not in self.filed:
            return self._again(name, trial)  # its twin's line was not written any more
        record = self.filed.get((name, trial.number)) or replace(self.done[name], number=trial.number)
        _refuse_to_go_on(record)
        if record.state == "done" and final:
            self._offer(record, None)
        self.known.setdefault(name, (record, final))
        return self._write(record)

    def _stands(self, name: str, final: bool) -> bool:
        """Whether this search has the same work on record, and its model where it may win."""
        return name in self.known and (self.known[name][1] or not final)

    def _again(self, name: str, trial: Trial) -> TrialRecord:
        """A trial that amounts to one that this search has fitted before: samplers draw the same twice where there is little to draw."""
        first = self.known[name][0]
        same = replace(first, number=trial.number, settings=dict(trial.settings), seconds=0.0, shared=f"same as trial {first.number}")
        record = self.filed.get((name, trial.number), same)
        self._file(record, Fitted(trial=trial, ensemble=None, tally=None, rounds=record.rounds, seconds=0.0, shared=record.shared))
        return self._write(record)

    def _file(self, record: TrialRecord, fitted: Fitted) -> None:
        """Tell `keep` of a record that no attempt has told it of."""
        if (record.key, record.number) not in self.filed:
            self.filed[record.key, record.number] = record
            self.keep(record, fitted)

    def _offer(self, record: TrialRecord, fitted: Fitted | None) -> bool:
        """Whether it is among the best of its family so far."""
        leaders = self._leaders.setdefault(record.family, [])
        leaders.append((record, fitted))
        leaders.sort(key=lambda leader: rank(leader[0], self.metric))
        del leaders[self.podium :]
        return any(leader is record for leader, _ in leaders)

    def leaders(self, family: FamilyName) -> list[tuple[TrialRecord, Fitted]]:
        """The best trials of a family that may win, best first, with their models; those whose model is lost are left out."""
        found = []
        for record, fitted in self._leaders.get(family, ()):
            whole = fitted or self._reload(record)
            if whole is not None:
                found.append((record, whole))
        return found

    def _reload(self, record: TrialRecord) -> Fitted | None:
        """The model of a trial fitted before the interruption, tallied again on the validation fold."""
        written = self.done[record.key]
        ensemble = self.load(written.number) if self.load else None
        if ensemble is None:
            return None
        return Fitted(
            trial=trial_of(record),
            ensemble=ensemble,
            tally=self.tally(ensemble),
            rounds=record.rounds,
            curve=record.curve,
            curve_metric=record.curve_metric,
            seconds=record.seconds,
            shared=record.shared,
        )

    def tally(self, ensemble: Ensemble) -> Tally:
        """An ensemble on the validation fold."""
        scored = self.engine.score(self.folds.fold("valid"), ensemble, self.folds.encoding)
        return self.engine.tally(scored)[()]

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

    def choice(self, winner: TrialRecord | None = None, fitted: Fitted | None = None, members: tuple[Member, ...] = ()) -> Choice:
        """The winner: the one given (its model is then the best of its family), or the best of those that may win.

        Raises
        ------
        EngineError : `search.all-failed` with the commonest reason, `search.no-time`
        DataError : `search.metric-undefined` when no trial has a value of the metric
        """
        firsts = [leaders[0][0] for leaders in self._leaders.values()]
        if winner is None and not firsts:
            raise nothing_fitted(self.records)
        chosen = winner or min(firsts, key=lambda record: rank(record, self.metric))
        if chosen.metrics.get(self.metric) is None:
            raise self._undefined()
        best = {family: first for family in self._leaders for _, first in self.leaders(family)[:1]}
        if fitted is not None:
            best[chosen.family] = replace(fitted, trial=trial_of(chosen))
        return Choice(
            metric=self.metric, winner=trial_of(chosen), rounds=chosen.rounds, best=best, records=self._in_order(), members=members
        )

    def _in_order(self) -> tuple[TrialRecord, ...]:
        return tuple(sorted(self.records, key=lambda record: record.number))

    def _undefined(self) -> DataError:
        return DataError(
            "search.metric-undefined",
            f"{self.metric} is not defined on the validation fold",
            f"rows by class in it: {dict(zip(self.folds.encoding.classes, self.folds.info['valid'].by_class, strict=False))}",
            "give split.valid a larger share, or choose another search.metric",
        )


def _refuse_to_go_on(record: TrialRecord) -> None:
    """End the run where a rule asks for it; the trial is on record by now.

    Raises
    ------
    EngineError : `rules.run-stopped`
    """
    stopping = next((one for one in record.broken if one.action == "stop-run"), None)
    if stopping is not None:
        raise EngineError(
            "rules.run-stopped",
            f"the rule {stopping.rule} stopped the run at trial {record.number} ({record.family})",
            stopping.why,
            f'change the settings of the search; or rules.{stopping.rule.replace("-", "_")} = "warn" to go on',
        )


def trial_of(record: TrialRecord) -> Trial:
    """The trial that a record is of."""
    return Trial(number=record.number, family=record.family, settings=record.settings, seed=record.seed)


def rank(record: TrialRecord, metric: str) -> tuple[bool, float, int, int]:
    """Order of merit, best first: the metric, then fewer trees, then the lower number; an undefined metric comes last."""
    value = record.metrics.get(metric)
    worth = 0.0 if value is None else value if metric in SMALLER_IS_BETTER else -value
    return (value is None, worth, max(record.trees, record.rounds), record.number)


def _of(name: str, fitted: Fitted, plan: FitPlan) -> TrialRecord:
    if fitted.ensemble is None or fitted.tally is None:
        failed = _record(name, fitted.trial, "failed", plan, error=fitted.error or "no reason given", seconds=fitted.seconds)
        return replace(failed, curve_metric=fitted.curve_metric, curve=fitted.curve, broken=fitted.broken)
    return replace(
        _record(name, fitted.trial, "done", plan, seconds=fitted.seconds),
        metrics=measure(fitted.tally),
        rounds=fitted.rounds,
        trees=fitted.ensemble.trees,
        shared=fitted.shared,
        curve_metric=fitted.curve_metric,
        curve=fitted.curve,
        broken=fitted.broken,
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


def _crossed(name: str, trial: Trial, fits: Sequence[Fitted], plan: FitPlan, parts: int) -> TrialRecord:
    """One record of a trial's fits on the parts: means of metrics, rounds and curves."""
    seconds = sum(fitted.seconds for fitted in fits)
    failed = next((fitted for fitted in fits if fitted.ensemble is None or fitted.tally is None), None)
    if failed is not None:
        record = _record(name, trial, "failed", plan, error=failed.error or "no reason given", seconds=seconds)
    elif len(fits) < parts:
        record = _record(name, trial, "skipped", plan, error="the time was up before this trial ended", seconds=seconds)
    else:
        measured = [measure(fitted.tally) for fitted in fits if fitted.tally is not None]
        record = replace(
            _record(name, trial, "done", plan, seconds=seconds),
            metrics={metric: _mean([one[metric] for one in measured]) for metric in METRICS},
            rounds=round(sum(fitted.rounds for fitted in fits) / parts),
            trees=round(sum(fitted.ensemble.trees for fitted in fits if fitted.ensemble is not None) / parts),
            curve_metric=fits[0].curve_metric,
            curve=_mean_curve([fitted.curve for fitted in fits]),
        )
    broken = {one.rule: one for fitted in fits for one in fitted.broken}
    return replace(record, parts=parts, broken=tuple(broken.values()))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _mean_curve(curves: Sequence[tuple[CurvePoint, ...]]) -> tuple[CurvePoint, ...]:
    """The mean over the rounds that all have."""
    return tuple(
        CurvePoint(round=points[0].round, train=_mean([point.train for point in points]), valid=_mean([point.valid for point in points]))
        for points in zip(*curves, strict=False)
    )


def nothing_fitted(records: Sequence[TrialRecord]) -> EngineError:
    """What to say when no trial ended well."""
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
