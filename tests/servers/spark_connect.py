"""A real Spark Connect server from pyspark's own jar, on two cores of this machine, in a folder and a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.servers.s3 import free_ports
from tests.servers.spark_cluster import READY_S, spark_home


@contextmanager
def spark_connect(folder: Path) -> Iterator[str]:
    """Its address, sc://127.0.0.1:PORT; it ends with the block."""
    pytest.importorskip("grpc", reason="pip install 'filon[connect]'")
    home = spark_home()
    if not list((home / "jars").glob("spark-connect_*.jar")):
        pytest.skip("this pyspark brings no Connect server (it does from version 4 on)")
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "AWS_"))}
    conf = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
    }
    words = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    program = [
        str(home / "bin" / "spark-submit"),
        "--master",
        "local[2]",
        "--class",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
    ]
    environment = {**kept, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    log = folder / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*program, *words, "spark-internal"], env=environment, cwd=folder, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _await(port, server, log)
        yield f"sc://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(f"the Spark Connect server is not there: {log.read_text(errors='replace')[-2000:]}")
