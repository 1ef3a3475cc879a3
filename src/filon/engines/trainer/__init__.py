"""Engine-neutral fitting: encoded rows and trials in, fitted ensembles out. Neither duckdb nor pyspark is known here."""

from filon.engines.trainer.rows import Block, FoldRows

__all__ = ["Block", "FoldRows", "fit"]

from filon.engines.trainer.fitting import fit
