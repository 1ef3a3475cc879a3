"""Spark MLlib's own forests and boosted trees, where the recipe asks for them: fitted by MLlib, served without a JVM."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from filon.engines.base import FitPlan, Fitted, Trial, Value
from filon.engines.spark.convert import Nodes, converted
from filon.engines.spark.listener import watched
from filon.engines.spark.session import Session, refuse_connect
from filon.engines.spark.shipping import first, pack
from filon.engines.spark.tasks import why
from filon.engines.tally import Tallier, Tally
from filon.engines.trainer.families import COUNT, DEFAULTS
from filon.events import Event, Listen
from filon.rules import outcome
from filon.trees import Ensemble
from filon.trees.scoring import scorer

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.spark.folds import SparkFolds

FAMILIES = ("random_forest", "gbt")
RESERVED = ("features", "_label", "_weight", "prediction", "probability", "rawprediction")
"""Columns that the pipeline and its classifier make, in lower case, for Spark's names know no other."""

LEAST = float(np.finfo(np.float32).min)
"""What a missing cell becomes at the lowest: Spark's SQL has no word for what is beyond."""

NODES = (
    "treeID",
    "nodeData.id AS node",
    "nodeData.leftChild AS lefts",
    "nodeData.rightChild AS rights",
    "nodeData.split.featureIndex AS feature",
    "get(nodeData.split.leftCategoriesOrThreshold, 0) AS threshold",
    "nodeData.gain AS gain",
    "nodeData.prediction AS prediction",
    "nodeData.impurityStats AS stats",
)
"""Of a saved tree's nodes: columns of its Parquet, the same in Spark 3.5 and 4.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The training rows as MLlib wants them.

    frame : `features` (vector), `label` (double), `weight`; before : stages of the pipeline before the classifier
    fills : (features,) float32 what missing cells became; NaN for features without one
    """

    frame: Any
    before: list[Any]
    fills: np.ndarray


def fit_mllib(
    session: Session, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan, keep: Callable[[str], None], listen: Listen
) -> Iterator[Fitted]:
    """Fit trials that ask for MLlib, the longest of each group once; `keep` hears where the pipeline of a refit is.

    Raises
    ------
    SetupError : `engines.connect-lacks`
    """
    refuse_connect(session, "MLlib's models are read in the driver")
    began, stage = time.monotonic(), "search" if plan.valid else "fit"
    groups, failed = grouped(trials, len(folds.encoding.classes), plan)
    yield from failed
    if not groups:
        return
    with session.in_our_words("the rows for MLlib"):
        ready = watched(session, stage, "rows for MLlib", lambda: prepare(folds, plan), listen)
    try:
        for group in groups:
            if plan.deadline_s is not None and time.monotonic() - began >= plan.deadline_s:
                return
            try:
                yield from _fitted(session, folds, ready, group, plan, keep, listen)
            except Exception as exc:  # law 7: one bad trial is a finding
                error = why(exc)
                for trial in group:
                    yield Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=error)
    finally:
        ready.frame.unpersist()


def grouped(trials: Sequence[Trial], classes: int, plan: FitPlan) -> tuple[list[list[Trial]], list[Fitted]]:
    """Trials that differ only in their count of trees are one fit, the longest; and those that MLlib cannot do."""
    found: dict[tuple[object, ...], list[Trial]] = {}
    failed = []
    for trial in trials:
        error = ""
        if trial.family not in FAMILIES:
            error = f"MLlib is asked for under random_forest and gbt, not under {trial.family}"
        elif trial.family == "gbt" and classes > 2:
            error = f'MLlib\'s GBTClassifier knows two classes, the label has {classes}: leave out library = "mllib"'
        elif plan.part is not None:
            error = "MLlib's trials are not cross-validated: name the family's settings without lists"
        if error:
            failed.append(Fitted(trial=trial, ensemble=None, tally=None, rounds=0, error=error))
            continue
        settings = settings_of(trial)
        settings.pop(COUNT[trial.family])
        found.setdefault((trial.family, trial.seed, *sorted((name, str(value)) for name, value in settings.items())), []).append(trial)
    return [sorted(group, key=lambda trial: (-count_of(trial), trial.number)) for group in found.values()], failed


def settings_of(trial: Trial) -> dict[str, Value]:
    """The trial's settings with the defaults of those it leaves out."""
    return {**DEFAULTS[trial.family], **trial.settings}


def count_of(trial: Trial) -> int:
    """Trees that a trial asks for."""
    return int(float(str(settings_of(trial)[COUNT[trial.family]])))


