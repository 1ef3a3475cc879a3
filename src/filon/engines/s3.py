"""The S3 client (Arrow's own), set up by the AWS environment variables and profiles, with errors in Filon's words."""

import configparser
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filon.errors import DataError, FilonError, SetupError

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
QUIET_S = 10.0
"""An answer of which nothing comes for so long is given up and asked for again."""

ATTEMPTS = 3
ANSWER_TIMEOUT_S = 120.0
"""Longest wait for one answer, whatever trickles in: a dead server must not hang a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How S3 is reached: `endpoint` is "" for Amazon's own, `region` "" when nobody said; credentials are found by the client itself."""

    endpoint: str = ""
    region: str = ""
    profile: str = ""


def is_remote(path: str) -> bool:
    """Whether a path is an S3 URI."""
    return path.startswith("s3://")


def access() -> Access:
    """What the environment and the profile say of S3, by the rules of the AWS command line (environment first)."""
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    said = _profile(profile)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or said.get("endpoint_url", "")
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        endpoint = ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or said.get("region", "")
    return Access(endpoint=endpoint, region=region, profile=profile)


def _profile(name: str) -> dict[str, str]:
    """Keys of a profile of the config file; the S3 keys of its `services` section come before its own."""
    file = Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except configparser.Error as exc:
        raise SetupError(
            "read.s3-profile",
            "the AWS config file cannot be read",
            f"{file}: {str(exc).splitlines()[0]}",
            "correct the file, or unset AWS_CONFIG_FILE",
        ) from exc
    section = "default" if name == "default" else f"profile {name}"
    if not parser.has_section(section):
        return {}
    said = dict(parser[section])
    services = f"services {said.get('services', '')}"
    if parser.has_section(services):
        lines = [line.split("=", 1) for line in parser[services].get("s3", "").splitlines() if "=" in line]
        said.update({key.strip(): value.strip() for key, value in lines})
    return said


def filesystem() -> Any:
    """Arrow's S3 filesystem for this environment (one per setting: opening one costs 50 ms)."""
    return _filesystem(access(), os.environ.get("AWS_ACCESS_KEY_ID", ""))


@lru_cache(maxsize=8)
def _filesystem(reach: Access, _key: str) -> Any:
    from pyarrow import fs

    where: dict[str, Any] = {}
    if reach.endpoint:
        parts = urlsplit(reach.endpoint)
        where = {"endpoint_override": parts.netloc or parts.path, "scheme": parts.scheme or "https"}
    return fs.S3FileSystem(
        region=reach.region or "us-east-1",
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=QUIET_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        allow_bucket_creation=False,
        **where,
    )


def key_of(uri: str) -> str:
    """`bucket/key` of an S3 URI.

    >>> key_of("s3://bucket/a/b.csv")
    'bucket/a/b.csv'
    """
    return uri.removeprefix("s3://").rstrip("/")


def ask(call: Callable[[], T], uri: str, timeout_s: float = ANSWER_TIMEOUT_S) -> T:
    """One call to the server in bounded time.

    Raises
    ------
    DataError : `read.s3-missing` (404), `read.s3-refused` (403)
    SetupError : `read.s3-unreachable` (no answer, or none in time)
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as exc:  # handed to the caller's thread
            answer.set_exception(exc)

    threading.Thread(target=work, daemon=True, name="filon-s3").start()
    try:
        return answer.result(timeout_s)
    except OutOfTime as exc:
        raise _unreachable(uri, f"no answer within {timeout_s:.0f} s") from exc
    except FilonError:
        raise
    except (OSError, ValueError) as exc:
        raise translated(exc, uri) from exc


def translated(exc: Exception, uri: str) -> FilonError:
    """A coded error for what Arrow's S3 client raised."""
    said = " ".join(str(exc).split())
    low = said.lower()
    endpoint = access().endpoint or "Amazon S3"
    if (
        isinstance(exc, FileNotFoundError)
        or "http status 404" in low
        or "no_such" in low
        or "nosuch" in low
        or "not found" in low
        or "path does not exist" in low
    ):
        return DataError(
            "read.s3-missing",
            f"there is nothing at {uri}",
            f"{endpoint} answers 404: {said[:200]}",
            f"list what is there: aws s3 ls {_parent(uri)}",
        )
    if any(
        word in low
        for word in (
            "access_denied",
            "access denied",
            "accessdenied",
            "http status 403",
            "forbidden",
            "signature",
            "invalid_access_key",
            "credentials",
            "expired",
        )
    ):
        return DataError(
            "read.s3-refused",
            f"S3 refuses to let us read {uri}",
            f"{endpoint} answers 403: {said[:200]}",
            "set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) to someone who may s3:GetObject and s3:ListBucket there",
        )
    return _unreachable(uri, re.sub(r" after \d+ ms", "", said)[:240])  # the same words every time, on every engine


def _parent(uri: str) -> str:
    return "s3://" + key_of(uri).rpartition("/")[0] + "/"


def _unreachable(uri: str, said: str) -> SetupError:
    reach = access()
    return SetupError(
        "read.s3-unreachable",
        f"S3 does not answer for {uri}",
        f"endpoint {reach.endpoint or 'of Amazon'}, region {reach.region or 'us-east-1 (nobody said which)'}: {said}",
        "check the network, AWS_REGION and AWS_ENDPOINT_URL; the command can be run again as it is",
    )
