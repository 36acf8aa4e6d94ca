"""What a method is: a name, what it can solve, what it promises, and a function."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qopt.core.arguments import is_number, plain, whole
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.families import Bits
from qopt.core.solution import Outcome

if TYPE_CHECKING:
    from qopt.core.problem import Problem


@dataclass(frozen=True)
class Options:
    """Settings of one solve; a method lists in `Method.options` which it takes.

    Attributes
    ----------
    time_limit : seconds of wall time for the whole call, which `clock` counts.
    threads, seed : handed to the solver.
    solver : back end, one of `Method.solvers`.
    formulation : which model of the problem, one of `Method.formulations`.
    start : a plan that keeps all limits, to begin with.
    verbose : whether the solver's log is shown.
    gap : relative; how far above the optimum the answer may be, None for 0.
    running : the clock of the whole call, where that has begun already.
    """

    time_limit: float | None = None
    threads: int | None = None
    seed: int | None = None
    solver: str | None = None
    formulation: str | None = None
    gap: float | None = None
    start: Any = None  # of the family's class, which only who asks knows, as `Outcome.plan`
    verbose: bool = False
    running: Clock | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("time_limit", "threads", "seed", "gap"):  # solvers take Python's own numbers
            object.__setattr__(self, name, plain(getattr(self, name)))

    def clock(self) -> Clock:
        """The clock of this solve, one for all who ask: the running one, else it starts when it is asked for first."""
        return self._own if self.running is None else self.running

    @cached_property
    def _own(self) -> Clock:
        return Clock(self.time_limit)


@dataclass(frozen=True)
class Backend:
    """A solver that a method can hand its model to.

    Attributes
    ----------
    name : how users call it.
    module : what is imported before the clock starts.
    program : what must be on the path, unless one of `packages` brings it.
    packages : any one of which must be installed; loaded where it runs, or in a process of its own.
    """

    name: str
    module: str | None = None
    program: str | None = None
    packages: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot be used here, or None."""
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"the package {self.module} is not installed"
        if any(importlib.util.find_spec(package) is not None for package in self.packages):
            return None
        packages = " or ".join(self.packages)
        if self.program:
            import shutil

            if shutil.which(self.program) is None:
                instead = f", nor is the package {packages} installed" if packages else ""
                return f"the program {self.program} is not on the path{instead}"
        elif packages:
            return f"the package {packages} is not installed"
        return None


@dataclass(frozen=True, repr=False)
class Method(Brief):
    """One entry of the registry.

    Attributes
    ----------
    name, summary : how users call it, and what it is in one line.
    bits : ``whole`` or ``real``, what its plans are made of; None for families without bits.
    proves : what it promises.
    target : ``module:function``, called with (problem, options).
    exact : whether it claims optimality.
    needs : packages it needs.
    solvers, formulations : choices, the first is the default.
    options : settings it takes; any other is an error, but for `verbose`: there is no log of a solver without it.
    further : ``module:function`` that says why a solver which is none of `solvers` cannot be used, or None; empty where
        only those can.
    refuses : says why it cannot take a problem (too large, a column missing), or None.
    stand_in : whether the family's first plan may take the place of one that the clock left unfound; not where the
        method answers another question.
    broken : why a method of another package cannot be used at all; empty where it can.
    imports : modules that the target imports as it runs: they are loaded before the clock starts.
    """

    name: str
    summary: str
    proves: str
    target: str
    bits: Bits | None = None
    exact: bool = True
    needs: tuple[str, ...] = ()
    solvers: tuple[Backend, ...] = ()
    formulations: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    refuses: Callable[[Any], str | None] | None = None
    stand_in: bool = True
    imports: tuple[str, ...] = ()
    further: str = ""
    broken: str = ""

    def unavailable(self, problem: Problem | None = None) -> str | None:
        """Why this method cannot be used (here, or on this problem), or None."""
        if self.broken:
            return self.broken
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                return f"the package {package} is not installed"
        if self.solvers and all(s.missing() for s in self.solvers):
            return self.solvers[0].missing()
        return None if problem is None or self.refuses is None else self.refuses(problem)

    def default_solver(self) -> str | None:
        """The first back end that is installed; None for a method that offers no choice, or has none left."""
        return next((s.name for s in self.solvers if s.missing() is None), None)

    def check(self, problem: Problem, options: Options) -> None:
        """Raise what is wrong with a call before anything is solved."""
        self.check_options(options)
        reason = self.unavailable(problem)
        if reason:
            raise MethodError(f"method {self.name}: {reason}")

    def check_options(self, options: Options) -> None:
        """Raise what is wrong with options, whatever the problem."""
        for name in ("time_limit", "threads", "seed", "solver", "formulation", "gap", "start"):
            value = getattr(options, name)
            if value is not None and name not in self.options:
                takes = ", ".join(self.options) or "no options"
                raise InputError(
                    name, f"{shown(value)}, which {self.name} does not take", f"{takes} (method {self.name})"
                )
        limit, gap = options.time_limit, options.gap
        if limit is not None and not (is_number(limit) and 0 <= limit < float("inf")):
            raise InputError("time_limit", shown(limit), "seconds >= 0")
        if gap is not None and not (is_number(gap) and 0 < gap < float("inf")):
            raise InputError("gap", shown(gap), "a number > 0, the relative gap that is allowed")
        for name, least, most in (("threads", 1, 1024), ("seed", 0, 2**31 - 1)):
            value = getattr(options, name)
            if value is not None:
                whole(name, value, least, most)
        if options.solver is not None:
            known = {s.name: s for s in self.solvers}
            if options.solver not in known:
                self._check_further(options.solver, ", ".join(known))
            why = known[options.solver].missing() if options.solver in known else None
            if why:
                raise MethodError(f"solver {options.solver}: {why}")
        if options.formulation is not None and options.formulation not in self.formulations:
            raise InputError("formulation", shown(options.formulation), ", ".join(self.formulations))

    def _check_further(self, solver: str, known: str) -> None:
        """Refuse a solver that is none of `solvers`, unless it is found."""
        if not self.further:
            raise InputError("solver", shown(solver), known)
        module, name = self.further.split(":")
        why = getattr(importlib.import_module(module), name)(solver)
        if why:
            raise InputError("solver", shown(solver), f"{known}, or another that `qopt solvers` finds ({why})")

    def load(self) -> Callable[[Any, Options], Outcome]:
        """The function behind this method; its packages are imported now."""
        for module in self.imports:
            importlib.import_module(module)
        module, name = self.target.split(":")
        function: Callable[[Any, Options], Outcome] = getattr(importlib.import_module(module), name)
        return function

    def run(self, problem: Problem, options: Options) -> Outcome:
        """Solve; the claim is unchecked."""
        return self.load()(problem, options)


def named(methods: tuple[Method, ...], name: str) -> Method:
    """The method of a name."""
    for method in methods:
        if method.name == name:
            return method
    raise InputError("method", repr(name), "auto, " + ", ".join(m.name for m in methods))


def fastest(methods: tuple[Method, ...], problem: Problem, bits: Bits | None = None) -> Method:
    """The first exact method, of such bits, that can solve a problem."""
    candidates = [m for m in methods if m.bits == bits and m.exact]
    for method in candidates:
        if method.unavailable(problem) is None:
            return method
    reasons = "; ".join(f"{m.name}: {m.unavailable(problem)}" for m in candidates)
    if bits is not None:
        raise InputError("bits", repr(bits), f"another choice, since no exact method can be used ({reasons})")
    raise InputError("method", "'auto'", f"a named method, since no exact one can be used ({reasons})")
