"""Follows an alias of MLflow's model registry: looks by plain HTTP, and lets a program of its own fetch and prove a new version.

Neither the supervisor nor the workers import MLflow. Whatever goes wrong (the registry is away, a bundle fails its golden rows), what is in
service stays.
"""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from filon import errors
from filon.errors import FilonError, SetupError
from filon.files import write_atomic
from filon.serve.meters import Meters
from filon.serve.plans import changing
from filon.serve.settings import Followed, ServeSettings
from filon.serve.sockets import log

FETCH = "filon.registry.fetching"
"""The program that fetches a version: of a room above this one, so it is called by name and never imported."""

FETCH_S = 600.0
ASK_S = 10.0


def fetch(followed: Followed, shelf: Path) -> dict[str, str]:
    """The version that the alias points at, proved by its golden rows and put on the shelf: `version` and `folder`.

    Raises
    ------
    FilonError : `track.*`, `registry.*`, `serve.bundle-refused`, `package.*`, as the program said it
    """
    return _asked({"uri": followed.uri, "name": followed.name, "alias": followed.alias, "shelf": str(shelf), "have": followed.have})


def _asked(words: dict[str, str]) -> dict[str, str]:
    command = [sys.executable, "-m", FETCH, json.dumps(words)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise _unfetched(f"the program that fetches it said nothing within {FETCH_S:g} s") from exc
    try:
        told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as exc:
        said = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise _unfetched(f"the program that fetches it ended with exit code {done.returncode}: {said[0][:200]}") from exc
    if "error" in told:
        error = told["error"]
        raise getattr(errors, error["family"])(error["code"], error["what"], error["why"], error["fix"])
    return told


def _unfetched(why: str) -> SetupError:
    return SetupError("serve.registry-unusable", "the registry's version could not be fetched", why, "look at the registry")


def first(settings: ServeSettings, followed: Followed, shelf: Path) -> ServeSettings:
    """Settings to begin with: the version the alias points at, or, with the registry away, the one that was served last from this shelf.

    Raises
    ------
    FilonError : as `fetch`, when the shelf has nothing of this alias
    """
    note = shelf / f".{plain(followed.name)}@{plain(followed.alias)}.json"
    try:
        told = fetch(followed, shelf)
    except FilonError as exc:
        if not exc.code.startswith("track.") or not note.exists():
            raise
        told = json.loads(note.read_text(encoding="utf-8"))
        log(f"{exc.what} ({exc.why}); version {told['version']} was served last, and is served again")
    write_atomic(note, json.dumps(told))
    return replace(settings, bundle=str(shelf / told["folder"]), shelf=str(shelf), followed=replace(followed, have=told["version"]))


def plain(name: str) -> str:
    """A name as a file of its folder and nowhere else."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


class Follower(threading.Thread):
    """Looks at the alias every so often; tells the workers through the plan they share.

    Parameters
    ----------
    shelf : folder in which versions are kept; state : folder that the workers share
    """

    def __init__(self, followed: Followed, shelf: Path, state: Path) -> None:
        super().__init__(name="filon-registry", daemon=True)
        self.followed, self.shelf, self.state = followed, shelf, state
        self.have = followed.have
        self.refused = ""
        self.away = False
        self._number = self._said = ""
        self.meters = Meters(state / "meters-registry")
        self._over = threading.Event()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._over.wait(self.followed.every_s):
            self.look()

    def look(self) -> bool:
        """One look; whether another version was put in service. It never raises: nobody would begin this thread again."""
        try:
            return self._look()
        except FilonError as exc:
            self._failed(exc)
        except Exception as exc:  # a full disk, an answer that is no HTTP: said and counted, and the next look comes
            why = f"{type(exc).__name__}: {exc}"
            self._failed(SetupError("serve.registry-unusable", "the alias was looked at in vain", why, "look at the registry"))
        return False

    def _look(self) -> bool:
        self._number = ""
        self._number = self._pointed()
        if self._number != self.refused:  # the alias has moved since; when it comes back, that version has another chance
            self.refused = ""
        if self._number in {self.have, self.refused}:
            self._heard()
            return False
        told = fetch(replace(self.followed, have=self.have), self.shelf)
        is_new = told["version"] != self.have
        if is_new:
            self._install(told)
        self._heard()
        return is_new

    def _install(self, told: dict[str, str]) -> None:
        write_atomic(self.shelf / f".{plain(self.followed.name)}@{plain(self.followed.alias)}.json", json.dumps(told))
        with changing(self.state) as plan:
            now = json.loads(plan.read_text(encoding="utf-8")) if plan.exists() else {}
            write_atomic(plan, json.dumps({**now, "champion": told["folder"]}))
        log(f"{self.followed.name} {self.followed.alias}: version {told['version']} takes the place of version {self.have}")
        self.have, self.refused = told["version"], ""
        self.meters.add("swaps")

    def _failed(self, exc: FilonError) -> None:
        """Said once, until it is otherwise. A version that does not prove itself is not asked for again before the alias moves."""
        if exc.code.startswith(("package.", "serve.bundle", "registry.no-bundle")):
            self.refused = self._number
            self.meters.add("registry_refused")
            self._say(f"version {self._number} is not put in service: {exc.what} ({exc.why}); version {self.have} stays")
            return
        self.meters.add("registry_failed")
        self._say(f"the registry cannot be followed: {exc.what} ({exc.why}); version {self.have} stays")
        self.away = True

    def _say(self, text: str) -> None:
        if text != self._said:
            log(text)
        self._said = text

    def _heard(self) -> None:
        if self.away:
            log("the registry is followed again")
        self.away, self._said = False, ""

    def _pointed(self) -> str:
        """Number of the version the alias points at: by HTTP, or by the program where there is no server to ask."""
        if not self.followed.uri.startswith(("http://", "https://")):
            return _asked({"uri": self.followed.uri, "name": self.followed.name, "alias": self.followed.alias})["version"]
        try:
            return pointed(self.followed)
        except (OSError, http.client.HTTPException) as exc:
            why = str(exc) or type(exc).__name__
            raise SetupError("track.server-away", "the registry does not answer", why, "start it; what is in service stays") from exc


def pointed(followed: Followed) -> str:
    """Number of the version an alias points at, from MLflow's REST API.

    Raises
    ------
    OSError : no answer; SetupError : `serve.registry-unusable`
    """
    query = urlencode({"name": followed.name, "alias": followed.alias})
    request = urllib.request.Request(f"{followed.uri.rstrip('/')}/api/2.0/mlflow/registered-models/alias?{query}", headers=_credentials())
    try:
        with urllib.request.urlopen(request, timeout=ASK_S) as heard:
            return str(json.load(heard)["model_version"]["version"])
    except urllib.error.HTTPError as exc:
        said = exc.read(300).decode("utf-8", "replace")
        exc.close()
        if exc.code >= 500:
            raise OSError(f"HTTP {exc.code}") from exc
        why = f"HTTP {exc.code}: {said}"
        raise SetupError("serve.registry-unusable", f"{followed.name}@{followed.alias} is not to be had", why, "look at the model") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise SetupError("serve.registry-unusable", "what answers there is no MLflow", str(exc), "correct --registry") from exc


def _credentials() -> dict[str, str]:
    """As MLflow's own client reads them."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    user, word = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and word:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{word}'.encode()).decode()}"}
    return {}
