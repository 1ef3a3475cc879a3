"""What `check` says of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from filon.engines.base import LabelPlan, Profile, Source

Level = Literal["info", "warning", "blocker"]
LEVELS: tuple[Level, ...] = ("blocker", "warning", "info")

Fact = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the user should know about the data; never a traceback.

    `code` is `check.what-was-found` (a heading of docs/errors.md as well), `column` "" for the whole table,
    `evidence` bounded counts and examples, `fix` something to paste into the recipe. `facts` are the numbers and names that the three
    texts are made of, so that a page can say them in another language (`wording.translate`)."""

    level: Level
    code: str
    column: str
    what: str
    evidence: str
    fix: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The source with roles settled (columns left out with their reason), the label's classes in order, all findings, blockers first."""

    source: Source
    label: LabelPlan
    profile: Profile
    findings: tuple[Finding, ...]

    @property
    def blockers(self) -> tuple[Finding, ...]:
        """Findings that stop the run."""
        return tuple(finding for finding in self.findings if finding.level == "blocker")
