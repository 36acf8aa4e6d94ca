"""Independent pieces of work on several cores: batches side by side, which scales better than products split up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


def run_all(
    jobs: Sequence[Callable[[], Result]], workers: int, finished: Callable[[int], None] = lambda _: None
) -> list[Result]:
    """Results of jobs, in their order.

    Parameters
    ----------
    jobs : what to call; tensor operations release the interpreter's lock.
    workers : jobs at a time; they divide torch's threads among them.
    finished : told how many jobs are done, in order.

    Raises
    ------
    Exception
        What the first job that fails raises; jobs that have not begun are dropped.
    """
    results: list[Result] = []
    if workers <= 1:
        for job in jobs:
            results.append(job())
            finished(len(results))
        return results
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // workers))
    pool = ThreadPoolExecutor(workers)
    try:
        for future in [pool.submit(job) for job in jobs]:
            results.append(future.result())
            finished(len(results))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    return results
