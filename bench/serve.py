"""The server under load: one row at 200 requests a second, saturated beside `mlflow models serve`, batches, first answer, memory.

    python bench/serve.py                                    all of it, 20 s a measurement
    python bench/serve.py --small                            a smoke run, 3 s a measurement, without MLflow
    python bench/serve.py --mlflow .venv-mlflow/bin/python   the Python in which `mlflow models serve` can load an XGBoost model
    python bench/serve.py --fuzz 10000                       so many requests that schemathesis makes up: no 5xx
    python bench/serve.py --outage 60                        captures to a real S3 server that is away so many seconds under load
    python bench/serve.py --soak 500000                      so many requests: memory, capture lines and answers afterwards

Model: 100 trees of depth 6 over 28 columns, one worker, capture on. The load comes from a process of its own on the same machine
(keep-alive connections, requests made beforehand), so on two cores client and server take about one core each. It ends with 1 where a
promise was not met.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

COLUMNS = [f"f{number:02d}" for number in range(28)]
COARSE_S = 0.002
"""Timers of event loops count whole milliseconds, and are late by up to one."""

ARROW = "application/vnd.apache.arrow.stream"
LIMITS = {"p50_ms": 1.0, "p99_ms": 5.0, "ratio": 10.0, "arrow": 200_000, "csv": 60_000, "first_s": 1.5, "rss_mib": 250}
SAME = 1e-6
"""An answer's probability is that of `bundle.predict` to within this."""

MISSED: list[str] = []
"""Promises that were not met."""


class Truth:
    """What each request is to be answered, and how many answers were something else.

    Parameters
    ----------
    expected : by request, the label and the probability of `yes`
    """

    def __init__(self, expected: Sequence[tuple[str, float]]) -> None:
        self.expected = expected
        self.proved = [b""] * len(expected)
        self.wrong, self.off = 0, 0.0

    def judge(self, number: int, answer: bytes) -> None:
        """Answers to one record are the same bytes: what was proved once is not parsed again, so that the client stays quick."""
        if answer == self.proved[number]:
            return
        label, probability = self.expected[number]
        try:
            (row,) = json.loads(answer)["predictions"]
            off, same = abs(row["probability"]["yes"] - probability), row["label"] == label
        except (ValueError, KeyError, TypeError):
            self.wrong += 1
            return
        self.off = max(off, self.off)
        if same and off <= SAME:
            self.proved[number] = answer
        else:
            self.wrong += 1


def table(rows: int) -> pa.Table:
    draw = np.random.default_rng(5)
    values = draw.normal(size=(rows, len(COLUMNS)))
    label = np.where(values[:, :6].sum(axis=1) + draw.normal(size=rows) > 0, "yes", "no")
    return pa.table({**{name: values[:, place] for place, name in enumerate(COLUMNS)}, "label": label})


def seal(folder: Path) -> Path:
    """A bundle of 100 trees of depth 6."""
    import filon

    pq.write_table(table(20_000), folder / "rows.parquet")
    recipe = """name = "load"
[data]
source = "rows.parquet"
label = "label"
positive = "yes"
[search]
[search.xgboost]
max_depth = [6]
eta = [0.05]
num_round = 100
"""
    (folder / "filon.toml").write_text(recipe, encoding="utf-8")
    os.chdir(folder)
    return Path(filon.train(str(folder / "filon.toml")).path) / "bundle"


