"""A source and its declared columns: the files are found and looked into, no row is loaded."""

from filon.read.reading import read, read_like

__all__ = ["read", "read_like"]