def prepare(folds: SparkFolds, plan: FitPlan) -> Prepared:
    """Training rows with a vector of features; kept by Spark while trials are fitted.

    MLlib refuses missing cells: where training has some, they become a number below all others of the feature, so that a tree can tell
    them apart; scored rows likewise. A feature that training knows whole keeps its missing cells, which MLlib's trees send right.
    """
    from pyspark import StorageLevel
    from pyspark.ml.feature import SQLTransformer, VectorAssembler
    from pyspark.sql import functions as F  # noqa: N812

    fold = folds.fold(*plan.train)
    names = columns_of(folds)
    rows = first(fold.frame, fold.rows, plan.rows)
    frame = rows.select(
        F.col("label").cast("double").alias("_label"),
        F.col("weight").cast("double").alias("_weight"),
        *(F.col(f"x{place}").alias(name) for place, name in enumerate(names)),
    )
    fills = _fills(frame, names, folds)
    holes = [place for place in range(len(names)) if not np.isnan(fills[place])]
    before: list[Any] = []
    if holes:
        cells = ", ".join(_filled(names[place], fills[place]) for place in holes)
        before.append(SQLTransformer(statement=f"SELECT *, {cells} FROM __THIS__"))
    inputs = [_name(name) if place in holes else name for place, name in enumerate(names)]
    before.append(VectorAssembler(inputCols=inputs, outputCol="features", handleInvalid="keep"))
    made = frame
    for stage in before:
        made = stage.transform(made)
    kept = made.select("_label", "_weight", "features").persist(StorageLevel.MEMORY_AND_DISK)
    kept.count()
    return Prepared(frame=kept, before=before, fills=fills)


def columns_of(folds: SparkFolds) -> list[str]:
    """Names of the pipeline's input columns: those of the features, without what Spark's column names cannot hold.

    A name that stands for something else in the pipeline, or that differs from an earlier one in case alone, gets a number.
    """
    taken, names = set(RESERVED), []
    for name in folds.encoding.names:
        plain = found = "".join("_" if letter in ".`" else letter for letter in name)
        number = 1
        while found.lower() in taken or _name(found).lower() in taken:
            number += 1
            found = f"{plain}_{number}"
        taken |= {found.lower(), _name(found).lower()}
        names.append(found)
    return names


def _fills(frame: Any, names: Sequence[str], folds: SparkFolds) -> np.ndarray:
    from pyspark.sql import functions as F  # noqa: N812

    asked = []
    for place, name in enumerate(names):
        cell = F.col(f"`{name}`")
        asked += [F.sum(F.isnan(cell).cast("long")).alias(f"holes{place}"), F.min(F.when(~F.isnan(cell), cell)).alias(f"least{place}")]
    row = frame.agg(*asked).first()
    fills = np.full(len(names), np.nan, np.float32)
    for place, feature in enumerate(folds.encoding.features):
        if row[f"holes{place}"]:
            least = row[f"least{place}"]
            below = -1.0 if feature.kind != "number" or least is None else least - max(1.0, abs(least) * 1e-3)
            fills[place] = np.float32(max(below, LEAST))
    return fills


def _name(name: str) -> str:
    return f"{name}__filled"


def _filled(name: str, fill: np.float32) -> str:
    cell = f"`{name}`"
    return f"CASE WHEN {cell} IS NULL OR isnan({cell}) THEN CAST({float(fill)!r} AS FLOAT) ELSE {cell} END AS `{_name(name)}`"


def classifier(trial: Trial) -> Any:
    """MLlib's estimator with the settings of a trial."""
    from pyspark.ml.classification import GBTClassifier, RandomForestClassifier

    settings = settings_of(trial)
    whole: Mapping[str, int] = {name: int(float(str(settings[name]))) for name in ("maxDepth", "maxBins", "minInstancesPerNode")}
    shared: dict[str, Any] = {
        "featuresCol": "features",
        "labelCol": "_label",
        "weightCol": "_weight",
        "subsamplingRate": float(str(settings["subsamplingRate"])),
        "seed": trial.seed,
        **whole,
    }
    if trial.family == "random_forest":
        return RandomForestClassifier(numTrees=count_of(trial), featureSubsetStrategy=str(settings["featureSubsetStrategy"]), **shared)
    return GBTClassifier(maxIter=count_of(trial), stepSize=float(str(settings["stepSize"])), **shared)


