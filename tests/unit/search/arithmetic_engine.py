"""An engine of arithmetic: it fits nothing, answers at once, and counts what it is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import FitPlan, Fitted, FoldInfo, LabelPlan, SplitPlan, Trial
from filon.engines.tally import Tally, count
from filon.rows.encode import Encoding, Feature
from filon.search.grid import COUNTS
from filon.trees import Ensemble, ubjson

ROWS = 400
LABEL = (np.arange(ROWS) % 2).astype(np.int32)
LUCK = np.random.default_rng(3).random(ROWS)

Merit = Callable[[Trial, FitPlan], float]


def by_depth(trial: Trial, plan: FitPlan) -> float:
    """Depth 6 is best; more rows do better."""
    depth = float(str(trial.settings.get("max_depth", trial.settings.get("maxDepth", 1))))
    return 1.0 / (1.0 + abs(depth - 6)) + 0.0001 * min(plan.rows or 100_000, 100_000) / 1000


def tally_of(merit: float, classes: tuple[str, ...] = ("no", "yes")) -> Tally:
    """A tally whose areas grow with the merit."""
    score = np.clip(0.5 + 0.3 * merit * (LABEL - 0.5) + 0.6 * (LUCK - 0.5), 0, 1).astype(np.float32)
    return count(np.stack([1 - score, score], axis=1), LABEL, classes)


def _leaf(merit: float) -> bytes:
    """A model of one leaf, in the shape of XGBoost's: so that averages of models are real."""
    value = np.array([merit], np.float32)
    tree = {"left_children": np.array([-1], np.int32), "split_conditions": value, "base_weights": value, "id": 0}
    trees = {"trees": [tree], "tree_info": [0], "iteration_indptr": [0, 1], "gbtree_model_param": {"num_trees": "1"}}
    learner = {"learner_model_param": {"base_score": "[5E-1]"}, "attributes": {}, "gradient_booster": {"model": trees}}
    return ubjson.write({"learner": learner})


def merit_of(ensemble: Ensemble) -> float:
    """What a model made here answers."""
    trees = ubjson.read(ensemble.model)["learner"]["gradient_booster"]["model"]["trees"]
    return float(sum(tree["split_conditions"][0] for tree in trees))


@dataclass(frozen=True, kw_only=True)
class FakeFold:
    names: tuple[Any, ...]
    rows: int


@dataclass(kw_only=True)
class FakeFolds:
    train_rows: int = 10_000
    features: int = 15
    by: Any = "row"
    plan: SplitPlan = field(init=False)
    encoding: Encoding = field(init=False)
    info: Mapping[Any, FoldInfo] = field(init=False)
    class_weights: tuple[float, ...] = (1.0, 1.0)
    openings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        half = self.train_rows // 2
        self.encoding = Encoding(features=tuple(Feature(name=f"f{i}", kind="number") for i in range(self.features)), classes=("no", "yes"))
        sizes = {"train": half, "valid": ROWS // 2, "test": ROWS // 2}
        self.info = {name: FoldInfo(rows=2 * size, by_class=(size, size), digest=f"{size:016x}") for name, size in sizes.items()}
        self.plan = SplitPlan(
            shares=(0.7, 0.15, 0.15),
            seed=42,
            by=self.by,
            stratify=True,
            label=LabelPlan(column="y", classes=("no", "yes")),
            features=(),
        )

    def fold(self, *names: Any) -> FakeFold:
        return FakeFold(names=names, rows=sum(self.info[name].rows for name in names))

    def open_test(self, reason: str) -> FakeFold:
        raise AssertionError(f"the search opened the test fold: {reason}")


@dataclass(kw_only=True)
class FakeEngine:
    """`merit` says how good a trial is; a trial fails with the text that `fails` gives; `calls` are the numbers asked for, by call."""

    merit: Merit = by_depth
    fails: Callable[[Trial], str] = lambda _: ""
    begins: int = 10**9
    name: str = "fake"
    calls: list[list[int]] = field(default_factory=list)
    plans: list[FitPlan] = field(default_factory=list)
    fitted: list[Trial] = field(default_factory=list)

    def fit(self, folds: Any, trials: Sequence[Trial], plan: FitPlan) -> Iterator[Fitted]:
        self.calls.append([trial.number for trial in trials])
        self.plans.append(plan)
        for trial in trials:
            if len(self.fitted) >= self.begins:
                return
            self.fitted.append(trial)
            error = self.fails(trial)
            if error:
                yield Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=error)
                continue
            merit = self.merit(trial, plan)
            rounds = int(float(str(trial.settings[COUNTS[trial.family]])))
            rounds = rounds // 10 if plan.valid and trial.settings.get("early_stopping_rounds") else rounds
            ensemble = Ensemble(
                family=trial.family,
                form="linear" if trial.family == "logistic_regression" else "trees",
                link="identity" if trial.family == "random_forest" else "logistic",
                model=_leaf(merit),
                classes=folds.encoding.classes,
                features=len(folds.encoding.features),
                rounds=rounds,
                trees=rounds,
            )
            yield Fitted(trial=trial, ensemble=ensemble, tally=tally_of(merit) if plan.valid else None, rounds=rounds, seconds=0.01)

    def score(self, rows: Any, ensemble: Ensemble, *_: Any) -> Any:
        assert isinstance(rows, FakeFold)
        assert rows.names == ("valid",)
        return merit_of(ensemble)

    def tally(self, scored: Any, *_: Any) -> Mapping[tuple[str, ...], Tally]:
        return {(): tally_of(scored)}

    def read(self, source: Any) -> Any:
        raise NotImplementedError

    def profile(self, table: Any, label: Any) -> Any:
        raise NotImplementedError

    def split(self, table: Any, plan: Any) -> Any:
        raise NotImplementedError

    def write(self, scored: Any, sink: Any) -> Any:
        raise NotImplementedError

    def sample(self, rows: Any, most: int, per_class: int = 0) -> pa.Table:
        raise NotImplementedError

    def __enter__(self) -> "FakeEngine":
        return self

    def __exit__(self, *exc: Any) -> None: ...
