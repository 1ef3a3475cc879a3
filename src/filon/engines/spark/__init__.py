"""The engine of tables that outgrow a machine: Spark."""

from filon.engines.spark.engine import SparkEngine

__all__ = ["SparkEngine"]
