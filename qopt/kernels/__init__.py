"""The classical problems underneath, on plain arrays; no word of neural networks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=("checker", "exchange", "mckp", "mincut", "rcsp", "sets", "waterfill")
)
