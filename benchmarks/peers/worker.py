"""One solver in a process of its own: reads requests, solves, replies.

    python worker.py PEER

Requests and replies are JSON, a line each. The first reply says which version this is, or why the solver is missing.
A request names an .npz file with the arrays, the kind of problem, the relative gap asked for, a time limit and a number
of threads. A small instance of the kind is solved before the first one of it, so that no time holds an import.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # kernel_instances; this file's folder is there already

import kernel_instances as instances
import numpy as np
from memory import Peak

MEMORY = 12 * 2**30
"""Bytes of address space a solver may have, so that none takes the machine down."""


def main() -> None:
    """Serve one peer until standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what solvers print is not an answer

    def reply(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        peer = importlib.import_module(sys.argv[1])
        reply({"version": peer.version()})
    except Exception as error:
        reply({"missing": f"{type(error).__name__}: {error}"})
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    warm: set[str] = set()
    peak: Peak | None = None
    for line in sys.stdin:
        request = json.loads(line)
        kind = request["kind"]
        function = getattr(peer, kind)
        options = {name: request[name] for name in ("gap", "seconds", "threads")}
        try:
            if kind not in warm:
                function(*instances.small(kind).arrays(), **options)
                warm.add(kind)
            with np.load(request["file"]) as file:
                arrays = [file[name] for name in sorted(file.files)]
            gc.collect()
            peak = peak or Peak()
            with peak:
                start = time.perf_counter()
                answer = function(*arrays, **options)
                spent = time.perf_counter() - start
        except Exception as error:
            reply({"failed": f"{type(error).__name__}: {error}"[:200]})
            continue
        after = getattr(peer, "verify", None)
        notes = answer.notes if after is None else after(kind, arrays, answer, request["gap"])
        reply({**asdict(answer), "notes": notes, "seconds": spent, "megabytes": peak.megabytes})


if __name__ == "__main__":
    main()
