"""What stands between a run and an alias: true to its golden rows, good enough, not worse than the champion, quick and small."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from filon.errors import BundleError
from filon.evaluate.metrics import better
from filon.package import Bundle, sealed
from filon.registry.paired import Paired
from filon.registry.settings import GateSettings

ASKED = 300
"""One-row requests of the latency gate; the first third warms."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate. told : one line for a person; value, limit : numbers, None where there are none"""

    gate: str
    passed: bool
    told: str
    value: float | None = None
    limit: float | None = None


def golden(bundle: Bundle) -> Gate:
    """The bundle answers its golden rows as it was sealed (law 4)."""
    from filon.serve.meters import Meters
    from filon.serve.served import Served

    try:
        Served(bundle, Meters(), threads=1).warm()
    except BundleError as exc:
        return Gate(gate="golden rows", passed=False, told=exc.why)
    return Gate(gate="golden rows", passed=True, told="answered as sealed")


def reached(settings: GateSettings, tested: Mapping[str, Any]) -> list[Gate]:
    """Metrics of the test fold against `at_least` (`logLoss` and `brier`: at most). tested : of summary.json"""
    found = []
    for name, limit in settings.at_least.items():
        value = tested.get(name)
        higher = better(name) == "higher"
        passed = isinstance(value, int | float) and (value >= limit if higher else value <= limit)
        shown = f"{value:.4f}" if isinstance(value, int | float) else "not defined"
        told = f"{shown} on the test fold, {'at least' if higher else 'at most'} {limit:g} is asked"
        found.append(Gate(gate=name, passed=passed, told=told, value=value, limit=limit))
    return found


def against(settings: GateSettings, metric: str, paired: Paired, champion: str) -> Gate:
    """The challenger (right) against the champion (left) on the same rows."""
    gate = "champion"
    one = paired.metrics[metric]
    if one.value is None or one.lower is None or one.upper is None:
        return Gate(gate=gate, passed=False, told=f"{metric} is not defined on these {paired.rows:,} rows, so nothing is shown")
    sign = 1 if better(metric) == "higher" else -1
    gain, worst, best = sign * one.value, min(sign * one.lower, sign * one.upper), max(sign * one.lower, sign * one.upper)
    passed = worst > 0 if settings.champion == "better" else best >= -settings.margin
    share = f"{100 * paired.confidence:g} %"
    word = "better" if worst > 0 else "worse" if best < 0 else "no different by more than chance"
    told = (
        f"{metric} {one.right:.4f} against {one.left:.4f} of {champion} on {paired.rows:,} rows: {one.value:+.4f} "
        f"({share} from {one.lower:+.4f} to {one.upper:+.4f}), {word}; McNemar p = {paired.mcnemar.p:.3g}"
    )
    return Gate(gate=gate, passed=passed, told=told, value=gain, limit=0.0 if settings.champion == "better" else -settings.margin)


def quick(settings: GateSettings, bundle: Bundle) -> list[Gate]:
    """One row as JSON, from the bytes of the request to those of the answer, as the server works it."""
    if settings.latency_ms is None:
        return []
    from filon.serve.meters import Meters
    from filon.serve.served import Asked, Served
    from filon.serve.settings import Limits

    served, limits = Served(bundle, Meters(), threads=1), Limits()
    row = bundle.golden().select([column.name for column in bundle.inputs]).slice(0, 1).to_pylist()[0]
    asked = Asked(body=json.dumps(row, default=str).encode())
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        served.answer(asked, limits)
        taken.append(1000 * (time.perf_counter() - began))
    middle = median(taken[ASKED // 3 :])
    told = f"{middle:.2f} ms a row, at most {settings.latency_ms:g} is asked"
    return [Gate(gate="latency", passed=middle <= settings.latency_ms, told=told, value=middle, limit=settings.latency_ms)]


def small(settings: GateSettings, bundle: Bundle) -> list[Gate]:
    """All files of the bundle."""
    if settings.size_mib is None:
        return []
    size = (sum(facts["bytes"] for facts in bundle.record["files"].values()) + (bundle.path / sealed.RECORD).stat().st_size) / MIB
    told = f"{size:.1f} MiB, at most {settings.size_mib:g} is asked"
    return [Gate(gate="size", passed=size <= settings.size_mib, told=told, value=size, limit=settings.size_mib)]
