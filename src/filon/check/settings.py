"""`[check]`: when a table does not deserve a model."""

from pydantic import Field

from filon.settings import Settings


class CheckSettings(Settings):
    """Limits past which a finding is raised."""

    min_rows: int = Field(200, ge=1, description="fewer rows stop the run")
    max_missing: float = Field(0.95, ge=0, le=1, description="share of missing cells past which a column is left out")
    max_categories: int = Field(
        1000,
        ge=2,
        description="more distinct texts than this are pointed at as high cardinality; past ten times as many the rarest count as missing",
    )
    leak_auc: float = Field(0.98, ge=0.5, le=1, description="a column that alone ranks the label this well is pointed at as a leak")
    allow: tuple[str, ...] = Field((), description="codes of blockers to be let through, e.g. 'check.leak'")
