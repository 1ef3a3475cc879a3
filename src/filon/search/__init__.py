"""Which settings, within a budget: trials on the training fold, judged on the validation fold."""

from collections.abc import Sequence

from filon.engines.base import Engine, FitPlan, Folds
from filon.events import Listen, silence
from filon.search import budget as money
from filon.search.grid import grid, named
from filon.search.ledger import Keep, Ledger, Load
from filon.search.records import Choice, Member, TrialRecord
from filon.search.settings import SearchSettings

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
    listen: Listen = silence,
) -> Choice:
    """Fit trials on the training fold and choose by the metric on the validation fold; the test fold is out of reach.

    Parameters
    ----------
    seed : the recipe's seed; with the effective settings it makes each trial's own
    done : records of an interrupted search: what is done or failed there is not fitted again
    load : gives the model of a finished trial by its number, or None
    keep : is told each record with its fitted trial (not those of `done`)

    Returns
    -------
    the winner, the best of each family with its model, and every record

    Raises
    ------
    EngineError : `search.all-failed`, `search.no-time`
    DataError : `search.metric-undefined`
    RecipeError : `search.dollars-without-minutes`
    """
    ledger = Ledger(
        folds=folds,
        engine=engine,
        metric=settings.metric,
        keep=keep,
        listen=listen,
        clock=money.start(settings.budget),
        done={record.key: record for record in done if record.state != "skipped"},
        load=load,
    )
    features = folds.encoding.features
    categories = sum(feature.kind == "category" for feature in features)
    strategy = settings.budget.strategy
    if not named(settings):
        from filon.search.settings import XGBoostGrid

        settings = settings.model_copy(update={"xgboost": XGBoostGrid(max_depth=(4, 6))})
    del strategy
    trials = money.thinned(grid(settings, len(features), categories, seed), settings.budget.trials, seed)
    ledger.total = len(trials)
    ledger.run(trials, FitPlan(rows=settings.rows, metric=settings.metric))
    return ledger.choice()
