"""The problems as models to read, extend and solve anywhere; imported as `qopt.formulations`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=("allocation", "fleet", "jqodi", "placement", "qpart", "qpart_convex")
)
