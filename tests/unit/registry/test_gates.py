"""Gates: what a model must be before an alias points at it."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from tests.unit.package.conftest import sealed

from filon.package import Bundle
from filon.registry import GateSettings
from filon.registry.gates import against, golden, quick, reached, small
from filon.registry.paired import Difference, McNemar, Paired

__all__ = ["sealed"]
NOTHING = McNemar(both=1, only_left=0, only_right=0, neither=0, p=1.0)


def paired(name: str, left: float, value: float, lower: float, upper: float) -> Paired:
    one = Difference(left=left, right=left + value, value=value, lower=lower, upper=upper)
    return Paired(rows=100, confidence=0.95, metrics={name: one}, mcnemar=NOTHING)


def test_a_metric_must_be_reached_in_its_own_direction() -> None:
    settings = GateSettings(at_least={"areaUnderPR": 0.6, "logLoss": 0.5})
    passed = {gate.gate: gate.passed for gate in reached(settings, {"areaUnderPR": 0.61, "logLoss": 0.49})}
    assert passed == {"areaUnderPR": True, "logLoss": True}
    failed = reached(settings, {"areaUnderPR": 0.59, "logLoss": None})
    assert [gate.passed for gate in failed] == [False, False]
    assert "not defined" in failed[1].told


@pytest.mark.parametrize(
    ("rule", "interval", "passed"),
    [
        ("not-worse", (-0.03, -0.01), False),
        ("not-worse", (-0.03, 0.01), True),
        ("not-worse", (0.01, 0.03), True),
        ("better", (-0.03, 0.01), False),
        ("better", (0.01, 0.03), True),
    ],
)
def test_the_champion_is_judged_by_the_whole_interval(rule: str, interval: tuple[float, float], passed: bool) -> None:
    settings = GateSettings(champion=rule)
    found = against(settings, "areaUnderPR", paired("areaUnderPR", 0.7, sum(interval) / 2, *interval), "version 3")
    assert found.passed is passed
    turned = against(settings, "logLoss", paired("logLoss", 0.7, -sum(interval) / 2, -interval[1], -interval[0]), "version 3")
    assert turned.passed is passed


def test_a_margin_lets_a_little_worse_through() -> None:
    pair = paired("areaUnderPR", 0.7, -0.02, -0.03, -0.01)
    assert not against(GateSettings(), "areaUnderPR", pair, "version 3").passed
    assert against(GateSettings(margin=0.02), "areaUnderPR", pair, "version 3").passed


def test_size_latency_and_golden_rows_are_measured(sealed: Callable[..., Bundle]) -> None:
    bundle = sealed()
    assert golden(bundle).passed
    assert small(GateSettings(), bundle)[0].passed
    assert not small(GateSettings(size_mib=0.001), bundle)[0].passed
    assert not quick(GateSettings(latency_ms=1e-6), bundle)[0].passed
    assert quick(GateSettings(latency_ms=None), bundle) == small(GateSettings(size_mib=None), bundle) == []


def test_a_metric_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="areaUnderROC"):
        GateSettings(at_least={"auc": 0.7})
