"""`filon infra`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from filon.cli.options import recipe_options, shared

if TYPE_CHECKING:
    from filon.cli.terminal import Terminal
    from filon.places.infra.terraform import Plan, Terraform

BUCKET = "aws_s3_bucket"
OURS = "infrastructure/bootstrap.sh"
"""The one object that Terraform itself puts into the bucket and takes out again."""


@click.command("infra")
@click.argument("action", type=click.Choice(["init", "plan", "up", "down"]))
@recipe_options
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the Terraform is (default: infrastructure/ beside the recipe).",
)
@click.option("--yes", is_flag=True, help="up, down: do not ask; the plan is shown all the same.")
@click.option("--force", is_flag=True, help="init: write over files that were changed by hand.")
@click.option("--keep-bucket", is_flag=True, help="down: leave the bucket and what is in it.")
@shared
def command(
    action: str, recipe: str, sets: tuple[str, ...], folder: Path | None, yes: bool, force: bool, keep_bucket: bool, as_json: bool
) -> int:
    """What a recipe needs in an AWS account, as Terraform: bucket, roles, network, EMR cluster, budget.

    init writes it, plan shows what would change, up makes it, down takes it away. Nothing is made or deleted that was not shown
    first, and nothing that Terraform did not make here is touched.

    \b
    Example:
      filon infra init filon.toml
      filon infra up filon.toml
      filon infra down filon.toml --keep-bucket
    """
    from filon.cli.terminal import Terminal
    from filon.recipe import load_recipe

    terminal = Terminal(as_json)
    file = load_recipe(recipe, sets)
    folder = folder or file.base / "infrastructure"
    if action == "init":
        from filon.places.infra.writing import write_infrastructure

        _refuse_secrets(file.written)
        places, data = file.recipe.places, file.recipe.data
        named = [data.source] if isinstance(data.source, str) else list(data.source)
        sources = tuple(str(one) for one in (*named, file.recipe.split.test_source or "") if one)
        wrote = write_infrastructure(folder, file.recipe.name, places.emr, sources=sources, strategy=places.spark.strategy, force=force)
        for name in wrote.written:
            terminal.say(f"  wrote {folder / name}")
        for name in wrote.kept:
            terminal.say(f"  kept  {folder / name}: it was changed by hand (--force writes over it)", fg="yellow")
        if not wrote.written and not wrote.kept:
            terminal.say(f"{folder} is as the recipe says")
        terminal.say(f"\nnext: filon infra up {recipe}")
        terminal.result({"folder": str(folder), "written": wrote.written, "same": wrote.same, "kept": wrote.kept})
        return 0
    from filon.places.infra.writing import region_of

    return _terraform(action, recipe, folder, terminal, region=region_of(file.recipe.places.emr), yes=yes, keep_bucket=keep_bucket)


def _refuse_secrets(written: Mapping[str, Any]) -> None:
    """Raise `places.variable-secret`: what is written for Terraform is kept, shared and committed."""
    from filon.errors import RecipeError
    from filon.places.emr.submit import SECRET
    from filon.variables import names_in

    secret = sorted(name for name in names_in(written.get("places", {}).get("emr", {})) if SECRET.search(name))
    if secret:
        what = f"[places.emr] reads a secret, {secret[0]}, from this machine's environment"
        why = "terraform.tfvars, and Terraform's state, would hold its value"
        raise RecipeError("places.variable-secret", what, why, "leave it out of [places.emr]: nodes read secrets by their role")


def _terraform(action: str, recipe: str, folder: Path, terminal: Terminal, *, region: str, yes: bool, keep_bucket: bool) -> int:
    from filon.places.infra.terraform import Terraform

    terraform = Terraform(folder, terminal)
    terraform.init()
    plan = _plan_down(terraform, recipe, folder, region, keep_bucket=keep_bucket) if action == "down" else terraform.plan()
    terminal.say(plan.text)
    if plan.nothing:
        terminal.say("no changes: everything is as the recipe says" if action != "down" else "there is nothing to take down")
    elif action != "plan":
        _ask(plan, yes)
        try:
            terraform.apply(plan)
        except KeyboardInterrupt:
            terminal.say(f"stopped: what was made stands, by {folder}/terraform.tfstate", fg="yellow")
            terminal.say(f"the same command goes on; filon infra down {recipe} takes it away", fg="yellow")
            raise
    outputs = terraform.outputs() if action != "down" else {}
    if action == "up":
        _tell_outputs(terminal, outputs)
    elif action == "down":
        terminal.say(f"{plan.remove} resources are gone" + ("; the bucket stands" if keep_bucket else ""))
    changes = [{"resource": address, "action": what} for address, what in plan.changes]
    terminal.result({"action": action, "folder": str(folder), "changes": changes, "outputs": outputs})
    return 0


def _plan_down(terraform: Terraform, recipe: str, folder: Path, region: str, *, keep_bucket: bool) -> Plan:
    """The plan of taking down, after a look into the bucket: what is in it is not ours to lose.

    Raises
    ------
    RecipeError : `infra.nothing-made`, `infra.bucket-not-empty`
    """
    from filon.errors import RecipeError

    standing = terraform.resources()
    if not standing:
        raise RecipeError(
            "infra.nothing-made", "there is nothing to take down", f"{folder} has no resources in its state", "filon infra up"
        )
    if keep_bucket:
        return terraform.plan(destroy=True, only=[one for one in standing if not one.startswith(BUCKET)])
    bucket = terraform.bucket()
    found = _objects(bucket, region) if bucket else []
    if found:
        raise RecipeError(
            "infra.bucket-not-empty",
            f"the bucket {bucket} holds models, results or logs",
            f"for example {', '.join(found[:3])}",
            f"filon infra down {recipe} --keep-bucket, or empty the bucket first: aws s3 rm --recursive s3://{bucket}/",
        )
    return terraform.plan(destroy=True)


def _objects(bucket: str, region: str) -> list[str]:
    """Some keys of the bucket, old versions too, but for Terraform's own."""
    from filon.places.emr.client import Client

    answer = Client(region, attempts=2).call("s3", "list_object_versions", Bucket=bucket, MaxKeys=20)
    keys = [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in answer.get(kind, [])]
    return sorted({key for key in keys if not key.endswith(OURS)})


