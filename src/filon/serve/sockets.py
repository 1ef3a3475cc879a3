"""Where a server listens and what it must not do: all that a supervisor needs to know, without numpy or Arrow."""

import os
import socket
import sys
from pathlib import Path

from filon.errors import RecipeError, SetupError
from filon.serve.settings import ServeSettings

TOKEN = "FILON_TOKEN"
BACKLOG = 4096
ALL_S = 28.0
"""From SIGTERM to the end of the last process: SageMaker and Kubernetes kill a container after 30 s."""

DRAIN_S = 17
"""Of these, so long requests that were begun are answered."""

WRITE_S = 4.0
"""Then so long a worker may write what its capture holds; what is left of `ALL_S` is for sending captured files on."""


def listen(settings: ServeSettings) -> socket.socket:
    """The socket the workers share; port 0 takes a free one.

    Raises
    ------
    SetupError : `serve.port-taken`
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        bound = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as exc:
        why = f"{settings.host}:{settings.port}: {exc.strerror or exc}"
        raise SetupError(
            "serve.port-taken", "the server cannot listen there", why, "choose another --port (0 for any free one) or --host"
        ) from exc
    bound.set_inheritable(True)
    return bound


def check(settings: ServeSettings) -> None:
    """Refuse what would be unsafe before anything is opened.

    Raises
    ------
    RecipeError : `serve.models-missing`, `serve.token-needed`; SetupError : `serve.capture-unusable`
    """
    if settings.models and not settings.bundle.startswith("models:/") and not Path(settings.models).is_dir():
        why = f"{settings.models} is a file" if Path(settings.models).exists() else f"there is no {settings.models}"
        raise RecipeError("serve.models-missing", "--models names no folder", why, f"mkdir -p {settings.models}, or name another one")
    if os.environ.get(TOKEN) and not token():  # nobody could bring it, and without it everybody would be let in
        why = f"{TOKEN} is set, and holds nothing but blanks"
        raise RecipeError("serve.token-needed", "the token is blank", why, f"export {TOKEN}=$(openssl rand -hex 32), or unset it")
    if settings.capture.place.startswith("s3://") and not settings.capture.place[5:].strip("/"):
        raise SetupError(
            "serve.capture-unusable", "the capture's place has no bucket", "it is s3:// alone", "--capture s3://my-bucket/captures"
        )
    if settings.models and settings.host not in {"127.0.0.1", "::1", "localhost"} and not token():
        why = f"--models lets whoever reaches {settings.host} change the model"
        raise RecipeError("serve.token-needed", "a server that others reach needs a token", why, f"export {TOKEN}=$(openssl rand -hex 32)")


def token() -> str:
    """What a client must bring, "" for nothing. A secret's file often ends in a line end, which no client sends."""
    return os.environ.get(TOKEN, "").strip()


def url(settings: ServeSettings, bound: socket.socket) -> str:
    """Where the server answers."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{bound.getsockname()[1]}"


def log(text: str) -> None:
    """One line on standard error."""
    print(f"filon serve: {text}", file=sys.stderr, flush=True)
