"""Captures on S3, as an operator meets them: files arrive by the hour, and S3 may be away."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.servers.line import Line
from tests.servers.s3 import BUCKET, S3, s3, s3_servers
from tests.story.test_serve import Start, records, sealed, start

__all__ = ["records", "s3", "s3_servers", "sealed", "start"]
pytestmark = [pytest.mark.story, pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def line(s3: S3) -> Iterator[Line]:
    one = Line(urlsplit(s3.endpoint).port)
    yield one
    one.near.close()


def words(line: Line, s3: S3) -> dict[str, str]:
    return {**s3.environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}"}


def kept(s3: S3, prefix: str) -> list[dict]:
    from pyarrow import fs

    store = s3.filesystem()
    found = store.get_file_info(fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True))
    paths = [info.path for info in found if info.is_file]
    assert all(path.endswith(".jsonl") for path in paths)
    return [json.loads(text) for path in paths for text in s3.get(path.removeprefix(f"{BUCKET}/")).splitlines()]


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.3)


def test_nothing_is_lost_while_s3_is_away(start: Start, sealed: Callable, records: list[dict], s3: S3, line: Line, tmp_path: Path) -> None:
    place = ["--capture", f"s3://{BUCKET}/away", "--capture-spool", "spool", "--capture-every", "1s"]
    server = start(sealed().path, *place, **words(line, s3))
    asked = 0
    for _ in range(20):
        asked += server.ask("POST", "/invocations", records[0])[0] == 200
    until(lambda: len(kept(s3, "away")) == asked)
    line.away()
    end = time.monotonic() + 8
    while time.monotonic() < end:
        asked += server.ask("POST", "/invocations", records[asked % 20])[0] == 200
        time.sleep(0.02)
    assert len(kept(s3, "away")) == 20
    told = server.ask("GET", "/metrics")[1]["text"]
    assert float(told.split("\nfilon_capture_unsent_files ")[1].split()[0]) > 0
    assert "\nfilon_capture_dropped_total 0\n" in told
    line.back()
    code, said = server.stop()
    assert code == 0
    assert said.count("captured files wait for S3") == 1
    found = kept(s3, "away")
    assert len(found) == asked
    assert len({one["eventMetadata"]["eventId"] for one in found}) == asked
    assert not list((tmp_path / "spool").rglob("*.jsonl*"))


def test_what_could_not_be_sent_is_sent_by_the_next_server(
    start: Start, sealed: Callable, records: list[dict], s3: S3, line: Line, tmp_path: Path
) -> None:
    place = ["--capture", f"s3://{BUCKET}/later", "--capture-spool", "spool", "--capture-every", "1s"]
    line.away()
    server = start(sealed().path, *place, **words(line, s3))
    for _ in range(30):
        assert server.ask("POST", "/invocations", records[0])[0] == 200
    code, said = server.stop()
    assert code == 0
    assert "wait in spool for the next start" in said
    line.back()
    killed = next((tmp_path / "spool").rglob("*.jsonl"))  # as a writer leaves it that is killed within a line
    cut = killed.with_name("00-00-00-0-999999.jsonl.open")
    cut.write_bytes(killed.read_bytes() + b'{"captureData": {"endpointInp')
    again = start(sealed().path, *place, **words(line, s3))
    until(lambda: len(kept(s3, "later")) == 60)
    assert again.stop()[0] == 0


def test_a_server_is_gone_within_thirty_seconds_whatever_hangs_and_names_what_it_could_not_send(
    start: Start, sealed: Callable, records: list[dict], s3: S3, line: Line, tmp_path: Path
) -> None:
    place = ["--capture", f"s3://{BUCKET}/hangs", "--capture-spool", "spool", "--capture-every", "1s"]
    server = start(sealed().path, *place, **words(line, s3))
    line.away()
    line.back()
    line.silent = True
    for _ in range(10):
        assert server.ask("POST", "/invocations", records[0])[0] == 200
    until(lambda: bool(list((tmp_path / "spool").rglob("*.jsonl"))))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:  # a request that never ends
        slow.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        began = time.monotonic()
        code, said = server.stop()
        took = time.monotonic() - began
    assert code == 0
    assert took < 30
    assert "captured files wait in spool for the next start" in said
    lost = [text for file in (tmp_path / "spool").rglob("*.jsonl") for text in file.read_text().splitlines()]
    assert len(lost) == 10
    line.silent = False
    again = start(sealed().path, *place, **words(line, s3))
    until(lambda: len(kept(s3, "hangs")) == 10)
    assert again.stop()[0] == 0
