"""Model, columns and report, sealed: a bundle that scores the same everywhere."""

from filon.package.bundle import Answer, Bundle, open_bundle
from filon.package.seal import Contents, package

__all__ = ["Answer", "Bundle", "Contents", "open_bundle", "package"]
