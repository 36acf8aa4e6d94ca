"""Random numbers with names."""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray


def log_uniform(rng: np.random.Generator, decades: float, middle: float, size: int) -> FloatArray:
    """Numbers whose logarithm is uniform, `decades` wide around `middle`."""
    return middle * 10.0 ** rng.uniform(-decades / 2, decades / 2, size)
