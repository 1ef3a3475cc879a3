"""What AWS asks for an hour: by its pricing API where it answers, else by a dated table, whose age is shown."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from filon.errors import FilonError, RecipeError, some
from filon.places.emr.sizing import instance

TABLE = Path(__file__).with_name("prices.toml")
API_REGION = "us-east-1"
"""The pricing API lives in three regions and knows the prices of all."""

OLD_DAYS = 180
"""A table older than this is a warning: AWS changes prices of older families seldom, and adds families often."""

LEAST_SPOT = 0.05
"""Of the on-demand price: a spot price below is no market's (an emulator's, a test account's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices of one region in US dollars. `ec2` and `emr`: by instance type, an hour; `spot`: an hour, where the market was asked."""

    region: str
    as_of: date
    source: str
    ec2: Mapping[str, float]
    emr: Mapping[str, float]
    spot: Mapping[str, float] = field(default_factory=dict)
    spot_share: float
    gp3_gib_month: float
    s3_gib_month: float
    s3_put_thousand: float
    s3_get_thousand: float
    why_table: str = ""

    def age_days(self, today: date | None = None) -> int:
        """Days since the prices were true."""
        return ((today or datetime.now(UTC).date()) - self.as_of).days

    def told(self, today: date | None = None) -> str:
        """Where the prices come from and how old they are, in one line."""
        age = self.age_days(today)
        old = f"{age} days old" if age else "of today"
        return f"prices of {self.region}, {old}: {self.source}" + (f" (the pricing API: {self.why_table})" if self.why_table else "")

    def machine(self, kind: str, *, spot: bool = False) -> float:
        """An hour of an instance, without EMR's charge."""
        if spot:
            return self.spot.get(kind) or self.ec2[kind] * self.spot_share
        return self.ec2[kind]


def prices(region: str, kinds: Iterable[str], aws: Any = None) -> Prices:
    """Prices of some instance types in a region.

    Parameters
    ----------
    aws : `client.Aws` of the project's region, to ask the spot market; None asks nobody

    Raises
    ------
    RecipeError : `cost.no-price`
    """
    wanted = tuple(dict.fromkeys(kinds))
    if aws is None:
        return by_table(region, wanted)
    try:
        found = by_api(region, wanted)
    except (FilonError, KeyError, ValueError, IndexError) as exc:
        said = str(getattr(exc, "what", "")) or f"an answer we cannot read ({type(exc).__name__})"
        found = replace(by_table(region, wanted), why_table=said)
    return replace(found, spot=spot_market(aws, found, wanted))


def by_table(region: str, kinds: Iterable[str]) -> Prices:
    """Prices by the table that ships with us.

    Raises
    ------
    RecipeError : `cost.no-price`
    """
    table = price_table()
    families = table["ec2"].get(region)
    if families is None:
        raise RecipeError(
            "cost.no-price",
            f"our table has no prices of {region}",
            f"it has {', '.join(sorted(table['ec2']))}",
            "allow pricing:GetProducts (filon infra init writes the policy), so that AWS itself is asked",
        )
    machine, emr = {}, {}
    for kind in kinds:
        family = kind.partition(".")[0]
        if family not in families:
            raise RecipeError(
                "cost.no-price",
                f"our table has no price of {kind} in {region}",
                f"it has the families {some(sorted(families), 20)}",
                "choose one of these, or allow pricing:GetProducts, so that AWS itself is asked",
            )
        units = instance(kind).cores / 4
        machine[kind] = round(families[family] * units, 6)
        charge = table["ec2"]["us-east-1"].get(family, families[family]) * units * table["emr_share"]
        emr[kind] = round(min(charge, table["emr_cap"]) if family in table["emr_capped"] else charge, 6)
    return Prices(region=region, as_of=table["date"], source=table["source"], ec2=machine, emr=emr, **_rest(table))


def by_api(region: str, kinds: Iterable[str]) -> Prices:
    """Prices by AWS itself, as of today.

    Raises
    ------
    PlaceError : `places.*`, when the API does not answer
    KeyError : AWS answered, and not with one price
    """
    from filon.places.emr.client import Client

    aws = Client(API_REGION, attempts=1)
    machine = {kind: _ec2(aws, region, kind) for kind in kinds}
    emr = {kind: _emr(aws, region, kind) for kind in machine}
    source = "AWS's pricing API; disks and S3 by our table"
    return Prices(region=region, as_of=datetime.now(UTC).date(), source=source, ec2=machine, emr=emr, **_rest(price_table()))


def _ec2(aws: Any, region: str, kind: str) -> float:
    filters = {
        "instanceType": kind,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    return _price(_products(aws, "AmazonEC2", filters), kind)


def _emr(aws: Any, region: str, kind: str) -> float:
    found = _products(aws, "ElasticMapReduce", {"instanceType": kind, "regionCode": region, "softwareType": "EMR"})
    ours = [one for one in found if one["product"]["attributes"].get("usagetype", "").endswith(f"BoxUsage:{kind}")]
    return _price(ours or found, kind)


def _products(aws: Any, service: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
    asked = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()]
    answer = aws.call("pricing", "get_products", ServiceCode=service, Filters=asked, FormatVersion="aws_v1")
    return [json.loads(one) if isinstance(one, str) else one for one in answer["PriceList"]]


def _price(products: list[dict[str, Any]], kind: str) -> float:
    """The one price an hour that products agree on (zero: of reserved capacity, not what is asked)."""
    found = {
        float(dimension["pricePerUnit"]["USD"])
        for product in products
        for term in product["terms"]["OnDemand"].values()
        for dimension in term["priceDimensions"].values()
        if dimension["unit"].startswith("H")
    } - {0.0}
    if len(found) != 1:
        raise KeyError(kind)
    return found.pop()


def spot_market(aws: Any, found: Prices, kinds: Iterable[str]) -> dict[str, float]:
    """The spot market's price now, the mean over the region's zones; empty where it cannot be asked."""
    try:
        answer = aws.call(
            "ec2",
            "describe_spot_price_history",
            InstanceTypes=list(kinds),
            ProductDescriptions=["Linux/UNIX"],
            StartTime=datetime.now(UTC),
        )
    except FilonError:
        return {}
    asked: dict[str, dict[str, float]] = {}
    for one in answer.get("SpotPriceHistory", []):
        asked.setdefault(one["InstanceType"], {}).setdefault(one.get("AvailabilityZone", ""), float(one["SpotPrice"]))
    means = {kind: sum(zones.values()) / len(zones) for kind, zones in asked.items()}
    return {kind: mean for kind, mean in means.items() if kind in found.ec2 and mean >= LEAST_SPOT * found.ec2[kind]}


@cache
def price_table() -> dict[str, Any]:
    """The dated table as it ships."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def families_of(region: str) -> tuple[str, ...]:
    """Instance families that the table has a price of."""
    return tuple(price_table()["ec2"].get(region, ()))


def _rest(table: Mapping[str, Any]) -> dict[str, Any]:
    names = ("spot_share", "gp3_gib_month", "s3_gib_month", "s3_put_thousand", "s3_get_thousand")
    return {name: float(table[name]) for name in names}
