"""Error families, codes and exit codes: everything Filon says when it cannot go on."""

from typing import ClassVar, Literal, get_args

Code = Literal[
    "bug.unexpected",
    "check.cells-unfit",
    "check.class-outside",
    "check.class-single-row",
    "check.classes-absent",
    "check.code-as-number",
    "check.conflicting-rows",
    "check.constant",
    "check.date",
    "check.date-as-text",
    "check.duplicate-rows",
    "check.empty-column",
    "check.few-rows",
    "check.free-text",
    "check.high-cardinality",
    "check.id",
    "check.imbalance",
    "check.infinite",
    "check.key-missing",
    "check.key-unique",
    "check.label-empty",
    "check.label-is-number",
    "check.label-missing",
    "check.label-unusable",
    "check.leak",
    "check.leak-perfect",
    "check.many-classes",
    "check.missing-words",
    "check.more-features-than-rows",
    "check.mostly-missing",
    "check.nested",
    "check.no-features",
    "check.number-as-text",
    "check.one-class",
    "check.positive-chosen",
    "check.positive-of-many",
    "check.positive-unknown",
    "check.rare-class",
    "check.telling-value",
    "check.text-in-numbers",
    "check.time-missing",
    "check.time-unusable",
    "check.weight-missing",
    "check.weight-unusable",
    "cost.deadline-impossible",
    "cost.no-price",
    "cost.no-such-place",
    "cost.table-unknown",
    "demo.package-missing",
    "emr.above-threshold",
    "emr.barrier-slots",
    "emr.bootstrap-failed",
    "emr.container-memory",
    "emr.disk-full",
    "emr.driver-memory",
    "emr.ended-by-user",
    "emr.ended-from-outside",
    "emr.environment-missing",
    "emr.heap-memory",
    "emr.idle-ended",
    "emr.network",
    "emr.no-capacity",
    "emr.no-executors",
    "emr.package-missing",
    "emr.python-memory",
    "emr.quota",
    "emr.request-invalid",
    "emr.s3-denied",
    "emr.s3-missing",
    "emr.s3-slow-down",
    "emr.s3a-missing",
    "emr.shuffle-lost",
    "emr.spot-lost",
    "emr.step-cancelled",
    "emr.unknown",
    "emr.worker-python",
    "engines.disk-full",
    "engines.executor-memory",
    "engines.java-missing",
    "engines.java-wrong",
    "engines.keep-clash",
    "engines.keep-unknown",
    "engines.mllib-embedded",
    "engines.output-disk-full",
    "engines.output-not-shared",
    "engines.output-unusable",
    "engines.python-differs",
    "engines.s3a-missing",
    "engines.score-not-a-number",
    "engines.scratch-unusable",
    "engines.slice-unknown",
    "engines.spark-dynamic-allocation",
    "engines.spark-failed",
    "engines.spark-missing",
    "engines.spark-no-slots",
    "engines.spark-rows-lost",
    "engines.spark-unreachable",
    "engines.unknown",
    "engines.workers-lack",
    "evaluate.label-missing",
    "export.form-unfit",
    "export.in-the-way",
    "export.not-the-same",
    "export.package-missing",
    "fit.failed",
    "infra.apply-failed",
    "infra.bucket-not-empty",
    "infra.bucket-unnamed",
    "infra.locked",
    "infra.name-unfit",
    "infra.not-confirmed",
    "infra.not-ours",
    "infra.nothing-made",
    "infra.plan-failed",
    "infra.provider-unreachable",
    "infra.terraform-failed",
    "infra.terraform-missing",
    "infra.terraform-old",
    "package.column-missing",
    "package.column-twice",
    "package.column-type",
    "package.column-unreadable",
    "package.damaged",
    "package.doors-disagree",
    "package.extra-missing",
    "package.features-differ",
    "package.features-missing",
    "package.model-damaged",
    "package.model-failed",
    "package.model-missing",
    "package.model-unusable",
    "package.not-a-bundle",
    "package.not-a-table",
    "package.not-writable",
    "package.onnx-too-large",
    "package.pickle-refused",
    "package.too-new",
    "package.types-untrusted",
    "places.access-denied",
    "places.aws-extra-missing",
    "places.bucket-missing",
    "places.bucket-region",
    "places.clock-skew",
    "places.cluster-ended",
    "places.cluster-mode-python",
    "places.cluster-unnamed",
    "places.connect-not-submitted",
    "places.credentials-expired",
    "places.credentials-refused",
    "places.environment-broken",
    "places.environment-download",
    "places.environment-pip",
    "places.evaluate-what",
    "places.failed",
    "places.instance-unknown",
    "places.job-cancelled",
    "places.job-failed",
    "places.job-unknown",
    "places.lane-unknown",
    "places.ledger-unusable",
    "places.local-path",
    "places.logs-absent",
    "places.no-bucket",
    "places.no-credentials",
    "places.no-region",
    "places.not-finished",
    "places.object-missing",
    "places.outside-lane",
    "places.request-refused",
    "places.service-down",
    "places.spark-missing",
    "places.throttled",
    "places.unknown",
    "places.unreachable",
    "places.variable-secret",
    "predict.keep-unknown",
    "predict.out-unknown",
    "predict.stream-checkpoint",
    "predict.stream-columns",
    "predict.stream-kafka",
    "predict.stream-option",
    "read.binary",
    "read.column-unknown",
    "read.columns-alike",
    "read.columns-lacking",
    "read.csv-damaged",
    "read.derive-failed",
    "read.derive-name",
    "read.derive-not-rowwise",
    "read.derive-not-whole",
    "read.derive-python",
    "read.derive-sql",
    "read.disk-full",
    "read.empty",
    "read.encoding",
    "read.encoding-unknown",
    "read.failed",
    "read.file-missing",
    "read.file-refused",
    "read.folder-empty",
    "read.formats-mixed",
    "read.gzip-damaged",
    "read.label-missing",
    "read.line-too-long",
    "read.memory",
    "read.names-count",
    "read.no-rows",
    "read.not-a-table",
    "read.one-column",
    "read.parquet-damaged",
    "read.quote",
    "read.ragged",
    "read.role-twice",
    "read.s3-changed",
    "read.s3-missing",
    "read.s3-profile",
    "read.s3-refused",
    "read.s3-unreachable",
    "read.schemas-differ",
    "read.type-impossible",
    "recipe.bad-set",
    "recipe.bad-value",
    "recipe.exists",
    "recipe.file-missing",
    "recipe.key-missing",
    "recipe.not-toml",
    "recipe.unknown-key",
    "recipe.unreadable",
    "recipe.variable-missing",
    "registry.labels-differ",
    "registry.no-bundle",
    "registry.no-rows",
    "registry.not-registered",
    "registry.nothing-before",
    "registry.rows-changed",
    "registry.run-unfinished",
    "registry.sources-differ",
    "registry.version-unknown",
    "registry.why-missing",
    "rows.column-missing",
    "rules.class-ignored",
    "rules.exploding-loss",
    "rules.loss-not-decreasing",
    "rules.overfitting",
    "rules.run-stopped",
    "rules.vanishing-gain",
    "run.disk-full",
    "run.interrupted",
    "run.not-found",
    "run.not-writable",
    "run.nothing-to-resume",
    "run.taken",
    "search.all-failed",
    "search.dollars-spent",
    "search.dollars-without-minutes",
    "search.metric-undefined",
    "search.no-time",
    "search.trial-failed",
    "serve.body-too-large",
    "serve.body-unreadable",
    "serve.bundle-refused",
    "serve.bundle-unknown",
    "serve.busy",
    "serve.capture-unusable",
    "serve.extra-missing",
    "serve.media-type",
    "serve.method",
    "serve.no-such-page",
    "serve.not-acceptable",
    "serve.port-taken",
    "serve.registry-unusable",
    "serve.row-unfit",
    "serve.share-unfit",
    "serve.token-needed",
    "serve.too-many-rows",
    "serve.too-slow",
    "serve.took-too-long",
    "serve.unauthorized",
    "serve.value-type",
    "split.class-missing",
    "split.column-missing",
    "split.fold-empty",
    "split.no-rows",
    "split.shares-wrong",
    "split.time-missing",
    "split.time-unusable",
    "split.too-many-categories",
    "split.weight-unusable",
    "track.busy",
    "track.experiment-deleted",
    "track.failed",
    "track.not-a-run",
    "track.not-writable",
    "track.nothing-to-show",
    "track.package-missing",
    "track.port-taken",
    "track.refused",
    "track.server-away",
    "track.store-old",
    "track.store-unusable",
    "track.ui-failed",
    "track.ui-missing",
    "udf.not-a-struct",
    "watch.bad-set",
    "watch.classes-drifted",
    "watch.column-drifted",
    "watch.data-or-capture",
    "watch.few-live-rows",
    "watch.labels-unusable",
    "watch.metric-dropped",
    "watch.missing-changed",
    "watch.no-baseline",
    "watch.no-rows",
    "watch.no-time",
    "watch.nothing-captured",
    "watch.out-of-range",
    "watch.score-drifted",
    "watch.since-unreadable",
    "watch.unseen-categories",
]
"""One code per event, `room.what-happened`; `docs/errors.md` has a heading for each (a test holds them together)."""

