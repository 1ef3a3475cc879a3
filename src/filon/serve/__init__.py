"""A bundle answers, one row or many, over HTTP."""

from filon.serve.settings import CaptureSettings, Limits, ServeSettings

__all__ = ["CaptureSettings", "Limits", "ServeSettings"]
