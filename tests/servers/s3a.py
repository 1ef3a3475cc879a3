"""Hadoop's S3A client as jars: Spark has it on EMR, and nowhere else. They come out of a source package of PyPI, once for a user."""

import fcntl
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

PACKAGE = "sagemaker-pyspark==1.4.5"
WANTED = ("hadoop-aws-", "aws-java-sdk-bundle-")
"""S3A of Hadoop 3.3.1 and its SDK: old, but the only one on PyPI; `engines.spark.s3a` sets what Hadoop 3.4 would break."""


def jars() -> list[Path]:
    """The two jars, downloaded when they are not there yet; the test is skipped where they cannot be."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "filon" / "s3a-jars"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = [path for name in WANTED for path in folder.glob(f"{name}*.jar")]
        if len(found) < len(WANTED):
            _download(folder)
            found = [path for name in WANTED for path in folder.glob(f"{name}*.jar")]
    if len(found) < len(WANTED):
        pytest.skip(f"{PACKAGE} has not the jars of S3A")
    return found


def _download(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="filon-s3a-") as place:
        words = ["download", "-q", "--no-deps", "--dest", place, PACKAGE]
        done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
        packages = list(Path(place).glob("*.tar.gz"))
        if not packages:
            pytest.skip(f"{PACKAGE}, which has the jars of S3A, cannot be downloaded: {done.stderr[-300:]}")
        with tarfile.open(packages[0]) as tar:
            for entry in tar:
                name = Path(entry.name).name
                if name.startswith(WANTED) and name.endswith(".jar"):
                    source = tar.extractfile(entry)
                    assert source is not None
                    beside = folder / f".{name}.tmp"
                    with beside.open("wb") as out:
                        while data := source.read(1 << 20):
                            out.write(data)
                    beside.replace(folder / name)
