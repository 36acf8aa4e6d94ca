"""Answers beside each other: methods on problems, samples of times."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=("plots", "results", "statistics", "tables"))
