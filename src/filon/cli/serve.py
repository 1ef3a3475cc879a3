"""`filon serve`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from filon.cli.options import Finite, shared

if TYPE_CHECKING:
    from filon.serve.settings import ServeSettings


@click.command("serve")
@click.argument("bundle", type=str, envvar="FILON_BUNDLE")
@click.option(
    "--host", default="127.0.0.1", envvar="FILON_HOST", show_default=True, help="Address to listen on (0.0.0.0: all of the machine's)."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    envvar=["FILON_PORT", "SAGEMAKER_BIND_TO_PORT"],
    show_default=True,
    help="Port to listen on (0: any free one).",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer; one that dies is replaced."
)
@click.option(
    "--max-body", "body_mib", type=click.IntRange(min=1), default=64, show_default=True, metavar="MIB", help="Largest body, also unpacked."
)
@click.option("--max-rows", type=click.IntRange(min=1), default=500_000, show_default=True, help="Most rows of one request.")
@click.option(
    "--timeout", "seconds", type=Finite(min=0.1), default=60.0, show_default=True, metavar="S", help="Longest a request may take."
)
@click.option("--models", default="", metavar="FOLDER", help="Bundles that POST /models may put in service, each a folder in this one.")
@click.option(
    "--capture", default="", metavar="PLACE", help="Folder or s3:// URI: keep what is asked and answered, as SageMaker's data capture does."
)
@click.option("--capture-spool", default="", metavar="FOLDER", help="With s3://: where files wait to be sent (default: a temporary one).")
@click.option("--capture-every", default="5m", show_default=True, metavar="TIME", help="With s3://: how often what was kept is sent.")
@click.option("--capture-share", type=Finite(0, 1), default=1.0, show_default=True, help="Part of the requests that is kept.")
@click.option("--capture-without", multiple=True, metavar="COLUMN", help="Columns that are not kept.")
@click.option("--capture-hashed", multiple=True, metavar="COLUMN", help="Columns kept as a hash (keyed by FILON_CAPTURE_KEY).")
@click.option(
    "--registry", default="", metavar="URI", help="MLflow of models:/NAME@ALIAS (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)."
)
@click.option("--watch", default="30s", show_default=True, metavar="TIME", help="How often the alias is looked at (0: at the start).")
@shared
def command(
    bundle: str,
    host: str,
    port: int,
    workers: int,
    body_mib: int,
    max_rows: int,
    seconds: float,
    models: str,
    capture: str,
    capture_spool: str,
    capture_every: str,
    capture_share: float,
    capture_without: tuple[str, ...],
    capture_hashed: tuple[str, ...],
    registry: str,
    watch: str,
    as_json: bool,
) -> None:
    """Answer rows with a bundle over HTTP: POST /invocations, GET /ping, /healthz, /readyz, /metrics.

    BUNDLE is a folder, or models:/NAME@ALIAS: then the alias is followed, and another version takes over without a pause once it has
    answered its golden rows. With FILON_TOKEN set, requests must bring it (Authorization: Bearer ...). SIGTERM lets what was begun be
    answered. A container may say FILON_BUNDLE, FILON_HOST and FILON_PORT in its environment instead.

    \b
    Example:
      filon serve runs/bank/20260101_120000-ab12cd34/bundle --port 8080
      filon serve models:/bank@champion --watch 30s
      curl localhost:8080/invocations -H 'content-type: application/json' -d '{"age": 41, "job": "miner"}'
    """
    from filon.cli.terminal import Terminal
    from filon.serve.settings import MIB, CaptureSettings, Limits, ServeSettings
    from filon.serve.sockets import check, listen, url
    from filon.serve.workers import run

    terminal = Terminal(as_json)
    limits = Limits(body_bytes=body_mib * MIB, rows=max_rows, seconds=seconds)
    kept = CaptureSettings(
        place=capture,
        spool=capture_spool,
        roll_s=seconds_of(capture_every, "--capture-every"),
        share=capture_share,
        leave_out=capture_without,
        hashed=capture_hashed,
    )
    settings = ServeSettings(bundle=bundle, host=host, port=port, workers=workers, models=models, limits=limits, capture=kept)
    check(settings)
    with contextlib.ExitStack() as kept_until_the_end, listen(settings) as bound:
        if bundle.startswith("models:/"):
            shelf = Path(models) if models else Path(kept_until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="filon-shelf-")))
            settings = _followed(settings, registry, seconds_of(watch, "--watch"), shelf)
        where = url(settings, bound)

        def ready() -> None:
            terminal.say(f"{bundle} answers at {where} (Ctrl-C stops it)", bold=True)
            if as_json:  # not Terminal.result: it imports Arrow, and the supervisor is to stay small
                click.echo(json.dumps({"result": {"url": where, "bundle": bundle}}, ensure_ascii=False))

        run(settings, bound, ready)


def _followed(settings: ServeSettings, registry: str, every_s: float, shelf: Path) -> ServeSettings:
    """Settings with the alias' version as the bundle."""
    from filon.serve.following import first
    from filon.serve.settings import Followed

    found = re.fullmatch(r"models:/([^@/]+)(?:@([^@/]+)|/(\d+))", settings.bundle)
    if found is None:
        raise click.UsageError(f"{settings.bundle} is neither models:/NAME@ALIAS nor models:/NAME/VERSION")
    uri = registry or os.environ.get("MLFLOW_TRACKING_URI", "") or "sqlite:///mlflow.db"
    return first(settings, Followed(uri=uri, name=found[1], alias=found[2] or found[3], every_s=0 if found[3] else every_s), shelf)


def seconds_of(text: str, option: str) -> float:
    """A time such as 30s, 5m or 1h; a bare number is seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time: write 30s, 5m or 1h", param_hint=option)
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]