class Line(asyncio.Protocol):
    """One keep-alive connection: sends a request, is told when the answer is whole."""

    def __init__(self) -> None:
        self.seen = b""
        self.done: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self.seen += data
        end = self.seen.find(b"\r\n\r\n")
        if end < 0 or self.done is None:
            return
        low = self.seen[:end].lower()
        place = low.find(b"content-length:")
        length = int(low[place + 15 :].split(b"\r\n", 1)[0])
        if len(self.seen) >= end + 4 + length:
            status, body, self.seen = int(self.seen[9:12]), self.seen[end + 4 :], b""
            self.done.set_result((status, body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.done


Heard = tuple[list[float], int, Truth | None]
"""Latencies in seconds, how many answers were not 200, and what was found about the others."""


async def closed_loop(port: int, requests: list[bytes], lines: int, seconds: float, most: int, truth: Truth | None = None) -> Heard:
    """As many as it can take; with a truth, each answer is judged."""
    loop = asyncio.get_running_loop()
    until, taken, bad, asked = time.perf_counter() + seconds, [], 0, 0

    async def one() -> None:
        nonlocal bad, asked
        _, line = await loop.create_connection(Line, "127.0.0.1", port)
        while time.perf_counter() < until and (not most or asked < most):
            asked += 1
            number = asked % len(requests)
            began = time.perf_counter()
            status, answer = await line.ask(requests[number])
            taken.append(time.perf_counter() - began)
            if status != 200:
                bad += 1
            elif truth is not None:
                truth.judge(number, answer)
        line.transport.close()

    await asyncio.gather(*(one() for _ in range(lines)))
    return taken, bad, truth


async def open_loop(port: int, requests: list[bytes], rate: float, seconds: float) -> Heard:
    """Requests at their times whatever the answers do; latency counts from the time a request was due."""
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[Line] = asyncio.Queue()
    for _ in range(16):
        free.put_nowait((await loop.create_connection(Line, "127.0.0.1", port))[1])
    taken, bad = [], 0

    async def one(due: float, request: bytes) -> None:
        nonlocal bad
        line = await free.get()
        status, _ = await line.ask(request)
        taken.append(time.perf_counter() - due)
        bad += status != 200
        free.put_nowait(line)

    begin, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        if (wait := due - time.perf_counter() - COARSE_S) > 0:
            await asyncio.sleep(wait)
        while time.perf_counter() < due:  # the last stretch is spun, so that our own timer is not taken for the server's slowness
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one(max(due, begin), requests[number % len(requests)])))
    await asyncio.gather(*tasks)
    return taken, bad, None


def load(pipe: object, kind: str, words: tuple) -> None:
    try:
        import uvloop

        runner = uvloop.run
    except ImportError:
        runner = asyncio.run
    pipe.send(runner({"closed": closed_loop, "open": open_loop}[kind](*words)))


