"""The fitted ensemble: one portable form for every family, and its one scorer."""

from filon.trees.blending import blend
from filon.trees.ensemble import Ensemble, LinearDesign
from filon.trees.linear import expand
from filon.trees.scoring import contributions, gain, predict
from filon.trees.shaping import prefix

__all__ = ["Ensemble", "LinearDesign", "blend", "contributions", "expand", "gain", "predict", "prefix"]
