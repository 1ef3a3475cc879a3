"""A table to folds: hash and encode in tasks, bring equal hashes together, settle membership from counts, rank the categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from filon.engines.base import FoldInfo, FoldName, SplitPlan
from filon.engines.embedded.encoding import MOST_TEXTS
from filon.engines.folding import FOLDS, TIME_BINS, balanced, cut, refuse_no_rows, refuse_unusable, time_cuts
from filon.engines.spark.encoding import MISSING, UNKNOWN, CountWords, ToRanks, ToRows
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.folds import LOWEST, SparkFolds
from filon.engines.spark.hashing import keys_of
from filon.engines.spark.reader import SparkTable
from filon.engines.spark.session import Session
from filon.engines.spark.words import Telling
from filon.errors import DataError
from filon.events import Event, Listen
from filon.rows.encode import Encoding, Feature
from filon.rows.hash import BUCKETS

PART_BYTES = 32 << 20
"""Encoded bytes of a shuffle partition: sorted in memory, and a file of its own in the folds."""

MOST_PARTS = 4096
GROWTH = 2
"""Encoded rows against the bytes of a source whose rows were not counted: texts of a CSV shrink, packed columns grow."""


def split(table: SparkTable, plan: SplitPlan, test: SparkTable | None, listen: Listen) -> SparkFolds:
    """Give every row of the table to one fold (law 1), and keep the encoded rows in the work folder.

    Raises
    ------
    DataError : `split.no-rows`, `split.class-missing`, `split.fold-empty`, `split.weight-unusable`, `split.time-unusable`
    """
    session = table.session
    listen(Event(stage="split", text="hashing and encoding the rows"))
    rows = _spooled(table, ToRows(plan=plan, keys=keys_of(_parts(table, plan))))
    counts, left_out = _counted(rows, plan, session)
    refuse_no_rows(plan, int(counts.sum()), left_out)
    rows = _with_fold(rows.where("label >= 0"), plan, counts, session)
    encoding = _learnt(rows, plan, session, listen)
    final = _ranked(rows, encoding, session) if any(feature.kind == "category" for feature in encoding.features) else rows
    if test is not None:
        given, extra = _given(test, plan, encoding)
        left_out = {reason: count + extra[reason] for reason, count in left_out.items()}
        final = final.where("fold < 2").unionByName(given, allowMissingColumns=True)
    info = _described(final, plan, session)
    refuse_unusable(plan, info)
    return SparkFolds(
        plan=plan,
        encoding=encoding,
        info=info,
        class_weights=balanced(info["train"].by_class) if plan.balance else (1.0,) * len(plan.label.classes),
        left_out=left_out,
        session=session,
        _kept=final,
    )


def _parts(table: SparkTable, plan: SplitPlan) -> int:
    """Shuffle partitions."""
    known = table.cut.rows * 4 * (len(plan.features) + 4) if table.cut.rows >= 0 else 0
    size = known or GROWTH * sum(file.size_bytes for file in table.source.files)
    return max(1, min(MOST_PARTS, -(-size // PART_BYTES)))


def _spooled(table: SparkTable, work: ToRows) -> Any:
    """Encoded rows in canonical order, partition after partition, with the lowest label of the rows that share their hash; kept."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    session = table.session
    rows = table.map(work, work.schema(), work.columns())
    by = ["label", *(["weight"] if work.plan.weight else [])]
    same = Window.partitionBy("part", F.col("hash").bitwiseXOR(F.lit(LOWEST))).orderBy(*by)
    rows = rows.repartition(len(work.keys), "part").withColumn("lowest", F.first("label").over(same))
    return session.kept(session.keep(rows, "rows", origin=table.source.origin))


def _counted(rows: Any, plan: SplitPlan, session: Session) -> tuple[np.ndarray, dict[str, int]]:
    """Rows by bucket and class: (BUCKETS, classes) int64; and rows left out, by reason."""
    from pyspark.sql import functions as F  # noqa: N812

    bucket = F.lit(0) if plan.by == "time" else F.col("bucket")
    grouped = rows.groupBy("label", bucket.alias("at")).agg(F.count("*").alias("rows"), _total("label < 0", "hash").alias("out"))
    found = fetched(grouped, session)
    label, at, count, out = (found.column(name).to_numpy() for name in ("label", "at", "rows", "out"))
    counts = np.zeros((BUCKETS, len(plan.label.classes)), np.int64)
    inside = label >= 0
    counts[at[inside], label[inside]] = count[inside]
    return counts, {"label-missing": int(out[label == MISSING].sum()), "label-unknown": int(out[label == UNKNOWN].sum())}


