"""Measures candidates on this machine and keeps the best: what `rnnport tune` does."""

from rnnport.tuning.search import tune

__all__ = ["tune"]
