"""Answers beside each other: methods on problems, samples of times."""

import lazy_loader

PARTS = ("plots", "profiles", "results", "statistics", "tables", "times")
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=PARTS)
