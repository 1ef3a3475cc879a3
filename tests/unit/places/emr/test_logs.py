"""Logs of any size: their beginning and their end are read, and the gap between them is told."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from filon.places.base import Handle, Job
from filon.places.emr import logs
from filon.places.emr.bucket import Bucket
from filon.places.emr.ledger import NoLedger

LOG = "filon/logs/j-1/containers/application_1_0001/container_1_0001_01_000001/stderr.gz"
CHATTER = b"26/11/22 06:00:00 INFO BlockManagerInfo: Added broadcast_1_piece0 in memory\n"
LAST = b"26/11/22 06:00:05 ERROR java.lang.OutOfMemoryError: Java heap space\n"


class OneLog:
    """A bucket with one object in it."""

    region = "us-east-1"

    def __init__(self) -> None:
        self.raw = b""

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        del service, words
        if operation == "list_objects_v2":
            return {"Contents": [{"Key": LOG, "Size": len(self.raw), "ETag": str(hash(self.raw))}]}
        return {"Body": self.raw}


def test_the_end_of_a_log_is_read_however_large_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logs, "END_BYTES", 10 * len(CHATTER))
    job = Job(verb="train", name="bank", key="bank-train-1", base=".", runs=str(tmp_path), recipe="")
    facts = {"logs": "s3://mine/filon/logs/j-1", "step": "s-1", "transient": "yes"}
    aws = OneLog()
    handle = Handle(place="emr", id=job.key, job=job, state="running", out="", facts=facts)
    reader = logs.Reader(bucket=Bucket(aws, "s3://mine/filon", NoLedger()), handle=handle)
    aws.raw = gzip.compress(CHATTER * 500 + LAST)
    texts = [one.line.text for one in reader.news()]
    assert texts[-1].encode() + b"\n" == LAST
    (gap,) = [text for text in texts if "left out" in text]
    assert len(texts) - 1 + int(gap.split()[0].strip("(")) == 501, "no line is forgotten in the count"
    assert LOG in gap
    assert len(texts) < 50
    assert reader.news() == []
    aws.raw = gzip.compress(CHATTER * 500 + LAST) + gzip.compress(b"26/11/22 06:00:09 INFO Executor: more\n")
    assert [one.line.text for one in reader.news()] == ["26/11/22 06:00:09 INFO Executor: more"]
