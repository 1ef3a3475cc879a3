"""What goes to a place and what comes back: a job as words of our own command line, its JSON lines as events and errors."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filon.engines.modules import sources
from filon.errors import CODES, BundleError, DataError, EngineError, FilonError, PlaceError, RecipeError, SetupError
from filon.events import Event
from filon.places.base import Handle, Job

BY_EXIT: Mapping[int, type[FilonError]] = {
    kind.exit_code: kind for kind in (RecipeError, DataError, SetupError, EngineError, PlaceError, BundleError)
}
"""Which class an exit code belongs to: errors come back as they were raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One line of a job's output: exactly one of them is there, or none when the line is not ours."""

    event: Event | None = None
    error: FilonError | None = None
    result: Mapping[str, Any] | None = None


def job_words(job: Job, *, recipe: str = "", base: str = "", runs: str = "", bundle: str = "", out: str = "") -> tuple[str, ...]:
    """The words after `filon`, for the place where the job will run.

    Parameters
    ----------
    recipe : where the recipe's text will be there (train)
    base : the folder its relative paths start at there; "" for the recipe's own
    runs : where runs are kept there; the job's own when left out
    bundle : where the bundle will be there; the job's own when left out
    out : where the results go there; the job's own when left out
    """
    if job.verb == "train":
        place = ("--base", base) if base else ()
        return ("train", recipe, "--runs", runs or job.runs, *place, "--engine", "spark", "--json", *job.options)
    target = out or job.out
    where = ("--out", target) if target else ()
    return (job.verb, bundle or job.bundle, "--data", job.data, *where, "--engine", "spark", "--json", *job.options)


def modules_of(job: Job) -> dict[str, bytes]:
    """The user's own modules that a recipe's derived columns need, content by path beside the recipe."""
    import tomllib

    derived = tomllib.loads(job.recipe).get("data", {}).get("derive", {}) if job.recipe else {}
    return sources((str(made) for made in derived.values()), job.base)


def hear(line: str) -> Heard:
    """What one line of the output of a job with --json says.

    >>> hear('{"event": {"stage": "fit", "text": "round 3", "done": 3, "total": 10, "left_s": null, "round": 3}}').event.done
    3
    >>> hear("26/01/01 INFO SparkContext: hello")
    Heard(event=None, error=None, result=None)
    """
    try:
        said = json.loads(line) if line.startswith("{") else None
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Heard()
    if isinstance(said.get("event"), dict):
        return Heard(event=_event(dict(said["event"])))
    if isinstance(said.get("error"), dict):
        return Heard(error=_error(said["error"]))
    return Heard(result=said["result"]) if isinstance(said.get("result"), dict) else Heard()


def _event(step: dict[str, Any]) -> Event:
    stage, text = str(step.pop("stage", "")), str(step.pop("text", ""))
    done, total, left = int(step.pop("done", 0) or 0), int(step.pop("total", 0) or 0), step.pop("left_s", None)
    return Event(stage=stage, text=text, done=done, total=total, left_s=left, fields=step)


def _error(told: Mapping[str, Any]) -> FilonError:
    kind = BY_EXIT.get(int(told.get("exit", 70)), FilonError)
    code = str(told.get("code", "bug.unexpected"))
    known: Any = code if code in CODES else "bug.unexpected"
    return kind(known, str(told.get("what", "")), str(told.get("why", "")), str(told.get("fix", "")))


def handle_text(handle: Handle) -> str:
    """A handle as JSON, without the values of variables, which may be secrets."""
    plain = {item.name: getattr(handle, item.name) for item in dataclasses.fields(handle) if item.name != "job"}
    job = {item.name: getattr(handle.job, item.name) for item in dataclasses.fields(handle.job) if item.name != "variables"}
    return json.dumps({**plain, "facts": dict(handle.facts), "job": job}, indent=2, ensure_ascii=False) + "\n"


def handle_from(text: str) -> Handle:
    """The handle that `handle_text` wrote; the values of its variables are gone."""
    plain = json.loads(text)
    job = plain.pop("job")
    return Handle(job=Job(**{**job, "options": tuple(job["options"])}), **plain)
