"""What is done with a bundle, as Python functions: load, evaluate, predict, watch, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.computing import computing
from filon.events import Listen, silence

if TYPE_CHECKING:
    from filon.engines.base import Written
    from filon.engines.settings import SparkSettings
    from filon.engines.spark.streaming import Streamed
    from filon.explain import Explained
    from filon.package import Bundle
    from filon.package.foreign import Foreign
    from filon.pages import Lang
    from filon.watch import Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What `evaluate` left and found."""

    path: Path
    metrics: Mapping[str, Any]
    headlines: tuple[str, ...]


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


def evaluate(
    bundle: str | Path | Bundle,
    data: str | Path,
    *,
    out: str | Path | None = None,
    lang: Lang = "en",
    engine: str = "embedded",
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Evaluation:
    """Examine a bundle on a labelled table and write its report.

    Parameters
    ----------
    data : file, folder, glob or s3:// URI with the bundle's columns and its label
    out : folder of the report; `eval_<time>/` in the current folder when left out
    """
    from filon import scoring

    opened = load(bundle)
    with computing(engine, threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
        path, metrics, headlines = scoring.evaluate(opened, str(data), Path(out) if out else None, lang, at_work, listen)
    return Evaluation(path=path, metrics=metrics, headlines=tuple(headlines))


def predict(
    bundle: str | Path | Bundle,
    data: str | Path,
    out: str | Path,
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    rejects: str | Path | None = None,
    trust: bool = False,
    engine: str = "embedded",
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Written:
    """Score a table; rows in = scored + rejected.

    Parameters
    ----------
    bundle : a bundle, or a model of another maker: an MLflow URI (models:/, runs:/) or folder, a .skops or .joblib file
    out : .parquet or .csv, committed by one rename; a file, or with engine "spark" a folder of parts
    keep : source columns carried along ("*": all); the recipe's key when left out
    drop : columns that are no features, for a model that does not know the names of its features
    rejects : where rows that cannot be scored go, with their reason; beside `out` when left out
    trust : open also models that run code when they are opened (joblib, pickles)
    """
    from filon import scoring
    from filon.package.foreign import Foreign

    opened = _model(bundle, trust)
    beside = str(rejects) if rejects else ""
    with computing(engine, threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
        if isinstance(opened, Foreign):
            return scoring.predict_foreign(opened, str(data), str(out), tuple(keep), tuple(drop), beside, at_work, listen)
        return scoring.predict(opened, str(data), str(out), tuple(keep), beside, at_work, listen)


def predict_stream(
    bundle: str | Path | Bundle,
    data: str | Path,
    out: str | Path,
    *,
    checkpoint: str,
    keep: Sequence[str] = (),
    rejects: str | None = None,
    available_now: bool = False,
    threads: int | None = None,
    memory_mib: int | None = None,
    spark: SparkSettings | None = None,
    listen: Listen = silence,
) -> Streamed:
    """Score Parquet files as they arrive in a folder, each exactly once, until SIGTERM or Ctrl-C (on Spark).

    Parameters
    ----------
    data : folder or glob, s3:// too; writers put whole files there (write beside, then rename). Or kafka://servers/topic, of JSON
    out : folder, of this stream alone; the rows of each batch are in a folder `batch=N` of it
    checkpoint : folder of the stream's notes, its own for ever
    available_now : score what is there, then end
    """
    from filon import scoring

    opened, beside = load(bundle), rejects or ""
    with computing("spark", threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
        return scoring.predict_stream(opened, str(data), str(out), checkpoint, tuple(keep), beside, available_now, at_work)


def udf(bundle: str | Path | Bundle, *, name: str = "", spark: Any = None) -> Any:
    """A vectorized UDF of Spark that scores a struct of the bundle's columns; moments are read in UTC, whatever the session's zone.

    Parameters
    ----------
    name : registers it for SQL under that name, in the active session or the one given as `spark`

    Returns
    -------
    a function of one struct: of two classes the probability of the second (float), of more the probability of each (array of float)

    Examples
    --------
    >>> score = filon.udf("runs/bank/.../bundle", name="deposit")  # doctest: +SKIP
    >>> frame.withColumn("p", score(struct("*")))  # doctest: +SKIP
    >>> spark.sql("SELECT deposit(struct(*)) AS p FROM customers")  # doctest: +SKIP
    """
    from filon.engines import spark_udf
    from filon.package.structs import FrameScorer

    opened = load(bundle)
    needed = tuple(column.name for column in opened.inputs)
    return spark_udf(FrameScorer(opened), len(opened.classes), needed, name=name, spark=spark)


def load(bundle: str | Path | Bundle) -> Bundle:
    """Open a sealed bundle: hashes are checked, no code of it runs."""
    from filon.package import Bundle, open_bundle

    return bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle))


def _model(model: str | Path | Bundle, trust: bool) -> Bundle | Foreign:
    """A bundle, or a model of another maker, by what the path names."""
    from filon.package import Bundle
    from filon.package.foreign import is_foreign, open_foreign

    if isinstance(model, Bundle):
        return model
    if is_foreign(model):
        return open_foreign(model, trust=trust)
    if not (Path(model) / "bundle.json").is_file():
        from filon.track import models

        if models.is_kept(str(model)):
            with models.fetched(str(model)) as folder:
                if not (folder / "bundle.json").is_file():
                    return models.open_kept(folder, str(model).rstrip("/").rsplit("/", 1)[-1], trust=trust)
                return load(folder)
    return load(model)


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
    with computing(engine, threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
        drift = look_again(opened, asked, at_work, listen)
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
    with computing(engine, threads=threads, memory_mib=memory_mib, spark=spark, listen=listen) as at_work:
        explained, table = look_into(opened, data, at_work, rows, listen)
    folder = Path(out) if out else Path(f"explain_{datetime.now(UTC):%Y%m%d_%H%M%S}")
    write_explained(folder, explained, table, lang)
    return Explanation(path=folder, explained=explained, plain=explained_dict(explained))
