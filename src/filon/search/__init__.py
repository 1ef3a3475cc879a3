"""Which settings, within a budget: trials on the training fold, judged on the validation fold."""

from collections.abc import Sequence
from dataclasses import replace

from filon.engines.base import Engine, FitPlan, Folds
from filon.events import Listen, silence
from filon.rules import RulesSettings
from filon.search import budget as money
from filon.search.default import search_default
from filon.search.grid import Axes, axes, grid, named
from filon.search.halving import halve
from filon.search.ledger import Keep, Ledger, Load
from filon.search.records import Choice, Member, TrialRecord
from filon.search.settings import FamilyName, SearchSettings, XGBoostGrid

BROAD = {
    "xgboost": XGBoostGrid(max_depth=(3, 6, 9), eta=(0.03, 0.1), subsample=(0.6, 1.0), colsample_bynode=(0.4, 0.8), reg_lambda=(1.0, 10.0))
}
"""The grid of a strategy that is asked for without a family."""

ALONE_ROWS = 250_000
"""Training rows of a trial that has no rival and settles nothing but the threshold: it tells as much as four times the rows would."""

__all__ = ["Choice", "Member", "SearchSettings", "TrialRecord", "search"]


def search(
    folds: Folds,
    settings: SearchSettings,
    engine: Engine,
    *,
    seed: int,
    done: Sequence[TrialRecord] = (),
    load: Load | None = None,
    keep: Keep,
    rules: RulesSettings | None = None,
    listen: Listen = silence,
) -> Choice:
    """Fit trials on the training fold and choose by the metric on the validation fold; the test fold is out of reach.

    Parameters
    ----------
    seed : the recipe's seed; with the effective settings it makes each trial's own
    done : records of an interrupted search: what is done or failed there is not fitted again
    load : gives the model of a finished trial by its number, or None
    keep : is told each record with its fitted trial (not those of `done`)
    rules : watched for in every fit; None watches for nothing

    Returns
    -------
    the winner, the best of each family with its model, and every record

    Raises
    ------
    EngineError : `search.all-failed`, `search.no-time`, `rules.run-stopped`
    DataError : `search.metric-undefined`
    RecipeError : `search.dollars-without-minutes`
    """
    before = [record for record in done if record.state != "skipped"]
    ledger = Ledger(
        folds=folds,
        engine=engine,
        metric=settings.metric,
        keep=keep,
        listen=listen,
        clock=money.start(settings.budget),
        done={record.key: record for record in reversed(before)},  # of twins the first, which has the model
        filed={(record.key, record.number): record for record in before},
        load=load,
    )
    plan = FitPlan(rows=settings.rows, metric=settings.metric, rules=rules)
    strategy = settings.budget.strategy
    if strategy == "auto" and not named(settings):
        return search_default(ledger, plan, settings.budget, seed)
    if strategy == "tpe":
        from filon.search.tpe import search_tpe

        search_tpe(ledger, _spaces(settings), plan, settings.budget.trials, folds.info["train"].rows, seed)
        return ledger.choice()
    features = folds.encoding.features
    categories = sum(feature.kind == "category" for feature in features)
    every = grid(settings if named(settings) else settings.model_copy(update=BROAD), len(features), categories, seed)
    trials = money.thinned(every, settings.budget.trials, seed)
    if len(trials) == 1 and "rows" not in settings.model_fields_set and not trials[0].settings.get("early_stopping_rounds"):
        plan = replace(plan, rows=min(plan.rows, ALONE_ROWS))
    if strategy == "halving":
        halve(ledger, trials, plan, folds.info["train"].rows, seed)
    else:
        ledger.total = len(trials)
        ledger.run(trials, plan)
    return ledger.choice()


def _spaces(settings: SearchSettings) -> dict[FamilyName, Axes]:
    """What TPE draws from: the recipe's axes, or a broad space of XGBoost when no family is named."""
    families = named(settings)
    if families:
        return {family: axes(settings, family) for family in families}
    return {"xgboost": axes(settings.model_copy(update=BROAD), "xgboost")}
