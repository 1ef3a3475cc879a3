"""`[gates]`: what a model must be before an alias may point at it."""

from typing import Literal

from pydantic import Field, field_validator

from filon.settings import Settings


class GateSettings(Settings):
    """What `filon promote` asks of a run."""

    metric: str | None = Field(None, description="the metric that champion and challenger are compared by; search.metric when left out")
    at_least: dict[str, float] = Field(
        default_factory=dict, description="metrics of the test fold that must be reached, e.g. { areaUnderPR = 0.6 } (logLoss: at most)"
    )
    champion: Literal["not-worse", "better", "off"] = Field(
        "not-worse",
        description="against the champion on the same rows: not worse, or better, by more than chance; off does not compare",
    )
    margin: float = Field(0.0, ge=0, description="how much worse than the champion is still let through, in units of the metric")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the interval of the difference")
    resamples: int = Field(400, ge=50, le=10_000, description="of the paired bootstrap")
    rows: int = Field(100_000, ge=100, description="most test rows that both are asked; the lowest hashes, so always the same ones")
    latency_ms: float | None = Field(50.0, gt=0, description="one row as JSON, median, in this process")
    size_mib: float | None = Field(500.0, gt=0, description="all files of the bundle")

    @field_validator("metric", "at_least")
    @classmethod
    def _are_metrics(cls, value: str | dict[str, float] | None) -> str | dict[str, float] | None:
        from filon.evaluate.metrics import NAMES

        for name in (value,) if isinstance(value, str) else value or ():
            if name not in NAMES:
                raise ValueError(f"{name!r} is no metric; they are {', '.join(NAMES)}")
        return value
