"""The capture: what is written, what is hidden, and what happens when the disk is full."""

import base64
import gzip
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.serve.conftest import GOOD, ask, dumps

from filon.errors import RecipeError, SetupError
from filon.package import Bundle
from filon.serve import bodies
from filon.serve import capture as room
from filon.serve.app import App
from filon.serve.bodies import ARROW
from filon.serve.capture import Capture, refuse_unknown
from filon.serve.meters import PLACES, Meters
from filon.serve.models import Models
from filon.serve.served import Served
from filon.serve.settings import CaptureSettings, Limits

Make = Callable[..., tuple[App, Capture]]


@pytest.fixture
def keeping(sealed: Callable[..., Bundle], tmp_path: Path) -> Iterator[Make]:
    """`keeping(limits, share=1.0, ...)`: an application and its capture under tmp_path/capture."""
    made: list[App] = []

    def build(limits: Limits | None = None, **settings: object) -> tuple[App, Capture]:
        meters = Meters()
        capture = Capture(CaptureSettings(place=str(tmp_path / "capture"), **settings), meters)
        app = App(Models(Served(sealed(), meters, threads=1, capture=capture)), meters, limits or Limits(), capture=capture)
        made.append(app)
        return app, capture

    yield build
    for app in made:
        app.threads.shutdown()


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]


def counted(app: App, name: str) -> float:
    return app.meters.values[PLACES[name]]


def test_a_request_is_kept_in_sagemakers_layout(keeping: Make, tmp_path: Path) -> None:
    app, capture = keeping()
    body = dumps(GOOD)
    heard = ask(app, "POST", "/invocations", body, content_type="application/json", x_amzn_sagemaker_inference_id="mine")
    assert capture.close() == 0
    (file,) = (tmp_path / "capture").rglob("*.jsonl")
    assert re.fullmatch(r"small/champion/\d{4}/\d\d/\d\d/\d\d/[-\d]+\.jsonl", str(file.relative_to(tmp_path / "capture")))
    (line,) = lines(tmp_path)
    asked, answered = line["captureData"]["endpointInput"], line["captureData"]["endpointOutput"]
    assert asked == {"observedContentType": "application/json", "mode": "INPUT", "data": body.decode(), "encoding": "JSON"}
    assert json.loads(answered["data"])["predictions"] == heard.json["predictions"]
    assert (answered["mode"], answered["encoding"]) == ("OUTPUT", "JSON")
    assert line["eventMetadata"]["eventId"] == heard.headers["x-filon-event-id"]
    assert line["eventMetadata"]["inferenceId"] == "mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["eventMetadata"]["inferenceTime"])
    assert line["eventVersion"] == "0"
    assert counted(app, "capture_lines") == 1


