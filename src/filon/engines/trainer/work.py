"""One group of trials carried out: fitted once, cut at each count, tallied on validation."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from filon.engines.base import FitPlan, Fitted
from filon.engines.tally import Tallier, Tally
from filon.engines.trainer.boosting import boost
from filon.engines.trainer.curves import Curve, metric_of
from filon.engines.trainer.families import COUNT, by_sets, link_of, parameters
from filon.engines.trainer.forest import grow
from filon.engines.trainer.linear import regress
from filon.engines.trainer.matrix import Matrices
from filon.engines.trainer.progress import Progress
from filon.engines.trainer.rows import FoldRows
from filon.engines.trainer.sharing import Group
from filon.rows.encode import Encoding
from filon.trees import ubjson
from filon.trees.ensemble import Ensemble
from filon.trees.scoring import scorer
from filon.trees.shaping import cut, share_forest

Asked = Callable[[], bool]


def carry_out(group: Group, matrices: Matrices, plan: FitPlan, progress: Progress, stop: Asked, late: Asked) -> Iterator[Fitted]:
    """Every trial of the group that the time allowed, longest first.

    Raises
    ------
    Stopped : when `stop` says so
    """
    progress.begin(group)
    began = time.monotonic()
    try:
        make = {"random_forest": _forest, "logistic_regression": _linear}.get(group.work.family, _boosted)
        models, curve = make(group, matrices, plan, progress, stop, late)
    finally:
        progress.end(group)
    threads = matrices.threads
    for count, trials in group.parts():
        if count not in models:
            continue
        ensemble = models.pop(count)
        tally = tallied(ensemble, matrices.valid, threads) if plan.valid and matrices.valid is not None else None
        kept = ensemble.trees // _outputs(ensemble) if ensemble.link == "identity" else ensemble.rounds
        first = Fitted(
            trial=trials[0],
            ensemble=ensemble,
            tally=tally,
            rounds=kept,
            curve=tuple(curve.points[:count] if group.work.family in COUNT else curve.points),
            curve_metric=curve.metric if curve.points else "",
            seconds=time.monotonic() - began,
            shared=group.shared(trials[0]),
        )
        yield first
        for other in trials[1:]:
            yield replace(first, trial=other, shared=group.shared(other), seconds=0.0)
        began = time.monotonic()


def tallied(ensemble: Ensemble, rows: FoldRows, threads: int) -> Tally:
    """Label by score over the rows, block by block; class weights are not in it."""
    answer, tallier = scorer(ensemble, threads), Tallier(ensemble.classes)
    for block in rows.blocks():
        tallier.add(answer(block.x), block.label, block.weight.astype("float64"))
    return tallier.result()


Models = dict[int, Ensemble]


def _boosted(group: Group, matrices: Matrices, plan: FitPlan, progress: Progress, stop: Asked, late: Asked) -> tuple[Models, Curve]:
    work, encoding = group.work, matrices.train.encoding
    classes = len(encoding.classes)
    pair = matrices.get(work.matrix)
    params = _parameters(group, pair[0], encoding, matrices.threads)
    patience = int(float(str(work.acts.get("early_stopping_rounds", 0)))) if pair[1] is not None else 0
    curve = Curve(metric_of(plan.metric, classes), patience)
    booster = boost(params, group.rounds, pair, curve, lambda number, value: progress.round(group, number, value), stop, late)
    done = booster.num_boosted_rounds()
    tree = ubjson.read(bytes(booster.save_raw("ubj")))
    shape = _shape(group, encoding)
    found: Models = {}
    for count, _ in group.parts():  # longest first: each is cut from the one before
        if count > done and not patience:
            continue  # cut short by the deadline
        kept = curve.best(min(count, done))
        trees = cut(tree, kept)
        found[count] = replace(shape, model=ubjson.write(tree), rounds=kept, trees=trees)
    return found, curve


def _forest(group: Group, matrices: Matrices, plan: FitPlan, progress: Progress, stop: Asked, late: Asked) -> tuple[Models, Curve]:  # noqa: ARG001
    work, encoding = group.work, matrices.train.encoding
    train, _ = matrices.get(work.matrix)
    params = _parameters(group, train, encoding, matrices.threads)
    tell = progress.round
    rate = float(str(work.acts["subsamplingRate"]))
    booster = grow(params, group.rounds, rate, train, len(encoding.classes), lambda number, value: tell(group, number, value), stop, late)
    done = booster.num_boosted_rounds()
    tree = ubjson.read(bytes(booster.save_raw("ubj")))
    shape = _shape(group, encoding)
    return {count: share_forest(tree, shape, count) for count, _ in group.parts() if count <= done}, Curve("", 0)


def _linear(group: Group, matrices: Matrices, plan: FitPlan, progress: Progress, stop: Asked, late: Asked) -> tuple[Models, Curve]:  # noqa: ARG001
    acts = {name: float(str(value)) for name, value in group.work.acts.items()}
    ensemble, points = regress(acts, matrices.train, lambda number, value: progress.round(group, number, value), stop, late)
    curve = Curve("logloss", 0)
    for point in points:
        curve.add(point)
    return {1: ensemble}, curve


def _parameters(group: Group, train: Any, encoding: Encoding, threads: int) -> dict[str, object]:
    weight = train.get_weight()
    mean = float(weight.mean(dtype="float64")) if weight.size else 1.0
    return {**parameters(group.work, len(encoding.classes), len(encoding.features), mean), "nthread": threads}


def _shape(group: Group, encoding: Encoding) -> Ensemble:
    return Ensemble(
        family=group.work.family,
        form="trees",
        link=link_of(group.work.family, len(encoding.classes)),
        model=b"",
        classes=encoding.classes,
        features=len(encoding.features),
        categorical=tuple(group.work.native and by_sets(feature) for feature in encoding.features),
    )


def _outputs(ensemble: Ensemble) -> int:
    return 1 if len(ensemble.classes) == 2 else len(ensemble.classes)
