"""Encoded rows on disk."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from filon.engines.embedded import spool
from filon.engines.embedded.spool import FoldFile, Layout, RawSpool, by_part, canonical
from filon.errors import SetupError


def records_of(layout: Layout, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, rows, np.uint64)
    records = random.integers(0, 2**32, (rows, layout.width), np.uint32)
    records[:, 0:2] = hashes.view(np.uint32).reshape(-1, 2)
    return records, hashes


def test_canonical_order_is_hash_then_label_then_weight() -> None:
    random = np.random.default_rng(3)
    hashes = random.integers(0, 50, 400).astype(np.uint64)
    labels, weights = random.integers(0, 3, 400).astype(np.int32), random.integers(0, 4, 400).astype(np.float32)
    order, tied = canonical(hashes, labels, weights)
    best = np.lexsort((weights, labels, hashes))
    for column in (hashes, labels, weights):
        assert column[order].tolist() == column[best].tolist()
    assert tied.tolist() == [(hashes == value).sum() > 1 for value in hashes[order]]


@pytest.mark.parametrize("held", [1, 2000, 1 << 30])
def test_rows_come_back_whole_and_by_ascending_hash_whether_held_or_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(spool, "HELD_BYTES", held)
    layout = Layout(features=2, member=False, weight=False)
    raw, given = RawSpool(tmp_path, layout), []
    for seed in range(4):
        records, hashes = records_of(layout, 300, seed)
        given.append(records)
        raw.add(*by_part(records, hashes))
    groups = [read() for read in raw.groups()]
    assert sorted(map(bytes, np.concatenate(groups))) == sorted(map(bytes, np.concatenate(given)))
    tops = [(int(layout.hashes(group).min()), int(layout.hashes(group).max())) for group in groups if len(group)]
    assert all(last < first for (_, last), (first, _) in pairwise(tops))
    assert (len(groups) > 1) == (held < 1 << 30)
    assert list(tmp_path.iterdir()) == []


def test_a_fold_is_read_back_in_pieces(tmp_path: Path) -> None:
    fold = FoldFile(tmp_path, "train", 3, weight=True, member=False)
    x = np.arange(30, dtype=np.float32).reshape(10, 3)
    columns = {"hash": np.arange(10).astype(np.uint64), "label": np.arange(10) % 2, "weight": np.ones(10)}
    fold.append(x[:4], {name: values[:4] for name, values in columns.items()})
    fold.append(x[4:], {name: values[4:] for name, values in columns.items()})
    fold.close()
    assert fold.ends == [4, 10]
    assert fold.read_x(3, 6).tolist() == x[3:6].tolist()
    assert fold.read("label", 2, 9).tolist() == [0, 1, 0, 1, 0, 1, 0]
    buffer = np.zeros((5, 3), np.float32)
    assert fold.read_x(8, 10, buffer).base is buffer or np.shares_memory(fold.read_x(8, 10, buffer), buffer)


def test_a_file_that_was_cut_is_noticed(tmp_path: Path) -> None:
    fold = FoldFile(tmp_path, "train", 1, weight=False, member=False)
    fold.append(np.zeros((4, 1), np.float32), {"hash": np.zeros(4, np.uint64), "label": np.zeros(4)})
    fold.close()
    fold.path("x").write_bytes(b"1234")
    with pytest.raises(EOFError, match="shorter"):
        fold.read_x(0, 4)


def test_a_full_disk_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "train.x").symlink_to("/dev/full")
    fold = FoldFile(tmp_path, "train", 1, weight=False, member=False)
    with pytest.raises(SetupError) as caught:
        fold.append(np.zeros((4, 1), np.float32), {"hash": np.zeros(4, np.uint64), "label": np.zeros(4)})
    fold.close()
    assert caught.value.code == "engines.disk-full"
    assert "FILON_SCRATCH" in caught.value.fix
