"""AWS on this machine: moto's server in a process of its own, with an executor that takes EMR's PENDING steps and really runs them.

`python -m tests.servers.aws PORT FOLDER` serves it. A step runs as EMR would run it: what it names is fetched over the wire, Spark is
started in a clean folder and environment, its output goes to the log URI gzipped, late and in pieces, and the states follow. What YARN does
is done by a local master here, so executors are threads; `s3://` is read through S3A where its jars are given (FILON_S3A_JARS).
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest

# Each client would read its service's megabyte of descriptions again, a hundred times in a module
botocore.session.create_loader = cache(botocore.loaders.create_loader)

READY_S = 60
BUCKET = "mine"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The emulated account: where it answers, and whoever asks."""

    endpoint: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """Variables by which any AWS client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "FILON_HOME": str(self.folder / "home"),
        }

    def client(self, service: str) -> Any:
        """A client of the tests' own, beside the product's."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # pragma: allowlist secret
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
        )

    def keys(self, prefix: str = "") -> list[str]:
        """Every object of the bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def put(self, key: str, data: bytes) -> str:
        """An object; its URI."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def cluster(
        self, name: str = "standing", core_type: str = "m5.2xlarge", core_count: int = 2, log_uri: str = f"s3://{BUCKET}/filon/logs/"
    ) -> str:
        """A cluster that stays, as Terraform would have made it."""
        groups = [
            {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1, "Name": "p"},
            {"InstanceRole": "CORE", "InstanceType": core_type, "InstanceCount": core_count, "Name": "c"},
        ]
        made = self.client("emr").run_job_flow(
            Name=name,
            ReleaseLabel="emr-7.13.0",
            LogUri=log_uri,
            ServiceRole="EMR_DefaultRole",
            JobFlowRole="EMR_EC2_DefaultRole",
            Instances={"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True},
        )
        return str(made["JobFlowId"])

    def steps(self, cluster: str) -> list[dict[str, Any]]:
        """Steps of a cluster."""
        found: list[dict[str, Any]] = self.client("emr").list_steps(ClusterId=cluster)["Steps"]
        return found

    def alive(self) -> list[str]:
        """Clusters that cost money."""
        states = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
        return [one["Id"] for one in self.client("emr").list_clusters(ClusterStates=states)["Clusters"]]

    def reset(self) -> None:
        """An empty account with one bucket."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request, timeout=20):
            pass
        self.client("s3").create_bucket(Bucket=BUCKET)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def aws_server(folder: Path, **environment: str) -> Iterator[Account]:
    """The server with its executor; ends with the block, with all that it started."""
    port = free_port()
    account = Account(endpoint=f"http://127.0.0.1:{port}", folder=folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.aws", str(port), str(folder)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, **account.environment(), "MOTO_EC2_LOAD_DEFAULT_AMIS": "false", **environment},
        )
    try:
        _wait(process, account, folder / "log")
        yield account
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", account: Account, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            account.reset()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the AWS emulator did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def aws_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A server that is up for the whole session."""
    with aws_server(tmp_path_factory.mktemp("aws")) as account:
        yield account


@pytest.fixture
def aws(aws_account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    """An empty account, with the environment set to reach it and a ledger of its own."""
    aws_account.reset()
    for name, value in aws_account.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FILON_HOME", str(tmp_path / "home"))
    return aws_account


def serve(port: int, folder: Path) -> None:
    """Patch moto, then be its server."""
    import moto.server
    from tests.servers import moto_shim

    from filon.rehearse import executor, job_runs

    moto_shim.install()
    executor.install(f"http://127.0.0.1:{port}", folder)
    job_runs.install(f"http://127.0.0.1:{port}", folder)
    moto.server.main(["-H", "127.0.0.1", "-p", str(port)])


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
