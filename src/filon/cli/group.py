"""The `filon` group: commands are imported when called, errors end in their exit code."""

import importlib
import sys
from typing import Any, NoReturn

import click

from filon import __version__, interrupts
from filon.cli.stories import COMMANDS


class Story(click.Group):
    """Lists commands in the order of the story, and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in story order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of a name, from its own file."""
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(f"filon.cli.{COMMANDS[cmd_name].file}")
        return found.command  # type: ignore[no-any-return]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest known command in the message."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f" Did you mean `filon {near[0]}`?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """One line a command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, story.line) for name, story in COMMANDS.items()])


@click.group(cls=Story, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="filon")
def filon() -> None:
    """From a table to a model in production, by one recipe.

    \b
    Example:
      filon init . --data data/bank.csv
      filon train filon.toml
      filon predict runs/.../bundle --data new.csv --out scored.parquet
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of what happened."""
    words = list(sys.argv[1:] if args is None else args)
    if args is None:
        interrupts.heed()
    try:
        code = run(words)
    except Exception as exc:
        import traceback

        from filon.variables import covered

        click.echo(covered(traceback.format_exc()), err=True, nl=False)  # other libraries quote what they were given
        code = getattr(exc, "exit_code", 70)
    interrupts.leave(code)
    sys.exit(code)


def run(words: list[str]) -> int:
    """Run the command line and return the exit code; errors are told, never raised (but with --debug)."""
    from filon.errors import FilonError

    try:
        result: Any = filon.main(args=words, prog_name="filon", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except FilonError as exc:
        if interrupts.caused(exc):
            return _stopped(words)
        _tell(words, exc.code, exc.what, exc.why, exc.fix, exc.exit_code)
        if "--debug" in words:
            raise
        return exc.exit_code
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _stopped(words)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away (`| head`): nothing to say, and nobody to say it to
        return 0
    except Exception as exc:
        if interrupts.pressed():
            return _stopped(words)  # libraries have errors of their own for it
        if "--debug" in words:
            raise
        from filon.variables import covered

        why = f"{type(exc).__name__}: {covered(str(exc))[:300]}"
        _tell(
            words,
            "bug.unexpected",
            "Filon failed in a way it did not foresee",
            why,
            "run it again with --debug and send us the traceback",
            70,
        )
        return 70


def _stopped(words: list[str]) -> int:
    """Tell of Ctrl-C and return its exit code."""
    here = words[:1] == ["train"] and not any(word.endswith("emr") for word in words)  # a job on EMR begins anew
    text = "a stopped `filon train` goes on with --resume" if here else "run the same command again"
    _tell(words, "run.interrupted", "stopped by you (Ctrl-C); nothing half-written was left", "the command was interrupted", text, 130)
    return 130


def _tell(words: list[str], code: str, what: str, why: str, fix: str, exit_code: int) -> None:
    if "--json" in words:
        import json

        click.echo(json.dumps({"error": {"code": code, "what": what, "why": why, "fix": fix, "exit": exit_code}}, ensure_ascii=False))
        return
    click.echo(f"{click.style(f'error[{code}]', fg='red', bold=True)} {what}\n  why  {why}\n  fix  {fix}", err=True)
