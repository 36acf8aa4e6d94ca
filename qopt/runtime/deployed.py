"""What a run takes in a service, where requests come one by one: not what it takes in a loop of its own.

Between two requests the processor sleeps, its caches fill with something else and the runtime's threads lie down; then
the loop of the service wakes, takes the message apart, and runs the part. A small network takes three times as long
then. So each run is timed after a pause in such a loop, on inputs out of a message.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime

from qopt.runtime.messages import TYPES, decode, encode
from qopt.runtime.sessions import Array


def served(made: onnxruntime.InferenceSession, feeds: Mapping[str, Array], runs: int, pause: float) -> float:
    """Median seconds of some runs as a service makes them.

    Parameters
    ----------
    made : the session, which has run these inputs.
    feeds : arrays by the names of the inputs.
    runs : how many.
    pause : seconds before each.
    """
    names = [entry.name for entry in made.get_outputs()]
    odd = {name: value for name, value in feeds.items() if value.dtype.name not in TYPES}  # no message carries these
    body = encode({}, {name: value for name, value in feeds.items() if name not in odd}, {})

    async def spent() -> list[float]:
        found = []
        for _ in range(runs):
            await asyncio.sleep(pause)
            tensors = decode(body)[1] | {name: np.array(value) for name, value in odd.items()}
            start = time.perf_counter()
            made.run(names, tensors)
            found.append(time.perf_counter() - start)
        return found

    with ThreadPoolExecutor(1) as aside:  # the caller may have a loop of its own, as a notebook has
        return statistics.median(aside.submit(lambda: asyncio.run(spent())).result())
