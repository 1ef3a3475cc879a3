"""Models of other makers: scikit-learn, XGBoost and LightGBM objects saved with skops or joblib, as something that scores a table.

A pickle runs whatever code it holds when it is opened, so joblib files are opened only for who says `--trust`. skops files name their
types, and are opened when all of them are known to do nothing but hold a model.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from filon.engines.base import Column, Source
from filon.errors import BundleError, DataError, SetupError, some
from filon.package.estimators import Estimator, estimator
from filon.rows.encode import Encoding, Feature, FeatureKind

KNOWN = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRegressor",
)
"""Types that skops does not vouch for but whose making runs only the boosters' own parsers; skops knows scikit-learn's and numpy's."""

SUFFIXES = {".skops": "skops", ".joblib": "joblib", ".pkl": "joblib", ".pickle": "joblib"}

Opener = Callable[[bytes, bool], Estimator]
"""From the saved bytes, and whether their maker is trusted, to the model. A module's function, so that it can be pickled by its name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """A model of another maker, bound to a table's columns (an `engines.answering.Model`); workers get the bytes it was saved as.

    features : columns that the model is asked with, in its order; answers : columns that it answers with
    """

    name: str
    content: bytes = field(repr=False)
    trust: bool
    opener: Opener
    names: tuple[str, ...]
    width: int
    classes: tuple[str, ...]
    answers: pa.Schema
    features: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """First 12 digits of the saved model's hash."""
        return hashlib.sha256(self.content).hexdigest()[:12]

    def answer(self, batch: pa.RecordBatch, threads: int = 0) -> tuple[pa.RecordBatch, pa.Array | None]:
        """As `engines.answering.Model` says.

        Raises
        ------
        DataError : `package.model-failed`
        """
        return self._opened(threads).answer(batch, self.features)

    def _opened(self, threads: int) -> Estimator:
        key = (hash(self.content), threads)
        if key not in _OPENED:
            _OPENED.clear()  # one model at a time: a worker that lives on must not gather them
            _OPENED[key] = self.opener(self.content, self.trust).within(threads)
        return _OPENED[key]

    def bound(self, source: Source, drop: Sequence[str] = ()) -> tuple["Foreign", Source, Encoding]:
        """The model and the table's source with the model's features among its columns, and how they are called.

        Parameters
        ----------
        drop : columns that are no features, for a model that does not know their names

        Raises
        ------
        DataError : `package.features-missing`, `package.features-differ`
        """
        columns = {column.name: column for column in source.columns}
        if self.names:
            lacking = [name for name in self.names if name not in columns]
            if lacking:
                raise DataError(
                    "package.features-missing",
                    f"{source.origin} lacks columns the model was trained on",
                    f"{some(lacking)}; it has {some(columns)}",
                    "give those columns, under the names they had in training",
                )
            features = self.names
        else:
            features = tuple(name for name, column in columns.items() if column.kind in ("number", "boolean") and name not in drop)
            if self.width and len(features) != self.width:
                raise DataError(
                    "package.features-differ",
                    f"the model takes {self.width} features, {source.origin} has {len(features)} number columns",
                    f"the model does not know their names; the table's are {some(features)}",
                    "leave out what is no feature (--drop COLUMN), or train on a data frame, so that the model knows the names",
                )
        encoding = Encoding(features=tuple(Feature(name=name, kind=_kind(columns[name])) for name in features), classes=self.classes)
        parts = tuple(replace(column, role="feature" if column.name in features else "dropped") for column in source.columns)
        return replace(self, features=features), replace(source, columns=parts), encoding


_OPENED: dict[tuple[int, int], Estimator] = {}


def is_foreign(path: str | Path) -> bool:
    """Whether a path names a saved object of another maker, by its ending."""
    return Path(path).suffix.lower() in SUFFIXES


def open_foreign(path: str | Path, *, trust: bool = False) -> Foreign:
    """A model saved with skops or joblib.

    Raises
    ------
    BundleError : `package.model-missing`, `package.pickle-refused`, `package.types-untrusted`, `package.model-damaged`,
        `package.model-unusable`
    SetupError : `package.extra-missing`
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise BundleError("package.model-missing", f"{file} cannot be read", exc.strerror or str(exc), "correct the model's path") from exc
    opener = open_skops if SUFFIXES[file.suffix.lower()] == "skops" else open_joblib
    if opener is open_joblib and not trust:
        raise pickle_refused(str(file), "joblib files are pickles")
    return foreign(file.stem, content, opener, trust=trust)


def foreign(name: str, content: bytes, opener: Opener, *, trust: bool) -> Foreign:
    """The record of saved bytes, opened once to see what the model takes and gives."""
    found = opener(content, trust)
    return Foreign(
        name=name,
        content=content,
        trust=trust,
        opener=opener,
        names=found.names,
        width=found.width,
        classes=found.classes,
        answers=found.answers,
    )


def open_skops(content: bytes, trust: bool) -> Estimator:
    """A skops file; types that nobody vouches for are opened for who trusts the file's maker."""
    try:
        import skops.io as skops
    except ImportError as exc:
        raise _extra_missing("skops", exc) from exc
    try:
        untrusted = skops.get_untrusted_types(data=content)
        strange = [name for name in untrusted if name not in KNOWN]
        if strange and not trust:
            raise BundleError(
                "package.types-untrusted",
                "the skops file holds types that nobody vouches for",
                f"making them may run code of theirs: {some(strange, most=20)}",
                "look at the names; if you trust who made the file, add --trust",
            )
        return estimator(skops.loads(content, trusted=untrusted))
    except ImportError as exc:
        raise _extra_missing(exc.name or "a package", exc) from exc
    except BundleError:
        raise
    except Exception as exc:
        raise _damaged("skops", exc) from exc


def open_joblib(content: bytes, trust: bool) -> Estimator:
    """A joblib file (a pickle): only for who trusts its maker."""
    if not trust:
        raise pickle_refused("the file", "joblib files are pickles")
    try:
        import joblib
    except ImportError as exc:
        raise _extra_missing("joblib", exc) from exc
    try:
        return estimator(joblib.load(io.BytesIO(content)))
    except ImportError as exc:
        raise _extra_missing(exc.name or "a package", exc) from exc
    except BundleError:
        raise
    except Exception as exc:
        raise _damaged("joblib", exc) from exc


def pickle_refused(what: str, why: str) -> BundleError:
    """The error of a model that would run code when it is opened."""
    return BundleError(
        "package.pickle-refused",
        f"{what} would run code when it is opened",
        f"{why}: whoever made it decides what happens here",
        "if you trust who made it, add --trust; or save the model with skops",
    )


def _damaged(form: str, exc: Exception) -> BundleError:
    why = f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"
    return BundleError(
        "package.model-damaged", f"the {form} file cannot be opened", why, "save the model again, with the versions in use here"
    )


def _extra_missing(package: str, exc: Exception) -> SetupError:
    return SetupError(
        "package.extra-missing",
        f"a package that the model needs is missing: {package}",
        str(exc),
        f"pip install 'filon[models]' {package if package not in ('skops', 'joblib') else ''}".strip(),
    )


def _kind(column: Column) -> FeatureKind:
    return column.kind if column.kind in ("number", "boolean") else "category"


__all__ = ["KNOWN", "Foreign", "foreign", "is_foreign", "open_foreign", "open_joblib", "open_skops", "pickle_refused"]
