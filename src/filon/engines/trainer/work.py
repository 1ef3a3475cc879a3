"""One group of trials carried out: fitted once, cut to each trial's size, tallied on validation."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.tally import Tallier, Tally
from filon.engines.trainer.boosting import boost
from filon.engines.trainer.curves import Curve, metric_of
from filon.engines.trainer.families import by_sets, link_of, parameters
from filon.engines.trainer.forest import Grown, blank, grow
from filon.engines.trainer.linear import regress
from filon.engines.trainer.matrix import Matrices
from filon.engines.trainer.peers import mean
from filon.engines.trainer.progress import Progress
from filon.engines.trainer.rows import FoldRows
from filon.engines.trainer.sharing import Group, Size, one_line
from filon.rules import Broken, outcome
from filon.trees import ubjson
from filon.trees.ensemble import Ensemble
from filon.trees.scoring import scorer
from filon.trees.shaping import cut, share_forest

PIECE_TREES = 25
"""Fewest trees of a forest that are worth a core of their own."""

Asked = Callable[[], bool]

Models = dict[Size, Callable[[], Ensemble]]
"""By size, what makes the model: a forest of 50 MB is only made when its turn comes."""


class Work:
    """The fit of one group: in one piece, or a forest in several that may be done side by side."""

    def __init__(self, group: Group, matrices: Matrices, plan: FitPlan, progress: Progress, stop: Asked, late: Asked) -> None:
        self.group, self._matrices, self._plan, self._progress = group, matrices, plan, progress
        self._stop, self._late = stop, late
        self._lock = threading.Lock()
        self._pieces = [range(1, group.rounds + 1)]
        self._left, self._broken, self._began = 1, False, 0.0
        self._grown: dict[int, Grown] = {}
        self._made: tuple[Models, Curve] = {}, Curve("", 0)
        self._told: set[int] = set()

    def pieces(self, cores: int) -> range:
        """Numbers of the pieces, for so many cores."""
        trees = self.group.rounds
        many = max(1, min(cores, trees // PIECE_TREES)) if self.group.work.family == "random_forest" else 1
        self._pieces = [range(1 + trees * i // many, 1 + trees * (i + 1) // many) for i in range(many)]
        self._left = many
        return range(many)

    def do(self, piece: int) -> None:
        """Fit one piece, unless the work is broken or its time is up.

        Raises
        ------
        Stopped : when `stop` says so
        """
        if self._broken or self._stop() or self._matrices.peers.any(self._late()):
            return
        self._progress.begin(self.group)
        self._began = self._began or time.monotonic()
        if self.group.work.family == "random_forest":
            self._grown[piece] = self._grow(self._pieces[piece])
        elif self.group.work.family == "logistic_regression":
            self._made = self._regress()
        else:
            self._made = self._boost()

    def end(self) -> bool:
        """A piece is done, well or not; whether it was the last."""
        with self._lock:
            self._left -= 1
            return not self._left

    def fail(self, exc: Exception) -> list[Fitted]:
        """The trials that have no outcome yet, with the error; none when it was said before."""
        with self._lock:
            if self._broken:
                return []
            self._broken = True
        untold = [trial for trial in self.group.trials if trial.number not in self._told]
        return [Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=one_line(exc)) for trial in untold]

    def outcomes(self) -> Iterator[Fitted]:
        """Every trial that the time allowed, largest first; to be called when all pieces are done."""
        if self._broken or self._stop():
            return
        models, curve = (self._join(), Curve("", 0)) if self._grown else self._made
        for size, trials in self.group.parts():
            if size not in models:
                continue
            broken = curve.broken(size[0] if self.group.work.family != "logistic_regression" else len(curve.points))
            useless = next((one for one in broken if one.useless), None)
            if useless is not None:
                yield from self._useless(trials, curve, broken, useless.why)
                continue
            ensemble = models.pop(size)()
            valid = self._matrices.valid if self._plan.valid else None
            tally = None if valid is None else tallied(ensemble, valid, self._matrices.threads)
            if tally is not None:
                seen = outcome(tally.confusion, ensemble.classes, ensemble.rounds, self._plan.rules)
                broken = (*broken, *seen)
                if any(one.useless for one in seen):
                    yield from self._useless(trials, curve, broken, seen[0].why)
                    continue
            first = Fitted(
                trial=trials[0],
                ensemble=ensemble,
                tally=tally,
                rounds=ensemble.trees // _outputs(ensemble) if ensemble.link == "identity" else ensemble.rounds,
                curve=tuple(point for point in curve.points if point.round <= size[0] or ensemble.form == "linear"),
                curve_metric=curve.metric,
                seconds=time.monotonic() - self._began,
                shared=self.group.shared(trials[0]),
                broken=broken,
            )
            for trial in trials:
                self._told.add(trial.number)
                yield first if trial is trials[0] else replace(first, trial=trial, shared=self.group.shared(trial), seconds=0.0)
            self._began = time.monotonic()

    def _useless(self, trials: Sequence[Trial], curve: Curve, broken: tuple[Broken, ...], why: str) -> Iterator[Fitted]:
        """Trials that a rule has ended and that are of no use: failed, with the curve that shows why."""
        for trial in trials:
            self._told.add(trial.number)
            yield Fitted(
                trial=trial,
                ensemble=None,
                tally=None,
                rounds=0,
                curve=tuple(curve.points),
                curve_metric=curve.metric,
                error=f"stopped by a rule: {why}",
                broken=broken,
            )

    def _tell(self, value: float | None) -> None:
        self._progress.step(self.group, value)

    def _boost(self) -> tuple[Models, Curve]:
        work, encoding = self.group.work, self._matrices.train.encoding
        pair = self._matrices.get(work.matrix)
        patience = int(float(str(work.acts.get("early_stopping_rounds", 0)))) if pair[1] is not None else 0
        curve = Curve(metric_of(self._plan.metric, len(encoding.classes)), patience, self._plan.rules)
        peers = self._matrices.peers
        booster = boost(self._parameters(pair[0]), self.group.rounds, pair, curve, self._tell, self._stop, self._late, peers)
        done = booster.num_boosted_rounds()
        tree, shape, found = ubjson.read(bytes(booster.save_raw("ubj"))), self._shape(), {}
        for size, _ in self.group.parts():  # largest first: each is cut from the one before
            if size[0] <= done or patience or curve.watcher.stopped:  # else it was cut short by the deadline
                kept = curve.best(min(size[0], done))
                trees = cut(tree, kept)
                found[size] = _ready(replace(shape, model=ubjson.write(tree), rounds=kept, trees=trees))
        return found, curve if curve.points else Curve("", 0)

    def _grow(self, numbers: range) -> Grown:
        work, classes = self.group.work, len(self._matrices.train.encoding.classes)
        matrix = self._matrices.get(work.matrix)[0]
        rate = float(str(work.acts["subsamplingRate"]))
        asked = (self._tell, self._stop, self._late)
        return grow(self._parameters(matrix), numbers, self.group.depth_of, rate, matrix, classes, *asked, self._matrices.peers)

    def _join(self) -> Models:
        """The forests that the trees suffice for, up to the first that is missing."""
        trees: Grown = []
        for piece, numbers in enumerate(self._pieces):
            grown = self._grown.get(piece, [])
            trees += grown
            if len(grown) < len(numbers):
                break
        matrix = self._matrices.get(self.group.work.matrix)[0]
        document, shape = blank(self._parameters(matrix), matrix, len(self._matrices.train.encoding.classes)), self._shape()
        sizes = [size for size, _ in self.group.parts() if size[0] <= len(trees)]
        return {(count, depth): partial(share_forest, document, trees, shape, count, depth) for count, depth in sizes}

    def _regress(self) -> tuple[Models, Curve]:
        acts = {name: float(str(value)) for name, value in self.group.work.acts.items()}
        ensemble, points = regress(acts, self._matrices.train, self._tell, self._stop, self._late, self._matrices.peers)
        curve = Curve("logloss", 0, self._plan.rules)
        for point in points:
            curve.add(point)
        return {size: _ready(ensemble) for size, _ in self.group.parts()}, curve

    def _parameters(self, train: Any) -> dict[str, object]:
        encoding, weight = self._matrices.train.encoding, train.get_weight()
        middle = mean(weight, self._matrices.peers) if weight.size else 1.0
        named = parameters(self.group.work, len(encoding.classes), len(encoding.features), middle)
        return {**named, "nthread": self._matrices.threads}

    def _shape(self) -> Ensemble:
        encoding, work = self._matrices.train.encoding, self.group.work
        return Ensemble(
            family=work.family,
            form="trees",
            link=link_of(work.family, len(encoding.classes)),
            model=b"",
            classes=encoding.classes,
            features=len(encoding.features),
            categorical=tuple(work.native and by_sets(feature) for feature in encoding.features),
        )


def tallied(ensemble: Ensemble, rows: FoldRows, threads: int) -> Tally:
    """Label by score over the rows, block by block; class weights are not in it."""
    answer, tallier = scorer(ensemble, threads), Tallier(ensemble.classes)
    for block in rows.blocks():
        tallier.add(answer(block.x), block.label, block.weight.astype("float64"))
    return tallier.result()


def _ready(ensemble: Ensemble) -> Callable[[], Ensemble]:
    return lambda: ensemble


def _outputs(ensemble: Ensemble) -> int:
    return 1 if len(ensemble.classes) == 2 else len(ensemble.classes)
