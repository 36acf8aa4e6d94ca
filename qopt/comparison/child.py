"""The process that solves: it takes tasks from its input one by one, and can be ended at any time.

Run as ``python -m qopt.comparison.child``. A message is a line of JSON. The first says what to import and where from;
each other is an instance, a method to load or to warm up, or a solve. Whoever started it may die: then the input ends,
and so does this process, at the latest when its alarm goes off.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any

from qopt.comparison.tasks import Source, fingerprint


def main() -> None:
    """Solve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a solver prints is no answer
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()

    def answer(data: dict[str, Any]) -> None:
        try:
            text = json.dumps(data, separators=(",", ":"), default=_plain, allow_nan=False)
        except ValueError:  # a number that is not finite
            text = json.dumps(_finite(data), separators=(",", ":"), default=_plain)
        answers.write(text.encode() + b"\n")

    first = json.loads(inbox.get())
    sys.path[:] = list(dict.fromkeys([*sys.path, *first["path"]]))
    from qopt.comparison.design import Setting
    from qopt.comparison.record import load, machine, machine_id, solved, warm_up

    for module in first["imports"]:
        importlib.import_module(module)
    answer({"ready": os.getpid(), "machine": machine_id(), "machines": {machine_id(): machine()}})
    problem: Any = None
    content = ""
    while True:
        asked = json.loads(inbox.get())
        if "source" in asked:
            problem, reason = _made(Source(**asked["source"]))
            content = "" if problem is None else fingerprint(problem)
            answer({"reason": reason})
            continue
        limit = asked["limit"]
        setting = Setting(**asked["setting"])
        if "load" in asked:
            load(asked["load"], setting)
            answer({})
            continue
        if "warm" in asked:
            warm_up(asked["warm"], setting, limit)
            answer({})
            continue
        _alarm(None if limit is None else limit + 2 * asked["grace"] + 1.0)
        result = solved(problem, setting, asked["seed"], limit, asked["threads"])
        _alarm(None)
        answer(result | {"fingerprint": content})


def _made(source: Source) -> tuple[Any, str | None]:
    """The problem of a source, or why there is none."""
    try:
        return source.problem(), None
    except Exception as error:
        return None, " ".join(f"{error}".split())[:300] or type(error).__name__


def _listen(inbox: SimpleQueue[bytes]) -> None:
    """Take messages as they come, so that the end of the input is seen while a solve runs."""
    for line in sys.stdin.buffer:
        inbox.put(line)
    os._exit(0)


def _alarm(seconds: float | None) -> None:
    """Have the system end this process after so long, even where nobody is left to do it; None for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds or 0.0)


def _finite(value: Any) -> Any:
    """Plain data with None in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not float("-inf") < value < float("inf"):
        return None
    return value


def _plain(value: Any) -> Any:
    """A number of numpy as Python's own, anything else as text."""
    with contextlib.suppress(AttributeError, ValueError):
        return _finite(value.item())
    return str(value)


if __name__ == "__main__":
    main()
