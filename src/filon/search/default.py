"""The search of a recipe that names no family: settings that do well on most tables, and the average of the best of them.

Evidence is in docs/adr/0070-default-search.md. What is tried depends on the size of the table alone, never on the clock: the same
table gives the same model on a slower machine, only later.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from filon.engines.base import FitPlan, Fitted, Trial, Value
from filon.fit import averaged, fixed
from filon.search.grid import fingerprint, trial
from filon.search.ledger import SMALLER_IS_BETTER, Ledger, measure, nothing_fitted, rank, trial_of
from filon.search.records import Choice, Member, TrialRecord
from filon.search.settings import Budget, FamilyName, LogisticRegressionGrid, XGBoostGrid

Settings = Mapping[str, Value]

BROAD: Settings = {"max_depth": 4, "eta": 0.05, "subsample": 0.8, "colsample_bytree": 0.6, "reg_lambda": 5.0, "min_child_weight": 3.0}
SHALLOW: Settings = {"max_depth": 3, "eta": 0.06, "subsample": 0.8, "colsample_bytree": 0.5}
STUMPY: Settings = {"max_depth": 2, "eta": 0.1, "subsample": 0.8, "colsample_bytree": 0.5}
DEEP: Settings = {"max_depth": 8, "eta": 0.04, "subsample": 0.8, "colsample_bynode": 0.4, "reg_lambda": 5.0}
DAMPED: Settings = {"max_depth": 6, "eta": 0.05, "subsample": 0.7, "colsample_bynode": 0.3, "reg_lambda": 10.0, "min_child_weight": 5.0}
DEEPEST: Settings = {"max_depth": 10, "eta": 0.04, "subsample": 0.7, "colsample_bynode": 0.3}
FREE: Settings = {"max_depth": 6, "eta": 0.06, "subsample": 0.7, "colsample_bynode": 0.6, "reg_lambda": 0.5, "min_child_weight": 0.3}
WIDE: Settings = {"max_depth": 8, "eta": 0.05, "subsample": 0.8, "colsample_bynode": 0.8, "reg_lambda": 3.0}

PLAIN: Settings = {"balance": 0.0}
"""Without class weights: on skewed tables deep trees rank better so (areaUnderROC: wine-quality 0.01, ai4i 0.003), shallow ones not."""

ORDINAL: Settings = {"categories": "ordinal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What a table of some size is worth.

    most_cells : training + validation cells (rows x features) x trees per round, up to which this tier counts
    parts : of cross-validation within train + validation, 0 for the validation fold alone
    tried : settings in the order in which a budget of trials takes them; ordinal ones only where there are categories
    linear : whether a linear model is tried beside
    members : models averaged at most
    """

    most_cells: float
    parts: int
    tried: tuple[Settings, ...]
    linear: bool
    members: int


LARGE: Settings = {"max_depth": 10, "eta": 0.1, "subsample": 0.8, "colsample_bynode": 0.4, "reg_lambda": 5.0, "balance": 0.0}
QUICK: Settings = {"eta": 0.1, "balance": 0.0}
"""On more rows eta 0.1 loses nothing that shows, and halves the rounds."""

SMALL = (
    {**DEEP, **PLAIN},
    BROAD,
    {**FREE, **PLAIN},
    {**DEEPEST, **PLAIN, **ORDINAL},
    {**WIDE, **PLAIN},
    STUMPY,
    {**BROAD, **PLAIN},
    {**DEEPEST, **PLAIN},
    SHALLOW,
    {**DAMPED, **PLAIN},
    DEEP,
    {**BROAD, **ORDINAL},
)
TIERS = (
    Tier(most_cells=30_000, parts=5, tried=SMALL, linear=True, members=8),
    Tier(most_cells=120_000, parts=5, tried=SMALL, linear=True, members=5),
    Tier(most_cells=400_000, parts=5, tried=SMALL[:7], linear=True, members=4),
    Tier(
        most_cells=1_500_000,
        parts=3,
        tried=({**DEEP, **PLAIN}, {**WIDE, **PLAIN}, {**DEEPEST, **PLAIN, **ORDINAL}, BROAD, {**FREE, **PLAIN}),
        linear=False,
        members=4,
    ),
    Tier(
        most_cells=5_000_000,
        parts=0,
        tried=({**LARGE, **ORDINAL}, {**WIDE, **QUICK}, LARGE, {**LARGE, "max_depth": 12}),
        linear=False,
        members=3,
    ),
    Tier(most_cells=60_000_000, parts=0, tried=({**LARGE, **ORDINAL}, {**WIDE, **QUICK}), linear=False, members=2),
    Tier(most_cells=float("inf"), parts=0, tried=({**WIDE, **QUICK},), linear=False, members=1),
)

