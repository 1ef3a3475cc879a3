"""A YARN container on this machine: what a step names is fetched over the wire, and spark-submit's words are put for a local master."""

from __future__ import annotations

import os
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

KEPT = ("PATH", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME")
"""Of this machine's environment; all else a node would not have."""

DROPPED = (
    "spark.yarn.",
    "spark.executor.",
    "spark.driver.memory",
    "spark.dynamicAllocation",
    "spark.submit",
    "spark.python.worker",
    "spark.archives",
    "spark.emr-serverless.",
)
"""Properties that only a cluster has a use for."""

DRIVER_ENV = ("spark.yarn.appMasterEnv.", "spark.emr-serverless.driverEnv.")
"""How a driver is given variables: by YARN, and by EMR Serverless."""

VALUES = ("--master", "--deploy-mode", "--name", "--conf", "--archives", "--files", "--py-files", "--jars", "--class", "--packages")


class Wire:
    """The emulated S3, reached as any client would."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @cached_property
    def client(self) -> Any:
        """One client for all threads: making one reads a megabyte of descriptions."""
        import boto3
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5})
        words = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}  # pragma: allowlist secret
        return boto3.session.Session().client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config, **words)

    def fetch(self, uri: str, target: Path) -> Path:
        """An object as a file."""
        from botocore.exceptions import ClientError

        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            data = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as exc:
            raise FileNotFoundError(f"File does not exist: {uri} ({exc})") from exc
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def put(self, uri: str, data: bytes) -> None:
        """Bytes as an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.client.put_object(Bucket=bucket, Key=key, Body=data)


@dataclass(slots=True, kw_only=True)
class Container:
    """One attempt of a step in a folder of its own; `work` is the current folder of its driver."""

    wire: Wire
    folder: Path

    @property
    def work(self) -> Path:
        """Where the driver runs."""
        return self.folder / "container"

    def prepare(self, words: list[str]) -> tuple[list[str], dict[str, str]]:
        """The local command of a step, and its environment.

        Raises
        ------
        OSError : something that the step names is not there
        """
        self.work.mkdir(parents=True, exist_ok=True)
        if not words or Path(words[0]).name != "spark-submit":
            return words, self._environment({})
        options, rest = _options(words[1:])
        conf = dict(value.partition("=")[::2] for value in options.get("--conf", []))
        archives = [*options.get("--archives", []), *([conf["spark.archives"]] if "spark.archives" in conf else [])]
        for archive in [one for value in archives for one in value.split(",")]:
            self._unpack(*archive.partition("#")[::2])
        for file in [one for value in options.get("--files", []) for one in value.split(",")]:
            self.wire.fetch(file, self.work / file.rpartition("/")[2])
        script = self.wire.fetch(rest[0], self.folder / "script" / rest[0].rpartition("/")[2]) if rest[0].startswith("s3://") else rest[0]
        from filon.places.spark_cluster import find_spark_submit

        local = {name: value for name, value in conf.items() if not name.startswith(DROPPED)}
        local |= self._local()
        told = [word for name, value in local.items() for word in ("--conf", f"{name}={value}")]
        command = [find_spark_submit(), "--master", "local[2]", "--name", options.get("--name", ["step"])[0], *told, str(script), *rest[1:]]
        return command, self._environment(conf)

    def _local(self) -> dict[str, str]:
        """What stands for the cluster: a small driver, no web page, and the jars of S3A where they are (the engine sets them up)."""
        jars = s3a_jars()
        said = {"spark.driver.memory": "1g", "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4"}
        return {**said, "spark.jars": ",".join(str(jar) for jar in jars)} if jars else said

    def _environment(self, conf: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        access = {
            "AWS_ENDPOINT_URL": self.wire.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        given = {name.removeprefix(one): value for name, value in conf.items() for one in DRIVER_ENV if name.startswith(one)}
        return {**kept, **access, **given, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONUNBUFFERED": "1"}

    def _unpack(self, uri: str, alias: str) -> None:
        file = self.wire.fetch(uri, self.folder / "archives" / uri.rpartition("/")[2])
        target = self.work / (alias or file.name)
        target.mkdir(parents=True, exist_ok=True)
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                packed.extractall(target)
        else:
            with tarfile.open(file) as packed:
                packed.extractall(target, filter="fully_trusted")  # our own archive; its links point where YARN would follow them


def _options(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """spark-submit's options by name, and what comes after them."""
    found: dict[str, list[str]] = {}
    position = 0
    while position < len(words) and words[position].startswith("--"):
        name = words[position]
        step = 2 if name in VALUES else 1
        found.setdefault(name, []).append(words[position + 1] if step == 2 else "")
        position += step
    return found, words[position:]


def s3a_jars() -> list[Path]:
    """Hadoop's S3A and its SDK, from FILON_S3A_JARS (a folder); empty when they are not there."""
    folder = Path(os.environ.get("FILON_S3A_JARS", ""))
    return sorted(folder.glob("*.jar")) if os.environ.get("FILON_S3A_JARS") else []
