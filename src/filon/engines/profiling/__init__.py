"""The parts of a profile that no engine owns: what a batch of typed rows adds to the picture of its table."""

from filon.engines.profiling.profiler import Profiler

__all__ = ["Profiler"]
