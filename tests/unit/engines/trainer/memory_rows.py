"""Rows in memory that keep the trainer's promise: canonical order, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.trainer import Block, fit
from filon.rows.encode import Encoding, Feature


@dataclass(kw_only=True)
class MemoryRows:
    x: np.ndarray
    label: np.ndarray
    encoding: Encoding
    weight: np.ndarray | None = None
    class_weights: tuple[float, ...] = (1.0, 1.0)
    block: int = 100_000

    @property
    def rows(self) -> int:
        return len(self.label)

    def blocks(self) -> Iterator[Block]:
        weight = np.ones(self.rows, np.float32) if self.weight is None else self.weight.astype(np.float32)
        buffer = np.empty((min(self.block, max(1, self.rows)), self.x.shape[1]), np.float32)
        for start in range(0, self.rows, self.block):
            part = slice(start, start + self.block)
            some = buffer[: len(self.label[part])]
            some[:] = self.x[part]  # one buffer for all blocks, as the spool has
            yield Block(x=some, label=self.label[part].astype(np.int32), weight=weight[part])


def encoding_of(levels: tuple[int, ...], classes: int = 2) -> Encoding:
    features = tuple(
        Feature(name=f"f{i}", kind="category" if many else "number", categories=tuple(f"v{k}" for k in range(many)))
        for i, many in enumerate(levels)
    )
    return Encoding(features=features, classes=tuple(f"c{k}" for k in range(classes)))


def some_rows(rows: int = 600, *, classes: int = 2, seed: int = 0, missing: float = 0.05, **more: Any) -> MemoryRows:
    """Three numbers and two categories that tell about the label."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((rows, 5)).astype(np.float32)
    x[:, 3], x[:, 4] = draw.integers(0, 6, rows), draw.integers(0, 3, rows)
    score = x[:, 0] + np.isin(x[:, 3], [1, 4]) * 1.5 - 0.5 * x[:, 1] * (x[:, 4] == 2) + 0.7 * draw.standard_normal(rows)
    bounds = np.quantile(score, np.arange(1, classes) / classes) if rows else []
    label = np.digitize(score, bounds).astype(np.int32)
    x[draw.random(x.shape) < missing] = np.nan
    weights = more.pop("class_weights", (1.0,) * classes)
    return MemoryRows(x=x, label=label, encoding=encoding_of((0, 0, 0, 6, 3), classes), class_weights=weights, **more)


def trial(number: int, family: str, seed: int = 7, **settings: Any) -> Trial:
    return Trial(number=number, family=family, settings=settings, seed=seed)


def fit_all(train: MemoryRows, trials: list[Trial], valid: MemoryRows | None = None, **more: Any) -> dict[int, Fitted]:
    """Every outcome by the trial's number."""
    plan = more.pop("plan", FitPlan(valid=valid is not None))
    outcomes = list(fit(train, valid, trials, plan, **more))
    assert len({fitted.trial.number for fitted in outcomes}) == len(outcomes)
    return {fitted.trial.number: fitted for fitted in outcomes}


def fit_one(train: MemoryRows, one: Trial, valid: MemoryRows | None = None, **more: Any) -> Fitted:
    """The one outcome, which must not be a failure."""
    fitted = fit_all(train, [one], valid, **more)[one.number]
    assert not fitted.error, fitted.error
    return fitted
