"""What a watch leaves: watch.json for programs, watch.html for people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.check.writing import finding_dict
from filon.files import write_atomic
from filon.watch.records import Drift

if TYPE_CHECKING:
    from filon.pages import Lang

FORMAT = 1
"""Of watch.json; a change of meaning raises it."""


def drift_dict(drift: Drift) -> dict[str, Any]:
    """watch.json."""
    plain = dataclasses.asdict(drift)
    plain["findings"] = [finding_dict(one) for one in drift.findings]
    return {"format": FORMAT, "alarms": len(drift.alarms), **plain}


def write_watch(folder: Path, drift: Drift, lang: Lang) -> tuple[str, ...]:
    """Write both files into a folder.

    Returns
    -------
    the names written

    Raises
    ------
    SetupError : `run.not-writable`, `run.disk-full`
    """
    from filon.watch.page import page

    write_atomic(folder / "watch.json", json.dumps(drift_dict(drift), indent=1, ensure_ascii=False) + "\n")
    write_atomic(folder / "watch.html", page(drift, lang))
    return ("watch.json", "watch.html")
