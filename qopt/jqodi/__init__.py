"""Model, bit-width, server and cut, epoch by epoch: what a plan costs, which limits can be met, and how it is drawn.

Modules and the most used functions load when first used: ``qopt.jqodi.breakdown(problem, plan)``,
``qopt.jqodi.smallest_limits(problem)``, ``qopt.jqodi.diagram.diagram(problem)``, ``qopt.jqodi.labels.labels(problem)``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
