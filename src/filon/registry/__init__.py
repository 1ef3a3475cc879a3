"""Which model is in service: gates before an alias moves, two models on the same rows, and a record of every change."""

from filon.registry.settings import GateSettings

__all__ = ["GateSettings"]
