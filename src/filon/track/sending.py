"""Letters to MLflow, each found again by its tags: sent twice, or half-sent and killed, they end as one."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filon.errors import SetupError
from filon.events import Event, Listen
from filon.track.client import artifacts_place, in_our_words, open_client, where
from filon.track.outbox import Letter, Outbox
from filon.track.state import masked

RUN = "filon.run_id"
TRIAL = "filon.trial"
SENT = "filon.sent"
FILES_SENT = "filon.files"
"""Tags by which runs are found again, and which say what was sent: hashes of a letter and of the files."""

METRICS_AT_ONCE = 900
PARAMS_AT_ONCE = 90
TAGS_AT_ONCE = 90
"""MLflow takes 1,000 metrics, 100 parameters, 100 tags and 1,000 of all in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What MLflow has now. `model` is "name/version" of the registered model, "" when none was."""

    uri: str
    experiment: str
    mlflow_run_id: str
    trials: int
    model: str = ""


class Sender:
    """Brings MLflow up to what the outbox says; made anew, it finds what an earlier one left.

    Raises
    ------
    SetupError : `track.server-away`, `track.refused`, `track.store-unusable`, `track.experiment-deleted`, `track.failed`
    """

    def __init__(self, outbox: Outbox, listen: Listen) -> None:
        self.outbox, self.listen = outbox, listen
        settings = outbox.settings
        self.uri = where(settings.uri, outbox.base)
        self.experiment = settings.experiment or outbox.name
        with in_our_words(self.uri):
            self.client = open_client(self.uri)
            self.experiment_id = self._find_experiment()
            self.parent_id = self._find_parent()
            self.known = self._find_children()

    def sync(self, *, ended: bool, dead: bool = False) -> Sent:
        """Send what is not there yet. `ended`: nothing more will come, so the files go too, and the run is closed."""
        with in_our_words(self.uri):
            letters = list(self.outbox.children())
            for place, letter in enumerate(letters, start=1):
                if self.known.get(letter.trial, ("", ""))[1] != letter.digest:
                    self._say(f"trial {place} of {len(letters)}", place, len(letters))
                    self._send(letter)
            parent = self.outbox.parent(dead=dead)
            self._update(self.parent_id, parent)
            model = self._finish(parent) if ended else ""
        return Sent(uri=masked(self.uri), experiment=self.experiment, mlflow_run_id=self.parent_id, trials=len(letters), model=model)

    def _say(self, text: str, done: int = 0, total: int = 0) -> None:
        self.listen(Event(stage="track", text=text, done=done, total=total))

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            found = self._make_experiment()
        if found.lifecycle_stage == "deleted":
            why = f"MLflow at {masked(self.uri)} keeps it among its deleted experiments"
            fix = f"mlflow experiments restore --experiment-id {found.experiment_id}, or another track.experiment"
            raise SetupError("track.experiment-deleted", f"the experiment {self.experiment!r} was deleted", why, fix)
        return str(found.experiment_id)

    def _make_experiment(self) -> Any:
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # another run may make it in the same moment
            self.client.create_experiment(self.experiment, artifact_location=artifacts_place(self.uri, self.outbox.base, self.experiment))
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            self.client.create_experiment(self.experiment)  # says why it cannot be made
        return found

    def _find_parent(self) -> str:
        found = self._search(f"tags.`{RUN}` = '{_quoted(self.outbox.run_id)}' and tags.`{TRIAL}` = '0'")
        if found:
            return str(found[0].info.run_id)
        letter = self.outbox.parent()
        tags = {RUN: self.outbox.run_id, TRIAL: "0", "filon.name": self.outbox.name}
        made = self.client.create_run(self.experiment_id, start_time=letter.started_ms, tags=tags, run_name=letter.name)
        return str(made.info.run_id)

    def _find_children(self) -> dict[int, tuple[str, str]]:
        """MLflow run and digest by trial."""
        found = self._search(f"tags.`mlflow.parentRunId` = '{self.parent_id}'")
        return {int(run.data.tags[TRIAL]): (str(run.info.run_id), run.data.tags.get(SENT, "")) for run in found if TRIAL in run.data.tags}

    def _search(self, words: str) -> list[Any]:
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], words, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _send(self, letter: Letter) -> None:
        """One trial: made with its tags in one call, so that a kill leaves a run that is found again; marked as sent in the end."""
        run_id, _ = self.known.get(letter.trial, ("", ""))
        if not run_id:
            tags = {RUN: self.outbox.run_id, TRIAL: str(letter.trial), "mlflow.parentRunId": self.parent_id}
            made = self.client.create_run(self.experiment_id, start_time=letter.started_ms, tags=tags, run_name=letter.name)
            run_id = str(made.info.run_id)
            self.known[letter.trial] = (run_id, "")
        self._log(run_id, letter)
        self.client.set_terminated(run_id, status=letter.status, end_time=letter.ended_ms)
        self.client.set_tag(run_id, SENT, letter.digest)
        self.known[letter.trial] = (run_id, letter.digest)

    def _update(self, run_id: str, letter: Letter) -> None:
        """The parent: always the run as it stands now."""
        run = self.client.get_run(run_id)
        if run.data.tags.get(SENT) == letter.digest:
            return
        self._log(run_id, letter, known=run.data.params)
        if letter.status == "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        self.client.set_tag(run_id, SENT, letter.digest)

    def _log(self, run_id: str, letter: Letter, known: Any = ()) -> None:
        """Parameters that are there already are left alone: MLflow refuses to change them."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(point.key, point.value, point.at_ms, point.step) for point in letter.points]
        params = [Param(key, value) for key, value in letter.params.items() if key not in known]
        tags = [RunTag(key, value) for key, value in letter.tags.items()]
        for some in _chunks(tags, TAGS_AT_ONCE):
            self.client.log_batch(run_id, tags=some)
        for some in _chunks(params, PARAMS_AT_ONCE):
            self.client.log_batch(run_id, params=some)
        for some in _chunks(metrics, METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=some)

    def _finish(self, parent: Letter) -> str:
        self._send_dataset()
        self._send_files()
        model = self._register()
        self.client.set_terminated(self.parent_id, status=parent.status, end_time=parent.ended_ms)
        return model

    def _send_dataset(self) -> None:
        digest = self.outbox.fold_digest("train")
        if not digest or self.client.get_run(self.parent_id).inputs.dataset_inputs:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = self.outbox.manifest.get("source", {})
        origin = str(source.get("origin") or self.outbox.name)
        dataset = Dataset(name=origin[:500], digest=digest[:36], source_type="local", source=f'{{"uri": "{_escaped(origin)}"}}')
        self.client.log_inputs(self.parent_id, [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])])

    def _send_files(self) -> None:
        files = list(self.outbox.artifacts())
        bundle = self.outbox.bundle
        inside = sorted(path for path in bundle.rglob("*") if path.is_file()) if bundle else []
        digest = _hash_of([path for path, _ in files] + inside)
        if self.client.get_run(self.parent_id).data.tags.get(FILES_SENT) == digest:
            return
        for place, (path, folder) in enumerate(files, start=1):
            self._say(f"file {place} of {len(files)}: {path.name}", place, len(files))
            self.client.log_artifact(self.parent_id, str(path), folder or None)
        if bundle:
            self._say("the bundle")
            self.client.log_artifacts(self.parent_id, str(bundle), "bundle")
        self.client.set_tag(self.parent_id, FILES_SENT, digest)

    def _register(self) -> str:
        """The bundle as a version of the registered model; one version per bundle of this run."""
        settings = self.outbox.settings
        if self.outbox.bundle is None or settings.register_model is False:
            return ""
        name = settings.register_model if isinstance(settings.register_model, str) else self.outbox.name
        version = self._version_of(name)
        if version is None:
            self._say(f"registering the model {name}")
            self._make_model(name)
            tags = {RUN: self.outbox.run_id, "filon.bundle": self.outbox.bundle_version}
            made = self.client.create_model_version(
                name, f"runs:/{self.parent_id}/bundle", self.parent_id, tags=tags, await_creation_for=60
            )
            version = str(made.version)
        return f"{name}/{version}"

    def _version_of(self, name: str) -> str | None:
        found = self.client.search_model_versions(f"run_id = '{self.parent_id}'")
        for one in found:
            if one.name == name and one.tags.get("filon.bundle") == self.outbox.bundle_version:
                return str(one.version)
        return None

    def _make_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, description=f"Sealed bundles of the recipe {self.outbox.name!r}, made by Filon.")
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _hash_of(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:32]


def _quoted(text: str) -> str:
    return text.replace("'", "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
