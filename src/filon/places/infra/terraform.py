"""Terraform (or OpenTofu) as a child process: its own words become events, its failures coded errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filon.errors import PlaceError, RecipeError, SetupError
from filon.events import Event, Listen, silence
from filon.places.infra.writing import MARK, is_ours

PLAN = "filon.tfplan"
OLDEST = (1, 5)
SILENCE_S = 4.0
"""Law 8: a little under five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What Terraform would do: how many resources, which (address and action), and its own text of it."""

    add: int
    change: int
    remove: int
    changes: tuple[tuple[str, str], ...]
    text: str
    destroy: bool = False

    @property
    def nothing(self) -> bool:
        """Whether everything is as it should be."""
        return not self.changes


class Terraform:
    """Commands on one folder that `filon infra init` wrote.

    Raises
    ------
    SetupError : `infra.terraform-missing`, `infra.terraform-old`
    RecipeError : `infra.not-ours`
    """

    def __init__(self, folder: Path, listen: Listen = silence) -> None:
        self.folder, self.listen = folder, listen
        if not is_ours(folder):
            raise RecipeError(
                "infra.not-ours",
                f"{folder} is not a folder of `filon infra`",
                f"it has no {MARK}: nothing there was made by filon, so filon does not touch it",
                "filon infra init RECIPE, or name the folder with --folder",
            )
        self.program = _program()

    def init(self) -> None:
        """Fetch the provider.

        Raises
        ------
        SetupError : `infra.provider-unreachable`, `infra.terraform-failed`
        """
        self.listen(Event(stage="infra", text="terraform init"))
        done = self._run("init", "-input=false", "-no-color")
        if done.code:
            said = _last(done.said)
            if re.search(r"could not connect|failed to (?:query|install|request)|registry|lookup", " ".join(done.said), re.IGNORECASE):
                raise SetupError(
                    "infra.provider-unreachable",
                    "Terraform cannot fetch the AWS provider",
                    said,
                    "open the way to registry.terraform.io, or name a mirror in the file TF_CLI_CONFIG_FILE points at",
                )
            raise SetupError("infra.terraform-failed", "terraform init failed", said, f"terraform -chdir={self.folder} init")

    def plan(self, *, destroy: bool = False, only: Sequence[str] = ()) -> Plan:
        """What would be done; kept in a file, so that `apply` does that and nothing else.

        Parameters
        ----------
        destroy : take down instead of make
        only : addresses to look at; empty for all

        Raises
        ------
        PlaceError : `infra.plan-failed`, `infra.locked`
        """
        words = [*(["-destroy"] if destroy else []), *(f"-target={one}" for one in only)]
        self.listen(Event(stage="infra", text="terraform plan"))
        done = self._run("plan", "-json", "-input=false", f"-out={PLAN}", *words)
        if done.code:
            raise _failed("infra.plan-failed", "Terraform cannot plan", done, self.folder)
        shown = json.loads(self._quiet("show", "-json", PLAN))
        changes = tuple(
            (one["address"], "/".join(one["change"]["actions"]))
            for one in shown.get("resource_changes", [])
            if one["change"]["actions"] not in (["no-op"], ["read"])
        )
        return Plan(
            add=sum("create" in actions for _, actions in changes),
            change=sum(actions == "update" for _, actions in changes),
            remove=sum("delete" in actions for _, actions in changes),
            changes=changes,
            text=self._quiet("show", "-no-color", PLAN),
            destroy=destroy,
        )

    def apply(self, plan: Plan) -> None:
        """Do what was planned and shown.

        Raises
        ------
        PlaceError : `infra.apply-failed`, `infra.locked`; what was made stands in Terraform's state, and a second `up` goes on
        """
        total = sum(what.count("/") + 1 for _, what in plan.changes)  # what is replaced is deleted and created
        try:
            done = self._run("apply", "-json", "-input=false", PLAN, total=total)
        finally:
            (self.folder / PLAN).unlink(missing_ok=True)
        if done.code:
            raise _failed("infra.apply-failed", "Terraform did not finish", done, self.folder)

    def outputs(self) -> dict[str, Any]:
        """Outputs of what stands; empty when nothing does."""
        return {name: one["value"] for name, one in json.loads(self._quiet("output", "-json") or "{}").items()}

    def resources(self) -> list[str]:
        """Addresses of what was made here and stands."""
        done = self._run("state", "list", tell=False)
        return [one for one in done.said if one and not one.startswith("data.")] if not done.code else []

    def bucket(self) -> str:
        """Name of the bucket that was made here; empty when none stands."""
        shown = json.loads(self._quiet("show", "-json") or "{}")
        found = shown.get("values", {}).get("root_module", {}).get("resources", [])
        return next((str(one["values"]["bucket"]) for one in found if one["type"] == "aws_s3_bucket"), "")

    def _quiet(self, *words: str) -> str:
        """Standard output of a command that is quick and says nothing a person needs."""
        done = subprocess.run(
            [self.program, f"-chdir={self.folder}", *words], capture_output=True, text=True, env=_environment(), check=False
        )
        if done.returncode:
            said = _last(done.stderr.splitlines() or done.stdout.splitlines())
            raise PlaceError("infra.plan-failed", f"terraform {words[0]} failed", said, f"terraform -chdir={self.folder} {' '.join(words)}")
        return done.stdout

    def _run(self, *words: str, tell: bool = True, total: int = 0) -> _Done:
        process = subprocess.Popen(
            [self.program, f"-chdir={self.folder}", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
        )
        said: list[str] = []
        try:
            with _Pulse(self.listen if tell else silence, words[0]) as pulse:
                for text, counts in _messages(process, said):
                    pulse.tell(text, counts, total)
                code = process.wait()
        except KeyboardInterrupt:
            process.communicate()  # Terraform heard it too (one process group): it ends in peace and keeps its state
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
        return _Done(code=code, said=tuple(said))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    code: int
    said: tuple[str, ...]


class _Pulse:
    """Tells what Terraform says, and that it is at work where it says nothing."""

    def __init__(self, listen: Listen, word: str) -> None:
        self._listen, self._word, self._done, self._total = listen, word, 0, 0
        self._text, self._heard, self._ended = f"terraform {word}", time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def tell(self, text: str, counts: bool, total: int) -> None:
        """One line of Terraform's; `counts` when a resource is done."""
        self._done, self._total = self._done + counts, total
        self._text, self._heard = text, time.monotonic()
        self._listen(Event(stage="infra", text=text, done=self._done, total=total))

    def _beat(self) -> None:
        while not self._ended.wait(0.5):
            if time.monotonic() - self._heard >= SILENCE_S:
                self._heard = time.monotonic()
                self._listen(Event(stage="infra", text=f"still at it: {self._text}", done=self._done, total=self._total))


