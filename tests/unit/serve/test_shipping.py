"""Files of a spool on their way to S3."""

import os
import time
from pathlib import Path

import pytest
from tests.unit.serve.conftest import GOOD, Make, ask, dumps

from filon.serve import capture as writer
from filon.serve.capture import Capture
from filon.serve.meters import PLACES, Meters
from filon.serve.settings import CaptureSettings
from filon.serve.shipping import Shipper


def wait(true: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_file_is_whole_before_it_can_be_sent(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RELEASE_S", 0.1)
    app = make()
    capture = Capture(CaptureSettings(place="s3://bucket/x", spool=str(tmp_path), roll_s=0.6), app.meters)
    app.capture = app.models.champion.capture = capture
    for _ in range(3):
        assert ask(app, "POST", "/invocations", dumps(GOOD)).status == 200
    wait(lambda: list(tmp_path.rglob("*.jsonl.open")))
    assert not list(tmp_path.rglob("*.jsonl"))
    wait(lambda: list(tmp_path.rglob("*.jsonl")))
    assert not list(tmp_path.rglob("*.open"))
    assert ask(app, "POST", "/invocations", dumps(GOOD)).status == 200
    assert capture.close() == 0
    files = sorted(tmp_path.rglob("*.jsonl"))
    assert sorted(len(file.read_bytes().splitlines()) for file in files) == [1, 3]
    assert files[0].parent.relative_to(tmp_path).parts[:2] == ("small", "champion")


def test_what_a_killed_writer_left_is_adopted_and_what_another_writes_is_not(tmp_path: Path) -> None:
    mine, gone, empty = (tmp_path / f"12-00-00-0-{pid}.jsonl.open" for pid in (os.getpid(), 999_999_1, 999_999_2))
    mine.write_bytes(b"{}\n")
    gone.write_bytes(b'{"a": 1}\n{"b": 2}\n{"c": ')
    empty.write_bytes(b'{"c": ')
    Shipper(tmp_path, "s3://bucket/x", Meters()).adopt()
    assert mine.exists()
    assert gone.with_suffix("").read_bytes() == b'{"a": 1}\n{"b": 2}\n'
    assert not gone.exists()
    assert not empty.exists()
    assert not empty.with_suffix("").exists()


def test_a_file_that_s3_does_not_take_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    meters = Meters()
    shipper = Shipper(tmp_path, "s3://bucket/x", meters)
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(b"{}\n")
    sent: list[str] = []

    def send(file: Path) -> None:
        if len(sent) == 1:
            raise OSError("connection refused")
        sent.append(file.name)
        file.unlink()

    monkeypatch.setattr(shipper, "_send", send)
    assert not shipper.sweep()
    assert not shipper.sweep()
    assert (sent, len(list(shipper.waiting())), meters.values[PLACES["capture_unsent"]]) == (["0.jsonl"], 2, 2)
    assert capsys.readouterr().err.count("wait for S3") == 1
    monkeypatch.setattr(shipper, "_send", lambda file: file.unlink())
    assert shipper.sweep()
    assert "sent again" in capsys.readouterr().err
    assert meters.values[PLACES["capture_unsent"]] == 0
