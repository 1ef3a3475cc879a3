"""Models change while requests come in."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.serve.conftest import GOOD, Heard, ask, dumps

from filon.errors import RecipeError, SetupError
from filon.package import Bundle, open_bundle
from filon.package.sealed import seal
from filon.serve import server
from filon.serve.app import App
from filon.serve.capture import Capture
from filon.serve.meters import Meters
from filon.serve.models import Models
from filon.serve.plans import changing
from filon.serve.served import Served
from filon.serve.settings import CaptureSettings, Limits, ServeSettings
from filon.serve.sockets import check, token

Make = Callable[..., App]


@pytest.fixture
def shelf(sealed: Callable[..., Bundle], tmp_path: Path) -> Path:
    """Two good bundles, and one that answers its golden rows wrongly though its seal is whole."""
    folder = tmp_path / "shelf"
    shutil.copytree(sealed("xgboost").path, folder / "first")
    shutil.copytree(sealed("gbt").path, folder / "second")
    shutil.copytree(sealed("gbt").path, folder / "liar")
    record = json.loads((folder / "liar" / "bundle.json").read_text(encoding="utf-8"))
    for name in ("model.ubj", "model.onnx"):
        shutil.copy(folder / "first" / name, folder / "liar" / name)
        record["files"][name] = json.loads((folder / "first" / "bundle.json").read_text(encoding="utf-8"))["files"][name]
    record["seal"] = seal(record)
    (folder / "liar" / "bundle.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture
def serving(shelf: Path, tmp_path: Path) -> Iterator[Make]:
    made: list[App] = []

    def build(state: Path | None = None, capture: Capture | None = None, **more: object) -> App:
        meters = Meters()
        models = Models(Served(open_bundle(shelf / "first"), meters, threads=1, capture=capture), shelf=shelf, state=state)
        made.append(App(models, meters, Limits(), capture=capture, **more))
        return made[-1]

    yield build
    for app in made:
        app.close()


def change(app: App, body: bytes, **headers: str) -> Heard:
    """`POST /models`, as a program on this machine would."""
    return ask(app, "POST", "/models", body, **{"content_type": "application/json", **headers})


def probability(app: App) -> dict:
    return ask(app, "POST", "/invocations", dumps(GOOD)).json["predictions"][0]["probability"]


def test_a_new_champion_answers_after_the_swap(serving: Make, shelf: Path) -> None:
    app = serving()
    before = probability(app)
    heard = change(app, b'{"champion": "second"}')
    assert heard.status == 200
    assert heard.json["models"]["champion"]["version"] == open_bundle(shelf / "second").version
    assert tuple(probability(app).values()) == open_bundle(shelf / "second").answer(GOOD).probability
    assert probability(app) != before
    assert ask(app, "GET", "/models").json["models"] == heard.json["models"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"champion": "liar"}', 422, "serve.bundle-refused"),
        (b'{"challenger": "liar", "share": 0.5}', 422, "serve.bundle-refused"),
        (b'{"champion": "third"}', 404, "serve.bundle-unknown"),
        (b'{"champion": "../shelf/second"}', 404, "serve.bundle-unknown"),
        (b'{"champion": "/etc"}', 404, "serve.bundle-unknown"),
        (b'{"champion": 7}', 400, "serve.share-unfit"),
        (b'{"challenger": "second", "share": 2}', 400, "serve.share-unfit"),
        (b'{"challenger": "second", "share": true}', 400, "serve.share-unfit"),
        (b'{"share": 0.5}', 400, "serve.share-unfit"),  # of whom? nobody challenges
        (b'{"challenger": null, "shadow": true}', 400, "serve.share-unfit"),
        (b'{"model": "second"}', 400, "serve.share-unfit"),
        (b"{}", 400, "serve.share-unfit"),
        (b"[", 400, "serve.body-unreadable"),
    ],
)
def test_what_cannot_be_put_in_service_leaves_the_old_model(serving: Make, body: bytes, status: int, code: str, shelf: Path) -> None:
    app = serving()
    before = probability(app)
    heard = change(app, body)
    assert (heard.status, heard.error["code"]) == (status, code)
    assert str(shelf) not in heard.body.decode()
    assert probability(app) == before


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content_type": ""}, 415, "serve.media-type"),  # a page may send a blob without a type, unasked
        ({"content_type": "text/plain"}, 415, "serve.media-type"),
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "serve.media-type"),
        ({"host": "localhost:8080", "origin": "https://evil.example"}, 403, "serve.origin-foreign"),
        ({"host": "localhost:8080", "origin": "null"}, 403, "serve.origin-foreign"),
        ({"host": "localhost:8080", "origin": "http://localhost:9090"}, 403, "serve.origin-foreign"),
        ({"host": "evil.example:8080", "origin": "http://evil.example:8080"}, 403, "serve.origin-foreign"),  # its name now leads here
        ({"host": "evil.example"}, 403, "serve.origin-foreign"),
    ],
)
def test_a_web_page_cannot_change_the_model(serving: Make, headers: dict, status: int, code: str) -> None:
    app = serving()
    before = probability(app)
    heard = change(app, b'{"champion": "second"}', **headers)
    assert (heard.status, heard.error["code"]) == (status, code)
    assert probability(app) == before
    assert f'status="{status}"'.encode() in ask(app, "GET", "/metrics").body


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "LOCALHOST"])
def test_a_program_on_this_machine_changes_the_model_by_any_of_its_names(serving: Make, host: str) -> None:
    app = serving()
    assert change(app, b'{"champion": "second"}', host=host, content_type="application/json; charset=utf-8").status == 200
    assert change(app, b'{"champion": "first"}', host=host, origin=f"http://{host}").status == 200


def test_who_has_the_token_may_ask_from_anywhere(serving: Make) -> None:
    app = serving(token="of-nobody")  # pragma: allowlist secret
    words = {"host": "models.example", "origin": "https://console.example"}
    assert change(app, b'{"champion": "second"}', **words).status == 401
    assert change(app, b'{"champion": "second"}', authorization="Bearer of-nobody", **words).status == 200


def test_a_shelf_that_is_no_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("typo", "file"):
        with pytest.raises(RecipeError) as caught:
            check(ServeSettings(bundle="bundle", models=str(tmp_path / name)))
        assert caught.value.code == "serve.models-missing"
    check(ServeSettings(bundle="bundle", models=str(tmp_path)))
    check(ServeSettings(bundle="models:/bank@champion", models=str(tmp_path / "typo")))  # where versions of the registry go: it is made


def test_a_damaged_bundle_is_refused(serving: Make, shelf: Path) -> None:
    (shelf / "second" / "model.onnx").write_bytes(b"x")
    heard = change(serving(), b'{"champion": "second"}')
    assert (heard.status, heard.error["code"]) == (422, "serve.bundle-refused")
    assert "package.damaged" in heard.error["why"]


def test_a_token_is_what_stands_between_the_blanks_and_a_blank_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILON_TOKEN", "secret-of-a-file\n")  # pragma: allowlist secret
    check(ServeSettings(bundle="bundle"))
    assert token() == "secret-of-a-file"
    monkeypatch.setenv("FILON_TOKEN", " \n")
    with pytest.raises(RecipeError, match=r"serve\.token-needed"):
        check(ServeSettings(bundle="bundle"))
    monkeypatch.setenv("FILON_TOKEN", "")
    check(ServeSettings(bundle="bundle"))
    with pytest.raises(SetupError, match=r"serve\.capture-unusable"):
        check(ServeSettings(bundle="bundle", capture=CaptureSettings(place="s3://")))


def test_a_challenger_answers_its_share(serving: Make) -> None:
    app = serving()
    assert change(app, b'{"challenger": "second", "share": 0.3}').status == 200
    parts = [ask(app, "POST", "/invocations", dumps(GOOD)).headers["x-filon-part"] for _ in range(300)]
    assert 50 < parts.count("challenger") < 130
    change(app, b'{"challenger": null}')
    assert {ask(app, "POST", "/invocations", dumps(GOOD)).headers["x-filon-part"] for _ in range(20)} == {"champion"}


def test_a_shadow_answers_nobody_and_both_are_captured(serving: Make, tmp_path: Path) -> None:
    capture = Capture(CaptureSettings(place=str(tmp_path / "kept")), Meters())
    app = serving(capture=capture)
    change(app, b'{"challenger": "second", "shadow": true}')
    heard = [ask(app, "POST", "/invocations", dumps(GOOD)) for _ in range(10)]
    assert {one.headers["x-filon-part"] for one in heard} == {"champion"}
    app.close()
    assert capture.close() == 0
    kept = {part: [] for part in ("champion", "challenger")}
    for file in (tmp_path / "kept").rglob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            kept[file.relative_to(tmp_path / "kept").parts[1]].append(json.loads(line)["eventMetadata"]["eventId"])
    assert sorted(kept["champion"]) == sorted(kept["challenger"]) == sorted(one.headers["x-filon-event-id"] for one in heard)


def test_other_workers_follow(serving: Make, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    told, other = serving(state), serving(state)
    assert not other.models.follow()
    change(told, b'{"champion": "second"}')
    assert other.models.follow()
    assert not other.models.follow()
    assert probability(other) == probability(told)
    late = serving(state)
    late.models.follow()
    assert probability(late) == probability(told)


def test_a_worker_that_is_told_first_knows_what_another_one_was_told_a_moment_ago(serving: Make, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    one, other = serving(state), serving(state)
    change(one, b'{"champion": "second"}')
    heard = change(other, b'{"challenger": "first", "share": 0.5}')
    assert heard.json["plan"] == {"champion": "second", "challenger": "first", "share": 0.5, "shadow": False}
    assert one.models.follow()
    assert one.models.plan == other.models.plan
    assert one.models.champion.version == other.models.champion.version


def test_wishes_that_come_at_once_are_all_heard(serving: Make, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    apps = [serving(state), serving(state)]
    wishes = [{"champion": "second"}, {"challenger": "first", "shadow": True}]
    threads = [threading.Thread(target=app.models.change, args=(wish,)) for app, wish in zip(apps, wishes, strict=True)]
    with changing(state):
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert not (state / "plan.json").exists()  # who changes it does so alone
    for thread in threads:
        thread.join()
    told = json.loads((state / "plan.json").read_text(encoding="utf-8"))
    assert told == {"champion": "second", "challenger": "first", "share": 0.0, "shadow": True}


def test_what_cannot_be_followed_ends_no_thread(
    serving: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    told, other = serving(state), serving(state)
    change(told, b'{"champion": "second"}')

    def fails(*_: object) -> None:
        raise RuntimeError("a library's own error")

    with monkeypatch.context() as broken:
        broken.setattr("filon.serve.models.open_bundle", fails)
        server._catch_up(other.models)
    assert "this worker keeps its models: RuntimeError: a library's own error" in capsys.readouterr().err
    assert other.models.plan.champion == "first"


def test_without_a_shelf_no_model_can_be_named(make: Make) -> None:
    heard = change(make(), b'{"champion": "second"}')
    assert (heard.status, heard.error["code"]) == (404, "serve.bundle-unknown")


def test_a_server_that_follows_an_alias_is_not_changed_by_a_request(sealed: Callable[..., Bundle], tmp_path: Path) -> None:
    shutil.copytree(sealed("gbt").path, tmp_path / "second")
    meters = Meters()
    app = App(Models(Served(sealed(), meters, threads=1), shelf=tmp_path, closed=True), meters, Limits())
    heard = change(app, dumps({"champion": "second"}))
    assert (heard.status, heard.error["code"]) == (404, "serve.bundle-unknown")
    assert app.models.champion.bundle.version == sealed().version
    app.close()
