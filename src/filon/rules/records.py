"""What a rule found."""

from dataclasses import dataclass

from filon.rules.settings import Action

FINDINGS = {
    "loss-not-decreasing": "rules.loss-not-decreasing",
    "overfitting": "rules.overfitting",
    "vanishing-gain": "rules.vanishing-gain",
    "exploding-loss": "rules.exploding-loss",
    "class-ignored": "rules.class-ignored",
}
"""The code of the finding that each rule becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One rule broken by one fit.

    rule : its name in `[rules]`, with dashes; round : at which it was seen; action : what follows; why : the figures, in English
    useless : the model is of no use (the trial failed), else it is kept as far as it came
    """

    rule: str
    round: int
    action: Action
    why: str
    useless: bool = False

    @property
    def stops(self) -> bool:
        """Whether the fit ends here."""
        return self.action in ("stop-trial", "stop-run")
