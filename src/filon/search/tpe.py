"""Search by Optuna's tree-structured Parzen estimator: each trial is drawn where the trials before it did well."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from filon.engines.base import FitPlan, Trial, Value
from filon.search.grid import Axes, trial
from filon.search.ledger import SMALLER_IS_BETTER, Ledger
from filon.search.settings import FamilyName

TRIALS = 40
"""Trials when the recipe limits neither trials nor minutes: four times the sampler's random start."""

TOGETHER = 2
"""Trials drawn at a time, so that an engine may fit them side by side. A constant: the search must not depend on the machine."""

RUNG_ROWS = 20_000
"""Above this many training rows a trial is first fitted on a quarter of them; it goes on if it does as well as the median before it."""

TIRED = 40
"""Draws in a row that were all fitted before, after which a search that only time limits has seen what there is."""

LOG_FROM = 8.0
"""A range whose end is so many times its start is searched on a log scale."""


def search_tpe(ledger: Ledger, spaces: Mapping[FamilyName, Axes], plan: FitPlan, most: int | None, train_rows: int, seed: int) -> None:
    """Ask, fit, tell, until the budget is spent.

    Parameters
    ----------
    spaces : by family, its settings with their values; numbers span the range from the smallest to the largest, texts are choices
    most : trials to fit; None: `TRIALS`, or as many as the time allows
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize" if ledger.metric in SMALLER_IS_BETTER else "maximize",
        sampler=optuna.samplers.TPESampler(seed=seed & 0xFFFFFFFF, n_startup_trials=10),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    total = most or (10**6 if ledger.clock.ends_at is not None else TRIALS)
    ledger.total = total if most or ledger.clock.ends_at is None else 0
    asked = stale = 0
    while asked < total and not ledger.clock.over and (most or stale < TIRED):
        distinct = len(ledger.known)
        pairs = []
        for _ in range(min(TOGETHER, total - asked)):
            asked += 1
            drawn = study.ask()
            pairs.append((drawn, _drawn(ledger, drawn, spaces, seed)))
        _fit(study, ledger, pairs, plan, train_rows)
        stale = 0 if len(ledger.known) > distinct else stale + len(pairs)


def _fit(study: Any, ledger: Ledger, pairs: Sequence[tuple[Any, Trial]], plan: FitPlan, train_rows: int) -> None:
    """Fit what was drawn, first on a rung of rows where the table is large, and tell the sampler."""
    going = list(pairs)
    full = min(plan.rows or train_rows, train_rows)
    if full > RUNG_ROWS:
        going = _rung(study, ledger, pairs, replace(plan, rows=full // 4))
    renumbered = [(drawn, replace(one, number=ledger.next_number(place))) for place, (drawn, one) in enumerate(going)]
    for (drawn, _), record in zip(renumbered, ledger.run([one for _, one in renumbered], plan), strict=True):
        _tell(study, drawn, record.metrics.get(ledger.metric))


def _rung(study: Any, ledger: Ledger, pairs: Sequence[tuple[Any, Trial]], plan: FitPlan) -> list[tuple[Any, Trial]]:
    """Those that the pruner lets go on."""
    from optuna.trial import TrialState

    numbered = [replace(one, number=ledger.next_number(place)) for place, (_, one) in enumerate(pairs)]
    going = []
    for (drawn, one), record in zip(pairs, ledger.run(numbered, plan, final=False), strict=True):
        value = record.metrics.get(ledger.metric)
        if value is None:
            _tell(study, drawn, None)
            continue
        drawn.report(value, step=plan.rows)
        if drawn.should_prune():
            study.tell(drawn, state=TrialState.PRUNED)
        else:
            going.append((drawn, one))
    return going


def _tell(study: Any, drawn: Any, value: float | None) -> None:
    from optuna.trial import TrialState

    if value is None:
        study.tell(drawn, state=TrialState.FAIL)
    else:
        study.tell(drawn, value)


def _drawn(ledger: Ledger, drawn: Any, spaces: Mapping[FamilyName, Axes], seed: int) -> Trial:
    """The settings that the sampler draws, as a trial (its number comes later)."""
    names = list(spaces)
    family = names[0] if len(names) == 1 else drawn.suggest_categorical("family", names)
    settings = {name: suggest(drawn, f"{family}.{name}", values) for name, values in spaces[family].items()}
    features = ledger.folds.encoding.features
    return trial(0, family, settings, len(features), sum(feature.kind == "category" for feature in features), seed)


def suggest(drawn: Any, name: str, values: tuple[Value, ...]) -> Value:
    """One setting: the only value, a number between the smallest and the largest, or one of the choices."""
    if len(values) < 2:
        return values[0]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        chosen: Value = drawn.suggest_categorical(name, values)
        return chosen
    low, high = min(numbers), max(numbers)
    log = low > 0 and high / low >= LOG_FROM
    if all(isinstance(value, int) for value in numbers):
        return int(drawn.suggest_int(name, low, high, log=log))
    return rounded(drawn.suggest_float(name, low, high, log=log))


def rounded(value: float) -> float:
    """Six significant digits, so that a setting is the same number in every file.

    >>> rounded(0.123456789)
    0.123457
    """
    return value if value == 0 else round(value, 5 - math.floor(math.log10(abs(value))))