TOGETHER = 4
"""Trials cross-validated in one go: enough for the cores of a laptop, few enough to lose little when killed."""

LEAD = 0.004
"""How much better a linear model must be, by the metric, than the best boosted trees: averaging gives those about as much."""

OTHERS: tuple[FamilyName, ...] = ("logistic_regression",)

GROWTH = 1.25
"""The refit sees train + validation; over 130 fits on eight tables rounds x 1.2 gained 0.0004 areaUnderROC and x 1.4 0.0006."""

PATIENCE = 60
ROUNDS, ROUNDS_OF_MANY = 2_000, 400
"""Rounds at most; with many classes each round grows a tree for every class, so eta is doubled there."""

LEAST_ROWS = 40
"""Rows of train + validation from which parts are drawn: with ten, one of five parts would soon be empty."""

MOST_TREES = 6_000
"""Trees of an average: beyond, one row no longer answers within a fraction of a millisecond, and the bundle passes 30 MB."""

LEAST_STEP = 2.0
"""Rounds x eta of a member at least: on a small fold the area is best by chance after five rounds, when nothing is learnt yet."""


def search_default(ledger: Ledger, plan: FitPlan, budget: Budget, seed: int) -> Choice:
    """Try the portfolio of the table's size, and average the best.

    Small tables are cross-validated within train + validation: a fold of 150 rows cannot tell good settings from lucky ones.
    """
    tier = tier_of(ledger)
    trials = _portfolio(ledger, tier, seed)[: budget.trials]
    ledger.podium = tier.members
    if tier.parts:
        return _by_parts(ledger, plan, tier, trials)
    ledger.total = len(trials) + 1
    ledger.run(trials, plan)
    return _average_while_better(ledger)


def tier_of(ledger: Ledger) -> Tier:
    """By the cells of train + validation and the trees of a round. A handful of rows is not cross-validated, and rows by time are not: the
    future would teach."""
    folds = ledger.folds
    rows = folds.info["train"].rows + folds.info["valid"].rows
    outputs = 1 if len(folds.encoding.classes) == 2 else len(folds.encoding.classes)
    cells = rows * len(folds.encoding.features) * outputs
    tier = next(tier for tier in TIERS if cells <= tier.most_cells)
    return replace(tier, parts=0) if folds.plan.by == "time" or rows < LEAST_ROWS else tier


def _portfolio(ledger: Ledger, tier: Tier, seed: int) -> list[Trial]:
    features = ledger.folds.encoding.features
    categories = sum(feature.kind == "category" for feature in features)
    many = len(ledger.folds.encoding.classes) > 2
    base = XGBoostGrid(num_round=ROUNDS_OF_MANY if many else ROUNDS, early_stopping_rounds=PATIENCE).model_dump()
    tried = [one for one in tier.tried if categories or one.get("categories") != "ordinal"]
    if many:
        tried = [{**one, "eta": min(0.1, 2 * float(str(one["eta"])))} for one in tried]
    every: list[tuple[FamilyName, Settings]] = [("xgboost", {**base, **one}) for one in tried]
    if tier.linear:
        every.append(("logistic_regression", LogisticRegressionGrid().model_dump()))
    return [trial(number, family, one, len(features), categories, seed) for number, (family, one) in enumerate(every, start=1)]


