"""qopt: optimization models for neural networks at the edge, solved exactly and proved.

>>> import qopt
>>> problem = qopt.load("qpart/teaching-3")
>>> solution = qopt.solve(problem)
>>> solution.status
'optimal'

Everything loads when first used: importing qopt costs next to nothing. The public names stand in `__init__.pyi`, which
type checkers and this file both read.
"""

import lazy_loader

from qopt import families as families  # fills the table of families

__version__ = "0.2.0"  # here and nowhere else: pyproject.toml reads it

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
