"""The benchmarks can fail: a wrong answer, a shift that is not caught and a schema that nobody can run are told, and end them with 1."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest


def bench(root: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", root / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(label: str, probability: float) -> bytes:
    return json.dumps({"predictions": [{"label": label, "probability": {"no": 1 - probability, "yes": probability}}]}).encode()


@pytest.mark.parametrize(
    "wrong",
    [answer("yes", 0.7001), answer("no", 0.7), answer("yes", float("nan")), answer("no", 0.2), b'{"predictions": []}', b"oh"],
)
def test_each_answer_of_the_soak_is_judged_by_its_own_record(root: Path, wrong: bytes) -> None:
    serve = bench(root, "serve")
    truth = serve.Truth([("yes", 0.7), ("no", 0.2)])
    for _ in range(3):
        truth.judge(0, answer("yes", 0.7))
        truth.judge(1, answer("no", 0.2 + 1e-8))
    assert (truth.wrong, truth.off) == (0, pytest.approx(1e-8))
    truth.judge(0, wrong)
    truth.judge(0, answer("yes", 0.7))
    assert truth.wrong == 1
    truth.judge(0, wrong)  # nor does it pass the second time
    assert truth.wrong == 2


def test_a_promise_that_is_not_met_is_in_the_exit_code(root: Path) -> None:
    serve = bench(root, "serve")
    serve.told("kept", 1.0, 2.0)
    assert serve._verdict() == 0
    serve.told("too slow", 3.0, 2.0)
    serve.told("none at all", float("nan"), 2.0)
    assert serve.MISSED == ["too slow", "none at all"]
    assert serve._verdict() == 1


def test_a_fuzzer_that_makes_no_requests_ends_the_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve = bench(root, "serve")

    class Page(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self) -> None:
            Page.asked += 1  # the page and the metrics count as requests too
            counts = {"invocations": 1, "other": Page.asked}
            lines = "".join(f'filon_requests_total{{route="{name}",status="200"}} {count}\n' for name, count in counts.items())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(lines.encode())

        def log_message(self, *_: object) -> None: ...

    @contextmanager
    def ours(*_: object) -> Iterator[tuple[int, int, float]]:
        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.server_address[1], 0, 0.0
            finally:
                server.shutdown()
                thread.join()

    program = tmp_path / "schemathesis"
    program.write_text("#!/bin/sh\necho the schema cannot be read\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(serve, "ours", ours)
    with pytest.raises(SystemExit, match=r"(?s)made no request.*cannot be read"):
        serve.fuzz(tmp_path, 10)


def test_the_watch_is_judged_by_what_it_promises(root: Path) -> None:
    watch = bench(root, "watch")
    good = {
        "resamples": 100,
        "false_alarms": 1,
        "shifts": 5,
        "caught": {"normal": 5, "poisson": 5},
        "tenth": {"peak_mib": 400.0},
        "all": {"peak_mib": 440.0, "seconds": 5.0, "rows": 1_000_000},
    }
    assert watch.missed(good, 1_000_000) == []
    assert watch.missed({**good, "caught": {"normal": 5, "poisson": 4}}, 1_000_000) == ["a shift of a poisson column"]
    assert watch.missed({**good, "false_alarms": 2}, 0) == ["false alarms"]
    for change, name in (({"peak_mib": 900.0}, "flat memory"), ({"peak_mib": 0.0}, "flat memory"), ({"seconds": 7.0}, "time")):
        assert watch.missed({**good, "all": {**good["all"], **change}}, 1_000_000) == [name]
    assert watch.missed({**good, "all": {**good["all"], "rows": 999_999}}, 1_000_000) == ["every row"]
