"""Logistic regression: elastic net on standardised columns, as Spark MLlib poses it, solved by L-BFGS over blocks of rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from filon.engines.base import CurvePoint
from filon.engines.trainer.boosting import Tell
from filon.engines.trainer.matrix import Stopped
from filon.engines.trainer.peers import ALONE, Peers
from filon.engines.trainer.rows import FoldRows
from filon.rows.encode import Encoding
from filon.trees.ensemble import Ensemble, LinearDesign
from filon.trees.linear import codes, logistic, model, numbers, softmax

KEEP_CELLS = 32_000_000
"""Prepared rows stay in memory up to here (128 MB); above, each pass prepares them again from the blocks."""

EXACT_CELLS = 4_000_000
"""Up to here sums are taken in float64 and in one order whatever the cores (no BLAS), so that the model is the same to the bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Prepared rows: plain (n, numbers), code (n, categories) column numbers in the design, label (n,), weight (n,) with class weights."""

    plain: np.ndarray
    code: np.ndarray
    label: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stats:
    """Of the training rows: share : (width,) weighted share of each category column (1 for numbers); spread : (width,) standard
    deviation of each design column; classes : (classes,) weight by class."""

    share: np.ndarray
    spread: np.ndarray
    classes: np.ndarray


def regress(
    acts: dict[str, float], train: FoldRows, tell: Tell, stop: Callable[[], bool], late: Callable[[], bool], peers: Peers = ALONE
) -> tuple[Ensemble, tuple[CurvePoint, ...]]:
    """Fit one linear model.

    Minimises mean weighted log loss + regParam x ((1 - elasticNetParam) / 2 x |u|^2 + elasticNetParam x |u|_1), u being the weights of
    columns of unit variance (category columns too); intercepts are free.

    Returns
    -------
    the ensemble, and the training log loss after each step

    Raises
    ------
    Stopped : when `stop` says so
    """
    design, stats = _look(train, peers)
    work = _Problem(acts, train, design, stats, stop, peers)
    points: list[CurvePoint] = []

    def step(_: np.ndarray) -> None:
        points.append(CurvePoint(round=len(points) + 1, train=work.loss, valid=None))
        tell(None)
        if peers.any(late()):
            raise StopIteration  # the way to end scipy's loop and keep its last point

    weight, bias = work.solve(int(acts["maxIter"]), step)
    encoding = train.encoding
    weight, bias, moved = _centred(design, stats, weight, bias)
    ensemble = Ensemble(
        family="logistic_regression",
        form="linear",
        link="logistic" if len(encoding.classes) == 2 else "softmax",
        model=model(weight, bias, len(encoding.classes), moved),
        classes=encoding.classes,
        features=len(encoding.features),
        categorical=tuple(feature.kind == "category" for feature in encoding.features),
        rounds=len(points),
        design=design,
    )
    return ensemble, tuple(points)


class _Problem:
    """The loss and its gradient over the rows, in unit-variance coordinates."""

    def __init__(
        self, acts: dict[str, float], train: FoldRows, design: LinearDesign, stats: _Stats, stop: Callable[[], bool], peers: Peers
    ) -> None:
        self.train, self.design, self.stats, self.stop, self.peers = train, design, stats, stop, peers
        self.outputs = 1 if len(stats.classes) == 2 else len(stats.classes)
        self.ridge = acts["regParam"] * (1 - acts["elasticNetParam"])
        self.lasso = acts["regParam"] * acts["elasticNetParam"]
        self.inverse = np.where(stats.spread > 0, 1 / np.where(stats.spread > 0, stats.spread, 1), 0.0)
        cells = train.rows * len(design.levels)
        self.exact = cells <= EXACT_CELLS
        self.kept = list(self._prepare()) if cells <= KEEP_CELLS else None
        self.loss = float("nan")

    def solve(self, steps: int, step: Callable[[np.ndarray], None]) -> tuple[np.ndarray, np.ndarray]:
        """(width, outputs) weights of the design's columns and (outputs,) intercepts, both float64."""
        from scipy.optimize import minimize

        size = self.design.width * self.outputs
        share = self.stats.classes / self.stats.classes.sum()
        first = np.log(np.maximum(share, 1e-12))
        bias = first[1:] - first[:1] if self.outputs == 1 else first - first.mean()
        halves = 2 if self.lasso > 0 else 1  # |u| has no gradient at 0: u is the difference of two parts that are not negative
        start = np.concatenate([np.zeros(size * halves), bias])
        bounds = [(0, None)] * (size * 2) + [(None, None)] * self.outputs if halves == 2 else None
        options = {"maxiter": steps, "ftol": 1e-9, "gtol": 1e-7, "maxfun": steps * 3}
        found = minimize(self._value, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=step, options=options).x
        parts = found[: size * halves].reshape(halves, self.design.width, self.outputs)
        unit = parts[0] - parts[1] if halves == 2 else parts[0]
        return unit * self.inverse[:, None], found[size * halves :]

    def _value(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        size, width = self.design.width * self.outputs, self.design.width
        halves = 2 if self.lasso > 0 else 1
        parts = point[: size * halves].reshape(halves, width, self.outputs)
        unit = parts[0] - parts[1] if halves == 2 else parts[0]
        self.loss, slope, level = self._over_rows(unit * self.inverse[:, None], point[size * halves :])
        slope = slope * self.inverse[:, None] + self.ridge * unit
        value = self.loss + self.ridge / 2 * float(np.sum(unit * unit)) + self.lasso * float(np.sum(parts) if halves == 2 else 0.0)
        both = [(slope + self.lasso).ravel(), (self.lasso - slope).ravel()] if halves == 2 else [slope.ravel()]
        return value, np.concatenate([*both, level])

    def _over_rows(self, weight: np.ndarray, bias: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        loss, slope, level, total = 0.0, np.zeros_like(weight), np.zeros_like(bias), float(self.stats.classes.sum())
        for piece in self.kept if self.kept is not None else self._prepare():
            if self.stop():
                raise Stopped
            many = piece.plain.shape[1]
            margin = self._product("ij,jk->ik", piece.plain, weight[:many]) + bias
            for column in piece.code.T:
                margin += weight[column]
            cost, rest = _residual(margin, piece.label, piece.weight)
            loss += cost
            slope[:many] += self._product("ij,ik->jk", piece.plain, rest)
            for column in piece.code.T:
                for k in range(self.outputs):
                    slope[:, k] += np.bincount(column, weights=rest[:, k], minlength=len(weight))
            level += rest.sum(axis=0)
        if self.peers is not ALONE:
            whole = self.peers.sum(np.concatenate([[loss], slope.ravel(), level]))
            loss, slope, level = float(whole[0]), whole[1 : 1 + slope.size].reshape(slope.shape), whole[1 + slope.size :]
        return loss / total, slope / total, level / total

    def _product(self, form: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if self.exact:
            return np.asarray(np.einsum(form, left, right, optimize=False))
        return np.asarray(left @ right.astype(left.dtype) if form == "ij,jk->ik" else left.T @ right.astype(left.dtype), dtype=np.float64)

    def _prepare(self) -> Iterator[_Piece]:
        classes = np.asarray(self.train.class_weights, dtype=np.float64)
        for block in self.train.blocks():
            plain = numbers(self.design, block.x)
            yield _Piece(
                plain=plain.astype(np.float64) if self.exact else plain,
                code=codes(self.design, block.x),
                label=block.label.copy(),
                weight=block.weight * classes[block.label],
            )


def _residual(margin: np.ndarray, label: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Summed log loss, and its gradient by margin: (n, outputs)."""
    if margin.shape[1] == 1:
        flat = margin[:, 0]
        sign = np.where(label == 1, flat, -flat)
        cost = np.logaddexp(0.0, -sign)
        return float(np.sum(cost * weight)), ((logistic(flat) - label) * weight)[:, None]
    share = softmax(margin)
    rows = np.arange(len(label))
    cost = np.log(np.maximum(share[rows, label], 1e-300))
    share[rows, label] -= 1
    return -float(np.sum(cost * weight)), share * weight[:, None]


def _look(train: FoldRows, peers: Peers) -> tuple[LinearDesign, _Stats]:
    """One pass: means and spreads of the numbers, shares of the levels, weight of the classes."""
    encoding, classes = train.encoding, np.asarray(train.class_weights, dtype=np.float64)
    levels = tuple(len(f.categories) if f.kind == "category" else 0 for f in encoding.features)
    raw = LinearDesign(fill=(0.0,) * len(levels), mean=(0.0,) * len(levels), scale=(1.0,) * len(levels), levels=levels)
    plain = [i for i, count in enumerate(levels) if not count]
    sums, seen, mass = _Moments(len(plain)), np.zeros(raw.width), np.zeros(len(classes))
    for block in train.blocks():
        weight = block.weight * classes[block.label]
        mass += np.bincount(block.label, weights=weight, minlength=len(classes))
        sums.add(block.x[:, plain].astype(np.float64), weight)
        for column in codes(raw, block.x).T:
            seen += np.bincount(column, weights=weight, minlength=raw.width)
    mass, seen = peers.sum(mass), peers.sum(seen)
    sums.join(peers)
    total = float(mass.sum())
    share = seen / total
    share[: len(plain)] = 1.0
    std = np.sqrt(sums.variance * np.where(total > 0, sums.mass / total, 0))  # cells filled with the mean add nothing to it
    spread = np.concatenate([np.where(std > 0, 1.0, 0.0), np.sqrt(share * (1 - share))[len(plain) :]])
    design = _designed(encoding, plain, sums.mean, std, levels)
    return design, _Stats(share=share, spread=spread, classes=mass)


def _designed(encoding: Encoding, plain: list[int], mean: np.ndarray, std: np.ndarray, levels: tuple[int, ...]) -> LinearDesign:
    middle, scale = np.zeros(len(encoding.features)), np.ones(len(encoding.features))
    middle[plain] = mean
    scale[plain] = np.where(std > 0, std, 1.0)
    centre = tuple(float(value) for value in middle)
    return LinearDesign(fill=centre, mean=centre, scale=tuple(float(value) for value in scale), levels=levels)


class _Moments:
    """Weighted mean and variance by column of what is not missing, block by block (Chan et al. 1979, so that large means lose nothing)."""

    def __init__(self, columns: int) -> None:
        self.mass, self.mean, self._square = np.zeros(columns), np.zeros(columns), np.zeros(columns)

    def add(self, values: np.ndarray, weight: np.ndarray) -> None:
        there = np.isfinite(values)
        heavy = there * weight[:, None]
        values = np.where(there, values, 0.0)
        mass = heavy.sum(axis=0)
        safe = np.where(mass > 0, mass, 1.0)
        mean = (values * heavy).sum(axis=0) / safe
        self._join(mass, mean, (heavy * (values - mean) ** 2).sum(axis=0))

    def join(self, peers: Peers) -> None:
        """Those of all peers."""
        if peers is ALONE:
            return
        parts = peers.gather(np.stack([self.mass, self.mean, self._square]))
        self.mass, self.mean, self._square = parts[0]
        for part in parts[1:]:
            self._join(*part)

    def _join(self, mass: np.ndarray, mean: np.ndarray, square: np.ndarray) -> None:
        whole = np.where(self.mass + mass > 0, self.mass + mass, 1.0)
        apart = mean - self.mean
        self._square += square + apart**2 * self.mass * mass / whole
        self.mean += apart * mass / whole
        self.mass += mass

    @property
    def variance(self) -> np.ndarray:
        return self._square / np.where(self.mass > 0, self.mass, 1.0)


def _centred(design: LinearDesign, stats: _Stats, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same model with each feature's contribution 0 on average over the training rows, and the spread of each contribution.

    A level that training did not hold then says nothing. Many classes: intercepts sum to 0."""
    weight, bias = weight.copy(), bias.copy()
    moved = np.zeros(len(design.levels))
    at = 0
    for i in (i for i, count in enumerate(design.levels) if not count):
        moved[i] = np.abs(weight[at]).sum() if stats.spread[at] > 0 else 0.0
        at += 1
    for i, count in ((i, count) for i, count in enumerate(design.levels) if count):
        part = slice(at, at + count + 1)
        share = stats.share[part]
        middle = share @ weight[part]
        weight[part] = np.where(share[:, None] > 0, weight[part] - middle, 0.0)
        bias += middle
        moved[i] = np.sqrt(share @ weight[part] ** 2).sum()
        at += count + 1
    if len(bias) > 1:
        bias -= bias.mean()
    return weight, bias, moved