def _ask(plan: Plan, yes: bool) -> None:
    """Go on only with a yes.

    Raises
    ------
    RecipeError : `infra.not-confirmed`
    """
    from filon.errors import RecipeError

    if yes:
        return
    what = f"{plan.add} to add, {plan.change} to change, {plan.remove} to destroy"
    if sys.stdin.isatty() and click.confirm(f"{what}. Do it?", default=False):
        return
    why = "the answer was no" if sys.stdin.isatty() else "there is no terminal to ask at"
    raise RecipeError("infra.not-confirmed", f"nothing was changed: {what}", why, "read the plan above, then add --yes")


def _tell_outputs(terminal: Terminal, outputs: dict[str, object]) -> None:
    """What the recipe needs to know of what stands."""
    if not outputs:
        return
    terminal.say("\nwhat stands:", bold=True)
    for name, value in outputs.items():
        terminal.say(f"  {name:<18} {value}")
    names = {"emr_cluster_id": "cluster_id", "log_uri": "log_uri", "subnet": "subnet"}
    names |= {one: one for one in ("service_role", "instance_profile", "execution_role")}
    terminal.say("\nfor the recipe:\n[places.emr]", bold=True)
    groups = outputs.get("security_groups")
    given = {key: outputs.get(output) for output, key in names.items()}
    if isinstance(groups, dict):
        given |= {f"{one}_group": groups.get(one) for one in ("primary", "nodes", "service")}
    for key, value in given.items():
        if value:
            terminal.say(f'{key} = "{value}"')
