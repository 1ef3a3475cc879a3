"""Filon: from a table to a model in production, by one recipe."""
