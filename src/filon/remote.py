"""Jobs that run elsewhere: a recipe becomes a job, a place takes it, and what it says is heard here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filon.engines.modules import sources
from filon.errors import RecipeError
from filon.events import Listen, silence
from filon.places import Handle, Job, RunsJobs, open_place
from filon.recipe import RecipeFile, load_recipe, recipe_from
from filon.variables import names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a place has taken: the training, and the evaluation after it where one was asked for."""

    train: Handle
    evaluation: Handle | None = None


def submit(
    recipe: str | Path | Mapping[str, Any],
    *,
    on: str,
    sets: Sequence[str] = (),
    runs: str | Path | None = None,
    wait: bool | None = None,
    evaluate: str | None = None,
    resume: bool = False,
    options: Sequence[str] = (),
    listen: Listen = silence,
) -> Submitted:
    """Train a recipe at a place.

    Parameters
    ----------
    recipe : path of a recipe file, or its content as a mapping (relative paths then start at the current folder)
    on : one of `places.PLACES`; its settings are in the recipe's table `[places]`
    sets : overrides, e.g. ["search.metric=areaUnderROC"]
    runs : the local folder of runs; `runs/` beside the recipe when left out
    wait : tell progress until the job has ended; when left out, only where the job lives by this process
    evaluate : a labelled table on which the bundle is examined afterwards; "" for the recipe's own test table, else its source
    options : further words of `filon train`

    Raises
    ------
    FilonError : the job failed: its own coded error as it was raised there, or a PlaceError that names the cause
    """
    file = load_recipe(recipe, sets) if not isinstance(recipe, Mapping) else recipe_from(recipe, Path.cwd())
    place = open_place(on, file.recipe.places)
    job = job_of(file, runs=runs, options=(*(("--resume",) if resume else ()), *options))
    wait = bool(wait) or not place.goes_on
    handle = place.submit(job, listen)
    second = None
    if evaluate is not None and handle.out and place.goes_on:  # it takes one job after the other, and knows where the bundle will be
        second = place.submit(_evaluation(file, handle, evaluate), listen)
    if wait:
        handle = place.follow(handle, listen)
    if evaluate is not None and second is None and handle.state == "done":  # a finding may have stopped it: then there is no bundle
        second = place.submit(_evaluation(file, handle, evaluate), listen)
    if wait and second is not None:
        second = place.follow(second, listen)
    return Submitted(train=handle, evaluation=second)


def job_of(file: RecipeFile, *, runs: str | Path | None = None, options: Sequence[str] = ()) -> Job:
    """The training of a recipe as a job; equal recipes, options and modules of derived columns give the same key."""
    import tomli_w

    text = tomli_w.dumps(_plain(file.written), multiline_strings=False)
    modules = sources(file.recipe.data.derive.values(), str(file.base))
    key = hashlib.sha256("\n".join([text, *options, *map(repr, modules.items())]).encode()).hexdigest()[:12]
    return Job(
        verb="train",
        name=file.recipe.name,
        key=f"{file.recipe.name}-train-{key}",
        base=str(file.base),
        runs=str(Path(runs).absolute() if runs is not None else file.base / "runs"),
        recipe=text,
        options=tuple(options),
        variables={name: os.environ[name] for name in sorted(set(names_in(file.written)))},
    )


def bundle_job(
    verb: str, file: RecipeFile, bundle: str, data: str, *, out: str = "", options: Sequence[str] = (), runs: str | Path | None = None
) -> Job:
    """An evaluation or a prediction as a job; the recipe says where."""
    if verb not in ("evaluate", "predict"):
        raise RecipeError("places.unknown", f'no place runs "{verb}"', "places run train, evaluate and predict", "filon train --on spark")
    key = hashlib.sha256("\n".join([verb, bundle, data, out, *options]).encode()).hexdigest()[:12]
    return Job(
        verb=verb,  # type: ignore[arg-type]
        name=file.recipe.name,
        key=f"{file.recipe.name}-{verb}-{key}",
        base=str(file.base),
        runs=str(Path(runs).absolute() if runs is not None else file.base / "runs"),
        bundle=bundle,
        data=_located(data, file.base),
        out=out,
        options=tuple(options),
    )


def run_job(place: RunsJobs, job: Job, *, wait: bool = True, listen: Listen = silence) -> Handle:
    """Send one job, and hear it to its end."""
    handle = place.submit(job, listen)
    return place.follow(handle, listen) if wait else handle


def _evaluation(file: RecipeFile, trained: Handle, data: str) -> Job:
    source = data or file.recipe.split.test_source or file.recipe.data.source
    if not isinstance(source, str):
        why, fix = f"data.source names {len(source)} of them", "--evaluate data/labelled.csv"
        raise RecipeError("places.evaluate-what", "it is not said which table to examine the bundle on", why, fix)
    options = ("--lang", file.recipe.evaluate.lang)
    return bundle_job("evaluate", file, f"{trained.out}/bundle", source, options=options, runs=trained.job.runs)


def _located(data: str, base: Path) -> str:
    """A path as it is from anywhere; a URI stays."""
    return data if "://" in data or Path(data).is_absolute() else str(base / data)


def _plain(value: Any) -> Any:
    """What TOML can hold: nothing is left where the Python API gave None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else str(value) if isinstance(value, Path) else value


__all__ = ["Submitted", "bundle_job", "job_of", "run_job", "submit"]
