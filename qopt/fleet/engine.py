"""Where passes run: in this process, in threads, in several processes, on a Dask cluster, or on torch's device.

A pass is a map over shards and a sum of whole numbers, so the engine changes how long it takes and nothing else.
Threads and processes are joblib's. A process is handed a shard's file once and keeps it, mapped into memory; on a Dask
cluster shards are scattered once, each to one worker (joblib's own Dask backend would send every shard to every
worker), and tasks follow them. A worker that dies is replaced, and what it was asked is asked again: a pass has no
memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qopt.core.arguments import whole
from qopt.core.arrays import IntArray
from qopt.core.errors import InputError, MethodError, shown
from qopt.fleet.arrays import Key, Shard, Tables
from qopt.fleet.grid import Grid, extremes, grid
from qopt.fleet.passes import Sums, dual_pass, merged

if TYPE_CHECKING:
    from types import TracebackType

ENGINES = ("numpy", "threads", "processes", "dask", "torch")

WAIT = 120
"""Seconds that workers of a cluster may take to come back."""

ATTEMPTS = 5
"""Times that a map is tried while workers die."""


class Engine:
    """Maps over shards. Use it as a context: files and a cluster of its own end with it.

    Parameters
    ----------
    tables : what all shards share.
    shards : the requests.
    kind : ``numpy`` (this process), ``threads``, ``processes``, ``dask``, or ``torch``.
    jobs : threads, processes, or workers of a local Dask cluster.
    client : a Dask client of a cluster that is there; without it a local one is made.
    device : of torch, such as ``cuda``; by default a GPU if there is one.

    Raises
    ------
    InputError
        No such engine, or a number of jobs that is none.
    """

    def __init__(
        self,
        tables: Tables,
        shards: Sequence[Shard],
        kind: str = "numpy",
        *,
        jobs: int = 1,
        client: Any = None,
        device: str | None = None,
    ) -> None:
        if kind not in ENGINES:
            raise InputError("engine", shown(kind), ", ".join(ENGINES))
        self.tables, self.shards, self.kind = tables, list(shards), kind
        self.jobs = whole("jobs", jobs, 1, 1024)
        self.device = device
        self.passes = 0
        self._client = client
        self._owned: tuple[Any, Any] | None = None
        self._folder: Path | None = None
        self._held: list[Any] = []
        self._torch: Any = None

    def __enter__(self) -> Engine:
        try:
            self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _open(self) -> None:
        """Hand the shards to whatever works on them."""
        if self.kind == "processes":
            import joblib

            self._folder = Path(tempfile.mkdtemp(prefix="qopt-fleet-"))
            for number, shard in enumerate(self.shards):
                path = self._folder / f"{number}.shard"
                joblib.dump(shard, path)
                self._held.append(str(path))
        elif self.kind == "dask":
            self._scatter()
        elif self.kind == "torch":
            from qopt.fleet.passes_torch import TorchPass

            self._torch = TorchPass(self.tables, self.shards, self.device)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._torch = None
        self._forget()

    def map(self, function: Callable[..., Any], *arguments: object) -> list[Any]:
        """``function(shard, tables, *arguments)`` of every shard, in their order."""
        if self.kind == "processes":
            return self._again(lambda: self._in_processes(function, arguments))
        if self.kind == "dask":
            return self._again(lambda: self._on_dask(function, arguments))
        if self.kind == "threads" and self.jobs > 1:
            import joblib

            parallel = joblib.Parallel(n_jobs=self.jobs, prefer="threads")
            found: list[Any] = parallel(
                joblib.delayed(function)(shard, self.tables, *arguments) for shard in self.shards
            )
            return found
        return [function(shard, self.tables, *arguments) for shard in self.shards]

    def evaluate(self, lam: IntArray, shift: int) -> dict[Key, Sums]:
        """The pass: sums of each group at multipliers `lam` (K,), whole numbers over 2^`shift`."""
        self.passes += 1
        if self._torch is not None:
            found: dict[Key, Sums] = self._torch(lam, shift)
            return found
        return merged(self.map(dual_pass, lam, shift))

    def grid(self) -> Grid:
        """The grid of the multipliers."""
        return grid(self.map(extremes))

    def _in_processes(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> list[Any]:
        import joblib

        parallel = joblib.Parallel(n_jobs=self.jobs, backend="loky", batch_size=1)
        found: list[Any] = parallel(
            joblib.delayed(_of_file)(path, function, self.tables, arguments) for path in self._held
        )
        return found

    def _on_dask(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> list[Any]:
        if not self._held:
            self._scatter()
        futures = [self._client.submit(function, shard, self.tables, *arguments, pure=False) for shard in self._held]
        found: list[Any] = self._client.gather(futures)
        return found

    def _scatter(self) -> None:
        """Hand the shards to the workers of a cluster, which is made where there is none."""
        if self._client is None:
            from distributed import Client, LocalCluster

            cluster = LocalCluster(
                n_workers=self.jobs, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
            )
            self._client = Client(cluster)
            self._owned = (self._client, cluster)
        try:
            self._client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError:
            raise MethodError(f"no worker of the cluster came within {WAIT} s") from None
        self._held = [self._client.scatter([shard], hash=False)[0] for shard in self.shards]

    def _forget(self) -> None:
        """Scatter anew before the next map: to a new cluster of our own, or to the workers that a given one has."""
        self._held = []
        if self._owned is not None:
            client, cluster = self._owned
            client.close()
            cluster.close()
            self._client, self._owned = None, None

    def _again(self, work: Callable[[], list[Any]]) -> list[Any]:
        """What some work comes to; tried again where a worker died meanwhile."""
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return work()
            except Exception as error:
                if not _died(error):
                    raise
                if not left:
                    raise MethodError(f"workers died {ATTEMPTS} times in a row: {type(error).__name__}") from None
                if self.kind == "dask":
                    self._forget()
        raise AssertionError("unreachable")


def _died(error: BaseException) -> bool:
    """Whether an error says that a worker is gone, with what it held."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        names & {"BrokenProcessPool", "KilledWorker", "CommClosedError", "CancelledError", "FutureCancelledError"}
    )


_SHARDS: dict[str, Shard] = {}
"""Shards that this process has opened, by their files."""


def _of_file(path: str, function: Callable[..., Any], tables: Tables, arguments: tuple[object, ...]) -> Any:
    """A function of the shard in a file, in a process that keeps it."""
    if path not in _SHARDS:
        import joblib

        for old in [held for held in _SHARDS if not Path(held).exists()]:
            del _SHARDS[old]
        _SHARDS[path] = joblib.load(path, mmap_mode="r")
    return function(_SHARDS[path], tables, *arguments)