def _total(condition: str, name: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    return F.sum(F.when(F.expr(condition), F.col(name)).otherwise(F.lit(0)))


def _with_fold(rows: Any, plan: SplitPlan, counts: np.ndarray, session: Session) -> Any:
    """The rows with the number of their fold."""
    from pyspark.sql import functions as F  # noqa: N812

    if plan.by == "time":
        edges = _time_edges(rows, plan, int(counts.sum()), session)
        passed = [F.col("member") >= F.lit(edge) for edge in edges]
    else:
        cuts = cut(counts, plan.shares, stratify=plan.stratify and plan.by == "row").edges
        passed = [F.col("bucket") >= F.element_at(F.array(*map(F.lit, edge.tolist())), F.col("lowest") + 1) for edge in cuts.T]
    fold = F.lit(0)
    for one in passed:
        fold = fold + one.cast("int")
    return rows.withColumn("fold", fold)


def _time_edges(rows: Any, plan: SplitPlan, total: int, session: Session) -> tuple[int, ...]:
    from pyspark.sql import functions as F  # noqa: N812

    ends = fetched(rows.agg(F.min("member").alias("first"), F.max("member").alias("last")), session)
    first, last = int(ends.column("first")[0].as_py()), int(ends.column("last")[0].as_py())

    def histogram(low: int, width: int, bins: int) -> np.ndarray:
        high = low + width * bins - 1
        here = rows.where(F.col("member").between(low, min(high, (1 << 63) - 1)))
        # The difference may pass the range of bigint, which a decimal does not
        place = F.floor((F.col("member").cast("decimal(38,0)") - F.lit(low).cast("decimal(38,0)")) / F.lit(width).cast("decimal(20,0)"))
        found = fetched(here.groupBy(place.cast("int").alias("at")).agg(F.count("*").alias("rows")), session)
        counts = np.zeros(bins, np.int64)
        counts[found.column("at").to_numpy()] = found.column("rows").to_numpy()
        return counts

    assert TIME_BINS < 1 << 31
    return time_cuts(histogram, first, last, total, plan.shares)


def _learnt(rows: Any, plan: SplitPlan, session: Session, listen: Listen) -> Encoding:
    """The encoding of the training fold: categories by their rows there, most frequent first, ties by text."""
    places = tuple(place for place, feature in enumerate(plan.features) if feature.kind == "category")
    words: dict[int, tuple[str, ...]] = {}
    if places:
        listen(Event(stage="split", text=f"learning the categories of {len(places):,} column{'s' * (len(places) > 1)}"))
        words = _words(rows, places, plan, session)
    features = tuple(
        Feature(name=feature.name, kind=feature.kind, categories=words.get(place, ()))  # type: ignore[arg-type]
        for place, feature in enumerate(plan.features)
    )
    return Encoding(features=features, classes=plan.label.classes)


def _words(rows: Any, places: tuple[int, ...], plan: SplitPlan, session: Session) -> dict[int, tuple[str, ...]]:
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    texts = rows.select("fold", *(f"x{place}" for place in places))
    schema = "place int, text string, rows bigint, train bigint"
    counts = texts.mapInArrow(Telling(CountWords(places)), schema).groupBy("place", "text").agg(F.sum("train").alias("train"))
    best = Window.partitionBy("place").orderBy(F.desc("train"), F.col("text"))
    each = Window.partitionBy("place")
    ranked = counts.withColumn("rank", F.row_number().over(best)).withColumn("all", F.count("*").over(each))
    # Of a column with too many texts one row says so
    found = fetched(ranked.where((F.col("train") > 0) & (F.col("rank") <= plan.max_categories) | (F.col("rank") == 1)), session)
    for place, many in zip(found.column("place").to_pylist(), found.column("all").to_pylist(), strict=True):
        if many > MOST_TEXTS:
            name = plan.features[place].name
            raise DataError(
                "split.too-many-categories",
                f'the category column "{name}" has more than {MOST_TEXTS:,} different values',
                "a category is learnt value by value; with so many, hardly one is seen twice",
                f'leave it out: drop = ["{name}"], or declare it: columns = {{ "{name}" = "text" }}',
            )
    rows_ = sorted((row for row in found.to_pylist() if row["train"] > 0), key=lambda row: (row["place"], row["rank"]))
    return {place: tuple(row["text"] for row in rows_ if row["place"] == place) for place in places}


def _ranked(rows: Any, encoding: Encoding, session: Session) -> Any:
    """The rows with categories as ranks, kept; the order within files stays."""
    categories = {f"x{place}": feature.categories for place, feature in enumerate(encoding.features) if feature.kind == "category"}
    kept = [name for name in rows.columns if name not in ("part", "bucket", "lowest")]
    wanted = rows.select(*kept)
    made = wanted.mapInArrow(Telling(ToRanks(categories=categories)), _ranked_schema(wanted.schema, categories))
    return session.kept(session.keep(made, "folds"))


def _ranked_schema(schema: Any, categories: dict[str, tuple[str, ...]]) -> Any:
    from pyspark.sql.types import FloatType, StructField, StructType

    return StructType([StructField(one.name, FloatType()) if one.name in categories else one for one in schema.fields])


def _given(test: SparkTable, plan: SplitPlan, encoding: Encoding) -> tuple[Any, dict[str, int]]:
    """The publisher's own test table as the test fold."""
    from pyspark.sql import functions as F  # noqa: N812

    rows = _spooled(test, ToRows(plan=plan, keys=keys_of(_parts(test, plan)), encoding=encoding))
    _, left_out = _counted(rows.withColumn("bucket", F.lit(0)), plan, test.session)
    return rows.where("label >= 0").drop("part", "bucket", "lowest").withColumn("fold", F.lit(2)), left_out


def _described(rows: Any, plan: SplitPlan, session: Session) -> dict[FoldName, FoldInfo]:
    """What is in the folds: rows by class, and the sum of the hashes, whose halves are added apart because bigint would overflow."""
    from pyspark.sql import functions as F  # noqa: N812

    low, high = F.col("hash").bitwiseAND(F.lit(0xFFFFFFFF)), F.shiftrightunsigned("hash", 32)
    grouped = rows.groupBy("fold", "label").agg(F.count("*").alias("rows"), F.sum(low).alias("low"), F.sum(high).alias("high"))
    found = fetched(grouped, session).to_pylist()
    info: dict[FoldName, FoldInfo] = {}
    for number, name in enumerate(FOLDS):
        mine = {row["label"]: row for row in found if row["fold"] == number}
        digest = sum(row["low"] + (row["high"] << 32) for row in mine.values()) % (1 << 64)
        by_class = tuple(int(mine[label]["rows"]) if label in mine else 0 for label in range(len(plan.label.classes)))
        info[name] = FoldInfo(rows=sum(by_class), by_class=by_class, digest=f"{digest:016x}")
    return info
