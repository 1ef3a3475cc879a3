"""Prices: by AWS's pricing API over HTTP where it answers, by the dated table where it does not, and always with their age."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from filon.errors import RecipeError
from filon.places.emr.client import Client
from filon.places.emr.prices import Prices, by_api, by_table, prices, spot_market


def product(service: str, kind: str, dollars: float, usage: str = "") -> str:
    """One product as the pricing API words it."""
    term = {"priceDimensions": {"X.Y.Z": {"unit": "Hrs", "pricePerUnit": {"USD": f"{dollars:.10f}"}}}}
    attributes = {"instanceType": kind, "usagetype": usage or f"BoxUsage:{kind}"}
    return json.dumps({"product": {"attributes": attributes, "sku": "X"}, "serviceCode": service, "terms": {"OnDemand": {"X.Y": term}}})


@contextmanager
def pricing_api(answer: Any) -> Iterator[str]:
    """The pricing API on this machine: `answer(service, filters)` gives the products, or a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(asked["ServiceCode"], {one["Field"]: one["Value"] for one in asked["Filters"]})
            body = json.dumps({"FormatVersion": "aws_v1", "PriceList": found}).encode() if isinstance(found, list) else b"{}"
            self.send_response(200 if isinstance(found, list) else found)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")  # pragma: allowlist secret
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")  # nobody there


def test_the_table_prices_the_default_cluster_as_aws_lists_it() -> None:
    found = by_table("us-east-1", ["m5.xlarge", "m5.2xlarge"])
    assert found.ec2 == {"m5.xlarge": 0.192, "m5.2xlarge": 0.384}
    assert found.emr == {"m5.xlarge": 0.048, "m5.2xlarge": 0.096}


def test_emrs_charge_is_capped_for_the_older_families_only() -> None:
    found = by_table("us-east-1", ["m5.16xlarge", "m6i.16xlarge"])
    assert found.emr["m5.16xlarge"] == 0.27
    assert found.emr["m6i.16xlarge"] == pytest.approx(0.25 * 3.072)


def test_emrs_charge_does_not_grow_with_the_regions_price() -> None:
    far, near = by_table("sa-east-1", ["m5.xlarge"]), by_table("us-east-1", ["m5.xlarge"])
    assert far.ec2["m5.xlarge"] > near.ec2["m5.xlarge"]
    assert far.emr == near.emr


def test_a_table_says_how_old_it_is_and_where_it_comes_from() -> None:
    found = by_table("eu-west-1", ["m5.xlarge"])
    assert found.age_days(date(2026, 11, 22)) == 630
    assert "630 days old" in found.told(date(2026, 11, 22))
    assert "libcloud" in found.told()


@pytest.mark.parametrize(("region", "kind"), [("mars-1", "m5.xlarge"), ("us-east-1", "z9.xlarge")])
def test_what_the_table_does_not_have_is_said(region: str, kind: str) -> None:
    with pytest.raises(RecipeError) as caught:
        by_table(region, [kind])
    assert caught.value.code == "cost.no-price"


def test_the_api_is_asked_and_its_prices_are_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(service: str, filters: dict[str, str]) -> list[str]:
        asked.append((service, filters))
        kind = filters["instanceType"]
        if service == "AmazonEC2":
            return [product(service, kind, 0.2)]
        return [product(service, kind, 0.99, f"USE1-OutpostsBoxUsage-X:{kind}"), product(service, kind, 0.05)]

    with pricing_api(answer) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", address)
        found = prices("eu-west-1", ["m5.xlarge"], Client("eu-west-1", attempts=1))
    assert (found.ec2["m5.xlarge"], found.emr["m5.xlarge"]) == (0.2, 0.05)
    assert found.age_days() == 0
    assert found.why_table == ""
    assert asked[0] == (
        "AmazonEC2",
        {
            "instanceType": "m5.xlarge",
            "regionCode": "eu-west-1",
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
        },
    )


@pytest.mark.parametrize("answer", [500, [], ["{}"]], ids=["it fails", "it knows none", "it says something else"])
def test_where_the_api_does_not_help_the_table_does_and_says_why(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    with pricing_api(lambda service, filters: answer) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", address)
        found = prices("us-east-1", ["m5.xlarge"], Client("us-east-1", attempts=1))
    assert found.ec2["m5.xlarge"] == 0.192
    assert found.why_table


def test_two_prices_for_one_thing_are_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    with pricing_api(lambda service, filters: [product(service, "m5.xlarge", 0.2), product(service, "m5.xlarge", 0.3)]) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", address)
        with pytest.raises(KeyError):
            by_api("us-east-1", ["m5.xlarge"])


class Market:
    """Answers for the spot market."""

    region = "us-east-1"

    def __init__(self, told: list[tuple[str, str, str]]) -> None:
        self.told = told

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        assert (service, operation) == ("ec2", "describe_spot_price_history")
        return {
            "SpotPriceHistory": [{"InstanceType": kind, "AvailabilityZone": zone, "SpotPrice": price} for kind, zone, price in self.told]
        }


def on_demand() -> Prices:
    return by_table("us-east-1", ["m5.xlarge"])


def test_the_spot_price_is_the_mean_over_the_zones_newest_first() -> None:
    market = Market([("m5.xlarge", "a", "0.06"), ("m5.xlarge", "b", "0.08"), ("m5.xlarge", "a", "0.5")])
    assert spot_market(market, on_demand(), ["m5.xlarge"]) == {"m5.xlarge": pytest.approx(0.07)}


def test_a_spot_price_of_nothing_is_not_believed() -> None:
    assert spot_market(Market([("m5.xlarge", "a", "0.00001")]), on_demand(), ["m5.xlarge"]) == {}
    assert on_demand().machine("m5.xlarge", spot=True) == pytest.approx(0.4 * 0.192)
