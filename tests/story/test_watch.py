"""The model's life: a server answers and captures, `filon watch` looks at what came, `filon explain` says why."""

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.story.conftest import COMMAND, RECIPE, Said, bank_like, environment

pytestmark = pytest.mark.story
Filon = Callable[..., Said]

ONE_TRIAL = """
[search.xgboost]
max_depth = 3
eta = 0.3
num_round = 20
[evaluate]
resamples = 50
shap_rows = 100
[watch]
resamples = 50
[track]
enabled = false
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained bundle, and the table it was trained on."""
    folder = tmp_path_factory.mktemp("bank")
    pacsv.write_csv(bank_like(6000), folder / "bank.csv")
    (folder / "filon.toml").write_text(RECIPE + ONE_TRIAL, encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "train", "filon.toml", "--json"], cwd=folder, capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    shutil.copytree(Path(json.loads(done.stdout.strip().splitlines()[-1])["result"]["run"]) / "bundle", folder / "bundle")
    return folder


def moved(rows: int, seed: int) -> pa.Table:
    """Customers who are older, some with a job that is new."""
    table = bank_like(rows, seed)
    job = np.where(np.random.default_rng(1).random(rows) < 0.05, "robot", np.array(table["job"].to_pylist()))
    return table.set_column(1, "age", pa.array(table["age"].to_numpy() + 8)).set_column(3, "job", pa.array(job))


def test_rows_of_the_same_source_are_no_alarm_and_moved_ones_are(trained: Path, filon: Filon, tmp_path: Path) -> None:
    pacsv.write_csv(bank_like(3000, seed=50), tmp_path / "same.csv")
    pacsv.write_csv(moved(3000, seed=51), tmp_path / "moved.csv")
    same = filon("watch", str(trained / "bundle"), "--data", "same.csv", "--out", "same", "--json")
    assert (same.code, same.result["result"]["alarms"]) == (0, 0), same.out + same.err
    said = filon("watch", str(trained / "bundle"), "--data", "moved.csv", "--out", "moved", "--lang", "es")
    assert said.code == 1
    assert "alarm  «age» ya no se reparte como en el entrenamiento" in said.out + said.err
    found = json.loads((tmp_path / "moved" / "watch.json").read_text(encoding="utf-8"))
    assert {(one["code"], one["column"]) for one in found["findings"]} >= {
        ("watch.column-drifted", "age"),
        ("watch.unseen-categories", "job"),
    }
    assert found["labelled"] == 3000
    assert "Qué tal acierta ahora" in (tmp_path / "moved" / "watch.html").read_text(encoding="utf-8")
    wide = [f"--set=watch.{name}=1" for name in ("distance", "js", "unseen", "outside")]
    quiet = filon("watch", str(trained / "bundle"), "--data", "moved.csv", *wide, "--set=watch.psi=9")
    assert quiet.code == 0


def test_what_a_server_captured_is_watched_and_labels_are_joined_later(trained: Path, filon: Filon, tmp_path: Path) -> None:
    live = bank_like(400, seed=60)
    inputs = live.drop_columns(["deposit", "customer"]).to_pylist()
    events = _served(trained / "bundle", tmp_path / "capture", inputs)
    said = filon("watch", str(trained / "bundle"), "--capture", "capture", "--since", "1h", "--out", "w", "--json")
    assert said.code == 0, said.out + said.err
    assert (said.result["result"]["rows"], said.result["result"]["labelled"]) == (400, 0)
    assert len(said.result["result"]["periods"]) in (1, 2)
    assert any(one["estimate"] for one in said.result["result"]["metrics"])
    pacsv.write_csv(pa.table({"event_id": events, "deposit": live["deposit"]}), tmp_path / "labels.csv")
    said = filon("watch", str(trained / "bundle"), "--capture", "capture", "--labels", "labels.csv", "--out", "w", "--json")
    assert said.result["result"]["labelled"] == 400
    pacsv.write_csv(pa.table({"event_id": [f"{event}/0" for event in events], "deposit": live["deposit"]}), tmp_path / "other.csv")
    none = filon("watch", str(trained / "bundle"), "--capture", "capture", "--labels", "other.csv", "--out", "w")
    assert none.code == 0  # labels may be late: no alarm, but it is said
    assert "note   no row is named by the labels" in none.out + none.err
    assert "0 of 400 rows have one" in none.out + none.err
    pacsv.write_csv(bank_like(400, seed=60), tmp_path / "live.csv")
    whole = filon("watch", str(trained / "bundle"), "--data", "live.csv", "--out", "w", "--json")
    both = [{one["name"]: one["live"]["value"] for one in each.result["result"]["metrics"]} for each in (said, whole)]
    assert both[0] == pytest.approx(both[1], abs=1e-9)
    early = filon("watch", str(trained / "bundle"), "--capture", "capture", "--since", "2030-01-01", "--json")
    assert early.result["error"]["code"] == "watch.nothing-captured"


def test_mistakes_are_told_by_their_code(trained: Path, filon: Filon, tmp_path: Path) -> None:
    pacsv.write_csv(bank_like(200), tmp_path / "x.csv")
    (tmp_path / "empty").mkdir()
    for words, code in (
        ((), "watch.data-or-capture"),
        (("--data", "x.csv", "--since", "soon"), "watch.since-unreadable"),
        (("--data", "x.csv", "--since", "7d"), "watch.no-time"),
        (("--capture", "nowhere"), "watch.nothing-captured"),
        (("--data", "x.csv", "--set", "watch.pis=1"), "watch.bad-set"),
        (("--data", "x.csv", "--labels", "x.csv", "--set", "watch.psi=-1"), "watch.bad-set"),
    ):
        assert filon("watch", str(trained / "bundle"), *words, "--json").result["error"]["code"] == code


def test_an_explanation_leaves_its_page_and_every_contribution(trained: Path, filon: Filon, tmp_path: Path) -> None:
    pacsv.write_csv(bank_like(500, seed=70), tmp_path / "new.csv")
    said = filon("explain", str(trained / "bundle"), "--data", "new.csv", "--rows", "200", "--out", "e", "--lang", "es", "--json")
    assert said.code == 0, said.out + said.err
    table = pq.read_table(tmp_path / "e" / "contributions.parquet")
    assert table.num_rows == 200
    assert "contribution_age" in table.schema.names
    assert "Qué importa" in (tmp_path / "e" / "explain.html").read_text(encoding="utf-8")


def _served(bundle: Path, capture: Path, rows: list[dict]) -> list[str]:
    """Ask a server for every row by itself; the ids of the events, read from the capture in the order asked."""
    words = [*COMMAND, "serve", str(bundle), "--port", "0", "--json", "--capture", str(capture)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        port = urlsplit(json.loads(process.stdout.readline())["result"]["url"]).port
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(line):
            for row in rows:
                line.request("POST", "/invocations", json.dumps(row).encode(), {"Content-Type": "application/json"})
                heard = line.getresponse()
                assert heard.read()
                assert heard.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
    written = [json.loads(text) for file in sorted(capture.rglob("*.jsonl")) for text in file.read_text().splitlines()]
    bodies = {one["captureData"]["endpointInput"]["data"]: one["eventMetadata"]["eventId"] for one in written}
    return [bodies[json.dumps(row)] for row in rows]
