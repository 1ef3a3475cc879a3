"""`[watch]`: when live data counts as different; the thresholds travel with the bundle."""

from typing import Literal

from pydantic import Field

from filon.settings import Settings


class WatchSettings(Settings):
    """An alarm needs both: a difference that chance does not explain (`significance`), and one large enough to matter (the others)."""

    significance: float = Field(
        0.001, gt=0, lt=0.5, description="chance of a false alarm in a whole run, after correction for the number of things compared"
    )
    correction: Literal["holm", "bh"] = Field("holm", description="for many columns: holm (no false alarm) or bh (few false among many)")
    distance: float = Field(
        0.04,
        ge=0,
        le=1,
        description="Kolmogorov-Smirnov distance of a number or score, total variation of a category: share of rows that differ",
    )
    psi: float = Field(0.1, ge=0, description="population stability index over ten groups; 0.1 is usually called moderate, 0.25 large")
    js: float = Field(0.1, ge=0, le=1, description="Jensen-Shannon distance (base 2) over the fine cells")
    missing: float = Field(0.02, ge=0, le=1, description="by how much the share of missing cells may rise or fall")
    unseen: float = Field(0.01, ge=0, le=1, description="by how much the share of categories that training did not know may rise")
    outside: float = Field(0.01, ge=0, le=1, description="share of numbers below the least or above the greatest value of training")
    metric_drop: float = Field(0.02, ge=0, description="by how much a metric may be worse than on the test fold, beyond both intervals")
    ignore: tuple[str, ...] = Field((), description="columns that are shown but not judged, such as those a capture leaves out or hashes")
    min_rows: int = Field(100, ge=1, description="with fewer rows nothing is judged")
    resamples: int = Field(200, ge=50, le=10_000, description="of the bootstrap behind each metric's interval")
