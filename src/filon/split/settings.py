"""`[split]`: rows to folds."""

from typing import Literal

from pydantic import Field

from filon.settings import Settings


class SplitSettings(Settings):
    """Shares, seed and what stays together."""

    train: float = Field(0.70, gt=0, lt=1)
    valid: float = Field(0.15, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)
    seed: int = Field(42, ge=0, lt=2**63)
    by: Literal["row", "key", "time"] = Field(
        "row", description="row: equal rows together; key: rows that share data.key together; time: oldest train, newest test"
    )
    stratify: bool = Field(True, description="same class shares in each fold (by row only)")
    test_source: str | None = Field(
        None, description="a test table given by the publisher: then train and valid share data.source between them"
    )
