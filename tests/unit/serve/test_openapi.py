"""The page and the description of the server."""

import base64
import hashlib
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


FILL = """
{
const row = ROW, token = TOKEN, find = (path) => document.querySelector(path);
addEventListener("load", () => {
  const look = setInterval(() => {
    if (!find("#token").hidden && !find("#secret").value) { find("#secret").value = token; find("#token button").click(); }
    if (!find("#row button")) return;
    clearInterval(look);
    for (const [name, value] of Object.entries(row)) find(`#row [name="${name}"]`).value = value;
    find("#row button").click();
  }, 50);
});
}
"""
"""What a person does: the token where it is asked for, a value in each field, the button."""


@pytest.mark.browser
@pytest.mark.parametrize("token", ["", "of-nobody"])  # pragma: allowlist secret
def test_a_person_can_try_a_row_in_chromium(make: Make, tmp_path: Path, token: str) -> None:
    chromium = shutil.which("chromium") or pytest.skip("Chromium is not installed")
    app = make(token=token)
    plain = app.routes["/"]["GET"]
    typed = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in GOOD.items()}
    script = FILL.replace("ROW", dumps(typed).decode()).replace("TOKEN", dumps(token).decode())
    ours = b"script-src 'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()) + b"' "

    async def filled(*words: object) -> tuple:
        """The page with a person before it; its policy, which lets no other script run, lets this one."""
        status, kind, body, headers = await plain(*words)
        headers = [(name, value.replace(b"script-src ", ours)) for name, value in headers]
        return status, kind, body.replace(b"</body>", f"<script>{script}</script></body>".encode()), headers

    app.routes["/"]["GET"] = filled
    with running(app) as port:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--virtual-time-budget=6000", "--dump-dom"]
        shown = subprocess.run(
            [chromium, *flags, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=120, check=True
        ).stdout
    expected = app.models.champion.bundle.predict([GOOD], threads=1).to_pylist()[0]
    label, *shares = expected.values()
    assert f'<h3 id="label">{label}</h3>' in shown
    assert re.findall(r'class="number">([\d.]+) %<', shown) == [f"{100 * share:.1f}" for share in shares]
    assert len(re.findall(r'class="number">[+-]?\d', shown)) == 2 + len(GOOD)  # and the reasons
    assert 'class="warn"' not in shown
    assert shown.count("<select") == 3
    assert '<option value="miner">miner</option>' in shown
