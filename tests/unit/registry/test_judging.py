"""Every gate is asked when a run is promoted: without any one of them, one of these models would pass."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import rows, seal, sealed

from filon import lifecycle
from filon.package import Bundle
from filon.package.doors import onnx_door
from filon.registry import GateSettings
from filon.serve import served

__all__ = ["sealed"]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, bool]]:
    """`judged(bundle, settings, champion)`: which gates there were, and whether each was passed."""
    pq.write_table(rows(4000, seed=99), tmp_path / "labelled.parquet")

    def judge(bundle: Bundle, settings: GateSettings, champion: Bundle | None = None) -> dict[str, bool]:
        @contextlib.contextmanager
        def opened(*_: object) -> Iterator[Bundle | None]:
            yield champion

        monkeypatch.setattr(lifecycle, "_bundle_of", opened)
        recipe = SimpleNamespace(gates=settings)
        candidate = SimpleNamespace(recipe=recipe, bundle=bundle, tested={"areaUnderROC": 0.8}, folder=tmp_path, manifest={})
        version = None if champion is None else SimpleNamespace(number="1")
        data = str(tmp_path / "labelled.parquet")
        gates = lifecycle._judge(candidate, None, version, tmp_path, data, (1, 1024), "champion", lambda _: None)  # type: ignore[arg-type]
        return {gate.gate: gate.passed for gate in gates}

    return judge


@pytest.mark.parametrize(
    ("wanted", "failed"),
    [
        ({}, set()),
        ({"size_mib": 0.001}, {"size"}),
        ({"latency_ms": 1e-6}, {"latency"}),
        ({"at_least": {"areaUnderROC": 0.9}}, {"areaUnderROC"}),
    ],
)
def test_a_model_that_fails_one_gate_is_held_back(sealed: Callable[..., Bundle], judged: Callable, wanted: dict, failed: set[str]) -> None:
    settings = GateSettings(**{"at_least": {"areaUnderROC": 0.7}, "latency_ms": 1000.0, **wanted})
    found = judged(sealed(), settings)
    assert set(found) == {"golden rows", "areaUnderROC", "size", "latency"}
    assert {name for name, passed in found.items() if not passed} == failed


def test_a_model_that_does_not_answer_its_golden_rows_is_held_back(
    sealed: Callable[..., Bundle], judged: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "onnx_door", lambda bundle, table: 1 - onnx_door(bundle, table))
    found = judged(sealed(), GateSettings(latency_ms=None))
    assert found == {"golden rows": False, "size": True}


def test_a_model_that_is_worse_than_the_champion_on_the_same_rows_is_held_back(
    sealed: Callable[..., Bundle], judged: Callable, tmp_path: Path
) -> None:
    table = rows()
    place = table.schema.get_field_index("label")
    weak = seal(tmp_path / "weak", "xgboost", table=table.set_column(place, "label", table.column("label").combine_chunks()[::-1]))
    assert judged(weak, GateSettings(latency_ms=None), sealed()) == {"golden rows": True, "size": True, "champion": False}
    assert judged(sealed(), GateSettings(latency_ms=None), weak)["champion"]
    assert judged(sealed(), GateSettings(latency_ms=None), sealed())["champion"]  # no worse than itself
    assert "champion" not in judged(weak, GateSettings(latency_ms=None, champion="off"), sealed())
