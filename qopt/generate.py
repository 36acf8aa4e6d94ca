"""Seeded random problems of any size, for tests, benchmarks and exercises: a generator a family."""

from __future__ import annotations

from qopt.allocation.generate import allocation
from qopt.fleet.generate import fleet
from qopt.jqodi.generate import jqodi
from qopt.placement.detector import detector
from qopt.placement.generate import placement
from qopt.qpart.generate import qpart

__all__ = ["allocation", "detector", "fleet", "jqodi", "placement", "qpart"]
