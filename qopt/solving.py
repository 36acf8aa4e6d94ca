"""`qopt.solve`: run a method, then let the certificate say what is true of its answer."""

from __future__ import annotations

import os
import time
from typing import Any

from qopt.algorithms import registry
from qopt.algorithms.method import Method, Options
from qopt.certificates.qpart import certify
from qopt.errors import InputError
from qopt.problems.qpart import QPart
from qopt.problems.reading import load
from qopt.solution import Outcome, Solution, Status

LABELS = 300_000
"""Partial sums by which `solve` lets the certificate close a gap: about a second. `qopt.certify` goes on for longer."""


def as_problem(problem: QPart | str | os.PathLike[str]) -> QPart:
    """A problem, or the one that a bundled name or path stands for."""
    return problem if isinstance(problem, QPart) else load(problem)


def choose(problem: QPart, method: str, bits: str | None) -> Method:
    """The method to run for a name (or ``auto``) and a choice of bits."""
    if bits not in (None, "whole", "real"):
        raise InputError("bits", repr(bits), "whole or real")
    if method == "auto":
        return registry.default(problem, bits or "whole")
    chosen = registry.get(method)
    if bits is not None and chosen.bits != bits:
        others = ", ".join(m.name for m in registry.METHODS if m.bits == bits)
        raise InputError(
            "bits",
            f"{bits!r} with method {chosen.name}, whose bits are {chosen.bits}",
            f"for {bits}: {others}",
        )
    return chosen


def solve(
    problem: QPart | str | os.PathLike[str],
    method: str = "auto",
    *,
    bits: str | None = None,
    solver: str | None = None,
    formulation: str | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
    seed: int | None = None,
) -> Solution:
    """Solve a request and certify the answer.

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    method : a name listed by `qopt.methods`, or ``auto``: the fastest that proves optimality.
    bits : ``whole`` (default) or ``real``; a named method implies it.
    solver, formulation : for methods that offer a choice.
    time_limit : seconds of wall time for the method.
    threads, seed : handed to the solver.

    Raises
    ------
    InputError, MethodError
        Before anything is solved: malformed input, an unknown method, an option that the method lacks,
        a package that is not installed. Infeasibility and limits are no errors: see `Solution.status`.
    """
    problem = as_problem(problem)
    chosen = choose(problem, method, bits)
    solver = chosen.default_solver() if solver is None else solver
    options = Options(time_limit=time_limit, threads=threads, seed=seed, solver=solver, formulation=formulation)
    chosen.check(problem, options)
    function = chosen.load()  # importing a solver is not solving
    start = time.perf_counter()
    outcome = function(problem, options)
    seconds = time.perf_counter() - start
    certificate = certify(problem, outcome.plan, outcome.witness, bits=chosen.bits, labels=LABELS)
    objective = certificate.objective if outcome.plan else None
    return Solution(
        problem=problem.name,
        method=chosen.name,
        solver=solver,
        bits=chosen.bits,
        status=_status(outcome, certificate.proved, certificate.infeasible),
        plan=outcome.plan,
        objective=objective,
        bound=outcome.bound,
        seconds=seconds,
        certificate=certificate,
        witness=outcome.witness,
        message=outcome.message,
        details=outcome.details,
    )


def _status(outcome: Outcome, proved: bool, infeasible: bool) -> Status:
    """A method's claim of optimality or infeasibility stands only where the certificate proves it."""
    if outcome.plan is None and infeasible:
        return "infeasible"
    if outcome.status == "optimal":
        return "optimal" if proved else "optimal-by-solver"
    if outcome.status == "infeasible" and not infeasible:
        return "infeasible-by-solver"
    return outcome.status


def methods(problem: QPart | str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """What can solve a problem, what each method promises, and why a method cannot be used here.

    Returns
    -------
    One dict a method: name, bits, proves, summary, options, solvers (name to None or the reason why not),
    formulations, reason (None if it can be used).
    """
    asked = None if problem is None else as_problem(problem)
    return [
        {
            "name": m.name,
            "bits": m.bits,
            "proves": m.proves,
            "summary": m.summary,
            "options": list(m.options),
            "solvers": {s.name: s.missing() for s in m.solvers},
            "formulations": list(m.formulations),
            "reason": m.unavailable(asked),
        }
        for m in registry.METHODS
    ]
