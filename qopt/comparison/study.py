"""`qopt.Study`: a comparison that resumes, scales and is told from its journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qopt.comparison.design import Design

if TYPE_CHECKING:
    import pandas as pd

    from qopt.comparison.journal import Rows


class Study(Design):
    """Instances x runs x repeats, each result a line of a journal.

    Attributes
    ----------
    name : of the study.
    instances : a list of entries, see `qopt.comparison.design.Instances`; in Python also names, paths and problems.
    runs : a list of entries, see `qopt.comparison.design.Run`; in Python also names of methods. Default: every method
        of each family.
    repeats : how often each is solved, at least once.
    time_limit : seconds of a solve, plan and proof together, for every method: those that take no limit are ended.
    grace : seconds beyond the limit after which a solve is ended by force.
    threads : of each solve: of solvers that take a number, and of numpy's libraries.
    """

    def run(
        self,
        journal: str | os.PathLike[str],
        *,
        jobs: int | None = None,
        shard: tuple[int, int] | None = None,
        resume: bool = True,
        imports: Sequence[str] = (),
        progress: Callable[[dict[str, Any]], None] | None = None,
        chunk: int | None = None,
    ) -> int:
        """Solve what the journal does not hold yet, and append a line for each result.

        Parameters
        ----------
        journal : path of the journal; a new one is begun where there is none.
        jobs : processes that solve at the same time; None leaves it to `joblib.parallel_config`, else one.
        shard : (i, n), share i of n, counted from 1: instances are dealt out like cards. Each has a journal of its own.
        resume : whether a journal that has results already may go on.
        imports : names of modules that each solving process imports first: they register methods or families.
        progress : called with each new result as it is written.
        chunk : results that travel together, at most; by default what is solved in about a second.

        Returns
        -------
        How many results were added.

        Raises
        ------
        InputError
            The journal is of another study, or broken; an instance has changed since it was begun; a run fits no
            instance; a shard that is none. MethodError where another process holds the journal.
        """
        from qopt.comparison.engine import run

        return run(self, journal, jobs, shard, resume, tuple(imports), progress, chunk)

    def table(self, journals: Rows, *, tolerance: float = 1e-6) -> pd.DataFrame:
        """Results as a table, a row each, in the order of the study; see `qopt.comparison.results`.

        Parameters
        ----------
        journals : path of a journal, or a list of paths: shards, say.
        tolerance : relative; a claim of optimality is wrong where a verified plan is better by more.

        Raises
        ------
        InputError
            A journal is broken, or of another study.
        """
        from qopt.comparison.results import table

        return table(journals, self, tolerance=tolerance)

    def traces(self, journals: Rows) -> pd.DataFrame:
        """Incumbent and bound over time, a row a point: instance, run, repeat, seconds, incumbent, bound.

        Parameters
        ----------
        journals : path of a journal, or a list of paths; errors as `table`.
        """
        from qopt.comparison.results import traces

        return traces(journals, self)

    def plans(self, journals: Rows) -> Iterable[tuple[str, str, int, dict[str, Any] | None]]:
        """Instance, run, repeat and plan (plain data, None where there is none) of each result.

        Parameters
        ----------
        journals : path of a journal, or a list of paths; errors as `table`.
        """
        from qopt.comparison.results import plans

        return plans(journals, self)
