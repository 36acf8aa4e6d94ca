"""Array types used everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
SmallArray = np.ndarray[Any, np.dtype[np.int32]]
WholeArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
"""Integers of any size: of the smallest that will do, where many are kept."""
AnyArray = np.ndarray[Any, np.dtype[Any]]
"""Where the type of its numbers depends on the data."""
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
