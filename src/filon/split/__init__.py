"""Rows to folds by a hash of their key."""

from filon.split.settings import SplitSettings
from filon.split.split import plan_of, shares_of, split

__all__ = ["SplitSettings", "plan_of", "shares_of", "split"]
