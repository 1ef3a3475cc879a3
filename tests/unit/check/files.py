"""Real files through the real reader, profiler and check."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filon.check import Checked, check
from filon.check.guess import Guess, guess
from filon.check.settings import CheckSettings
from filon.engines.base import LabelPlan
from filon.engines.embedded import EmbeddedEngine
from filon.read.reading import look, read
from filon.read.settings import DataSettings


def checked_file(path: Path, label: str, settings: Mapping[str, Any] = {}, **data: Any) -> Checked:
    wanted = DataSettings(source=str(path), label=label, **data)
    with tempfile.TemporaryDirectory() as folder, EmbeddedEngine(scratch=Path(folder), threads=2) as engine:
        table = engine.read(read(wanted, path.parent))
        profile = engine.profile(table, LabelPlan(column=label))
        return check(profile, table.source, CheckSettings(**settings), wanted)


def guessed_file(path: Path, label: str = "") -> Guess:
    wanted = DataSettings(source=str(path), label=label or "-")
    with tempfile.TemporaryDirectory() as folder, EmbeddedEngine(scratch=Path(folder), threads=2) as engine:
        source = look(wanted, path.parent)
        table = engine.read(source)
        return guess(source, lambda name: engine.profile(table, LabelPlan(column=name)), label)
