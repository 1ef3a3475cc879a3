"""`[rules]`: what is watched for while a trial is fitted, and what follows."""

from typing import Literal

from pydantic import Field

from filon.settings import Settings

Action = Literal["off", "warn", "stop-trial", "stop-run"]


class RulesSettings(Settings):
    """A rule is off, warns (a finding), stops the trial (kept as far as it came, or failed when it is of no use), or stops the run."""

    loss_not_decreasing: Action = Field("warn", description="after `patience` rounds the loss is no better than after the first")
    overfitting: Action = Field("warn", description="the validation loss has risen by `overfit` of itself while the training loss fell")
    vanishing_gain: Action = Field("warn", description="`flat` rounds changed nothing at all")
    exploding_loss: Action = Field("stop-trial", description="the loss is no number any more, or `explosion` times the first one")
    class_ignored: Action = Field("warn", description="a class of the validation fold is never predicted: imbalance was not dealt with")
    patience: int = Field(20, ge=2, description="rounds")
    least_gain: float = Field(0.001, ge=0, lt=1, description="share by which the loss must have fallen by then")
    overfit: float = Field(0.2, gt=0, description="share by which the validation loss may rise above its least")
    flat: int = Field(10, ge=2, description="rounds")
    explosion: float = Field(2.0, gt=1, description="times the first loss")
    least_rows: int = Field(20, ge=1, description="rows a class must have in the validation fold for `class_ignored`")
