"""A job as an EMR step or job run: what is uploaded, what Spark is told, and the name by which one that was sent is found again."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.errors import RecipeError
from filon.events import Event, Listen
from filon.places.base import Job
from filon.places.emr.bucket import Address, Bucket
from filon.places.emr.cost import meter_of
from filon.places.emr.serverless.workers import plan_workers
from filon.places.emr.settings import EmrSettings
from filon.places.emr.sizing import Plan, in_memory_mib, plan
from filon.places.job_words import job_words, modules_of
from filon.variables import NAMED, names_in

SCRIPT = Path(__file__).with_name("on_cluster.py")
OUTPUTS: Mapping[str, str] = {"train": "models/model", "evaluate": "results/eval", "predict": "predictions/pred"}
SECRET = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job made ready: its folder in S3, where its outputs will be, and what Spark is to run: `script` with `words`, on `environment`."""

    job: Job
    folder: Address
    out: str
    attempt: str
    script: str
    words: tuple[str, ...]
    environment: str
    conf: Mapping[str, str]
    plan: Plan
    facts: Mapping[str, Any]

    def announce(self, bucket: Bucket) -> None:
        """Write `job.json`, which says which attempt of the job is wanted: in the very moment of sending, because the driver of another
        attempt ends when it sees it."""
        bucket.write(self.folder / "job.json", json.dumps(self.facts, indent=2, ensure_ascii=False).encode())

    @property
    def name(self) -> str:
        """Of the step (or job run), and of a cluster made for it: how they are found again."""
        return step_name(self.job.key)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words of the step."""
        told = [word for name, value in sorted(self.conf.items()) for word in ("--conf", f"{name}={value}")]
        submit = ("spark-submit", "--deploy-mode", "cluster", "--master", "yarn", "--name", self.name, *told)
        return (*submit, "--archives", f"{self.environment}#environment", self.script, *self.words)

    def step(self, action: str) -> dict[str, Any]:
        """The step as EMR takes it."""
        return {
            "Name": self.name,
            "ActionOnFailure": action,
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(self.arguments)},
        }


def step_name(key: str) -> str:
    """Name of the step of a job, e.g. "filon-bank-train-0a1b2c3d4e5f"."""
    return f"filon-{key}"


def prepare(job: Job, settings: EmrSettings, bucket: Bucket, archive: str | Path, strategy: str, listen: Listen) -> Order:
    """Upload what is not there yet and write what Spark is to run.

    Parameters
    ----------
    archive : the environment for the cluster's lane, a local file or an s3:// address

    Raises
    ------
    RecipeError : `places.local-path`, `places.variable-secret`
    """
    job = _with_bundle(job, bucket, listen)
    recipe, variables = refuse(job)
    budget = tomllib.loads(recipe).get("search", {}).get("budget", {})
    variables = {**variables, **meter_of(settings, bucket.aws.region, budget.get("dollars"))}
    size = (plan_workers if settings.serverless else plan)(settings, table_mib=_table_mib(job, bucket), strategy=strategy)
    environment = str(archive) if str(archive).startswith("s3://") else bucket.keep(Path(archive), listen).uri
    script = bucket.keep(SCRIPT, listen).uri
    folder, attempt = bucket.root / "jobs" / job.key, datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    out = job.out or (bucket.root / f"{OUTPUTS[job.verb]}_{attempt}").uri
    facts = _write_folder(bucket, folder, job, recipe, variables, out, attempt)
    words = job_words(job, recipe="recipe.toml", runs="runs", bundle="bundle", out=out if job.verb == "predict" else "eval")
    own = ["--job", folder.uri, "--out", out, "--attempt", attempt, *(("--bundle", job.bundle) if job.bundle else ())]
    conf = {**_conf(bucket.aws.region), **size.conf(), **settings.conf}
    return Order(
        job=job,
        folder=folder,
        out=out,
        attempt=attempt,
        script=script,
        words=(*own, "--", *words),
        environment=environment,
        conf=conf,
        plan=size,
        facts=facts,
    )


def _with_bundle(job: Job, bucket: Bucket, listen: Listen) -> Job:
    """A bundle of this machine goes along, in the job's folder; it is a few MiB."""
    local = Path(job.bundle)
    if not job.bundle or "://" in job.bundle or not (local / "bundle.json").exists():
        return job
    place = bucket.root / "jobs" / job.key / "bundle"
    entry = bucket.ledger.intend("folder", (bucket.root / "jobs" / job.key).uri, job=job.key, region=bucket.aws.region)
    files = [file for file in sorted(local.rglob("*")) if file.is_file()]
    for file in files:
        bucket.write(place / file.relative_to(local).as_posix(), file.read_bytes())
    listen(Event(stage="upload", text=f"the bundle, {len(files)} files"))
    bucket.ledger.made(entry, (bucket.root / "jobs" / job.key).uri)
    return replace(job, bundle=place.uri)


