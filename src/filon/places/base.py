"""The interface of every place, and the records that cross it.

A place carries our command line elsewhere and never opens a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from filon.events import Listen

Verb = Literal["train", "evaluate", "predict"]
State = Literal["pending", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command to be run elsewhere.

    `recipe` is the effective recipe as TOML (train), `base` the folder its relative paths start at; `bundle`, `data` and `out` are
    local paths or URIs (evaluate, predict); `options` are further words of our command line, e.g. ("--lang", "es"); `runs` is the local
    folder in which runs are kept. `key` identifies the job: two jobs of the same key are one submission.
    """

    verb: Verb
    name: str
    key: str
    base: str
    runs: str
    recipe: str = ""
    bundle: str = ""
    data: str = ""
    out: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A job that was submitted: the place, its own identifier there, the state last seen, where its outputs are (or will be).

    `facts` are the place's own texts: cluster, step, addresses of pages. A handle is kept in the run folder as `handle.json`.
    """

    place: str
    id: str
    job: Job
    state: State
    out: str
    facts: Mapping[str, str] = field(default_factory=dict)


class RunsJobs(Protocol):
    """A place that runs jobs."""

    name: str

    def submit(self, job: Job, listen: Listen) -> Handle:
        """Send the job; returns as soon as the place has accepted it. The same job sent twice is one submission."""
        ...

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        """Tell progress until the job has ended; gives the last state.

        Raises
        ------
        PlaceError : the job failed; the error names the cause
        """
        ...
