"""S3 as the AWS variables and profiles describe it, against a real server; refusals are told by code and in bounded time."""

import datetime as dt
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures

from filon.engines.embedded.reader import EmbeddedTable, open_table
from filon.engines.s3 import Access, access
from filon.engines.storage import find_files
from filon.errors import DataError, FilonError, SetupError
from filon.events import Event
from filon.read import read
from filon.read.settings import DataSettings

CONFIG = """
[default]
region = eu-south-2
endpoint_url = http://default:1

[profile mine]
region = us-west-2
services = ours

[services ours]
s3 =
  endpoint_url = http://ours:9000
sqs =
  endpoint_url = http://queue:1
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.mark.usefixtures("profiles")
class TestAccess:
    """Who says where S3 is: the environment first, then the profile's services, then the profile."""

    def test_the_default_profile(self) -> None:
        assert access() == Access(endpoint="http://default:1", region="eu-south-2", profile="default")

    def test_a_profile_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "mine")
        assert access() == Access(endpoint="http://ours:9000", region="us-west-2", profile="mine")

    def test_the_environment_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "mine")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
        assert (access().endpoint, access().region) == ("http://all:1", "sa-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3:1")
        monkeypatch.setenv("AWS_REGION", "us-east-2")
        assert (access().endpoint, access().region) == ("http://s3:1", "us-east-2")
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        assert access().endpoint == ""

    def test_a_broken_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "config").write_text("region = x\n[default\n")
        with pytest.raises(SetupError, match=r"read\.s3-profile"):
            access()


def test_a_server_that_nobody_runs_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _as(monkeypatch, "http://127.0.0.1:1")
    start = time.monotonic()
    with pytest.raises(SetupError, match=r"read\.s3-unreachable"):
        find_files("s3://mine/t.csv", Path())
    assert time.monotonic() - start < 15


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes every call and never answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen(50)
        held: list[socket.socket] = []

        def hold() -> None:
            while True:
                try:
                    held.append(one.accept()[0])
                except OSError:
                    return

        threading.Thread(target=hold, daemon=True).start()
        yield f"http://127.0.0.1:{one.getsockname()[1]}"
        for each in held:
            each.close()


def test_a_server_that_never_answers_does_not_hang_us(monkeypatch: pytest.MonkeyPatch, silent_server: str) -> None:
    monkeypatch.setattr("filon.engines.s3.QUIET_S", 1.0)
    _as(monkeypatch, silent_server)
    start = time.monotonic()
    with pytest.raises(SetupError, match=r"read\.s3-unreachable"):
        find_files("s3://mine/t.csv", Path())
    assert time.monotonic() - start < 20


def _as(monkeypatch: pytest.MonkeyPatch, endpoint: str, key: str = "a", secret: str = "b") -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def opened(folder: Path, source: str, heard: list[Event] | None = None, **said: Any) -> EmbeddedTable:
    settings = DataSettings.model_validate({"source": source, "label": "y", **said})
    listen = (heard if heard is not None else []).append
    return open_table(read(settings, folder, listen), folder / "scratch", listen=listen)


def rows(table: EmbeddedTable) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pa.Table.from_batches(list(table.batches())).to_pydict()
    return found


