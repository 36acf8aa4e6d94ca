"""What is written down of one solve: the answer as the data have it, what the solver said, where the time went."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from qopt.comparison.design import Setting, digest
from qopt.core.errors import InputError, MethodError
from qopt.core.families import family_named, family_of
from qopt.core.method import Method, named
from qopt.core.phases import Record, recording
from qopt.core.problem import Problem
from qopt.core.solution import Solution
from qopt.core.solving import solve

PACKAGES = ("numpy", "scipy", "highspy", "pyomo", "cvxpy", "clarabel", "scs", "ortools", "pyscipopt", "gurobipy")
"""Packages whose versions may matter, where they are installed."""

PHASES = ("build", "hand_over", "solve", "extract", "certify")


@cache
def machine() -> dict[str, Any]:
    """The machine and the versions at work here; `digest` of it is the id that results carry."""
    found = {
        "qopt": sys.modules["qopt"].__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    found |= {"processor": _processor(), "cores": str(os.cpu_count())}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The processor's own name, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def watch_memory() -> None:
    """Begin anew with the peak of this process's memory, where the system can (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_memory() -> int | None:
    """Peak resident memory [bytes] since `watch_memory`, or of the whole process where the system cannot begin anew."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def solved(problem: Problem, setting: Setting, seed: int | None, limit: float | None, threads: int) -> dict[str, Any]:
    """Solve once and say what came of it, as plain data.

    Parameters
    ----------
    problem : the instance.
    setting : method and options.
    seed : of the solver.
    limit : seconds of the call; a method that takes no limit is not told.
    threads : of the solver, where the setting names none and the method takes a number.
    """
    family = family_of(problem)
    result: dict[str, Any] = {"instance": problem.name, "family": family.name}
    methods = family.part("registry").METHODS
    takes = _takes(methods, setting)
    options: dict[str, Any] = {
        "solver": setting.solver,
        "formulation": setting.formulation,
        "gap": setting.gap,
        "seed": seed,
        "threads": setting.threads if setting.threads is not None or "threads" not in takes else threads,
        "time_limit": limit if "time_limit" in takes else None,
    }
    watch_memory()
    before = time.process_time()
    with recording() as record:
        try:
            solution = solve(problem, setting.method, **options)
        except (InputError, MethodError) as error:
            solution = None
            result.update(status="unavailable", message=str(error))
        except MemoryError:
            solution = None
            result.update(status="failed", message="the memory is full")
        except Exception as error:
            solution = None
            text = " ".join(str(error).split())[:200]
            result.update(status="failed", message=f"{type(error).__name__}: {text}")
    result["cpu"] = time.process_time() - before
    if solution is not None:
        result.update(_answer(problem, solution, record, named(methods, solution.method)))
    result["memory"] = peak_memory()
    return result


def _takes(methods: tuple[Method, ...], setting: Setting) -> tuple[str, ...]:
    """Options that the method of a setting takes; of ``auto`` those that all exact ones do."""
    if setting.method != "auto":
        return named(methods, setting.method).options
    exact = [method.options for method in methods if method.exact]
    return tuple(name for name in exact[0] if all(name in options for options in exact)) if exact else ()


def _answer(problem: Problem, solution: Solution, record: Record, method: Method) -> dict[str, Any]:
    """The answer, its certificate, and how the time went."""
    certificate = solution.certificate
    phases = {name: record.seconds[name] for name in PHASES if name in record.seconds}
    phases["other"] = max(solution.seconds - sum(s for name, s in phases.items() if name != "certify"), 0.0)
    if not {"hand_over", "solve"} & phases.keys():
        phases.pop("extract", None)
    trace = [list(point) for point in record.trace]
    if solution.plan is not None:
        trace.append([solution.seconds, solution.objective, solution.bound])
    nodes = solution.details.get("nodes")
    own = family_of(problem).part("report")
    return {
        "method": solution.method,
        "solver": solution.solver,
        "bits": solution.bits,
        "exact": method.exact,
        "status": solution.status,
        "said": "; ".join(record.said) or None,
        "objective": solution.objective,
        "bound": certificate.bound,
        "claimed_bound": solution.bound,
        "gap": certificate.gap if certificate.feasible else None,
        "verified": certificate.feasible if solution.plan is not None else None,
        "proved": certificate.proved or certificate.infeasible,
        "no_plan": certificate.infeasible,
        "refuted": solution.refuted,
        "kind": certificate.kind,
        "seconds": solution.seconds,
        "phases": phases,
        "nodes": nodes if isinstance(nodes, int | float) else None,
        "message": "; ".join(filter(None, (solution.message, *certificate.violations[:3]))),
        "facts": own.facts(problem, solution),
        "trace": trace,
        "plan": None if solution.plan is None else solution.plan.to_dict(),
    }


def load(family: str, setting: Setting) -> None:
    """Import what a setting needs, so that no solve pays for it; what cannot be had a solve will say."""
    methods = family_named(family).part("registry").METHODS
    family_named(family).part("certificate")
    for method in methods:
        if method.name == setting.method and method.unavailable() is None:
            method.load()
            for module in (s.module for s in method.solvers if s.module and s.missing() is None):
                if setting.solver in (None, *(s.name for s in method.solvers if s.module == module)):
                    importlib.import_module(module)


def warm_up(family: str, setting: Setting, limit: float | None) -> None:
    """Solve a tiny instance, so that the first solve does not pay for what is done once in a process."""
    generate = family_named(family)
    if generate.generate:
        solved(generate.part("generate")(2, seed=0), setting, setting.seed, limit, 1)


def machine_id() -> str:
    """16 hex digits of `machine`."""
    return digest(machine())