def _by_parts(ledger: Ledger, plan: FitPlan, tier: Tier, trials: Sequence[Trial]) -> Choice:
    """Settings by cross-validation; then the chosen ones on the training fold, so that the validation fold can say how good they are."""
    ledger.total = len(trials) + tier.members
    crossed: list[TrialRecord] = []
    for start in range(0, len(trials), TOGETHER):
        crossed += ledger.run_parts(trials[start : start + TOGETHER], plan, tier.parts)
    ordered = sorted((record for record in crossed if record.state == "done"), key=lambda record: rank(record, ledger.metric))
    if not ordered:
        raise nothing_fitted(ledger.records)
    boosted = _few_trees([_begun(record) for record in ordered if record.family == "xgboost"][: tier.members])
    others = [
        next(record for record in ordered if record.family == family) for family in OTHERS if any(one.family == family for one in ordered)
    ]
    ledger.total = len(trials) + len(boosted) + len(others) + (len(boosted) > 1)
    chosen = [replace(fixed(trial_of(one), one.rounds), number=ledger.next_number(place)) for place, one in enumerate([*boosted, *others])]
    finals = ledger.run(chosen, plan, hurried=False)
    for crossed_record, final in zip(others, finals[len(boosted) :], strict=True):
        if final.state == "done" and (not boosted or _lead(crossed_record, boosted[0], ledger.metric) > LEAD):
            return ledger.choice(final)
    return _average(ledger, finals[: len(boosted)])


def _begun(record: TrialRecord) -> TrialRecord:
    """With the least rounds that have learnt anything."""
    rounds = max(record.rounds, math.ceil(LEAST_STEP / float(str(record.settings["eta"]))))
    return replace(record, rounds=rounds, trees=max(1, record.trees) * rounds // max(1, record.rounds))


def _few_trees(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The first, and those after it that keep the average within `MOST_TREES`."""
    kept: list[TrialRecord] = []
    for record in records:
        if not kept or GROWTH * (record.trees + sum(one.trees for one in kept)) <= MOST_TREES:
            kept.append(record)
    return kept


def _lead(one: TrialRecord, other: TrialRecord, metric: str) -> float:
    """How much better the one is than the other, in the metric's own unit."""
    mine, theirs = one.metrics.get(metric), other.metrics.get(metric)
    if mine is None or theirs is None:
        return 0.0
    return theirs - mine if metric in SMALLER_IS_BETTER else mine - theirs


def _average(ledger: Ledger, finals: Sequence[TrialRecord]) -> Choice:
    """All of the finals as one model."""
    models = {record.number: fitted for record, fitted in ledger.leaders("xgboost")}
    members = [record for record in finals if record.number in models]
    if len(members) < 2:
        return ledger.choice()
    whole = averaged([models[record.number] for record in members])
    return _enter(ledger, members, whole)


def _average_while_better(ledger: Ledger) -> Choice:
    """The best, then each next one that makes the average better on the validation fold, which is large here."""
    leaders = ledger.leaders("xgboost")
    if not leaders:
        return ledger.choice()
    members, whole, best = [leaders[0][0]], leaders[0][1], leaders[0][0].metrics.get(ledger.metric)
    for record, fitted in leaders[1:]:
        if len(_few_trees([*members, record])) == len(members):
            continue
        wider = averaged([*[model for known, model in leaders if known in members], fitted])
        assert wider.ensemble is not None
        value = measure(ledger.tally(wider.ensemble))[ledger.metric]
        if value is not None and best is not None and (value < best if ledger.metric in SMALLER_IS_BETTER else value > best):
            members, whole, best = [*members, record], wider, value
    return _enter(ledger, members, whole) if len(members) > 1 else ledger.choice()


def _enter(ledger: Ledger, members: Sequence[TrialRecord], whole: Fitted) -> Choice:
    """Record the average as a trial of its own, the winner."""
    assert whole.ensemble is not None
    first = members[0]
    numbers = " and ".join(", ".join(str(record.number) for record in members).rsplit(", ", 1))
    tally = ledger.tally(whole.ensemble)
    record = replace(
        first,
        number=ledger.next_number(),
        key=fingerprint(["average", [record.key for record in members]])[:24],
        metrics=measure(tally),
        rounds=whole.rounds,
        trees=whole.ensemble.trees,
        seconds=0.0,
        shared=f"average of trials {numbers}",
        curve=(),
        curve_metric="",
    )
    fitted = replace(whole, trial=trial_of(record), tally=tally, shared=record.shared)
    kept = tuple(Member(trial=trial_of(one), rounds=_grown(ledger, one.rounds)) for one in members)
    return ledger.choice(ledger.enter(record, fitted), fitted, kept)


def _grown(ledger: Ledger, rounds: int) -> int:
    """Rounds for the refit: more rows carry more rounds (GROWTH, docs/adr/0070-default-search.md)."""
    info = ledger.folds.info
    return round(rounds * min(GROWTH, (info["train"].rows + info["valid"].rows) / info["train"].rows))
