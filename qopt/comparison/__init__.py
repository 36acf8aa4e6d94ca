"""Answers beside each other: methods on problems, samples of times."""

import lazy_loader

PARTS = ("journal", "plots", "profiles", "results", "statistics", "study", "tables", "times")
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=PARTS)