def drive(kind: str, *words: object) -> tuple[np.ndarray, int, Truth | None]:
    """Load from a process of its own; the truth that comes back is a copy that has counted."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=load, args=(there, kind, words))
    process.start()
    there.close()  # so that a load that failed ends the wait
    taken, bad, truth = here.recv()
    process.join()
    return np.array(taken), bad, truth


def requests(path: str, bodies: list[bytes]) -> list[bytes]:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


@contextmanager
def ours(bundle: Path, capture: Path | str | None, *more: str) -> Iterator[tuple[int, int, float]]:
    """Port, process id, and seconds from the command to the first answer."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "filon",
        "serve",
        str(bundle),
        "--port",
        "0",
        "--json",
        *(["--capture", str(capture)] if capture else []),
        *more,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = urlsplit(json.loads(process.stdout.readline())["result"]["url"]).port
        row = dict.fromkeys(COLUMNS, 0.5)
        ask(port, json.dumps(row).encode(), "application/json")
        yield port, process.pid, time.perf_counter() - began
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def theirs(python: str, bundle: Path, folder: Path) -> Iterator[int]:
    """`mlflow models serve` with the same trees as a model of its XGBoost flavour, one worker."""
    code = (
        "import mlflow.xgboost, xgboost, pandas, mlflow.models as m\n"
        f"b = xgboost.Booster(model_file={str(bundle / 'model.ubj')!r}); b.feature_names = {COLUMNS!r}; b.feature_types = None\n"
        f"frame = pandas.DataFrame([[0.5] * 28], columns={COLUMNS!r})\n"
        f"mlflow.xgboost.save_model(b, {str(folder / 'theirs')!r}, signature=m.infer_signature(frame, b.predict(xgboost.DMatrix(frame))))\n"
    )
    subprocess.run([python, "-c", code], check=True, capture_output=True)
    port = 18999
    words = ["models", "serve", "-m", str(folder / "theirs"), "--env-manager", "local", "-p", str(port), "-w", "1"]
    environment = {**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
    with (folder / "mlflow.log").open("w") as log:
        process = subprocess.Popen([python, "-m", "mlflow", *words], stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit((folder / "mlflow.log").read_text()[-2000:])
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def ask(port: int, body: bytes, kind: str, accept: str = "application/json") -> bytes:
    request = Request(f"http://127.0.0.1:{port}/invocations", body, {"content-type": kind, "accept": accept})
    with urlopen(request, timeout=60) as heard:
        return heard.read()


def batches(port: int, pid: int, times: int) -> dict[str, float]:
    """Rows a second of 10,000-row bodies: by the clock, and per second of the server's processor time (a core of its own)."""
    rows = table(10_000).select(COLUMNS)
    arrow, csv = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(arrow, rows.schema) as out:
        out.write_table(rows)
    pacsv.write_csv(rows, csv, pacsv.WriteOptions(include_header=False))
    found = {}
    for name, body, kind, accept in (("arrow", arrow.getvalue(), ARROW, ARROW), ("csv", csv.getvalue(), "text/csv", "text/csv")):
        ask(port, body, kind, accept)
        before, began = cpu_s(pid), time.perf_counter()
        for _ in range(times):
            ask(port, body, kind, accept)
        found[f"{name} rows/s"] = times * 10_000 / (time.perf_counter() - began)
        found[f"{name} rows/core s"] = times * 10_000 / (cpu_s(pid) - before)
    return found


def family(pid: int) -> list[int]:
    """The supervisor and its workers."""
    return [pid, *(int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_s(pid: int) -> float:
    each = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in family(pid)]
    return sum(int(words[11]) + int(words[12]) for words in each) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    lines = [line for one in family(pid) for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def answered(port: int) -> int:
    """Requests to /invocations that were answered with 200."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as heard:
        text = heard.read().decode()
    return int(text.split('filon_requests_total{route="invocations",status="200"} ')[1].split()[0])


def told(name: str, value: float, limit: float | None = None, *, least: bool = False) -> None:
    verdict = ""
    if limit is not None:
        good = value >= limit if least else value <= limit
        verdict = f"  ({'at least' if least else 'at most'} {limit:g}: {'ok' if good else 'NOT MET'})"
        if not good:
            MISSED.append(name)
    print(f"{name:<52}{value:>12,.2f}{verdict}", flush=True)


def main() -> int:
    """Measure; 1 when a promise was not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--mlflow", default="")
    parser.add_argument("--soak", type=int, default=0)
    parser.add_argument("--outage", type=float, default=0)
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--bundle", default="")
    words = parser.parse_args()
    python = str(Path(words.mlflow).absolute()) if words.mlflow else ""
    seconds = 3.0 if words.small else words.seconds
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = Path(words.bundle).resolve() if words.bundle else seal(folder)
        records = table(512).select(COLUMNS).to_pylist()
        one = requests("/invocations", [json.dumps(record).encode() for record in records])
        if words.outage:
            outage(folder, bundle, one, words.outage)
            return _verdict()
        with ours(bundle, folder / "kept") as (port, pid, first_s):
            told("first answer, s", first_s, LIMITS["first_s"])
            told("memory after it, MiB", rss_mib(pid), LIMITS["rss_mib"])
            taken, bad, _ = drive("open", port, one, 200.0, seconds)
            told("200 requests/s: p50, ms", 1000 * np.percentile(taken, 50), LIMITS["p50_ms"])
            told("200 requests/s: p99, ms", 1000 * np.percentile(taken, 99), LIMITS["p99_ms"])
            told("200 requests/s: refused", bad, 0)
            if words.soak:
                soak(port, pid, bundle, one, records, words.soak)
            before = cpu_s(pid)
            taken, bad, _ = drive("closed", port, one, 8, seconds, 0)
            rate = len(taken) / seconds
            told("saturated, 8 connections: requests/s", rate)
            told("saturated: requests per second of processor", len(taken) / (cpu_s(pid) - before))
            told("saturated: p99, ms", 1000 * np.percentile(taken, 99))
            told("memory at the end, MiB", rss_mib(pid), LIMITS["rss_mib"])
            asked = answered(port)
        kept = sum(1 for file in (folder / "kept").rglob("*.jsonl") for _ in file.open("rb"))
        told(f"capture lines missing of {asked:,}", asked - kept, 0)
        with ours(bundle, None) as (port, pid, _):
            for what, value in batches(port, pid, 3 if words.small else 20).items():
                told(f"10,000-row bodies, no capture: {what}", value, LIMITS[what.split()[0]] if "core" in what else None, least=True)
            told("memory after them, MiB", rss_mib(pid), LIMITS["rss_mib"])
        if words.fuzz:
            fuzz(bundle, words.fuzz)
        if python:
            split = [json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [list(row.values())]}}).encode() for row in records]
            with theirs(python, bundle, folder) as port:
                taken, _, _ = drive("closed", port, requests("/invocations", split), 8, seconds, 0)
            told("mlflow models serve, saturated: requests/s", len(taken) / seconds)
            told("ratio", rate / (len(taken) / seconds), LIMITS["ratio"], least=True)
    return _verdict()


def _verdict() -> int:
    if MISSED:
        print(f"not met: {'; '.join(MISSED)}", flush=True)
    return int(bool(MISSED))


def outage(folder: Path, bundle: Path, one: list[bytes], away_s: float) -> None:
    """200 requests a second while S3 refuses connections for half of the time and is silent for the other half."""
    from pyarrow import fs

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.servers.line import Line as Cable
    from tests.servers.s3 import BUCKET, s3_server

    (folder / "s3").mkdir()
    with s3_server(folder / "s3") as s3:
        cable = Cable(urlsplit(s3.endpoint).port)
        os.environ.update({**s3.environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{cable.port}"})

        def trouble() -> None:
            time.sleep(10)
            cable.away()
            time.sleep(away_s / 2)
            cable.back()
            cable.silent = True
            time.sleep(away_s / 2)
            cable.away()
            cable.silent = False
            cable.back()

        place = f"s3://{BUCKET}/outage"
        with ours(bundle, place, "--capture-spool", str(folder / "spool"), "--capture-every", "5s") as (port, pid, _):
            threading.Thread(target=trouble, daemon=True).start()
            taken, bad, _ = drive("open", port, one, 200.0, away_s + 20)
            told("S3 away under load: refused", bad, 0)
            told("S3 away under load: p50, ms", 1000 * np.percentile(taken, 50))
            told("S3 away under load: p99, ms", 1000 * np.percentile(taken, 99))
            told("memory at the end, with the sender to S3, MiB", rss_mib(pid))
            asked = answered(port)
            stopped = time.perf_counter()
        told("SIGTERM to the end, s", time.perf_counter() - stopped, 30)
        store = s3.filesystem()
        files = store.get_file_info(fs.FileSelector(f"{BUCKET}/outage", recursive=True))
        lines = [line for info in files if info.is_file for line in s3.get(info.path.removeprefix(f"{BUCKET}/")).splitlines()]
        kept = len({json.loads(line)["eventMetadata"]["eventId"] for line in lines})
        told(f"capture lines missing of {asked:,}", asked - kept, 0)
        told("capture lines that came twice", len(lines) - kept, 0)


def fuzz(bundle: Path, least: int) -> None:
    """Requests that schemathesis makes up from the OpenAPI page, until there were so many: none may meet a 5xx."""
    program = Path(sys.executable).with_name("schemathesis")
    with ours(bundle, None) as (port, _, _), tempfile.TemporaryDirectory() as folder:
        seen, seed, scored = 0, 1, 1  # the server's first answer was ours
        while seen < least:
            words = ["--checks", "not_a_server_error", "--max-examples", "2500", "--phases", "coverage,fuzzing"]
            words += ["--generation-database", "none", "--seed", str(seed)]
            page = f"http://127.0.0.1:{port}/openapi.json"
            done = subprocess.run([program, "run", page, *words], capture_output=True, text=True, cwd=folder, check=False)
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as heard:
                found = re.findall(r'filon_requests_total\{route="(\w+)",status="(\d+)"\} (\d+)', heard.read().decode())
            now = sum(int(count) for route, _, count in found if route == "invocations")
            if now == scored:  # it reads the page in any case, so only these tell that it made requests
                raise SystemExit(f"schemathesis made no request ({done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}")
            seen, seed, scored = sum(int(count) for _, _, count in found), seed + 1, now
        told("generated requests", seen)
        told("generated requests: 5xx", sum(int(count) for _, status, count in found if status[0] == "5"), 0)


def soak(port: int, pid: int, bundle: Path, one: list[bytes], records: list[dict], count: int) -> None:
    """Memory before and after, each answer against the bundle's; then the same records in one body."""
    from filon.package import open_bundle

    known = open_bundle(bundle).predict(records)
    probability = known.column("probability_yes").to_numpy().astype(float)
    truth = Truth(list(zip(known.column("label").to_pylist(), probability.tolist(), strict=True)))
    first, bad, early = drive("closed", port, one, 8, 1e9, count // 10, truth)
    before = rss_mib(pid)
    taken, more, late = drive("closed", port, one, 8, 1e9, count - count // 10, truth)
    told(f"soak of {count:,} requests: memory grew by, %", 100 * (rss_mib(pid) / before - 1), 5)
    told("soak: answers", len(first) + len(taken), count, least=True)
    told("soak: refused", bad + more, 0)
    told("soak: answers that are not those of bundle.predict", early.wrong + late.wrong, 0)
    told("soak: largest difference of an answer", max(early.off, late.off), SAME)
    heard = json.loads(ask(port, json.dumps(records).encode(), "application/json"))
    off = np.abs([row["probability"]["yes"] for row in heard["predictions"]] - probability).max()
    told("soak: largest difference of the same records in one body", float(off), SAME)


if __name__ == "__main__":
    raise SystemExit(main())
