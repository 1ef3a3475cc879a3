"""What a training will need, estimated before it is begun."""

from dataclasses import dataclass

from filon.check.records import Checked
from filon.engines.memory import matrix_mib, memory_bytes

PROCESS_BYTES = 450 << 20
"""Python with DuckDB, Arrow and XGBoost loaded, before any row."""

DENSE_BYTES, SPARSE_BYTES, ROW_BYTES = 2.2, 5.4, 36.0
"""Resident bytes of the trainer: by cell (no cell missing, some missing) and by row; measured (see `engines.trainer.matrix`)."""

CONTENT_BYTES = 18
"""By row while duplicates are looked for: nine, twice over while they are sorted."""

SAMPLE_BYTES = 4
SAMPLE_CELLS = 48_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a training will need. Bytes are of one machine.

    rows : with a label
    trial_rows, refit_rows : training rows that a trial of the search sees at most, and that the refit sees
    scratch_bytes : on disk, the encoded rows with their hashes
    trial_bytes, refit_bytes : of memory, what the trainer holds of one trial's rows and of the refit's
    peak_bytes : of memory, the whole process at its largest
    machine_bytes : of memory, what the machine (or its container) has; 0 when that is not known
    within_mib : of memory, what the training stays within; 0 when there is no limit
    """

    rows: int
    features: int
    trial_rows: int
    refit_rows: int
    scratch_bytes: int
    trial_bytes: int
    refit_bytes: int
    peak_bytes: int
    machine_bytes: int
    within_mib: int

    @property
    def fits(self) -> bool:
        """Whether the trainer keeps its matrix in memory, as it decides itself (`engines.trainer.matrix`); else it lies on disk."""
        most = matrix_mib(self.within_mib)
        return most == 0 or self.refit_rows * (self.features * SPARSE_BYTES + ROW_BYTES) <= most << 20


def cost(checked: Checked, *, train_share: float, valid_share: float, trial_rows: int, within_mib: int = 0) -> Cost:
    """Estimate what a training will need.

    Parameters
    ----------
    train_share, valid_share : of the split, 0 to 1
    trial_rows : the recipe's `search.rows`
    within_mib : memory to stay within, 0 for no limit
    """
    profile = checked.profile
    rows = profile.rows - profile.label_missing
    names = set(checked.source.names("feature"))
    features = len(names)
    missing = any(column.missing or column.infinite for column in profile.columns if column.name in names)
    trial = min(trial_rows, round(rows * train_share))
    refit = round(rows * (train_share + valid_share))
    by_row = features * (SPARSE_BYTES if missing else DENSE_BYTES) + ROW_BYTES
    looking = CONTENT_BYTES * rows + SAMPLE_BYTES * min(SAMPLE_CELLS, rows * features)
    peak = PROCESS_BYTES + max(looking, round(max(trial, refit) * by_row))
    return Cost(
        rows=rows,
        features=features,
        trial_rows=trial,
        refit_rows=refit,
        scratch_bytes=rows * (4 * features + 20),
        trial_bytes=round(trial * by_row),
        refit_bytes=round(refit * by_row),
        peak_bytes=peak,
        machine_bytes=memory_bytes(),
        within_mib=within_mib,
    )