def test_tables_are_kept_too(keeping: Make, tmp_path: Path) -> None:
    app, capture = keeping()
    ask(app, "POST", "/invocations", b"41,20.5,miner,28001,true\n", content_type="text/csv")
    table, sink = pa.table({name: [value] for name, value in GOOD.items()}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    ask(app, "POST", "/invocations", sink.getvalue(), content_type=ARROW)
    ask(app, "POST", "/invocations", b"job,age\n", content_type="text/csv; header=present")  # refused, so not kept
    ask(
        app,
        "POST",
        "/invocations",
        f"{','.join(reversed(GOOD))}\ntrue,28001,miner,20.5,41\n".encode(),
        content_type="text/csv;header=present",
    )
    capture.close()
    first, second, third = (line["captureData"]["endpointInput"] for line in lines(tmp_path))
    assert (third["observedContentType"], third["encoding"]) == ("text/csv; header=present", "CSV")
    assert (first["encoding"], first["data"]) == ("CSV", "41,20.5,miner,28001,true\n")
    assert (second["encoding"], base64.b64decode(second["data"])) == ("BASE64", sink.getvalue())


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
def test_hidden_columns_are_nowhere_in_the_capture(keeping: Make, tmp_path: Path, kind: str) -> None:
    app, capture = keeping(leave_out=("zip",), hashed=("job",))
    row = {**GOOD, "job": "astronaut", "Zip ": 28001, "zip": 28001}
    body = dumps([row, row, 28001]) if kind == "application/json" else b"41,20.5,astronaut,28001,true\n" * 2
    ask(app, "POST", "/invocations", body, content_type=kind)
    capture.close()
    (line,) = lines(tmp_path)
    assert "astronaut" not in json.dumps(line)
    assert "28001" not in json.dumps(line)
    first, second, *_ = json.loads(line["captureData"]["endpointInput"]["data"])
    assert list(first) == ["age", "Temperature (°C)", "job", "member"]
    assert first["job"] == second["job"]


def test_a_packed_body_is_unpacked_once_and_by_the_servers_own_limit(
    keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Limits().body_bytes  # a server may allow more, and what it answered is kept
    app, capture = keeping(Limits(body_bytes=2 * limit))
    unpacked: list[int] = []
    inflate = bodies.inflate

    def counting(*words: Any) -> bytes:
        body = inflate(*words)
        unpacked.append(len(body))
        return body

    monkeypatch.setattr(bodies, "inflate", counting)
    body = dumps(GOOD) + b" " * limit
    heard = ask(app, "POST", "/invocations", gzip.compress(body, 1), content_type="application/json", content_encoding="gzip")
    assert (heard.status, unpacked) == (200, [len(body)])
    assert capture.close(30) == 0
    (line,) = lines(tmp_path)
    assert line["captureData"]["endpointInput"]["data"] == body.decode()


def test_rows_and_answers_that_wait_are_counted_with_the_body(keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_S", 0.02)
    app, capture = keeping(leave_out=("zip",))
    (tmp_path / "capture").rmdir()
    (tmp_path / "capture").symlink_to("/dev/full")
    body, rows = b"41,20.5,miner,28001,true\n" * 500, 500
    monkeypatch.setattr(room, "MOST_WAITING_BYTES", 2 * len(body))
    try:
        for _ in range(2):
            assert ask(app, "POST", "/invocations", body, content_type="text/csv").status == 200
        assert capture.waiting_bytes > len(body) + rows * (8 + 2 * 4)  # chosen class, two probabilities
        assert (capture.waiting_events, counted(app, "capture_dropped")) == (1, 1)
    finally:
        (tmp_path / "capture").unlink()
    assert capture.close() == 0
    assert (capture.waiting_events, capture.waiting_bytes) == (0, 0)


def test_a_request_larger_than_all_that_may_wait_is_kept_when_nothing_else_waits(
    keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING_BYTES", 1)
    app, capture = keeping()
    ask(app, "POST", "/invocations", dumps(GOOD))
    assert capture.close() == 0
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize(
    ("option", "name", "fix"), [("without", "jbo", '"job"'), ("hashed", "Zip", '"zip"'), ("without", "card", "leave it")]
)
def test_a_hidden_column_that_the_model_does_not_have_is_refused_with_the_nearest_name(
    sealed: Callable[..., Bundle], option: str, name: str, fix: str
) -> None:
    settings = CaptureSettings(**{"leave_out" if option == "without" else "hashed": (name,)})
    columns = [column.name for column in sealed().columns]
    with pytest.raises(RecipeError, match=rf"--capture-{option} names a column .*\"{name}\"") as caught:
        refuse_unknown(settings, columns)
    assert fix in caught.value.fix
    refuse_unknown(CaptureSettings(leave_out=("zip",), hashed=("job",)), columns)


def test_a_server_does_not_start_with_a_misspelt_hidden_column(sealed: Callable[..., Bundle], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "filon", "serve", str(sealed().path), "--port", "0", "--capture", str(tmp_path / "kept")]
    done = subprocess.run([*command, "--capture-without", "jbo"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "error[serve.capture-column-unknown]" in done.stderr
    assert not (tmp_path / "kept").exists()


def test_a_share_is_kept(keeping: Make, tmp_path: Path) -> None:
    app, capture = keeping(share=0.5)
    for _ in range(200):
        ask(app, "POST", "/invocations", dumps(GOOD))
    capture.close()
    assert 60 < len(lines(tmp_path)) < 140


def test_a_full_disk_neither_stops_answers_nor_loses_what_can_wait(
    keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(room, "RETRY_S", 0.02)
    monkeypatch.setattr(room, "MOST_WAITING", 5)
    app, capture = keeping()
    (tmp_path / "capture").rmdir()
    (tmp_path / "capture").symlink_to("/dev/full")
    try:
        for _ in range(8):
            assert ask(app, "POST", "/invocations", dumps(GOOD)).status == 200
        time.sleep(0.5)
        assert (counted(app, "capture_waiting"), counted(app, "capture_dropped"), counted(app, "capture_lines")) == (5, 3, 0)
        assert "the capture waits" in capsys.readouterr().err
    finally:
        (tmp_path / "capture").unlink()
    assert capture.close() == 0
    assert len(lines(tmp_path)) == 5


def test_lines_that_can_never_be_written_are_counted_at_the_end(keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RETRY_S", 0.02)
    monkeypatch.setattr(room, "STOP_S", 0.1)
    app, capture = keeping()
    (tmp_path / "capture").rmdir()
    (tmp_path / "capture").write_text("in the way")
    ask(app, "POST", "/invocations", dumps(GOOD))
    assert capture.close() == 1
    assert counted(app, "capture_dropped") == 1


def test_half_a_line_is_never_left(tmp_path: Path) -> None:
    capture = Capture(CaptureSettings(place=str(tmp_path)), Meters())
    capture.trouble = "already told"  # the limit below would hit standard error too
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"a":1}\n')
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        assert not capture._append(file, [b"0123456789\n", b"0123456789\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert file.read_bytes() == b'{"a":1}\n'
    capture.close()


def test_a_place_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"serve\.capture-unusable"):
        Capture(CaptureSettings(place=str(tmp_path / "file" / "x")), Meters())


def test_events_taken_while_others_are_written_are_all_written_once(keeping: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_S", 0.0)
    app, capture = keeping()
    kept: list[room.Event] = []
    monkeypatch.setattr(capture, "take", kept.append)
    ask(app, "POST", "/invocations", dumps(GOOD))
    monkeypatch.undo()
    monkeypatch.setattr(room, "PAUSE_S", 0.0)
    takers = [
        threading.Thread(target=lambda start=start: [capture.take(replace(kept[0], event_id=str(start + n))) for n in range(1500)])
        for start in (0, 1500)
    ]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert capture.close() == 0
    assert sorted(int(line["eventMetadata"]["eventId"]) for line in lines(tmp_path)) == list(range(3000))
    assert (capture.waiting_events, capture.waiting_bytes) == (0, 0)