def _fitted(
    session: Session, folds: SparkFolds, ready: Prepared, group: list[Trial], plan: FitPlan, keep: Callable[[str], None], listen: Listen
) -> Iterator[Fitted]:
    stage, longest, began = "search" if plan.valid else "fit", group[0], time.monotonic()
    said = f"MLlib, trial {longest.number}: {longest.family} of {count_of(longest)} trees"
    listen(Event(stage=stage, text=said, fields={"trial": longest.number}))
    model = watched(session, stage, said, lambda: classifier(longest).fit(ready.frame), listen)
    weights = [float(weight) for weight in model.treeWeights]
    nodes = watched(session, stage, f"{said}: its trees", lambda: nodes_of(session, model), listen)
    if not plan.valid:
        keep(pipeline_kept(session, ready, model))
    shape = Ensemble(
        family=longest.family,
        form="trees",
        link="identity" if longest.family == "random_forest" else "logistic",
        model=b"",
        classes=folds.encoding.classes,
        features=len(folds.encoding.features),
        categorical=(False,) * len(folds.encoding.features),
    )
    for trial in group:
        many = min(count_of(trial), len(weights))
        ensemble = converted(nodes, weights[:many], ready.fills, shape)
        count = partial(tallied_over, folds, ensemble)
        tally = watched(session, stage, f"trial {trial.number} on the validation fold", count, listen) if plan.valid else None
        broken = () if tally is None else outcome(tally.confusion, ensemble.classes, many, plan.rules)
        useless = next((one.why for one in broken if one.useless), "")
        yield Fitted(
            trial=trial,
            ensemble=None if useless else ensemble,
            tally=None if useless else tally,
            rounds=0 if useless else many,
            seconds=time.monotonic() - began,
            error=f"stopped by a rule: {useless}" if useless else "",
            shared="" if trial is longest else _shared(trial, longest),
            broken=broken,
        )
        began = time.monotonic()


def _shared(trial: Trial, longest: Trial) -> str:
    return f"{'same as' if count_of(trial) == count_of(longest) else 'prefix of'} trial {longest.number}"


def tallied_over(folds: SparkFolds, ensemble: Ensemble) -> Tally:
    """An ensemble on the validation fold, partition by partition."""
    fold = folds.fold("valid")
    frame, found = fold.plain, Tallier(ensemble.classes)
    for row in frame.mapInArrow(_counter(ensemble), "tally binary").toLocalIterator():
        found.include(pickle.loads(bytes(row["tally"])))
    return found.result()


def _counter(ensemble: Ensemble) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        answer, tallier = scorer(ensemble, threads=1), Tallier(ensemble.classes)
        for batch in batches:
            cells = pack(batch, ensemble.features)
            weight = np.frombuffer(cells["weight"], np.float32).astype(np.float64) if "weight" in cells else None
            x = np.frombuffer(cells["x"], np.float32).reshape(batch.num_rows, ensemble.features)
            tallier.add(answer(x), np.frombuffer(cells["label"], np.int32), weight)
        yield pa.RecordBatch.from_arrays([pa.array([pickle.dumps(tallier.result(), protocol=5)], pa.binary())], ["tally"])

    return count


def nodes_of(session: Session, model: Any) -> Nodes:
    """All nodes of a fitted model, from the form in which MLlib saves it."""
    from filon.engines.spark.fetching import table

    place = session.new_place("mllib")
    with session.in_our_words("MLlib's model"):
        model.write().overwrite().save(place)
        found = table(session.kept(f"{place}/data").selectExpr(*NODES), session, "MLlib's model")
    session.forget(place)
    plain = {name: found.column(name).to_numpy() for name in found.column_names if name != "stats"}
    flat = found.column("stats").combine_chunks()
    stats = np.asarray(flat.flatten().to_numpy(zero_copy_only=False), dtype=np.float64).reshape(found.num_rows, -1)
    return Nodes(
        tree=plain["treeID"].astype(np.int64),
        node=plain["node"].astype(np.int64),
        left=plain["lefts"].astype(np.int64),
        right=plain["rights"].astype(np.int64),
        feature=plain["feature"].astype(np.int64),
        threshold=np.nan_to_num(plain["threshold"].astype(np.float64)),
        gain=plain["gain"].astype(np.float64),
        prediction=plain["prediction"].astype(np.float64),
        stats=stats,
    )


def pipeline_kept(session: Session, ready: Prepared, model: Any) -> str:
    """The stages and the classifier as one PipelineModel below the work folder; where it is."""
    from pyspark.ml import PipelineModel

    place = session.new_place("pipeline")
    with session.in_our_words("the pipeline"):
        PipelineModel(stages=[*ready.before, model]).write().overwrite().save(place)
    return place
