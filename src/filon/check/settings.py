"""`[check]`: when a table does not deserve a model."""

import difflib

from pydantic import Field, field_validator

from filon.errors import CODES
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
    allow: tuple[str, ...] = Field((), description="codes of blockers to be let through, e.g. 'check.leak-perfect'")

    @field_validator("allow")
    @classmethod
    def _are_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A misspelt code would let nothing through, and nobody would know why."""
        known = [code for code in CODES if code.startswith("check.")]
        for code in value:
            if code not in known:
                near = difflib.get_close_matches(code, known, n=1, cutoff=0.4)
                raise ValueError(f"there is no finding {code!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return value
