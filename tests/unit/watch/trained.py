"""A small real model of 28 columns with its baseline, and surveys of live rows, without files."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_one, trial

from filon.engines import tally as counting
from filon.engines.survey import Survey, Surveyor
from filon.evaluate import EvaluateSettings, examine
from filon.trees import Ensemble, predict
from filon.watch.baseline import Baseline, baseline_of, learn
from filon.watch.compare import Compared, compare
from filon.watch.settings import WatchSettings

COLUMNS = 28
SHAPES = ("normal", "uniform", "lognormal", "poisson", "spike")


def rows_of(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of five shapes (two categories at the end) and a label that some of them tell."""
    draw = np.random.default_rng(seed)
    x = np.empty((rows, COLUMNS), np.float32)
    for place in range(COLUMNS - 2):
        shape = SHAPES[place % len(SHAPES)]
        x[:, place] = {
            "normal": lambda: draw.standard_normal(rows),
            "uniform": lambda: draw.random(rows),
            "lognormal": lambda: draw.lognormal(0, 1, rows),
            "poisson": lambda: draw.poisson(4, rows),
            "spike": lambda: np.where(draw.random(rows) < 0.8, 0.0, draw.exponential(1, rows)),
        }[shape]()
    x[:, -2], x[:, -1] = draw.choice(6, rows, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03]), draw.integers(0, 3, rows)
    label = (x[:, 0] + x[:, 5] + 0.5 * (x[:, -2] == 1) + draw.standard_normal(rows) > 0).astype(np.int32)
    x[draw.random(rows) < 0.05, 1] = np.nan
    return x, label


@dataclass(frozen=True)
class Trained:
    """A model, and what it was sealed with."""

    ensemble: Ensemble
    baseline: Baseline
    plain: dict

    def survey(self, x: np.ndarray, label: np.ndarray | None = None, parts: int = 1, batch: pa.RecordBatch | None = None) -> Survey:
        """Live rows counted."""
        surveyor = Surveyor(self.baseline.plan())
        label = np.full(len(x), -1, np.int32) if label is None else label
        for some in np.array_split(np.arange(len(x)), parts):
            probability = predict(self.ensemble, x[some])
            surveyor.add(x[some], probability, (probability[:, 1] >= 0.5).astype(np.int64), label[some], batch)
        return surveyor.result()

    def compare(self, survey: Survey, **settings: object) -> Compared:
        """Held against the baseline."""
        return compare(self.baseline, self.baseline.plan(), survey, WatchSettings(resamples=50, **settings), "areaUnderROC")


def trained(rows: int = 20_000) -> Trained:
    """Fit, examine and learn the baseline, as a run does."""
    encoding = encoding_of((0,) * (COLUMNS - 2) + (6, 3))
    folds = {name: rows_of(count, seed) for name, count, seed in (("train", rows, 1), ("valid", 3000, 2), ("test", 4000, 3))}
    memory = MemoryRows(x=folds["train"][0], label=folds["train"][1], encoding=encoding)
    ensemble = fit_one(memory, trial(1, "xgboost", num_round=15, max_depth=4, early_stopping_rounds=0)).ensemble
    assert ensemble is not None
    x, label = folds["test"]
    exam = examine({(): counting.count(predict(ensemble, x), label, encoding.classes)}, EvaluateSettings(resamples=50), 0.5)
    engine = SimpleNamespace(sample=lambda fold, most: pa.table({name: fold[:most, place] for place, name in enumerate(encoding.names)}))
    plain = learn(engine, SimpleNamespace(encoding=encoding, fold=lambda name: folds[name][0]), ensemble, exam, {})  # type: ignore[arg-type]
    bundle = SimpleNamespace(baseline={"watch": plain}, path="a bundle")
    return Trained(ensemble, baseline_of(bundle), plain)  # type: ignore[arg-type]


__all__ = ["COLUMNS", "SHAPES", "Trained", "rows_of", "trained"]
