"""A bundle in the form of another runtime, proved there by its golden rows before it appears."""

from filon.export.exporting import FORMS, Exported, Form, export

__all__ = ["FORMS", "Exported", "Form", "export"]
