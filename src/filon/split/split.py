"""Rows to folds by a hash of their content, of their key, or by time (laws 1 and 3)."""

from typing import Literal

from filon.check.records import Checked
from filon.engines.base import Engine, Folds, Source, SplitPlan, Table
from filon.errors import RecipeError, some
from filon.read.settings import DataSettings
from filon.split.settings import SplitSettings

SUM_TOLERANCE = 1e-6
"""0.7 + 0.2 + 0.1 is not 1 in binary; people write shares with a few digits."""


def split(
    table: Table,
    checked: Checked,
    settings: SplitSettings,
    data: DataSettings,
    balance: Literal["weights", "none"],
    engine: Engine,
    *,
    test_source: Source | None = None,
    max_categories: int = 10_000,
) -> Folds:
    """Give every row of the table to one fold.

    Raises
    ------
    RecipeError : `split.shares-wrong`, `split.column-missing`
    """
    return engine.split(table, plan_of(checked, settings, data, balance, test_source=test_source, max_categories=max_categories))


def plan_of(
    checked: Checked,
    settings: SplitSettings,
    data: DataSettings,
    balance: Literal["weights", "none"],
    *,
    test_source: Source | None = None,
    max_categories: int = 10_000,
) -> SplitPlan:
    """What the recipe and the checked columns ask of the engine."""
    names = tuple(column.name for column in checked.source.columns)
    if settings.by == "key":
        _refuse_missing("data.key", data.key, names, 'split.by = "key" needs the columns that name the subject')
    if settings.by == "time":
        _refuse_missing("data.time", (data.time,) if data.time else (), names, 'split.by = "time" needs the column of the time')
    return SplitPlan(
        shares=shares_of(settings, given_test=test_source is not None),
        seed=settings.seed,
        by=settings.by,
        stratify=settings.stratify,
        label=checked.label,
        features=tuple(column for column in checked.source.columns if column.role == "feature"),
        key=data.key,
        time=data.time or "",
        weight=data.weight or "",
        balance=balance == "weights",
        max_categories=max_categories,
        test_source=test_source,
    )


def shares_of(settings: SplitSettings, *, given_test: bool) -> tuple[float, float, float]:
    """Shares of train, valid and test, summing to 1; with a test table of the publisher's own, train and valid share the rest.

    >>> shares_of(SplitSettings(), given_test=False)
    (0.7, 0.15, 0.15)
    >>> shares_of(SplitSettings(train=0.6, valid=0.2, test=0.2), given_test=True)
    (0.75, 0.25, 0.0)

    Raises
    ------
    RecipeError : `split.shares-wrong`
    """
    total = settings.train + settings.valid + (0.0 if given_test else settings.test)
    if given_test:
        train = settings.train / total
        return (round(train, 12), round(1 - train, 12), 0.0)
    if abs(total - 1) > SUM_TOLERANCE:
        raise RecipeError(
            "split.shares-wrong",
            "the shares of the folds do not add up to 1",
            f"train {settings.train} + valid {settings.valid} + test {settings.test} = {total:.6g}",
            f"[split] {_shares_that_add_up(settings, total)}",
        )
    return (settings.train, settings.valid, settings.test)


def _shares_that_add_up(settings: SplitSettings, total: float) -> str:
    shares = [max(round(share / total, 2), 0.01) for share in (settings.train, settings.valid, settings.test)]
    largest = shares.index(max(shares))
    shares[largest] = round(1 - sum(shares) + shares[largest], 2)
    return "train = {}, valid = {}, test = {}".format(*shares)


def _refuse_missing(setting: str, wanted: tuple[str, ...], names: tuple[str, ...], why: str) -> None:
    missing = [name for name in wanted if name not in names]
    if wanted and not missing:
        return
    raise RecipeError(
        "split.column-missing",
        f"{setting} names no column to split by" if not wanted else f"{setting} names {some(missing)}, which the table does not have",
        f"{why}; the table has {some(names)}",
        f'set {setting} to one of them, or split.by = "row"',
    )
