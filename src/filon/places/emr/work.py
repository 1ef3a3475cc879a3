"""How much there is to do: a table and a recipe as core-hours, by rates that were measured, or by this machine's own finished runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filon.engines.base import Value
from filon.search.grid import COUNTS, axes, named
from filon.search.settings import FamilyName, SearchSettings
from filon.split.settings import SplitSettings

PREPARE_NS = 670.0
"""Virtual-core time by cell (row x feature) to read, check, split and encode. Measured on 22 Nov 2026: 10 million rows of 20 columns on
two cores, check 33 s and split 34 s by the clock."""

TREE_NS = 3.2
"""Virtual-core time by cell, tree and level of a boosted tree: XGBoost 3.2, hist, 256 bins, depth 6, half a million rows, measured on
22 Nov 2026 on two virtual cores; depth 10 took 5.3."""

FOREST_NS = 0.9
"""The same of a forest's tree: a node looks at the square root of the features, and at two thirds of the rows."""

LINEAR_NS = 4.0
"""Core time by cell and step of a linear model."""

DEFAULT_TRIALS: tuple[tuple[int, int], ...] = ((8, 350), (4, 500), (6, 400), (10, 250))
"""Depth and rounds of what the built-in search tries on a large table, after early stopping; see `search.default`."""

STOPPED = 0.6
"""Of the rounds asked for, what early stopping leaves on average."""

ENOUGH_RUNS = 5
"""Runs that a calibration looks at, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is known of a table before it is read: rows and features, and its bytes where it lies. `how` says how well it is known."""

    rows: int
    features: int
    size_bytes: int
    name: str = ""
    how: str = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Core-hours by stage, the trials they are for, and where the rates come from.

    factor : by which this machine's runs differ from the rates; 1 where there are none
    """

    prepare: float
    search: float
    refit: float
    trials: int
    factor: float = 1.0
    source: str = "rates measured on 22 Nov 2026"

    @property
    def core_hours(self) -> float:
        """Of all stages."""
        return self.factor * (self.prepare + self.search + self.refit)


def work(table: Table, search: SearchSettings, split: SplitSettings) -> Work:
    """What training a recipe on a table takes.

    Returns
    -------
    core-hours of one core of today's servers, without the overheads of a cluster
    """
    cells = table.rows * table.features
    train = min(search.rows, round(table.rows * split.train)) * table.features
    trials = trials_of(search, table.features)
    most = search.budget.trials or len(trials)
    kept = trials[: max(1, min(most, len(trials)))]
    searched = sum(kept) * train * (0.4 if search.budget.strategy == "halving" else 1.0)
    refit = max(kept) * cells * (split.train + split.valid)
    return Work(prepare=_hours(cells * PREPARE_NS), search=_hours(searched), refit=_hours(refit), trials=len(kept))


def trials_of(search: SearchSettings, features: int) -> list[float]:
    """Core nanoseconds by cell of every fit that the search asks for; trials that differ only in trees or rounds are one fit."""
    families = named(search)
    if not families:
        return [depth * rounds * TREE_NS for depth, rounds in DEFAULT_TRIALS]
    found: list[float] = []
    for family in families:
        values = axes(search, family)
        others = {name: several for name, several in values.items() if name != COUNTS[family]}
        depths = [_number(one) for one in others.pop("maxDepth", others.pop("max_depth", (1,)))]
        more = math.prod(len(several) for several in others.values())
        longest = max(_number(one) for one in values[COUNTS[family]])
        stops = bool(values.get("early_stopping_rounds", (0,))[0])
        found += [_fit_ns(family, depth, longest * (STOPPED if stops else 1.0), features) for depth in depths for _ in range(more)]
    return found


def _fit_ns(family: FamilyName, depth: float, count: float, features: int) -> float:
    if family == "logistic_regression":
        return count * LINEAR_NS
    if family == "random_forest":
        return count * depth * FOREST_NS * max(0.1, math.sqrt(features) / features * 2)
    return count * depth * TREE_NS


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 1.0


def _hours(nanoseconds: float) -> float:
    return nanoseconds / 3.6e12


def calibrated(asked: Work, runs: Sequence[Path], search: SearchSettings, split: SplitSettings, cores: int) -> Work:
    """The same work by what finished runs of the recipe took on this machine.

    Parameters
    ----------
    runs : run folders, the newest first
    cores : of this machine, which the runs are taken to have used
    """
    ratios = []
    for run in runs[:ENOUGH_RUNS]:
        done = _took(run)
        if done is None:
            continue
        rows, features, seconds = done
        expected = work(Table(rows=rows, features=features, size_bytes=0), search, split).core_hours
        if expected > 0 and seconds > LEAST_S:
            ratios.append(min(10.0, max(0.1, seconds * cores / 3600 / expected)))
    if not ratios:
        return asked
    middle = sorted(ratios)[len(ratios) // 2]
    return replace(asked, factor=middle, source=f"{len(ratios)} finished runs of this recipe on this machine")


LEAST_S = 20.0
"""A run shorter than this says more of start-up than of work."""


def _took(run: Path) -> tuple[int, int, float] | None:
    """Rows, features and seconds of a finished local run; None of any other."""
    try:
        manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if manifest.get("state") != "done" or manifest.get("engine") != "embedded" or not manifest.get("features"):
        return None
    seconds = sum(stage.get("seconds", 0.0) for name, stage in manifest["stages"].items() if name not in ("evaluate", "package"))
    return int(manifest["rows"]), len(manifest["features"]), float(seconds)
