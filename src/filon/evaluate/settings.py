"""`[evaluate]`: what the report says."""

from typing import Annotated, Literal

from pydantic import Field

from filon.settings import Settings


class EvaluateSettings(Settings):
    """Intervals, threshold, slices and language of the report."""

    lang: Literal["en", "es"] = "en"
    threshold: Literal["f1", "accuracy", "balanced", "half"] | Annotated[float, Field(ge=0, le=1)] = Field(
        "f1", description="what the decision threshold of two classes is chosen for, on the validation fold; or the threshold itself"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(500, ge=50, le=10_000)
    slices: tuple[str, ...] = Field((), description="category columns to slice by; the five most important when empty")
    shap_rows: int = Field(2000, ge=10, le=50_000, description="rows of the sample on which TreeSHAP is computed")
