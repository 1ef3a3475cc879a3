"""The Spark engine: one module a step, each imported when it is asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filon.engines.spark.listener import Inputs, inputs_of, step, under_way
from filon.engines.spark.voice import Voice
from filon.events import Listen, silence

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.answering import Model
    from filon.engines.base import FitPlan, Fitted, LabelPlan, Profile, Sink, Source, SplitPlan, Trial, Written
    from filon.engines.lake import Place
    from filon.engines.settings import SparkSettings
    from filon.engines.spark.folds import SparkFolds
    from filon.engines.spark.reader import SparkTable
    from filon.engines.spark.scoring import SparkScored
    from filon.engines.spark.streaming import Batch, Stream, Streamed
    from filon.engines.survey import Survey, SurveyPlan
    from filon.engines.tally import Tally
    from filon.rows.encode import Encoding
    from filon.trees import Ensemble


class SparkEngine:
    """Everything an engine does, on a Spark session (see `engines.base.Engine`)."""

    name = "spark"

    def __init__(self, *, scratch: Path, settings: SparkSettings, threads: int = 0, memory_mib: int = 0, listen: Listen = silence) -> None:
        from filon.engines.spark.session import Session

        self.listen, self.settings, self.inputs = Voice(listen, "Spark starts"), settings, Inputs()
        scratch.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="filon-", dir=scratch))
        self.listen.start()
        try:
            self.session = Session(settings, self.folder, threads=threads, memory_mib=memory_mib, listen=self.listen)
        except BaseException:
            self.listen.stop()
            raise
        self.listen.now = lambda: f"Spark: {under_way(self.session)}"

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.listen.stop()
        self.session.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def catalog(self, name: str) -> Place:
        """Where Spark's catalogs say that a table lies."""
        from filon.engines.spark.catalog import place

        return place(self.session, name)

    def read(self, source: Source) -> SparkTable:
        """A lazy handle on the source's rows."""
        if source.format == "capture":
            from filon.engines.spark.captured import SparkCapture

            return cast("SparkTable", SparkCapture(self.session, source))
        from filon.engines.spark.reader import open_table

        return open_table(self.session, source, self.listen)

    def profile(self, table: SparkTable, label: LabelPlan) -> Profile:
        """Everything `check` wants to know."""
        from filon.engines.spark import alone
        from filon.engines.spark.profile import profile

        self.inputs = inputs_of(table.source)
        with step(self.session, "check"):
            if alone.small(self.session, table, self.settings.strategy):
                return alone.profile_alone(table, label, self.listen)
            return profile(table, label, self.listen)

    def split(self, table: SparkTable, plan: SplitPlan) -> SparkFolds:
        """Fold by hash, learn the encoding, keep the encoded rows on the cluster."""
        from filon.engines.spark import alone
        from filon.engines.spark.folding import split

        test = None if plan.test_source is None else self.read(plan.test_source)
        with step(self.session, "split"):
            # only where all see the same files can one task lay the folds down for all
            if self.session.shared and all(
                alone.small(self.session, one, self.settings.strategy) for one in (table, test) if one is not None
            ):
                return alone.split_alone(table, plan, test, self.listen)
            return split(table, plan, test, self.listen)

    def fit(self, folds: SparkFolds, trials: Sequence[Trial], plan: FitPlan) -> Iterator[Fitted]:
        """Trials side by side in tasks, or each over the cluster."""
        from filon.engines.spark.fitting import fit

        yield from fit(self.session, folds, trials, plan, self.settings.strategy, self.listen)

    def score(self, rows: Any, ensemble: Ensemble | Model, encoding: Encoding, threshold: float | None = None) -> SparkScored:
        """Lazy scores of a table or a fold."""
        from filon.engines.spark.scoring import score

        return score(rows, ensemble, encoding, threshold)

    def tally(self, scored: SparkScored, by: Sequence[str] = ()) -> Mapping[tuple[str, ...], Tally]:
        """Counts of label by score, of the whole and of slices."""
        from filon.engines.spark.tallying import tally

        with step(self.session, "evaluate"):
            return tally(scored, by, self.listen)

    def survey(self, scored: SparkScored, plan: SurveyPlan, labels: SparkTable | None = None) -> Survey:
        """Cells of the features, scores and tallies by period."""
        from filon.engines.spark.surveying import survey

        return survey(scored, plan, labels, self.listen)

    def write(self, scored: SparkScored, sink: Sink) -> Written:
        """Write beside, then commit once."""
        from filon.engines.spark.writing import write

        with step(self.session, "write"):
            return write(scored, sink, self.listen)

    def stream(self, what: Stream, score: Batch) -> Streamed:
        """Score what keeps arriving, batch by batch, until somebody says stop."""
        from filon.engines.spark import eventlog
        from filon.engines.spark.streaming import stream

        eventlog.end(self.session)
        return stream(self.session, what, score, self.listen)

    def sample(self, rows: Any, most: int, per_class: int = 0) -> pa.Table:
        """Rows with the lowest hashes."""
        from filon.engines.spark.sampling import sample

        with step(self.session, "evaluate"):
            return sample(rows, most, per_class)

    def leave(self, folder: Path) -> None:
        """`spark.json`, `spark-events.zstd`: where the time went; `pipeline_best/`: MLlib's pipeline, when it fitted the winner."""
        from filon.engines.spark.fitting import leave

        leave(self.session, folder, self.inputs, self.listen)
