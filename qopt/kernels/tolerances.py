"""How far sums of floats may be off, and how closely an optimum is proved: the same numbers in all kernels."""

from __future__ import annotations

EPSILON = 2.0**-52
"""From 1 to the next float. An operation rounds by half of this, relative to its result, at most."""

DIGITS = 53
"""Binary digits of a float: every whole number up to 2^53 is one."""

SUM_ROUNDING = 1e-13
"""Relative: what is nearer than this to the best cost cannot be told from it. That is what 900 additions round by at
their worst, all one way; roundings of either sign grow with the root of their number, and reach it at 800 000."""

LIMIT_ROUNDING = 1e-14
"""Partial sums of weights within this share of the limit's scale are kept and rechecked exactly. By the count above: 90
additions at their worst, 8 000 with roundings of either sign."""

PROOF_GAP = 0.5e-9
"""Relative: how far below the best cost a proof may end. Half of the 1e-9 that `qopt.kernels.checker` and certificates
grant, so that what rounds here stays within what is granted there."""

COARSE = 1e6
"""A grid whose step is this many times what sums round by is told from rounding without a doubt: even a millionth of
its step is."""