@pytest.mark.server
class TestServer:
    """Against SeaweedFS."""

    def test_a_csv_is_read_and_copied_once(self, s3: S3, tmp_path: Path) -> None:  # noqa: F811
        lines = "".join(f"{k},niño,{k % 2}\n" for k in range(300_000))
        uri = s3.put("one/t.csv", ("a,ñ,y\n" + lines).encode("cp1252"))
        heard: list[Event] = []
        table = opened(tmp_path, uri, heard)
        assert table.source.files[0].path == uri
        assert table.source.files[0].size_bytes == len(lines) + 6
        found = rows(table)
        assert (found["a"], found["ñ"][0]) == ([float(k) for k in range(300_000)], "niño")
        assert len(list((tmp_path / "scratch").rglob("mine/one/t.csv"))) == 1

    def test_gzip_and_a_name_with_odd_signs(self, s3: S3, tmp_path: Path) -> None:  # noqa: F811
        # not named .gz: SeaweedFS packs such objects once more on their way out, which S3 does not
        uri = s3.put("odd/día 1 [a]+b.packed", gzip.compress(b"a,y\n1,p\n2,q\n"))
        assert rows(opened(tmp_path, uri)) == {"a": [1.0, 2.0], "y": ["p", "q"]}

    def test_a_hive_folder_and_globs(self, s3: S3, tmp_path: Path) -> None:  # noqa: F811
        for year, zone in ((2023, "north"), (2024, "Le%C3%B3n")):
            folder = tmp_path / f"t/year={year}/zone={zone}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"a": [year], "on": [dt.date(year, 1, 1)], "y": ["p"]}), folder / "part-0.parquet")
        (tmp_path / "t/_SUCCESS").touch()
        uri = s3.put_folder(tmp_path / "t", "hive/t")
        wanted = {
            "a": [2023, 2024],
            "on": [dt.datetime(2023, 1, 1), dt.datetime(2024, 1, 1)],
            "y": ["p", "p"],
            "year": [2023.0, 2024.0],
            "zone": ["north", "León"],
        }
        for source in (uri, uri + "/", uri + "/**/*.parquet", uri + "/*/*/part-?.parquet"):
            assert rows(opened(tmp_path, source)) == wanted
        assert rows(opened(tmp_path, uri + "/year=2024"))["a"] == [2024]

    def test_what_is_not_there_is_told(self, s3: S3, tmp_path: Path) -> None:  # noqa: F811
        for uri in ("s3://mine/nothing.csv", "s3://mine/nothing/", "s3://nobodys/t.csv", "s3://mine/odd/*.orc", "s3://"):
            with pytest.raises(DataError) as told:
                read(DataSettings(source=uri, label="y"), tmp_path)
            assert told.value.code == "read.s3-missing"

    def test_what_we_may_not_read_is_told_without_secrets(self, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
        uri = s3.put("one/closed.csv", b"a,y\n1,p\n")
        for key, secret in (s3.stranger, (s3.key, "wrong-secret"), ("unknown", "whoever")):
            _as(monkeypatch, s3.endpoint, key, secret)
            for one in (uri, "s3://mine/one", "s3://mine/one/*.csv"):
                with pytest.raises(FilonError) as told:
                    read(DataSettings(source=one, label="y"), tmp_path)
                assert told.value.code == "read.s3-refused"
                assert secret not in str(told.value)

    def test_an_object_that_vanishes_between_look_and_copy_is_told(self, s3: S3, tmp_path: Path) -> None:  # noqa: F811
        uri = s3.put("one/short.csv", b"a,y\n1,p\n")
        source = read(DataSettings(source=uri, label="y"), tmp_path)
        s3.filesystem().delete_file("mine/one/short.csv")
        with pytest.raises(DataError, match=r"read\.s3-missing"):
            open_table(source, tmp_path / "scratch")
        s3.put("one/short.csv", b"a,y\n1,p\n2,q\n")
        with pytest.raises(SetupError, match=r"read\.s3-changed"):
            open_table(source, tmp_path / "scratch")
        assert not list((tmp_path / "scratch").rglob("*.part"))

    def test_profiles_and_files_of_credentials_are_enough(self, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
        uri = s3.put("one/profile.csv", b"a,y\n1,p\n")
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.delenv(name)
        (tmp_path / "config").write_text(f"[profile mine]\nendpoint_url = {s3.endpoint}\nregion = us-east-1\n")
        (tmp_path / "credentials").write_text(f"[mine]\naws_access_key_id = {s3.key}\naws_secret_access_key = {s3.secret}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_PROFILE", "mine")
        assert rows(opened(tmp_path, uri)) == {"a": [1.0], "y": ["p"]}
