"""Nodes of the trees that prove an answer; `checker.py`, which stands alone, says what they mean."""

from __future__ import annotations

Node = list[object]
"""Of a tree in preorder, as JSON has it: a split, or a leaf with its multipliers."""
