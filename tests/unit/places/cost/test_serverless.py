"""EMR Serverless in workers that exist, and what they cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.errors import PlaceError, RecipeError
from filon.places.emr.cost import meter_of, offer, offer_lines
from filon.places.emr.serverless.rates import paid_run
from filon.places.emr.serverless.workers import SHAPES, fitted, plan_workers, workers_of
from filon.places.emr.settings import EmrSettings
from filon.places.emr.work import Table, Work

SETTINGS = EmrSettings(region="us-east-1", serverless=True)
WORK = Work(prepare=1.0, search=8.0, refit=1.0, trials=20, factor=1.0, source="a test")
TABLE = Table(rows=1_000_000, features=20, size_bytes=10**9, name="t.parquet")


@given(st.integers(1, 16), st.integers(1, 120 * 1024))
def test_every_worker_is_one_that_aws_takes_and_holds_what_was_asked(cores: int, memory_mib: int) -> None:
    have, memory = fitted(cores, memory_mib)
    least, most, step = SHAPES[have]
    assert least <= memory <= most
    assert (memory - least) % step == 0
    assert have >= cores
    assert memory * 1024 >= memory_mib


def test_what_no_worker_has_is_refused() -> None:
    with pytest.raises(PlaceError) as refused:
        fitted(16, 121 * 1024)
    assert refused.value.code == "places.worker-too-large"


@pytest.mark.parametrize(
    ("kind", "shape"), [("m5.2xlarge", (8, 32)), ("r5.2xlarge", (8, 60)), ("c5.4xlarge", (16, 32)), ("m5.24xlarge", (16, 120))]
)
def test_a_worker_is_the_nearest_to_a_core_node(kind: str, shape: tuple[int, int]) -> None:
    one = workers_of(SETTINGS.model_copy(update={"core_type": kind})).executor
    assert (one.cores, one.memory_gib) == shape


def test_driver_and_executors_fill_what_is_paid() -> None:
    plan = plan_workers(SETTINGS)
    assert plan.container_mib == 32 * 1024
    assert plan.driver_heap_mib + plan.driver_overhead_mib == 8 * 1024
    assert plan.conf()["spark.driver.cores"] == "2"


def test_an_hour_is_that_of_its_vcpus_and_gigabytes() -> None:
    made = offer(SETTINGS, WORK, TABLE)
    assert made.asked.hour.machines == pytest.approx(18 * 0.052624)
    assert made.asked.hour.emr == pytest.approx(72 * 0.0057785)
    assert made.asked.hour.disks == pytest.approx(2 * (128 - 20) * 0.000111)
    text = "\n".join(offer_lines(made))
    assert "2 workers of 8 vCPUs and 32 GB on EMR Serverless" in text
    assert "AWS's published prices of us-east-1" in text
    meter = meter_of(SETTINGS, "us-east-1", 5.0)
    assert float(next(iter(meter.values()))) == pytest.approx(made.asked.hour.total, abs=1e-4)


def test_another_region_is_said_to_be_an_estimate_and_one_without_a_price_is_refused() -> None:
    there = offer(SETTINGS.model_copy(update={"region": "eu-west-1"}), WORK, TABLE)
    assert there.asked.hour.machines > offer(SETTINGS, WORK, TABLE).asked.hour.machines
    assert "an estimate" in there.prices.told()
    with pytest.raises(RecipeError) as unknown:
        offer(SETTINGS.model_copy(update={"region": "mars-north-1"}), WORK, TABLE)
    assert unknown.value.code == "cost.no-price"


def test_the_cheapest_workers_in_time_cost_no_more_than_those_asked_for() -> None:
    made = offer(SETTINGS, WORK, TABLE, deadline_hours=3.0)
    assert made.cheapest is not None
    assert made.cheapest.hours <= 3.0
    assert made.cheapest.dollars <= made.asked.dollars


def test_a_bill_is_by_the_hours_that_aws_has_counted() -> None:
    class Aws:
        region = "us-east-1"

        def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
            used = {"vCPUHour": 9.0, "memoryGBHour": 36.0, "storageGBHour": 100.0}
            return {"jobRun": {"state": "SUCCESS", "billedResourceUtilization": used, "totalExecutionDurationSeconds": 1800}}

    bill = paid_run(Aws(), "00app", "00run")
    assert bill.dollars == pytest.approx(9 * 0.052624 + 36 * 0.0057785 + 100 * 0.000111)
    assert (bill.hours, bill.open) == (0.5, False)
    assert bill.instance_hours == {"vCPU": 9.0, "GB": 36.0, "disk GB": 100.0}
