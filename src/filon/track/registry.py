"""MLflow's model registry behind a few words: versions of one registered model, aliases that point at them, and why they were moved."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filon.errors import RecipeError, SetupError, some
from filon.track.client import in_our_words, open_client, where
from filon.track.outbox import Outbox, clean
from filon.track.settings import TrackSettings
from filon.track.state import masked

MOVED = "filon.alias.{alias}"
"""Tag of a version: who let the alias point at it, when and why, and which version it pointed at before (JSON)."""

MOST = 4000
"""Characters of a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a registered model. `run` is Filon's id of its run, `bundle` the bundle's version; "" where others registered it."""

    name: str
    number: str
    run: str = ""
    bundle: str = ""
    tags: dict[str, str] = field(default_factory=dict, repr=False)

    def moved(self, alias: str) -> dict[str, Any]:
        """What was noted when the alias was last pointed at this version; {} when it never was."""
        with contextlib.suppress(ValueError):
            found = json.loads(self.tags.get(MOVED.format(alias=clean(alias)), "{}"))
            return found if isinstance(found, dict) else {}
        return {}


class Registry:
    """The registered model of one name at one tracking URI.

    Raises
    ------
    SetupError : `track.server-away`, `track.refused`, `track.store-unusable`, `track.failed`, from every method
    """

    def __init__(self, settings: TrackSettings, base: Path, name: str) -> None:
        self.uri = where(settings.uri, base)
        self.name = settings.register_model if isinstance(settings.register_model, str) else name
        with in_our_words(self.uri):
            self._client = open_client(self.uri)

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return masked(self.uri)

    def versions(self) -> list[Version]:
        """All versions, newest first; none when there is no such model."""
        with in_our_words(self.uri):
            found = self._client.search_model_versions(f"name = '{self.name}'", max_results=1000)
        return sorted((_version(one) for one in found), key=lambda one: -int(one.number))

    def version(self, number: str) -> Version:
        """A version by its number.

        Raises
        ------
        RecipeError : `registry.version-unknown`
        """
        versions = self.versions()
        for one in versions:
            if one.number == number:
                return one
        known = some(one.number for one in versions) or "none"
        why = f"{self.shown} has {known} of {self.name!r}"
        raise RecipeError("registry.version-unknown", f"there is no version {number!r} of {self.name!r}", why, "name one of those")

    def pointed(self, alias: str) -> Version | None:
        """The version an alias points at; None when it points nowhere."""
        from mlflow.exceptions import MlflowException

        with in_our_words(self.uri):
            try:
                return _version(self._client.get_model_version_by_alias(self.name, alias))
            except MlflowException as exc:
                if exc.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}:
                    return None
                raise

    def point(self, alias: str, version: Version, note: dict[str, Any]) -> None:
        """Let an alias point at a version; the note is written first, so that no move is without one."""
        text = json.dumps(note, ensure_ascii=False, default=str)
        if len(text) > MOST:
            text = json.dumps(
                {key: note.get(key) for key in ("at", "who", "before", "forced", "path")} | {"why": str(note.get("why", ""))[:500]}
            )
        with in_our_words(self.uri):
            self._client.set_model_version_tag(self.name, version.number, MOVED.format(alias=clean(alias)), text)
            self._client.set_registered_model_alias(self.name, alias, version.number)

    @contextlib.contextmanager
    def copied(self, version: Version) -> Iterator[Path]:
        """The bundle of a version as a folder, for as long as it is needed.

        Raises
        ------
        SetupError : `registry.no-bundle` when the version holds none
        """
        with tempfile.TemporaryDirectory(prefix="filon-version-") as scratch:
            yield self.copy(version, Path(scratch) / "bundle")

    def copy(self, version: Version, folder: Path) -> Path:
        """The bundle of a version, copied to a folder that is not there yet."""
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch, in_our_words(self.uri):
            from mlflow.artifacts import download_artifacts

            uri = self._client.get_model_version_download_uri(self.name, version.number)
            got = Path(download_artifacts(artifact_uri=uri, dst_path=scratch, tracking_uri=self.uri))
            if not (got / "bundle.json").is_file():
                why = f"{uri} has {some(sorted(path.name for path in got.iterdir())) if got.is_dir() else 'one file'}"
                raise SetupError(
                    "registry.no-bundle", f"version {version.number} of {self.name!r} is no bundle of Filon", why, "promote a run of Filon"
                )
            shutil.move(got, folder)
        return folder


def of_run(run_folder: Path) -> Registry:
    """The registry that a run's records go to."""
    outbox = Outbox(run_folder)
    return Registry(outbox.settings, outbox.base, outbox.name)


def _version(found: Any) -> Version:
    tags = {str(key): str(value) for key, value in dict(found.tags).items()}
    return Version(
        name=str(found.name),
        number=str(found.version),
        run=tags.get("filon.run_id", ""),
        bundle=tags.get("filon.bundle", ""),
        tags=tags,
    )
