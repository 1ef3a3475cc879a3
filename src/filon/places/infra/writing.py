"""`infrastructure/` for a recipe: Terraform as it ships, policies and variables as the recipe says."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filon.errors import RecipeError, some
from filon.files import write_atomic
from filon.places.emr.policies import TERRAFORM, documents
from filon.places.emr.prices import by_table
from filon.places.emr.settings import EmrSettings

TEMPLATES = Path(__file__).with_name("templates")
MARK = ".filon.json"
"""What we wrote and its hashes: a file that changed since is its owner's, and is not written over."""

IGNORED = "# state and plans may hold what nobody else should read\n.terraform/\n*.tfstate\n*.tfstate.*\n*.tfplan\n"

SPARK = {
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """What became of each file: written, as it was already, or kept because somebody changed it."""

    folder: Path
    written: tuple[str, ...]
    same: tuple[str, ...]
    kept: tuple[str, ...]


def write_infrastructure(
    folder: Path, name: str, settings: EmrSettings, *, sources: tuple[str, ...] = (), strategy: str = "auto", force: bool = False
) -> Wrote:
    """Write the Terraform of a recipe.

    Parameters
    ----------
    folder : made when it is not there; one that holds somebody else's Terraform is refused
    name : of the recipe
    sources : what the recipe reads
    strategy : `places.spark.strategy`; only "tasks" goes with dynamic allocation
    force : write over files that were changed by hand

    Raises
    ------
    RecipeError : `infra.bucket-unnamed`, `infra.name-unfit`, `infra.not-ours`
    """
    if settings.subnet and settings.subnet == _made_subnet(folder):
        settings = settings.model_copy(update={"subnet": ""})  # pasted from what `up` printed: as one that exists it would be taken down
    wanted = contents(name, settings, sources=sources, strategy=strategy)
    before = _mark(folder)
    if before is None and any(folder.glob("*.tf")):
        raise RecipeError(
            "infra.not-ours",
            f"{folder} holds Terraform that filon did not write",
            f"it has {some(sorted(one.name for one in folder.glob('*.tf')))} and no {MARK}",
            "choose another folder: filon infra init --folder infrastructure-filon",
        )
    written, same, kept = [], [], []
    marks = dict(before or {})
    for file, text in wanted.items():
        path = folder / file
        now = path.read_text(encoding="utf-8") if path.exists() else None
        if now == text:
            same.append(file)
        elif now is None or force or marks.get(file) == _hash(now):
            write_atomic(path, text)
            written.append(file)
        else:
            kept.append(file)
            continue
        marks[file] = _hash(text)
        if file.endswith(".sh"):
            path.chmod(0o755)
    write_atomic(folder / MARK, json.dumps({"made by": "filon infra init", "files": marks}, indent=1, sort_keys=True) + "\n")
    return Wrote(folder=folder, written=tuple(written), same=tuple(same), kept=tuple(kept))


def contents(name: str, settings: EmrSettings, *, sources: tuple[str, ...] = (), strategy: str = "auto") -> dict[str, str]:
    """Every file of the folder by its path there."""
    files = {one.name: one.read_text(encoding="utf-8") for one in sorted(TEMPLATES.iterdir()) if one.suffix in (".tf", ".sh")}
    values = variables(name, settings, strategy=strategy)
    data = tuple(one for one in (*sources, *settings.infra.read) if not _is_under(one, settings.bucket))
    remote = [one for one in data if one.startswith(("s3://", "s3a://"))]
    for policy, document in documents(TERRAFORM, remote, serverless=settings.serverless, subnet=settings.subnet).items():
        files[f"policies/{policy}.json"] = json.dumps(document, indent=2) + "\n"
    head = f"# The recipe {name}, as `filon infra init` read it. Change the recipe and run it again, or change this file and keep it.\n"
    files["terraform.tfvars"] = head + "".join(f"{key} = {_hcl(value)}\n" for key, value in values.items())
    files[".gitignore"] = IGNORED
    return files


def variables(name: str, settings: EmrSettings, *, strategy: str = "auto") -> dict[str, Any]:
    """Values of the variables of `variables.tf`.

    Raises
    ------
    RecipeError : `infra.bucket-unnamed`, `infra.name-unfit`, `infra.no-bid`
    """
    infra = settings.infra
    bucket, _, prefix = settings.bucket.removeprefix("s3://").partition("/")
    if not bucket:
        raise RecipeError(
            "infra.bucket-unnamed",
            "the recipe does not say which bucket to make",
            "places.emr.bucket is empty; bucket names are taken worldwide, so we do not make one up",
            '[places.emr]\nbucket = "s3://YOUR-COMPANY-filon/' + name + '"',
        )
    if len(name) > MOST_NAME:
        raise RecipeError(
            "infra.name-unfit",
            "the recipe's name is too long for the roles that carry it",
            f'"{name}" has {len(name)} letters, IAM takes {MOST_NAME} beside our own',
            f'name = "{name[:MOST_NAME]}"',
        )
    return {
        "name": name,
        "region": region_of(settings),
        "bucket": bucket,
        "prefix": prefix.strip("/"),
        "create_bucket": infra.create_bucket,
        "log_days": infra.log_days,
        "cluster": infra.cluster and not settings.serverless,
        "release": settings.release,
        "primary_type": settings.primary_type,
        "primary_disk_gib": settings.primary_disk_gib,
        "core_type": settings.core_type,
        "core_count": settings.core_count,
        "core_disk_gib": settings.core_disk_gib,
        "task_type": settings.task_type or settings.core_type,
        "task_count": settings.task_count,
        "task_max": max(infra.task_max, settings.task_count) if infra.task_max else 0,
        "task_spot": settings.task_spot,
        "task_bid": task_bid(settings),
        "idle_minutes": settings.idle_minutes,
        "spark_conf": spark_conf(settings, strategy),
        "subnet": settings.subnet,
        "vpc_cidr": infra.vpc_cidr,
        "ssh_cidrs": list(infra.ssh_cidrs),
        "budget_dollars": infra.budget_dollars,
        "budget_emails": list(infra.budget_emails),
        "tags": dict(settings.tags),
    }


def region_of(settings: EmrSettings) -> str:
    """The recipe's region, else the environment's, else AWS's first."""
    return settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def task_bid(settings: EmrSettings) -> str:
    """Dollars that an hour of a task node may cost on the spot market: Terraform's provider takes no percentage of the on-demand price.

    Raises
    ------
    RecipeError : `infra.no-bid`, when our table has no price and the recipe names none
    """
    infra = settings.infra
    if settings.serverless or not (infra.cluster and settings.task_spot and (settings.task_count or infra.task_max)):
        return ""
    if infra.task_bid:
        return f"{infra.task_bid:g}"
    kind, region = settings.task_type or settings.core_type, region_of(settings)
    try:
        price = by_table(region, (kind,)).ec2[kind]
    except RecipeError as exc:
        raise RecipeError(
            "infra.no-bid",
            f"nobody said what an hour of {kind} may cost on the spot market of {region}",
            f"{exc.what}; {exc.why}",
            "places.emr.infra.task_bid = what it costs on demand; or places.emr.task_spot = false",
        ) from exc
    return f"{math.ceil(price * 1000) / 1000:.3f}"


MOST_NAME = 48
"""Of 64 letters that IAM allows a role; the longest of ours adds "-emr-serverless"."""


def spark_conf(settings: EmrSettings, strategy: str) -> dict[str, str]:
    """Defaults of Spark on the cluster; dynamic allocation by the needs of the recipe, as `sizing.plan` decides it for a job."""
    dynamic = settings.dynamic_allocation == "on" or (settings.dynamic_allocation == "auto" and strategy == "tasks")
    return {**SPARK, "spark.dynamicAllocation.enabled": str(dynamic).lower(), **settings.conf}


def _is_under(address: str, bucket: str) -> bool:
    return bool(bucket) and address.replace("s3a://", "s3://").startswith(bucket.rstrip("/") + "/")


def _mark(folder: Path) -> Mapping[str, str] | None:
    """Files we wrote and their hashes; None when the folder is not ours."""
    try:
        files: Mapping[str, str] = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return None
    return files


def _made_subnet(folder: Path) -> str:
    """The subnet that stands because of this folder, by Terraform's state; empty when there is none, or the state is elsewhere."""
    try:
        resources = json.loads((folder / "terraform.tfstate").read_text(encoding="utf-8"))["resources"]
        made = next(one for one in resources if (one["mode"], one["type"]) == ("managed", "aws_subnet"))
        return str(made["instances"][0]["attributes"]["id"])
    except (OSError, ValueError, KeyError, IndexError, StopIteration):
        return ""


def is_ours(folder: Path) -> bool:
    """Whether `filon infra init` wrote the folder."""
    return _mark(folder) is not None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hcl(value: Any) -> str:
    """A value as HCL: JSON but for the signs that HCL would expand."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
