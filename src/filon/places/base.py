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

    `recipe` is the recipe as TOML with its overrides (train), `base` the folder its relative paths start at; `bundle`, `data` and `out`
    are local paths or URIs (evaluate, predict; with no `out` the place chooses); `options` are further words of our command line, e.g.
    ("--lang", "es"); `runs` is the local folder in which runs are kept. `key` identifies the job: two jobs of the same key are one
    submission. The recipe's `${NAME}` are not expanded, so that a secret is in no file: `variables` holds the values of those it names, to
    be set in the environment of the job and never to be written down (they are not in the job's text either).
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
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A job that was submitted: the place, its own identifier there, the state last seen, where its outputs are (or will be).

    `facts` are the place's own texts: cluster, step, addresses of pages. `out` is "" while the place does not know it yet. A handle is kept
    in the run folder as `handle.json` (see `job_words.handle_text`).
    """

    place: str
    id: str
    job: Job
    state: State
    out: str
    facts: Mapping[str, str] = field(default_factory=dict)


class RunsJobs(Protocol):
    """A place that runs jobs. `goes_on`: its jobs go on when we leave; one that lives by our process is always waited for."""

    name: str
    goes_on: bool

    def submit(self, job: Job, listen: Listen) -> Handle:
        """Send the job; returns as soon as the place has accepted it. The same job sent twice is one submission."""
        ...

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        """Tell progress until the job has ended; gives the last state.

        Raises
        ------
        FilonError : the job failed: its own coded error as it was raised there, or a PlaceError that names the cause
        """
        ...
