"""The embedded engine: DuckDB and XGBoost in this process."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from filon.engines.answering import Model
from filon.engines.base import FitPlan, Fitted, LabelPlan, Profile, Sink, Source, SplitPlan, Trial, Written
from filon.engines.embedded.folds import EmbeddedFold, EmbeddedFolds
from filon.engines.embedded.memory import give_back, keep_freed
from filon.engines.embedded.scoring import ScoredTable
from filon.engines.memory import default_mib, matrix_mib
from filon.engines.survey import Survey, SurveyPlan
from filon.engines.tally import Tally
from filon.errors import SetupError
from filon.events import Listen, silence
from filon.rows.encode import Encoding
from filon.trees import Ensemble

READER_MIB = 2048
"""Most that DuckDB may hold while it streams a table; what needs more goes to scratch."""


class EmbeddedEngine:
    """Everything an engine does, within this process (see `engines.base.Engine`); scratch files live in a folder of its own.

    `memory_mib` is resident memory to stay within; half of what is free when it is 0.
    """

    name = "embedded"

    def __init__(self, *, scratch: Path, threads: int = 0, memory_mib: int = 0, listen: Listen = silence) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))
        self.memory_mib, self.listen = memory_mib or default_mib(), listen
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix="filon-", dir=scratch))
        except OSError as exc:
            raise SetupError(
                "engines.scratch-unusable",
                f"the scratch folder {scratch} cannot be written to",
                exc.strerror or str(exc),
                "point the environment variable FILON_SCRATCH to a folder with space",
            ) from exc
        keep_freed()
        self._made = 0
        self._tables: list[Any] = []
        self._rows: dict[int, int] = {}  # of the tables above, by identity, once they are known

    def __enter__(self) -> "EmbeddedEngine":
        return self

    def __exit__(self, *exc: Any) -> None:
        for table in self._tables:
            table.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _new_folder(self, purpose: str) -> Path:
        self._made += 1
        folder = self.folder / f"{purpose}-{self._made}"
        folder.mkdir()
        return folder

    def read(self, source: Source) -> Any:
        """A lazy handle on the source's rows."""
        if source.format == "capture":
            from filon.engines.embedded.captured import CapturedTable

            return CapturedTable(source, self.threads, self.listen)
        from filon.engines.embedded.reader import open_table

        # Streaming needs little (but more than the gibibyte that DuckDB takes for one gzipped CSV): the rest of the memory is the trainer's
        share = max(1280, min(READER_MIB, self.memory_mib // 4)) if self.memory_mib else READER_MIB
        table = open_table(source, scratch=self.folder, threads=self.threads, memory_mib=share, listen=self.listen)
        self._tables.append(table)
        return table

    def profile(self, table: Any, label: LabelPlan) -> Profile:
        """Everything `check` wants to know."""
        from filon.engines.embedded.profile import profile

        found = profile(table, label, threads=self.threads, listen=self.listen)
        self._rows[id(table)] = found.rows
        return found

    def split(self, table: Any, plan: SplitPlan) -> EmbeddedFolds:
        """Spool the encoded rows, fold by fold in canonical order."""
        from filon.engines.embedded.folding import refuse_little_space, split

        test = None if plan.test_source is None else self.read(plan.test_source).batches
        folder = self._new_folder("split")
        rows = self._rows.get(id(table), 0)
        refuse_little_space(rows, plan, folder)
        try:
            return split(table.batches, plan, folder, test=test, threads=self.threads, listen=self.listen, rows=rows)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # the engine may go on, and the disk may be full
            raise

    def fit(self, folds: EmbeddedFolds, trials: Sequence[Trial], plan: FitPlan) -> Iterator[Fitted]:
        """Fit the trials on the spooled rows."""
        from filon.engines.trainer.fitting import fit

        train = folds.fold(*plan.train).capped(plan.rows)
        valid = folds.fold("valid") if plan.valid else None
        if plan.part is not None:
            train, valid = train.parted(*plan.part, folds.plan)
        give_back()
        scratch, room = str(self._new_folder("fit")), matrix_mib(self.memory_mib)
        yield from fit(train, valid, trials, plan, threads=self.threads, memory_mib=room, scratch=scratch, listen=self.listen)

    def score(self, rows: Any, ensemble: Ensemble | Model, encoding: Encoding, threshold: float | None = None) -> ScoredTable:
        """Lazy scores of a table or a fold."""
        return ScoredTable(rows=rows, ensemble=ensemble, encoding=encoding, threshold=threshold, threads=self.threads)

    def tally(self, scored: ScoredTable, by: Sequence[str] = ()) -> Mapping[tuple[str, ...], Tally]:
        """Counts of label by score, of the whole and of slices."""
        from filon.engines.embedded.scoring import tally

        return tally(scored, by, self.listen)

    def survey(self, scored: ScoredTable, plan: SurveyPlan, labels: Any = None) -> Survey:
        """Cells of the features, scores and tallies by period, in one pass."""
        from filon.engines.embedded.surveying import survey

        return survey(scored, plan, labels, self.listen)

    def write(self, scored: ScoredTable, sink: Sink) -> Written:
        """Write beside, then rename once."""
        from filon.engines.embedded.writing import write

        return write(scored, sink, self._new_folder("write"), self.listen)

    def leave(self, folder: Path) -> None:
        """Nothing: what this engine did is in the trials and in the manifest."""

    def sample(self, rows: Any, most: int, per_class: int = 0) -> pa.Table:
        """Rows with the lowest hashes."""
        if isinstance(rows, EmbeddedFold):
            from filon.engines.embedded.sampling import sample_fold

            return sample_fold(rows, most, per_class)
        table: pa.Table = rows.sample(most, per_class)
        return table
