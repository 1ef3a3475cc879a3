"""The page and the description of the server."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from tests.unit.serve.conftest import GOOD, ask, dumps, running

from filon.serve.app import App

Make = Callable[..., App]


def test_the_description_fits_what_is_asked_and_answered(make: Make) -> None:
    app = make(classes=3)
    api = ask(app, "GET", "/openapi.json").json
    assert api["openapi"].startswith("3.1")
    assert list(api["components"]["schemas"]["Row"]["properties"]) == list(GOOD)
    jsonschema.validate(GOOD, api["components"]["schemas"]["Row"])
    answers = ask(app, "POST", "/invocations?explain=3", dumps({**GOOD, "job": "astronaut"})).json
    whole = {**api["components"]["schemas"]["Answers"], "$defs": api["components"]["schemas"]}
    jsonschema.validate(answers, whole)
    refusal = ask(app, "POST", "/invocations", b"{").json
    jsonschema.validate(refusal, api["components"]["schemas"]["Refusal"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, "age": "old"}, api["components"]["schemas"]["Row"])


def test_the_page_speaks_to_nobody_else_and_tells_nothing_before_the_token(make: Make) -> None:
    app = make(token="of-nobody")  # pragma: allowlist secret
    heard = ask(app, "GET", "/")
    assert heard.status == 200
    assert "default-src 'none'" in heard.headers["content-security-policy"]
    assert not re.search(rb"https?://", heard.body)
    assert b"Temperature" not in heard.body
    assert ask(app, "GET", "/openapi.json").status == 401


@pytest.mark.browser
def test_a_person_can_try_a_row_in_chromium(make: Make, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or pytest.skip("Chromium is not installed")
    press = "<script>addEventListener('load',()=>setTimeout(()=>document.querySelector('#row button').click(),700))</script></body>"
    app = make()
    plain = app.routes["/"]["GET"]

    async def pressing(*words: object) -> tuple:
        status, kind, body, _ = await plain(*words)
        return status, kind, body.replace(b"</body>", press.encode()), []

    app.routes["/"]["GET"] = pressing
    with running(app) as port:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--virtual-time-budget=6000", "--dump-dom"]
        shown = subprocess.run(
            [chromium, *flags, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=120, check=True
        ).stdout
    empty = dict.fromkeys(GOOD)
    expected = json.loads(ask(app, "POST", "/invocations", dumps(empty)).body)["predictions"][0]
    assert f'<h3 id="label">{expected["label"]}</h3>' in shown
    assert f"{100 * expected['probability']['class 1']:.1f} %" in shown
    assert shown.count("<select") == 3
    assert '<option value="miner">miner</option>' in shown
