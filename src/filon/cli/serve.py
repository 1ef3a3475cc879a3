"""`filon serve`."""

import click

from filon.cli.options import shared


@click.command("serve")
@click.argument("bundle", type=str)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on (0.0.0.0: all of the machine's).")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to listen on (0: any free one).")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer; one that dies is replaced."
)
@click.option(
    "--max-body", "body_mib", type=click.IntRange(min=1), default=64, show_default=True, metavar="MIB", help="Largest body, also unpacked."
)
@click.option("--max-rows", type=click.IntRange(min=1), default=500_000, show_default=True, help="Most rows of one request.")
@click.option(
    "--timeout", "seconds", type=click.FloatRange(min=0.1), default=60.0, show_default=True, metavar="S", help="Longest a request may take."
)
@click.option("--models", default="", metavar="FOLDER", help="Bundles that POST /models may put in service, each a folder in this one.")
@click.option("--capture", default="", metavar="FOLDER", help="Keep what is asked and answered there, as SageMaker's data capture does.")
@click.option("--capture-share", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Part of the requests that is kept.")
@click.option("--capture-without", multiple=True, metavar="COLUMN", help="Columns that are not kept.")
@click.option("--capture-hashed", multiple=True, metavar="COLUMN", help="Columns kept as a hash (keyed by FILON_CAPTURE_KEY).")
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
    capture_share: float,
    capture_without: tuple[str, ...],
    capture_hashed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Answer rows with a bundle over HTTP: POST /invocations, GET /ping, /healthz, /readyz, /metrics.

    With FILON_TOKEN set, requests must bring it (Authorization: Bearer ...). SIGTERM lets what was begun be answered.

    \b
    Example:
      filon serve runs/bank/20260101_120000-ab12cd34/bundle --port 8080
      curl localhost:8080/invocations -H 'content-type: application/json' -d '{"age": 41, "job": "miner"}'
    """
    from filon.cli.terminal import Terminal
    from filon.serve.server import check, listen, url
    from filon.serve.settings import MIB, CaptureSettings, Limits, ServeSettings
    from filon.serve.workers import run

    terminal = Terminal(as_json)
    limits = Limits(body_bytes=body_mib * MIB, rows=max_rows, seconds=seconds)
    kept = CaptureSettings(place=capture, share=capture_share, leave_out=capture_without, hashed=capture_hashed)
    settings = ServeSettings(bundle=bundle, host=host, port=port, workers=workers, models=models, limits=limits, capture=kept)
    check(settings)
    with listen(settings) as bound:
        where = url(settings, bound)

        def ready() -> None:
            terminal.say(f"{bundle} answers at {where} (Ctrl-C stops it)", bold=True)
            terminal.result({"url": where, "bundle": bundle})

        run(settings, bound, ready)
