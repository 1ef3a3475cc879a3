"""Scored rows to a file: written beside, committed by one rename; rows that cannot be scored are set aside with their reason."""

from filon.engines.base import Sink, Written
from filon.engines.embedded.scoring import ScoredTable


def write(scored: ScoredTable, sink: Sink) -> Written:
    """Write label, probability by class and the kept columns."""
    raise NotImplementedError
