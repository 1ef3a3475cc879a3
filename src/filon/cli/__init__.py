"""The command line: one file per command, in story order. A command parses, calls and prints."""

from filon.cli.group import main

__all__ = ["main"]
