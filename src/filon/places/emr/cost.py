"""What a run on EMR will cost, and the cheapest cluster that is done in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from filon.errors import PlaceError, RecipeError
from filon.places.emr.prices import Prices, prices
from filon.places.emr.serverless.workers import Workers, workers_of
from filon.places.emr.settings import EmrSettings
from filon.places.emr.shapes import HourPrice, Shape, candidates, hour_price, shape_of
from filon.places.emr.sizing import in_memory_mib
from filon.places.emr.standing import standing
from filon.places.emr.work import Table, Work
from filon.search.spending import BEFORE, RATE

START_HOURS = 8 / 60
"""A new cluster before its first step: instances, bootstrap, Hadoop. Charged; EMR bills from the moment an instance runs."""

SERVERLESS_START_HOURS = 2 / 60
"""Workers of EMR Serverless before a job's first line: charged from the moment they are given."""

STEP_HOURS = 2.5 / 60
"""YARN, the environment unpacked on each node, the bundle through its doors."""

EFFICIENCY = 0.7
"""Of the executors' cores in useful work: trials of unequal length, shuffles, the driver's own stages."""

REQUESTS_BY_GIB = 300.0
"""Reads of S3 by GiB of the table and pass: ranges of a few MiB, and the listing."""

PASSES = 3
"""Times a run reads its table: profile, split, refit."""