def refuse(job: Job) -> tuple[str, dict[str, str]]:
    """The recipe as it goes to the cluster (without the tables of places), and the variables it needs there.

    Raises
    ------
    RecipeError : `places.local-path`, `places.variable-secret`
    """
    import tomli_w

    named = {"bundle": job.bundle, "--data": job.data, "--out": job.out} if job.verb != "train" else {}
    recipe, conf = "", {}
    if job.recipe:
        written = tomllib.loads(job.recipe)
        conf = written.get("places", {}).get("emr", {}).get("conf", {})
        written["places"] = {"spark": written["places"]["spark"]} if written.get("places", {}).get("spark") else {}
        named = _sources(written, job.variables)
        if not _is_remote(str(written.get("track", {}).get("uri", "sqlite:"))):
            # a file on a node ends with the node; `filon track` sends the run from home after `filon fetch`
            written["track"] = {"enabled": False}
        recipe = tomli_w.dumps({key: value for key, value in written.items() if value != {}}, multiline_strings=False)
    for name, path in named.items():
        if path and not path.startswith(("s3://", "s3a://", "hdfs://")):
            why = f'{name} = "{path}" is a path of this machine'
            raise RecipeError("places.local-path", "the cluster cannot reach a path of this machine", why, _instead(name, path))
    needed = {name: job.variables[name] for name in names_in(recipe) if name in job.variables}
    secret = sorted(name for name in {*needed, *names_in(conf)} if SECRET.search(name))
    if secret:
        raise RecipeError(
            "places.variable-secret",
            f"the recipe reads a secret, {secret[0]}, from this machine's environment",
            "whoever may look at the bucket or the step would read it",
            f"let the nodes do it by their own role (places.emr.instance_profile), or leave {secret[0]} out of the recipe",
        )
    return recipe, needed


def _instead(name: str, path: str) -> str:
    """What to write in the place of a path of this machine; a bundle that is here goes along, so one that is named has no bundle.json."""
    if name == "bundle":
        return "name the folder with bundle.json in it (it goes along), or s3://.../bundle: filon runs lists what was trained"
    if name == "--out":
        return "--out s3://YOUR-BUCKET/scored/: filon fetch brings it home"
    told = name if name.startswith("--") else f"--set {name}"
    return f"aws s3 cp {path} s3://YOUR-BUCKET/data/ and name that: {told}{' ' if name.startswith('--') else '='}s3://YOUR-BUCKET/data/"


def _sources(written: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """Every path of a recipe by its key, with `${NAME}` as the job will see it."""
    sources: Any = written.get("data", {}).get("source", "")
    listed = [sources] if isinstance(sources, str) else list(sources)
    named = {f"data.source{'' if len(listed) == 1 else f'[{k}]'}": str(path) for k, path in enumerate(listed)}
    named["split.test_source"] = str(written.get("split", {}).get("test_source", ""))
    return {key: NAMED.sub(lambda found: variables.get(found[1], ""), path) for key, path in named.items()}


def _is_remote(uri: str) -> bool:
    return uri.startswith(("http://", "https://", "databricks"))


def _write_folder(
    bucket: Bucket, folder: Address, job: Job, recipe: str, variables: Mapping[str, str], out: str, attempt: str
) -> dict[str, Any]:
    """What the job is given, but for `job.json`, which is returned."""
    entry = bucket.ledger.intend("folder", folder.uri, job=job.key, region=bucket.aws.region)
    if job.verb != "predict" or not job.out:
        bucket.ledger.intend("output", out, job=job.key, region=bucket.aws.region)
    if recipe:
        bucket.write(folder / "recipe.toml", recipe.encode())
    modules = modules_of(job)
    for path, content in modules.items():
        bucket.write(folder / "modules" / path, content)
    bucket.ledger.made(entry, folder.uri)
    return {
        "key": job.key,
        "verb": job.verb,
        "name": job.name,
        "out": out,
        "attempt": attempt,
        "recipe": bool(recipe),
        "modules": list(modules),
        "variables": dict(variables),
        "bundle": job.bundle,
        "data": job.data,
        "options": list(job.options),
    }


def _conf(region: str) -> dict[str, str]:
    python = "./environment/bin/python"
    return {
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
        "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON": python,
        "spark.yarn.appMasterEnv.AWS_REGION": region,
        "spark.executorEnv.PYSPARK_PYTHON": python,
        "spark.executorEnv.AWS_REGION": region,
        # a second attempt of the driver would train all over again, unseen and paid
        "spark.yarn.maxAppAttempts": "1",
        "spark.yarn.submit.waitAppCompletion": "true",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.sql.adaptive.enabled": "true",
    }


def _table_mib(job: Job, bucket: Bucket) -> float:
    """The table in memory, by the bytes of its files; 0 when it cannot be told (a glob, or somebody else's bucket)."""
    from filon.errors import PlaceError
    from filon.places.emr.bucket import address

    sources = list(_sources(tomllib.loads(job.recipe), job.variables).values()) if job.recipe else [job.data]
    total = 0.0
    for source in sources:
        if not source.startswith("s3://") or any(mark in source for mark in "*?["):
            continue
        place = address(source)
        try:
            size = bucket.has(place)
            files: list[dict[str, Any]] = [{"Key": place.key, "Size": size}] if size is not None else bucket.listed(place)
        except PlaceError as exc:
            if exc.code in ("places.access-denied", "places.bucket-missing", "places.object-missing"):
                return 0.0  # the job may have rights that we lack
            raise
        total += sum(in_memory_mib(int(one["Size"]), str(one["Key"])) for one in files)
    return total


def out_of(arguments: Sequence[str]) -> str:
    """Where a step's outputs go, from its arguments."""
    return word_of(arguments, "--out")


def word_of(arguments: Sequence[str], name: str) -> str:
    """The word after a name among a step's arguments, "" where the name is not there."""
    words = list(arguments)
    return words[words.index(name) + 1] if name in words else ""


def tell_plan(order: Order, listen: Listen) -> None:
    """One line on the executors."""
    listen(Event(stage="submit", text=f"executors: {order.plan.why}"))
