"""The study's protocol (section 4.3) on parts that run: see that the next is there, warm up, repeat the examples."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter

from qopt.core.errors import InputError, QoptError, shown
from qopt.runtime.device import Array
from qopt.runtime.link import PeerError, PeerTimeout
from qopt.runtime.service import Node

IN_A_ROW = 5
"""Requests of an experiment that are given up one after the other, until it ends: each takes the whole timeout."""


async def check_next(node: Node, patience: float) -> None:
    """Wait until the next part is there, and see that it is of the same plan.

    Parameters
    ----------
    node : this part.
    patience : seconds to wait for it.

    Raises
    ------
    PeerError
        It is not there in time. InputError where it is of another plan.
    """
    if node.link is None:
        return
    end = time.monotonic() + patience
    while True:
        try:
            there = await node.link.who()
            break
        except PeerError:
            if time.monotonic() >= end:
                raise
            await asyncio.sleep(0.1)
    if there.get("plan") != node.part.plan:
        found = f"{node.link.url}: a part of another plan ({shown(there.get('plan'))[:18]})"
        raise InputError("--next", found, f"one of this plan, {node.part.plan[:16]}")


async def experiment(
    node: Node,
    examples: list[dict[str, Array]],
    repetitions: int,
    warmup: int,
    reasons: Counter[str] | None = None,
    pause: float = 0.0,
) -> dict[str, int]:
    """The study's protocol (section 4.3): warm-up, then the examples one after the other, several times over.

    Parameters
    ----------
    node : the first part.
    examples : raw inputs, or the model's inputs by name.
    repetitions : how often each is asked.
    warmup : requests before that count for nothing; they are logged without a repetition.
    reasons : where why requests that count were refused is counted.
    pause : seconds before each request.

    Returns
    -------
    How many were answered and refused, of those that count.

    Raises
    ------
    PeerError
        Five in a row were not answered in time, or nothing was answered in the warm-up.
    """
    counts = {"answered": 0, "refused": 0}
    warm, late = 0, 0
    plan: list[tuple[int | None, int]] = [(None, i % len(examples)) for i in range(warmup)]
    plan += [(r, i) for r in range(repetitions) for i in range(len(examples))]
    for at, (repetition, example) in enumerate(plan):
        number = uuid.uuid4().hex
        if pause:
            await asyncio.sleep(pause)
        place = {"example": example} if repetition is None else {"repetition": repetition, "example": example}
        try:
            _, _, times = await node.answer(examples[example], number)
            node.line(number, status="answered", **place, **times)
            status, late = "answered", 0
            warm += repetition is None
        except QoptError as error:
            reason = " ".join(str(error).split())[:500]
            node.line(number, status="refused", reason=reason, **place)
            status, late = "refused", late + 1 if isinstance(error, PeerTimeout) else 0
            if late == IN_A_ROW:
                raise PeerError(f"{IN_A_ROW} requests in a row were given up: {reason}") from None
            if at + 1 == warmup and not warm:
                raise PeerError(f"no request of the warm-up was answered: {reason}") from None
            if repetition is not None and reasons is not None:
                reasons[reason] += 1
        if repetition is not None:
            counts[status] += 1
    return counts
