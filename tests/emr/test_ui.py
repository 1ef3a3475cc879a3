"""A cluster's pages on this machine: through a real SSH server, through what stands for Session Manager's plugin, and as EMR keeps them."""

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.servers.aws import BUCKET, Account, free_port
from tests.servers.between import Answer, Asked, Between

from filon.errors import PlaceError
from filon.events import silence
from filon.places.emr import webpages
from filon.places.emr.client import Client
from filon.places.emr.settings import EmrSettings

pytestmark = [pytest.mark.server]

PAGE = b"<title>History Server</title>"


@contextmanager
def serving(port: int = 0) -> Iterator[int]:
    """What stands for the history server of the primary node: a web server of this machine; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A history server on a port of its own."""
    with serving() as port:
        monkeypatch.setitem(webpages.PORTS, "history", port)
        yield port


def seen(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real SSH server for this user; the folder holds `key`, a stranger's `other`, and `config`, by which ssh finds the server."""
    program = shutil.which("sshd", path=os.defpath + ":/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("there is no SSH server: apt-get install openssh-server openssh-client")
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "key.pub").read_text())
    settings = f"""Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding local
"""
    (folder / "sshd_config").write_text(settings)
    told = (
        f"Host *\n  HostName 127.0.0.1\n  Port {port}\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  IdentitiesOnly yes\n"
    )
    (folder / "config").write_text(told)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log, start_new_session=True)
    time.sleep(0.5)
    assert process.poll() is None, (folder / "log").read_text()
    yield folder
    process.terminate()
    process.wait()


def by_ssh(sshd: Path, key: str = "key") -> EmrSettings:
    return EmrSettings(ssh_key=str(sshd / key), ssh_user=getpass.getuser(), ssh_options=("-F", str(sshd / "config")))


def test_the_history_is_seen_through_ssh(account: Account, history: int, sshd: Path) -> None:
    cluster = account.cluster()
    alive(account, cluster)
    with webpages.shown(Client("us-east-1"), by_ssh(sshd), cluster, "history", silence) as page:
        assert page.via == "ssh", "no plugin is installed, and a key is given"
        assert page.url != f"http://127.0.0.1:{history}/", "it is the tunnel that answers"
        assert seen(page.url) == PAGE
    with pytest.raises(OSError, match="refused"):
        seen(page.url)


