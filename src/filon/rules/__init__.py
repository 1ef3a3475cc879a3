"""Rules over a fit while it runs: each is a small pure function over the curve, or the outcome, that says what is wrong, if anything."""

from filon.rules.curve import CURVE_RULES, Point
from filon.rules.records import FINDINGS, Broken
from filon.rules.settings import Action, RulesSettings
from filon.rules.watcher import Watcher, outcome

__all__ = ["CURVE_RULES", "FINDINGS", "Action", "Broken", "Point", "RulesSettings", "Watcher", "outcome"]
