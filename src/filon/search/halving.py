"""Search by halving: many trials at a small price, the best third of them at three times the price, and so on."""

import math
from collections.abc import Sequence
from dataclasses import replace

from filon.engines.base import FitPlan, Trial, Value
from filon.search.grid import COUNTS, family_of, trial
from filon.search.ledger import Ledger, rank
from filon.search.records import TrialRecord

FACTOR = 3
"""Of each rung one in three goes on: e = 2.7 would be best by theory (Jamieson and Talwalkar 2016), and 3 is what everybody uses."""

LEAST_ROWS = 2_000
"""Below this many rows the order of settings says little about their order on the whole table: then rounds are rationed instead."""

LEAST_ROUNDS = 20


def halve(ledger: Ledger, trials: Sequence[Trial], plan: FitPlan, train_rows: int, seed: int) -> None:
    """Run the rungs; only trials of the last one may win.

    Parameters
    ----------
    train_rows : rows of the training fold; `plan.rows` caps those of the last rung
    """
    full = min(plan.rows or train_rows, train_rows)
    rungs = _rungs(len(trials))
    by_rows = full >= LEAST_ROWS * FACTOR and rungs > 1
    if by_rows:
        rungs = min(rungs, 1 + int(math.log(full / LEAST_ROWS, FACTOR)))
    ledger.total = _total(len(trials), rungs)
    alive = list(trials)
    for left in range(rungs - 1, -1, -1):
        share = FACTOR**-left
        rung = [_begun(ledger, one, ledger.next_number(place), 1.0 if by_rows else share, seed) for place, one in enumerate(alive)]
        records = ledger.run(rung, replace(plan, rows=math.ceil(full * share)) if by_rows and left else plan, final=left == 0)
        if left:
            kept = max(1, math.ceil(len(alive) / FACTOR))
            alive = [alive[place] for place in sorted(_leaders(records, ledger.metric)[:kept])]
        if not alive:
            return


def _leaders(records: Sequence[TrialRecord], metric: str) -> list[int]:
    """Places of the finished trials, best first."""
    finished = [place for place, record in enumerate(records) if record.state == "done"]
    return sorted(finished, key=lambda place: rank(records[place], metric))


def _rungs(trials: int) -> int:
    """Rungs until about one in `FACTOR` of the last rung wins; at most four."""
    return max(1, min(4, 1 + int(math.log(max(trials, 1), FACTOR) + 1e-9)))


def _total(trials: int, rungs: int) -> int:
    total, alive = 0, trials
    for _ in range(rungs):
        total += alive
        alive = max(1, math.ceil(alive / FACTOR))
    return total


def _begun(ledger: Ledger, one: Trial, number: int, share: float, seed: int) -> Trial:
    """The trial under its number in this rung, with its share of the rounds (a linear model always takes all its steps)."""
    settings: dict[str, Value] = dict(one.settings)
    if share < 1 and one.family != "logistic_regression":
        whole = int(float(str(settings[COUNTS[one.family]])))
        settings[COUNTS[one.family]] = min(whole, max(LEAST_ROUNDS, math.ceil(whole * share)))
    features = ledger.folds.encoding.features
    return trial(number, family_of(one), settings, len(features), sum(feature.kind == "category" for feature in features), seed)