def test_the_command_shows_a_jobs_cluster_until_ctrl_c(account: Account, sshd: Path, stub_archive: Path, tmp_path: Path) -> None:
    cluster = account.cluster()
    alive(account, cluster)
    place = f'region = "us-east-1"\nbucket = "s3://{BUCKET}/filon"\narchive = "{stub_archive}"\ncluster_id = "{cluster}"\n'
    key = f'ssh_key = "{sshd / "key"}"\nssh_user = "{getpass.getuser()}"\nssh_options = ["-F", "{sshd / "config"}"]\n'
    data = f'[data]\nsource = "s3://{BUCKET}/data/bank.csv"\nlabel = "deposit"\npositive = "yes"\n'
    (tmp_path / "filon.toml").write_text(f'name = "bank"\n{data}[places.emr]\n{place}{key}', encoding="utf-8")
    filon = [sys.executable, "-m", "filon"]
    sent = subprocess.run([*filon, "train", "filon.toml", "--on", "emr"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert sent.returncode == 0, sent.stderr
    words = [*filon, "ui", "--on", "emr", "--via", "ssh", "--no-browser"]
    with (
        serving(webpages.PORTS["history"]),
        subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shown,
    ):
        assert shown.stdout is not None
        url = next((line.strip() for line in shown.stdout if "http://" in line), "")
        assert url, shown.stderr.read() if shown.stderr is not None else ""
        assert seen(url) == PAGE
        shown.send_signal(signal.SIGINT)
        assert shown.wait(timeout=20) == 0
    with pytest.raises(OSError, match="refused"):
        seen(url)


def test_a_key_that_is_not_the_clusters_is_said(account: Account, history: int, sshd: Path) -> None:
    cluster = account.cluster()
    alive(account, cluster)
    with pytest.raises(PlaceError) as shut, webpages.shown(Client("us-east-1"), by_ssh(sshd, "other"), cluster, "history", silence):
        pass
    assert shut.value.code == "places.tunnel-failed"
    assert "Permission denied" in shut.value.why
    assert "key pair" in shut.value.fix


def test_without_plugin_key_and_right_there_is_no_way(account: Account, history: int) -> None:
    cluster = account.cluster()
    alive(account, cluster)
    for via, lacking in (("ssm", webpages.PLUGIN), ("ssh", "ssh_key"), ("auto", "create_persistent_app_ui")):
        tried = webpages.shown(Client("us-east-1", attempts=1), EmrSettings(), cluster, "history", silence, via=via)  # type: ignore[arg-type]
        with pytest.raises(PlaceError) as none, tried:
            pass
        assert none.value.code == "places.no-tunnel", via
        assert lacking in none.value.why, via
        assert none.value.fix


PLUGIN = """#!{python}
# what stands for session-manager-plugin: it takes the very words that the AWS command line gives it, and forwards one port
import json, socket, sys, threading
session, region, verb, profile, request, endpoint = sys.argv[1:]
assert json.loads(session)["TokenValue"] == "token" and verb == "StartSession", sys.argv
asked = json.loads(request)
assert asked["DocumentName"].endswith("ToRemoteHost") and asked["Target"].startswith("i-"), asked
words = {{name: value[0] for name, value in asked["Parameters"].items()}}

def carry(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)

door = socket.create_server(("127.0.0.1", int(words["localPortNumber"])))
while True:
    near, _ = door.accept()
    far = socket.create_connection(("127.0.0.1", int(words["portNumber"])))
    for one, other in ((near, far), (far, near)):
        threading.Thread(target=carry, args=(one, other), daemon=True).start()
"""


def test_session_manager_comes_first_where_its_plugin_is_there(
    account: Account, proxy: Between, history: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = account.cluster()
    alive(account, cluster)
    plugin = tmp_path / webpages.PLUGIN
    plugin.write_text(PLUGIN.format(python=sys.executable))
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    session = json.dumps({"SessionId": "s-1", "TokenValue": "token", "StreamUrl": "wss://example.com"}).encode()
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.fate = answers({"StartSession": session})
    with webpages.shown(Client("us-east-1"), EmrSettings(), cluster, "history", silence) as page:
        assert page.via == "ssm"
        assert seen(page.url) == PAGE


def test_of_a_cluster_that_has_ended_emr_shows_what_it_keeps(account: Account, proxy: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = account.cluster()
    account.client("emr").terminate_job_flows(JobFlowIds=[cluster])
    url = "https://p-1.emrappui-prod.us-east-1.amazonaws.com/shs/"
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    made = {"PersistentAppUIId": "p-1"}
    ready = {"PresignedURL": url, "PresignedURLReady": True}
    proxy.fate = answers({"CreatePersistentAppUI": json.dumps(made).encode(), "GetPersistentAppUIPresignedURL": json.dumps(ready).encode()})
    with webpages.shown(Client("us-east-1"), EmrSettings(ssh_key="/nowhere"), cluster, "history", silence) as page:
        assert (page.via, page.url, page.process) == ("aws", url, None)


def answers(said: dict[str, bytes]) -> Any:
    """These operations are answered so; all others pass."""

    def fate(one: Asked) -> str | Answer:
        found = [body for name, body in said.items() if one.name.endswith(f".{name}")]
        return Answer(status=200, body=found[0], headers={"Content-Type": "application/x-amz-json-1.1"}) if found else "pass"

    return fate


def alive(account: Account, cluster: str) -> None:
    for _ in range(100):
        if account.client("emr").describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"] in webpages.ALIVE:
            return
        time.sleep(0.05)
    raise AssertionError("the cluster did not start")
