"""Captures in a real S3 server: found by their hours, streamed in place."""

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.servers.s3 import BUCKET, S3, s3, s3_servers  # noqa: F401 : fixtures

from filon.engines.base import Column
from filon.engines.captures import EVENT
from filon.engines.embedded.captured import CapturedTable
from filon.errors import DataError
from filon.events import silence
from filon.serve.capture import plain_name
from filon.watch.asking import Asked, source_of

pytestmark = pytest.mark.server

AGE = Column(name="age", kind="number")


def line(event: str, age: int) -> str:
    asked = {"observedContentType": "text/csv", "mode": "INPUT", "data": f"{age}\n", "encoding": "CSV"}
    about = {"eventId": event, "inferenceTime": "2026-11-20T10:15:00Z"}
    return json.dumps({"captureData": {"endpointInput": asked}, "eventMetadata": about, "eventVersion": "0"}) + "\n"


def test_captures_of_an_endpoint_are_read_from_s3_within_the_window(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    store = s3.filesystem()
    for hour in (9, 10, 11):
        key = f"{BUCKET}/capture/endpoint/AllTraffic/2026/11/20/{hour:02d}/15-00-000-abc.jsonl"
        with store.open_output_stream(key) as out:
            out.write("".join(line(f"e{hour}-{number}", 20 + number) for number in range(5)).encode())
    bundle = SimpleNamespace(name="bank", inputs=(AGE,), derived=(), record={"run": {"read": {"missing": ["?", ""]}}})
    asked = Asked(capture=f"s3://{BUCKET}/capture/endpoint/AllTraffic")
    since = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC).timestamp()
    source = source_of(bundle, asked, since, silence)  # type: ignore[arg-type]
    assert [file.path.split("/")[-2] for file in source.files] == ["10", "11"]
    assert source.dialect is not None
    assert source.dialect.missing == ("", "?")  # words of the recipe
    rows = [row for batch in CapturedTable(source, 2, silence).batches(["age", EVENT]) for row in batch.to_pylist()]
    assert rows == [{"age": 20.0 + number, EVENT: f"e{hour}-{number}"} for hour in (10, 11) for number in range(5)]
    with pytest.raises(DataError, match="nothing to watch"):
        source_of(bundle, asked, since + 7 * 86400, silence)  # type: ignore[arg-type]


@pytest.mark.parametrize("remote", [True, False], ids=["S3", "local"])
def test_only_the_champions_captures_of_this_model_are_watched(
    s3: S3,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    remote: bool,
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    for model, part in (("bank north", "champion"), ("bank north", "challenger"), ("other", "champion")):
        where = f"{plain_name(model)}/{part}/2026/11/20/10/10-00-00-0-1.jsonl"
        text = line(f"{model} {part}", 30)
        if remote:
            s3.put(f"shadow/{where}", text.encode())
        else:
            (tmp_path / where).parent.mkdir(parents=True)
            (tmp_path / where).write_text(text)
    place = f"s3://{BUCKET}/shadow" if remote else str(tmp_path)

    def events(name: str, place: str) -> list[str]:
        bundle = SimpleNamespace(name=name, inputs=(AGE,), derived=(), record={})
        source = source_of(bundle, Asked(capture=place), None, silence)  # type: ignore[arg-type]
        return [row[EVENT] for batch in CapturedTable(source, 1, silence).batches([EVENT]) for row in batch.to_pylist()]

    assert events("bank north", place) == events("bank north", f"{place}/") == ["bank north champion"]
    assert events("bank north", f"{place}/bank-north") == ["bank north champion"]
    assert events("bank north", f"{place}/bank-north/challenger") == ["bank north challenger"]  # what is named is taken
    assert events("other", place) == ["other champion"]
