"""Fits three trials on a cluster and tells of it line by line: a process of its own, since a process has one Spark."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.servers.spark_cluster import CONF
from tests.spark.twins import table, twins

from filon.engines.base import FitPlan, Trial
from filon.engines.settings import SparkSettings
from filon.engines.spark import distributed
from filon.engines.spark.fitting import fit
from filon.engines.spark.session import Session
from filon.events import Event

LONG = {"tasks": 5000, "cluster": 1500}
"""Rounds that take long enough to be heard of before they end: over a cluster each one waits for all peers."""


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def hear(event: Event) -> None:
    if "round" in event.fields:
        say(round=event.fields["round"], text=event.text)
    else:
        say(text=event.text)


def main(master: str, strategy: Any, folder: Path) -> None:
    distributed.SHORT_S = 4.0
    session = Session(SparkSettings(master=master, conf=CONF), folder / "session-scratch")
    long = {"num_round": LONG[strategy], "max_depth": 7, "early_stopping_rounds": 0}
    trials = [Trial(number=number, family="xgboost", settings={**long, "eta": 0.05 * number}, seed=number) for number in (1, 2, 3)]
    with twins(session, folder / "pair", table(8000)) as pair:
        here = {one.trial.number: one.ensemble for one in pair.engine.fit(pair.here, trials, FitPlan())} if strategy == "tasks" else {}
        for one in fit(session, pair.there, trials, FitPlan(), strategy, hear):
            say(trial=one.trial.number, error=one.error, same=one.ensemble == here.get(one.trial.number))
    session.close()


if __name__ == "__main__":
    (Path(sys.argv[3]) / "session-scratch").mkdir(parents=True)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
