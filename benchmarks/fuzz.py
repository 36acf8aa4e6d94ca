"""Mutated instances by the thousand: no false claim, no crash, no endless call.

python benchmarks/fuzz.py FAMILY [--examples 20000] [--shard i/n] [--seed 0] [--patience 120] [--out FILE]

Every example is an instance file of the family with one to three entries changed (`tests/helpers/mutations.py`), solved
by several methods: each answer is certified, and no two may contradict each other; bad input is refused in one line. An
example depends on the seed and its number alone, so shards can be run anywhere and an example again alone
(`--only NUMBER`). Needs what `qopt` needs and HiGHS; no hypothesis, no pytest.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from mutated_families import FAMILIES
from mutations import mutated, refuted

from qopt.core.shard import Shard


class Endless(Exception):
    """A call did not come back."""


def _ring(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Endless


def fault(data: Any, methods: tuple[str, ...], patience: int, tally: Counter[str]) -> str | None:
    """In words, what is wrong with the answers to an instance; None if nothing is."""
    signal.alarm(patience)
    try:
        return refuted(data, methods, tally)
    except Endless:
        return f"no answer after {patience} s"
    except Exception:
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)


def main() -> None:
    """Try, and print what is wrong and how much was tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--examples", type=int, default=20_000, help="of all shards together")
    parser.add_argument("--shard", type=Shard.parse, default=Shard(1, 1), help="i/n: every n-th example, from the i-th")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this example alone, printed")
    parser.add_argument("--patience", type=int, default=120, help="seconds after which a call counts as endless")
    parser.add_argument("--out", type=Path, help="append a line of JSON for every fault, and one for the sum")
    given = parser.parse_args()
    signal.signal(signal.SIGALRM, _ring)
    family = FAMILIES[given.family]
    files = family.files()
    shard, shards = given.shard
    numbers = range(shard - 1, given.examples, shards) if given.only is None else [given.only]
    tally: Counter[str] = Counter()
    slowest, begin = (0.0, -1), time.process_time()
    lines: list[dict[str, Any]] = []
    for done, number in enumerate(numbers, 1):
        random = Random(f"{given.seed} {given.family} {number}")
        data = mutated(random.choice(files), random)
        if given.only is not None:
            print(json.dumps(data))
        worked = time.process_time()
        wrong = fault(data, family.methods, given.patience, tally)
        slowest = max(slowest, (time.process_time() - worked, number))
        if wrong is not None:
            lines.append({"family": given.family, "number": number, "fault": wrong, "data": data})
            print(json.dumps(lines[-1]), flush=True)
        if done % 500 == 0:
            print(f"{given.family} {shard}/{shards}: {done} of {len(numbers)}, {len(lines)} faults", file=sys.stderr)
    lines.append(
        {
            "family": given.family,
            "shard": f"{shard}/{shards}",
            "seed": given.seed,
            "examples": len(numbers),
            "faults": len(lines),
            "cpu_seconds": round(time.process_time() - begin, 1),
            "slowest_seconds": round(slowest[0], 2),
            "slowest_number": slowest[1],
            "counts": dict(sorted(tally.items())),
        }
    )
    print(json.dumps(lines[-1]), flush=True)
    if given.out is not None:
        with given.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    sys.exit(len(lines) > 1)


if __name__ == "__main__":
    main()
