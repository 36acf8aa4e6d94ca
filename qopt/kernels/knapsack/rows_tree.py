"""The proof of a search over several rows: blocks of labels read back as a tree of splits and leaves.

``["split", i, columns]``: the first subtree restricts class i to these columns, the second to the others still
allowed. ``["leaf", a, lam_1, ..., lam_R]``: the Lagrangian bound of what is allowed reaches the target (a = 1), or the
rows alone cannot be kept (a = 0).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.arguments import LARGEST
from qopt.kernels.exact import CLOCK_EVERY
from qopt.kernels.knapsack.rows_core import Core, Shifted
from qopt.kernels.knapsack.rows_search import Block, MultiplierPool
from qopt.kernels.nodes import Node


def leaves(pool: MultiplierPool, data: Shifted, kept: IntArray, rows: int, rays: bool) -> Callable[[int], Node]:
    """Makes leaves from names, in the units given.

    Parameters
    ----------
    kept : (R,) places, among all rows, of those with a limit.
    rows : number of all rows.
    rays : every leaf's bound passes the cost of any choice, so that the rows alone prove it: c + lam w <= C + lam w.
    pool : all multipliers by name.
    data : the problem as the search sees it, or as plain JSON data.

    Returns
    -------
    A function that raises OverflowError where multipliers leave the range of floats.
    """
    made: dict[int, Node] = {}
    digits = data.cost_unit - data.weight_unit

    def leaf(name: int) -> Node:
        if name not in made:
            multipliers: FloatArray = np.zeros(rows)
            if name < 0:
                multipliers[kept[-1 - name]] = 1.0
            else:
                multipliers[kept] = _moved(pool.multipliers[name], digits, rays)
            made[name] = ["leaf", 0 if rays or name < 0 else 1, *multipliers.tolist()]
        return made[name]

    return leaf


def _moved(multipliers: FloatArray, digits: IntArray, ray: bool) -> FloatArray:
    """(R,) multipliers * 2^digits, exactly, or of a ray a multiple of them; OverflowError where floats end."""
    for shift in (0, int(np.max(digits + np.frexp(multipliers)[1], initial=0, where=multipliers > 0))):
        if shift and not ray:
            break
        with np.errstate(over="ignore"):
            found: FloatArray = np.ldexp(multipliers, digits - shift)
            back = np.ldexp(found, shift - digits)
        if np.all(back == multipliers) and found.max(initial=0.0) <= LARGEST:
            return found
    raise OverflowError


def grouped(columns: Sequence[int], names: Sequence[int]) -> dict[int, list[int]]:
    """Columns by what closes them.

    Parameters
    ----------
    columns : of a class.
    names : places in the pool of multipliers.
    """
    groups: dict[int, list[int]] = {}
    for column, name in zip(columns, names, strict=True):
        groups.setdefault(int(name), []).append(int(column))
    return groups


def subtree(
    root: Block, core: Core, target: float, leaf: Callable[[int], Node], max_nodes: int, deadline: float | None
) -> list[Node] | None:
    """The tree below a search's root; None if it has too many nodes or the time is over.

    Parameters
    ----------
    root : of the search.
    core : its classes.
    target : labels whose bound reaches it need no subtree, whatever was found below them.
    leaf : makes leaves from names.
    max_nodes : beyond which it gives up.
    deadline : `time.perf_counter` at which it gives up; None for none.
    """
    tree: list[Node] = []
    extensions: dict[int, dict[int, list[tuple[int, Block, int]]]] = {}
    waiting: list[Node | tuple[Block, int]] = [(root, 0)]
    for steps in count():
        if not waiting:
            break
        if len(tree) > max_nodes:
            return None
        if steps % CLOCK_EVERY == 0 and deadline is not None and time.perf_counter() > deadline:
            return None
        task = waiting.pop()
        if isinstance(task, list):
            tree.append(task)
            continue
        block, label = task
        if block.extended is None or block.names is None or block.bound[label] >= target:
            tree.append(leaf(int(block.by[label])))
            continue
        row = int(np.searchsorted(block.extended, label))
        if row == len(block.extended) or block.extended[row] != label:
            tree.append(leaf(int(block.by[label])))
            continue
        if id(block) not in extensions:
            extensions[id(block)] = _extensions(block)
        open_ones = extensions[id(block)].get(label, [])
        items, names = core.options[block.stage], block.names[row]
        alive = {option for option, _, _ in open_ones}
        shut = [option for option in range(len(items)) if option not in alive]
        parts: list[tuple[list[int], Node | tuple[Block, int]]] = [
            (columns, leaf(name)) for name, columns in grouped(items[shut].tolist(), names[shut].tolist()).items()
        ]
        parts += [([int(items[option])], (child, at)) for option, child, at in open_ones]
        i = int(core.classes[block.stage])
        for place, (columns, part) in reversed(list(enumerate(parts))):
            waiting.append(part)
            if place < len(parts) - 1:
                waiting.append(["split", i, columns])
    return tree


def _extensions(block: Block) -> dict[int, list[tuple[int, Block, int]]]:
    """Open extensions of each label: the option taken, and where the extension is."""
    found: dict[int, list[tuple[int, Block, int]]] = {}
    for child in block.children:
        for at, (label, option) in enumerate(zip(child.row.tolist(), child.option.tolist(), strict=True)):
            found.setdefault(label, []).append((option, child, at))
    return found