KEPT_MONTHS = 1.0
KEPT_GIB = 0.5
"""Environment, bundle, report and logs in S3 of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A run before it is begun: hours by the clock, dollars by what they are for."""

    shape: Shape | Workers
    hours: float
    start_hours: float
    hour: HourPrice
    machines: float
    emr: float
    disks: float
    storage: float
    requests: float
    fits: bool

    @property
    def dollars(self) -> float:
        """Of the whole run."""
        return self.machines + self.emr + self.disks + self.storage + self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What `filon cost` says: the recipe's own cluster, the same with its further nodes on the other market, and the cheapest in time.

    `nodes` tells by whose words the first was counted: the recipe's, or the cluster's that stands.
    """

    work: Work
    table: Table
    prices: Prices
    asked: Estimate
    other_market: Estimate | None
    cheapest: Estimate | None
    deadline_hours: float | None
    nodes: str = "as the recipe says"


def estimate(shape: Shape, work: Work, table: Table, prices: Prices, *, transient: bool) -> Estimate:
    """A run on a cluster of some shape.

    Parameters
    ----------
    transient : the cluster is made for the job, so that its start is paid as well
    """
    return _estimate(shape, hour_price(shape, prices), START_HOURS if transient else 0.0, work, table, prices)


def _estimate(shape: Shape | Workers, hour: HourPrice, start: float, work: Work, table: Table, prices: Prices) -> Estimate:
    hours = start + STEP_HOURS + work.core_hours / (max(1, shape.working_cores) * EFFICIENCY)
    gib = table.size_bytes / 2**30
    return Estimate(
        shape=shape,
        hours=hours,
        start_hours=start,
        hour=hour,
        machines=hour.machines * hours,
        emr=hour.emr * hours,
        disks=hour.disks * hours,
        storage=(gib + KEPT_GIB) * prices.s3_gib_month * KEPT_MONTHS,
        requests=(gib * REQUESTS_BY_GIB * PASSES + 2000) / 1000 * prices.s3_get_thousand + 1.0 * prices.s3_put_thousand,
        fits=memory_needed_mib(table) <= shape.executors_mib,
    )


def memory_needed_mib(table: Table) -> float:
    """Memory of all executors together that the table wants at its largest: its float32 columns and the quantised matrix beside them."""
    columns = table.rows * (table.features * 4 + 20) / 2**20
    return max(1.6 * columns, in_memory_mib(table.size_bytes, table.name) if not table.rows else 0.0)


def offer(
    settings: EmrSettings, work: Work, table: Table, *, deadline_hours: float | None = None, aws: Any = None, region: str = ""
) -> Offer:
    """Everything `filon cost` says before a run.

    Parameters
    ----------
    deadline_hours : by which the run must be done; also asks for the cheapest shape
    aws : whom to ask for prices, and for the nodes of the recipe's own cluster; None for the table and the recipe's words

    Raises
    ------
    RecipeError : `cost.no-price`, `cost.deadline-impossible`
    """
    where = region or settings.region or "us-east-1"
    if settings.serverless:
        return _offer_serverless(settings, work, table, deadline_hours, where)
    settings, nodes = _nodes(settings, aws)
    own = shape_of(settings)
    others = list(candidates(own, spot=settings.task_spot)) if deadline_hours is not None else []
    kinds = tuple(dict.fromkeys(kind for one in [own, *others] for kind in one.kinds))
    asked_of = aws if deadline_hours is None else None  # a hundred shapes are compared by the table: one call a type would take minutes
    found = prices(where, _priced(where, kinds, own.kinds) if others else kinds, asked_of)
    transient = not settings.cluster_id
    asked = estimate(own, work, table, found, transient=transient)
    other = estimate(_other_market(own), work, table, found, transient=transient) if own.task_count else None
    priced = [estimate(one, work, table, found, transient=transient) for one in others if set(one.kinds) <= set(found.ec2)]
    cheapest = _cheapest(priced, deadline_hours)
    return Offer(
        work=work,
        table=table,
        prices=found,
        asked=asked,
        other_market=other,
        cheapest=cheapest,
        deadline_hours=deadline_hours,
        nodes=nodes,
    )


def _nodes(settings: EmrSettings, aws: Any) -> tuple[EmrSettings, str]:
    """The settings with the nodes of a cluster that stands, where it can be asked, and whose words they are."""
    if not settings.cluster_id:
        return settings, "as the recipe says"
    try:
        found, unseen = standing(aws, settings) if aws is not None else (settings, "nobody was asked")
    except PlaceError as exc:
        found, unseen = settings, exc.what
    return found, f"as the recipe says, for {settings.cluster_id} was not seen ({unseen})" if unseen else f"as {settings.cluster_id} stands"


def _priced(region: str, kinds: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    from filon.places.emr.prices import families_of

    known = families_of(region)
    return tuple(kind for kind in kinds if kind in own or kind.partition(".")[0] in known)


def _other_market(shape: Shape) -> Shape:
    return replace(shape, task_spot=not shape.task_spot)


def _offer_serverless(settings: EmrSettings, work: Work, table: Table, deadline: float | None, region: str) -> Offer:
    """The same of EMR Serverless; it has no spot market, and prices by the table alone."""
    from filon.places.emr.serverless import rates

    by, own = rates.rates(region), workers_of(settings)
    others = rates.candidates(own) if deadline is not None else []
    asked, *priced = [_estimate(one, rates.hour_price(one, by), SERVERLESS_START_HOURS, work, table, by.prices) for one in (own, *others)]
    cheapest = _cheapest(priced, deadline)
    return Offer(work=work, table=table, prices=by.prices, asked=asked, other_market=None, cheapest=cheapest, deadline_hours=deadline)


def _cheapest(every: Sequence[Estimate], deadline: float | None) -> Estimate | None:
    if deadline is None:
        return None
    fitting = [one for one in every if one.fits]
    in_time = [one for one in fitting if one.hours <= deadline]
    if not in_time:
        quickest = min(fitting or every, key=lambda one: one.hours)
        raise RecipeError(
            "cost.deadline-impossible",
            f"no cluster we know is done in {told_hours(deadline)}",
            f"the quickest, {quickest.shape}, takes {told_hours(quickest.hours)}, {told_hours(quickest.start_hours)} of it to start",
            "give it more time, or less to do: search.budget.trials, search.rows",
        )
    return min(in_time, key=lambda one: (one.dollars, one.hours))


def dollars_an_hour(settings: EmrSettings, aws: Any = None) -> float:
    """What an hour of the cluster that the settings speak of costs: the rate by which `search.budget.dollars` becomes a stop.

    Raises
    ------
    RecipeError : `cost.no-price`
    """
    if settings.serverless:
        from filon.places.emr.serverless import rates

        return rates.dollars_an_hour(settings, settings.region or "us-east-1")
    shape = shape_of(settings)
    return hour_price(shape, prices(settings.region or getattr(aws, "region", "") or "us-east-1", shape.kinds, aws)).total


def meter_of(settings: EmrSettings, region: str, dollars: float | None) -> dict[str, str]:
    """What a job is told of its price, as environment variables (see `search.spending`); nothing when the recipe sets no sum.

    Raises
    ------
    RecipeError : `cost.no-price`, because a cap that nobody can count must not be promised
    """
    if dollars is None:
        return {}
    rate = dollars_an_hour(settings if settings.region else settings.model_copy(update={"region": region}))
    start = 0.0 if settings.cluster_id else SERVERLESS_START_HOURS if settings.serverless else START_HOURS
    return {RATE: f"{rate:.4f}", BEFORE: f"{start:.4f}"}


def told_hours(hours: float) -> str:
    """A length of time for a person.

    >>> told_hours(0.2), told_hours(3.25)
    ('12 min', '3.2 h')
    """
    return f"{round(hours * 60)} min" if hours < 1.5 else f"{hours:.1f} h"


def told_dollars(dollars: float) -> str:
    """Money for a person.

    >>> told_dollars(0.1234), told_dollars(12.3)
    ('$0.12', '$12.30')
    """
    return f"${dollars:,.2f}"


def offer_lines(made: Offer) -> list[str]:
    """What `filon cost` prints."""
    table, asked = made.table, made.asked
    lines = [
        f"{table.rows:,} rows x {table.features:,} features ({table.how}); {made.work.trials} fits in the search, "
        f"{made.work.core_hours:.2f} core-hours by {made.work.source}",
        _line(made.nodes, asked),
        f"  an hour: {_parts(asked.shape, asked.hour.machines, asked.hour.emr, asked.hour.disks)}; "
        f"the run: {_parts(asked.shape, asked.machines, asked.emr, asked.disks)}, "
        f"S3 {told_dollars(asked.storage)} a month and {told_dollars(asked.requests)} of requests",
    ]
    if not asked.fits:
        lines.append(f"  the table does not fit the executors' memory ({asked.shape.executor_mib:,} MiB each)")
    if made.other_market and isinstance(made.other_market.shape, Shape):
        market = "on the spot market" if made.other_market.shape.task_spot else "on demand"
        lines.append(_line(f"task nodes {market}", made.other_market))
    if made.cheapest and made.deadline_hours is not None:
        lines.append(_line(f"cheapest within {told_hours(made.deadline_hours)}", made.cheapest))
    lines.append(made.prices.told())
    return lines


def _parts(shape: Shape | Workers, *dollars: float) -> str:
    return ", ".join(f"{name} {told_dollars(one)}" for name, one in zip(shape.parts, dollars, strict=True))


def _line(name: str, one: Estimate) -> str:
    start = f", {told_hours(one.start_hours)} of it to start" if one.start_hours else ""
    return f"{name}: {told_dollars(one.dollars)} in about {told_hours(one.hours)}{start}, on {one.shape}"


def offer_facts(made: Offer) -> dict[str, Any]:
    """An offer as plain values, for --json."""
    named = {"asked": made.asked, "other_market": made.other_market, "cheapest": made.cheapest}
    return {
        "rows": made.table.rows,
        "features": made.table.features,
        "table": made.table.how,
        "fits": made.work.trials,
        "core_hours": round(made.work.core_hours, 4),
        "rates": made.work.source,
        "nodes": made.nodes,
        **{name: _facts(one) for name, one in named.items() if one is not None},
        "prices": {"as_of": made.prices.as_of.isoformat(), "age_days": made.prices.age_days(), "source": made.prices.source},
    }


def _facts(one: Estimate) -> dict[str, Any]:
    parts = {name: round(getattr(one, name), 4) for name in ("machines", "emr", "disks", "storage", "requests", "hours", "start_hours")}
    return {"dollars": round(one.dollars, 4), **parts, "an_hour": round(one.hour.total, 4), "fits": one.fits, "shape": str(one.shape)}
