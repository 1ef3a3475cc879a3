"""How large a table is, from its edges."""

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.errors import FilonError
from filon.places.emr.tables import look_at
from filon.read.settings import DataSettings


def data(source: str) -> DataSettings:
    return DataSettings(source=source, label="y", drop=("b",))


def lines(rows: int) -> bytes:
    values = np.random.default_rng(1).integers(0, 10**9, (rows, 3))
    body = "\n".join(f"{a},{b},{c},{'yes' if a % 2 else 'no'}" for a, b, c in values.tolist())
    return f"a,b,c,y\n{body}\n".encode()


def test_parquet_is_counted_in_its_footers(tmp_path: Path) -> None:
    for part in range(3):
        table = pa.table({"a": range(1000), "b": range(1000), "y": ["yes", "no"] * 500})
        pq.write_table(table, tmp_path / f"{part}.parquet")
    found = look_at(data(str(tmp_path / "*.parquet")), tmp_path)
    assert (found.rows, found.features) == (3000, 1)
    assert found.size_bytes == sum(one.stat().st_size for one in tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("packed", [False, True], ids=["csv", "csv.gz"])
def test_a_small_csv_is_counted_exactly(tmp_path: Path, packed: bool) -> None:
    text = lines(5000)
    name = "t.csv.gz" if packed else "t.csv"
    (tmp_path / name).write_bytes(gzip.compress(text) if packed else text)
    found = look_at(data(name), tmp_path)
    assert (found.rows, found.features) == (5000, 2)


@pytest.mark.parametrize("packed", [False, True], ids=["csv", "csv.gz"])
def test_a_large_csv_is_estimated_within_a_few_percent(tmp_path: Path, packed: bool) -> None:
    text = lines(120_000)
    name = "t.csv.gz" if packed else "t.csv"
    (tmp_path / name).write_bytes(gzip.compress(text, 1) if packed else text)
    assert look_at(data(name), tmp_path).rows == pytest.approx(120_000, rel=0.05)


def test_a_table_without_lines_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b,c,y\n")
    with pytest.raises(FilonError) as caught:
        look_at(data("t.csv"), tmp_path)
    assert caught.value.code in ("cost.table-unknown", "read.no-rows", "read.empty")


def test_a_table_in_s3_is_looked_at_in_the_recipes_region_unless_another_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens
    for said, asked in (("", "eu-south-2"), ("us-west-2", "us-west-2")):
        if said:
            monkeypatch.setenv("AWS_REGION", said)
        with pytest.raises(FilonError) as caught:
            look_at(data("s3://mine/t.csv"), tmp_path, "eu-south-2")
        assert caught.value.code == "read.s3-unreachable"
        assert f"region {asked}" in caught.value.why
        assert os.environ.get("AWS_REGION", "") == said
