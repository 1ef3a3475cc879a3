"""What is done with a bundle after training, as Python functions: `watch` and `explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.api import _engine, _scratch, load
from filon.events import Listen, silence

if TYPE_CHECKING:
    from filon.engines.settings import SparkSettings
    from filon.explain import Explained
    from filon.package import Bundle
    from filon.pages import Lang
    from filon.watch import Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What `watch` left and found; `plain` is watch.json."""

    path: Path
    drift: Drift
    plain: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What `explain` left and found; `plain` is explain.json."""

    path: Path
    explained: Explained
    plain: Mapping[str, Any]


def watch(
    bundle: str | Path | Bundle,
    *,
    data: str = "",
    capture: str = "",
    since: str = "",
    labels: str = "",
    sets: Sequence[str] = (),
    out: str | Path | None = None,
    lang: Lang = "en",
    engine: str = "embedded",
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Watched:
    """Is live data still what was learned? Writes watch.html and watch.json.

    Parameters
    ----------
    data, capture : live rows in a table, or what a server captured: one of the two
    since : "90m", "24h", "7d", "2w", or a moment; earlier rows are left out
    labels : a table of labels that came later
    sets : thresholds, e.g. ["watch.psi=0.2"]
    out : folder of the page; `watch_<time>/` in the current folder when left out
    """
    from filon.watch import Asked, write_watch
    from filon.watch import watch as look_again
    from filon.watch.writing import drift_dict

    opened = load(bundle)
    asked = Asked(data=data, capture=capture, since=since, labels=labels, sets=tuple(sets))
    with _scratch() as scratch, _engine(engine, scratch, threads, memory_mib, listen, spark) as computing:
        drift = look_again(opened, asked, computing, listen)
    folder = Path(out) if out else Path(f"watch_{datetime.now(UTC):%Y%m%d_%H%M%S}")
    write_watch(folder, drift, lang)
    return Watched(path=folder, drift=drift, plain=drift_dict(drift))


def explain(
    bundle: str | Path | Bundle,
    data: str,
    *,
    rows: int | None = None,
    out: str | Path | None = None,
    lang: Lang = "en",
    engine: str = "embedded",
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Explanation:
    """Why does the model answer so? Writes explain.html, explain.json and contributions.parquet.

    Parameters
    ----------
    rows : of the sample that is explained; a thousand when left out, fewer for a large forest
    out : folder of the page; `explain_<time>/` in the current folder when left out
    """
    from filon.explain import explain as look_into
    from filon.explain import write_explained
    from filon.explain.writing import explained_dict

    opened = load(bundle)
    with _scratch() as scratch, _engine(engine, scratch, threads, memory_mib, listen, spark) as computing:
        explained, table = look_into(opened, data, computing, rows, listen)
    folder = Path(out) if out else Path(f"explain_{datetime.now(UTC):%Y%m%d_%H%M%S}")
    write_explained(folder, explained, table, lang)
    return Explanation(path=folder, explained=explained, plain=explained_dict(explained))