def _messages(process: subprocess.Popen[str], said: list[str]) -> Iterator[tuple[str, bool]]:
    """Lines as Terraform writes them; of its JSON lines the message. Errors go to `said` with their detail."""
    assert process.stdout is not None
    for line in process.stdout:
        text, kind = line.rstrip("\n"), ""
        if text.startswith("{"):
            try:
                told = json.loads(text)
            except ValueError:
                told = {"@message": text}
            kind = told.get("type", "")
            text = str(told.get("@message", ""))
            if kind == "diagnostic":
                found = told["diagnostic"]
                where = f" ({found['address']})" if found.get("address") else ""
                text = f"{found['severity']}: {found['summary']}{where}: {' '.join(found.get('detail', '').split())}"
        said.append(text)
        if text and kind not in ("version", "refresh_start", "refresh_complete"):
            yield text[:300], kind == "apply_complete"


def _failed(code: Any, what: str, done: _Done, folder: Path) -> PlaceError:
    errors = [one for one in done.said if one.lower().startswith("error")]
    why = " | ".join(one.removeprefix("error: ")[:400] for one in errors[:3]) or _last(done.said)
    if "state lock" in why:
        return PlaceError(
            "infra.locked", "another Terraform is at work on this folder", why, "wait for it; if it died: terraform force-unlock ID"
        )
    if len(errors) > 3:
        why += f" | and {len(errors) - 3} more"
    fix = f"mend what it names and run the same command again: what was made is in {folder}/terraform.tfstate"
    if re.search(r"ExpiredToken|InvalidClientTokenId|no valid credential|AuthFailure", why):
        fix = "aws sso login, or set AWS_PROFILE; then run the same command again"
    return PlaceError(code, what, why, fix)


def _last(said: Sequence[str]) -> str:
    lines = [one.strip("│╷╵ ") for one in said if one.strip("│╷╵ ")]
    return " ".join(lines[-6:])[-600:] or "it said nothing"


def _program() -> str:
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        raise SetupError(
            "infra.terraform-missing",
            "Terraform is not installed",
            "neither `terraform` nor `tofu` is on the PATH",
            "install Terraform 1.5 or newer, or train without it: with no cluster_id, `filon train --on emr` makes a cluster for each job",
        )
    done = subprocess.run([program, "version", "-json"], capture_output=True, text=True, env=_environment(), check=False)
    try:
        said = str(json.loads(done.stdout[done.stdout.index("{") :])["terraform_version"])
    except (ValueError, KeyError):
        said = "0"
    if tuple(int(part) for part in re.findall(r"\d+", said)[:2]) < OLDEST:
        raise SetupError("infra.terraform-old", f"Terraform {said} is too old", "the files ask for 1.5 or newer", "update Terraform")
    return program


def _environment() -> dict[str, str]:
    """Terraform's environment: quiet, and without a configuration file that is not there (it would warn in every answer)."""
    environment = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    named = environment.get("TF_CLI_CONFIG_FILE")
    if named and not Path(named).exists():
        del environment["TF_CLI_CONFIG_FILE"]
    return environment
