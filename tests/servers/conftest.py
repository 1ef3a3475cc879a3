"""Servers are programs, not tests: nothing here is imported while tests are collected."""

collect_ignore = ["moto_shim.py"]
