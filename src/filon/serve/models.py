"""Which models are in service, and how they change while requests come in: load, warm, swap."""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from filon.errors import FilonError, some
from filon.files import write_atomic
from filon.package import sealed
from filon.package.bundle import open_bundle
from filon.serve.plans import PLAN, changing
from filon.serve.problems import RefusedError, refused
from filon.serve.served import Asked, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is in service, by the names of bundles.

    share : part of the requests the challenger answers; shadow : it sees all of them and answers none
    """

    champion: str
    challenger: str | None = None
    share: float = 0.0
    shadow: bool = False


class Models:
    """What is in service: a champion, perhaps a challenger; each is replaced whole, between two requests.

    Parameters
    ----------
    champion : warmed; shelf : folder whose folders are the bundles `POST /models` may name, None for none
    state : folder that the workers of one server share, in which the plan is kept
    closed : the shelf is the registry's: what is in service changes by its alias, not by a request
    """

    def __init__(self, champion: Served, *, shelf: Path | None = None, state: Path | None = None, closed: bool = False) -> None:
        self.champion = champion
        self.challenger: Served | None = None
        self.plan = Plan(champion=champion.bundle.path.name)
        self.shelf, self.closed = shelf, closed
        self.state = state
        self.file = None if state is None else state / PLAN
        self._stamp: tuple[int, int] | None = None
        self._changing = threading.Lock()

    def choose(self, asked: Asked) -> Served:
        """The model that answers; the same one for the same event id."""
        if self.challenger is None or self.plan.shadow:
            return self.champion
        lot = int(asked.event_id[:8], 16) / 0x100000000
        return self.challenger if lot < self.plan.share else self.champion

    def shadow(self) -> Served | None:
        """The challenger that sees what the champion answers."""
        return self.challenger if self.plan.shadow else None

    def facts(self) -> dict[str, tuple[str, str]]:
        """Name and version of each model by its part."""
        both = {"champion": self.champion, "challenger": self.challenger}
        return {part: (served.bundle.name, served.bundle.version) for part, served in both.items() if served is not None}

    def change(self, wish: object) -> Plan:
        """Load, warm and swap by the body of `POST /models`; what is in service stays until the new one has proved itself.

        A wish changes the plan that the workers share, which another one may have changed a moment ago, not what this one remembers.

        Raises
        ------
        RefusedError : `serve.share-unfit`, `serve.bundle-unknown`, `serve.bundle-refused`
        """
        if self.closed:
            what, why = "this server takes its models from the registry", "it was started without --models"
            raise refused("serve.bundle-unknown", what, why, "filon promote RUN")
        with self._changing:
            if self.state is None:
                plan = _planned(wish, self.plan)
                self._install(plan)
                return plan
            with changing(self.state) as file:
                plan = _planned(wish, _told(file) if file.exists() else self.plan)
                self._install(plan)
                write_atomic(file, json.dumps(asdict(plan)))
                self._stamp = _stamp(file)
        return plan

    def follow(self) -> bool:
        """Take over what another worker was told; whether there was anything. A plan that fails here leaves this worker as it is."""
        if self.file is None or (stamp := _stamp(self.file)) == self._stamp:
            return False
        with self._changing:
            self._stamp = stamp
            self._install(_told(self.file))
        return True

    def _install(self, plan: Plan) -> None:
        champion = self._open(plan.champion, "champion")
        challenger = None if plan.challenger is None else self._open(plan.challenger, "challenger")
        if (champion, challenger) != (self.champion, self.challenger):
            champion.meters.add("swaps")
        self.champion, self.challenger, self.plan = champion, challenger, plan

    def _open(self, name: str, part: str) -> Served:
        """The bundle of that name as it is on the shelf now, warmed; the one in service where it is the same."""
        now, its_name = (self.champion, self.plan.champion) if part == "champion" else (self.challenger, self.plan.challenger)
        folder = self._on_shelf(name)
        if folder is None:
            if now is not None and its_name == name:
                return now
            raise refused("serve.bundle-unknown", "there is no such bundle under --models", f"it is {name[:80]!r}", f"name {self._names()}")
        try:
            if now is not None and its_name == name and sealed.read_record(folder)["version"] == now.bundle.version:
                return now
            bundle = open_bundle(folder)
            threads, capture = self.champion.scorer.threads, self.champion.capture
            served = Served(bundle, self.champion.meters, part=part, threads=threads, capture=capture)
            served.warm()
        except FilonError as exc:
            why = f"{exc.code}: {exc.why}".replace(str(folder), name)
            what, fix = f"{name!r} was not put in service", "copy it again; the model in service stays"
            raise refused("serve.bundle-refused", what, why, fix) from exc
        return served

    def _on_shelf(self, name: str) -> Path | None:
        """The bundle of a name, out of those that are there: a name is compared, never made a path."""
        return self._shelved().get(name)

    def _shelved(self) -> dict[str, Path]:
        return {} if self.shelf is None else shelved(self.shelf)

    def _names(self) -> str:
        return some(sorted(self._shelved())) or "one that is there (now there is none)"


def shelved(shelf: Path) -> dict[str, Path]:
    """Bundles of a folder by their names."""
    return {folder.name: folder for folder in shelf.iterdir() if (folder / sealed.RECORD).is_file()}


def told_champion(state: Path | None, shelf: Path | None) -> Path | None:
    """The champion that the workers of this server were told last, where it is on the shelf; None when they were told nothing."""
    if state is None or shelf is None:
        return None
    try:
        return shelved(shelf).get(_told(state / PLAN).champion)
    except OSError:  # nothing was told, or the shelf is away
        return None


def _planned(wish: object, now: Plan) -> Plan:
    known = {"champion", "challenger", "share", "shadow"}
    if not isinstance(wish, dict) or not wish or not wish.keys() <= known:
        raise _unfit(f"it must be an object with some of {some(sorted(known))}")
    champion = wish.get("champion", now.champion)
    challenger = wish.get("challenger", now.challenger)
    share, shadow = wish.get("share", now.share), wish.get("shadow", now.shadow)
    if not isinstance(champion, str) or not isinstance(challenger, str | None):
        raise _unfit("champion and challenger are names of bundles")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1 or not isinstance(shadow, bool):
        raise _unfit("share is a number from 0 to 1, shadow is true or false")
    if challenger is None:
        if wish.get("share") or wish.get("shadow"):
            raise _unfit("there is no challenger in service whose share or shadow it could be")
        return Plan(champion=champion)
    return Plan(champion=champion, challenger=challenger, share=float(share), shadow=shadow)


def _told(file: Path) -> Plan:
    return Plan(**json.loads(file.read_text(encoding="utf-8")))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino


def _unfit(why: str) -> RefusedError:
    return refused(
        "serve.share-unfit", "the body is no change of models", why, 'send {"champion": NAME} or {"challenger": NAME, "share": 0.1}'
    )