CODES: tuple[str, ...] = get_args(Code)


class FilonError(Exception):
    """What happened, why we think so and what to do, under a stable code.

    Parameters
    ----------
    code : one of `Code`
    what : one line in the user's words
    why : bounded evidence (five examples at most), never a secret, cell values only if asked
    fix : something to paste
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, code: Code, what: str, why: str, fix: str) -> None:
        super().__init__(code, what, why, fix)  # positional, so that errors survive pickling between processes
        self.code, self.what, self.why, self.fix = code, what, why, fix

    def __str__(self) -> str:
        return f"error[{self.code}] {self.what}\n  why  {self.why}\n  fix  {self.fix}"


class RecipeError(FilonError):
    """The recipe, or a command's words, must change."""

    exit_code = 2


class DataError(FilonError):
    """The data must change, or be named otherwise."""

    exit_code = 3


class SetupError(FilonError):
    """The machine lacks something: a package, a folder, space, a server."""

    exit_code = 4


class EngineError(FilonError):
    """The computation failed."""

    exit_code = 5


class PlaceError(FilonError):
    """A place (cluster, cloud) refused or failed; `retryable` says whether the same call may work later."""

    exit_code = 6
    retryable: bool = False


class BundleError(FilonError):
    """The bundle is damaged, too new, or not one."""

    exit_code = 7


FINDING_EXIT = 1
"""Exit code when a finding (not an error) stops the command."""


def some(names: object, most: int = 5) -> str:
    """Bounded list for a message: five examples, then "and 12 more".

    >>> some(["a", "b"])
    '"a", "b"'
    >>> some([str(i) for i in range(8)], most=2)
    '"0", "1" and 6 more'
    """
    items = [f'"{name}"' for name in names]  # type: ignore[attr-defined]
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
