"""The lowest rows of a stream."""

import numpy as np
import pyarrow as pa
import pytest

from filon.engines.embedded.sampling import LowestRows


def plain(keys: np.ndarray, labels: list[str | None], most: int, per_class: int) -> list[tuple[int, str | None]]:
    """The same by sorting everything."""
    seen: dict[str | None, int] = {}
    kept = []
    for rank, place in enumerate(sorted(range(len(keys)), key=lambda at: (keys[at], labels[at] or ""))):
        label = labels[place]
        seen[label] = seen.get(label, 0) + 1
        if rank < most or (label is not None and seen[label] <= per_class):
            kept.append((int(keys[place]), label))
    return kept


@pytest.mark.parametrize("distinct", [2**63, 800])
@pytest.mark.parametrize("batch", [170, 3000])
def test_the_lowest_of_a_stream_are_those_of_a_sort(distinct: int, batch: int) -> None:
    random = np.random.default_rng(distinct + batch)
    keys = random.integers(0, distinct, 3000, np.uint64)
    labels = [("a", "b", "c", None)[place] for place in random.choice(4, 3000, p=[0.6, 0.3, 0.01, 0.09])]
    kept = LowestRows(100, 7)
    for start in range(0, 3000, batch):
        part = slice(start, start + batch)
        rows = pa.RecordBatch.from_pydict({"row": np.arange(3000)[part]})
        kept.add(rows, keys[part], pa.array(labels[part], pa.string()))
    for most, per_class in ((100, 7), (50, 3), (0, 5), (20, 0)):
        table = kept.table(most, per_class)
        assert table is not None
        found = [(int(keys[row]), labels[row]) for row in table.column("row").to_pylist()]
        assert found == plain(keys, labels, most, per_class)


def test_without_labels_and_without_rows() -> None:
    kept = LowestRows(2, 5)
    assert kept.table(2, 0) is None
    kept.add(pa.RecordBatch.from_pydict({"row": [0, 1, 2]}), np.array([5, 3, 9], np.uint64), None)
    table = kept.table(2, 0)
    assert table is not None
    assert table.column("row").to_pylist() == [1, 0]
    with pytest.raises(ValueError, match="were kept"):
        kept.table(3, 0)
