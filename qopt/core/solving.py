"""`qopt.solve`: run a method, then let the certificate say what is true of its answer."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qopt.core.arguments import check_time_limit
from qopt.core.certificate import STOPPED, Certificate, claimed
from qopt.core.claims import refuted
from qopt.core.clock import Clock, OutOfTime
from qopt.core.display import with_article
from qopt.core.envelope import Envelope
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.families import FAMILIES, Family, family_named, family_of
from qopt.core.front import Front
from qopt.core.log import logged, teller
from qopt.core.method import Method, Options, fastest, named
from qopt.core.phases import phase
from qopt.core.plan import Plan
from qopt.core.plugins import methods_of
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.solution import Outcome, Solution, Status


def choose(problem: Problem, method: str, bits: str | None) -> Method:
    """The method to run for a name (or ``auto``) and a choice of bits, where the family has bits."""
    family = family_of(problem)
    known: tuple[Method, ...] = family.part("registry").METHODS
    if bits is not None and not family.bits:
        raise InputError("bits", shown(bits), f"nothing: {family.a_problem} has no bits to choose")
    if bits is not None and bits not in family.bits:
        raise InputError("bits", repr(bits), " or ".join(family.bits))
    if method == "auto":
        return fastest(known, problem, next((kind for kind in family.bits if bits in (None, kind)), None))
    if all(m.name != method for m in known):  # auto takes none of other packages, so they are not looked for
        known = methods_of(family)
    chosen = named(known, method)
    if bits is not None and chosen.bits != bits:
        others = ", ".join(m.name for m in known if m.bits == bits)
        raise InputError(
            "bits",
            f"{bits!r} with method {chosen.name}, whose bits are {chosen.bits}",
            f"for {bits}: {others}",
        )
    return chosen


def certify(
    problem: Problem | str | os.PathLike[str],
    plan: Plan | None,
    witness: object = None,
    *,
    time_limit: float | None = None,
    **options: object,
) -> Certificate:
    """What is true of a plan, or (plan None) of the claim that there is none; see the family's certificate.

    Parameters
    ----------
    problem : a problem of any family, a bundled name, or the path of an instance file.
    plan : a plan of that family, or None.
    witness : an untrusted proof, as `Solution.witness` or a file has it.
    time_limit : seconds of wall time. Feasibility is always certified; how much of optimality is proved in that time,
        and that the time was over, the certificate says (`Certificate.stopped`).
    options : of the family's own `certify`, for example of `qopt.qpart.certificate.certify`: bits and labels.

    Raises
    ------
    InputError
        The plan is of another family or does not fit the problem, or the family has no such option.
    """
    problem = as_problem(problem)
    family = family_of(problem)
    if "clock" in options:
        raise InputError("clock", shown(options["clock"]), "nothing: time_limit is the option")
    if time_limit is not None:
        options["time_limit"] = time_limit
    _check_options(family.part("certificate").certify, f"the certificate of {family.a_problem}", options)
    if time_limit is not None:
        check_time_limit(time_limit)
        options = {
            **{name: value for name, value in options.items() if name != "time_limit"},
            "clock": Clock(time_limit),
        }
    return _certified(problem, plan, witness, options)


def _certified(problem: Problem, plan: Plan | None, witness: object, options: dict[str, object]) -> Certificate:
    """The family's certificate of a plan that is one of the family's."""
    family = family_of(problem)
    if plan is not None and not isinstance(plan, family.part("plan")):
        raise InputError("plan", f"a {type(plan).__name__}", f"a plan for {family.a_problem}")
    found: Certificate = family.part("certificate").certify(problem, plan, witness, **options)
    return found


def solve(
    problem: Problem | str | os.PathLike[str],
    method: str = "auto",
    *,
    bits: str | None = None,
    solver: str | None = None,
    formulation: str | None = None,
    gap: float | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
    seed: int | None = None,
    start: Plan | None = None,
    verbose: bool = False,
) -> Solution:
    """Solve a problem of any family and certify the answer.

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    method : a name listed by `qopt.methods`, or ``auto``: the fastest that proves optimality.
    bits : ``whole`` (default) or ``real``, for QPART; a named method implies it.
    solver, formulation : for methods that offer a choice.
    gap : relative; how far above the optimum the answer may be, for methods with such a guarantee.
    time_limit : seconds of wall time for the whole call: a first plan by a cheap heuristic, the method, its model's
        construction, and as much of the certificate as there is time for. Feasibility is always certified; what was
        left unproved the message and the certificate say. Importing a solver does not count.
    threads, seed : handed to the solver.
    start : a plan to begin with, for methods that take one (`qopt.methods` lists it among their options). If it breaks
        a limit it is not used, and the message says so; if the method comes to nothing better, it is the answer.
    verbose : whether the solver's log goes to standard error, and what is being done.

    Returns
    -------
    `Solution`: status, plan, objective and bound, and the certificate that says what is true of them.

    Raises
    ------
    InputError, MethodError
        Before anything is solved: malformed input, an unknown method, an option that the method lacks,
        a package that is not installed. Infeasibility and limits are no errors: see `Solution.status`.
    """
    asked = as_problem(problem)
    clock = Clock(time_limit)
    chosen = choose(asked, method, bits)
    solver = chosen.default_solver() if solver is None else solver
    options = Options(time_limit, threads, seed, solver, formulation, gap, start, verbose, running=clock)
    chosen.check(asked, options)
    family = family_of(asked)
    tell = teller(asked.name, verbose)
    unused = "" if start is None else _why_not(family, asked, chosen, start)
    if unused:
        options = replace(options, start=None)
    with clock.held():  # importing a solver is not solving
        function = chosen.load()
        for module in (s.module for s in chosen.solvers if s.name == solver and s.module):
            importlib.import_module(module)
        effort = dict(family.part("certificate").IN_SOLVE)
    begun = clock.spent
    tell(f"method {chosen.name}" + (f", solver {solver}" if solver else "") + (f"; {unused}" if unused else ""))
    with phase("other"):
        known = None if time_limit is None or not chosen.stand_in else _first_plan(family, asked, clock)
    with logged(verbose and "verbose" in chosen.options):
        outcome = _stood_in(family, asked, chosen, _run(chosen, function, asked, options), known)
    outcome = _not_worse(family, asked, chosen, outcome, options)
    seconds = clock.spent - begun
    tell(f"{chosen.name} says {outcome.status} after {seconds:.3g} s; certifying")
    if chosen.bits is not None:
        effort["bits"] = chosen.bits
    if time_limit is not None and _takes_a_clock(family):
        effort["clock"] = clock
    with phase("certify"):
        certificate = _certified(asked, outcome.plan, outcome.witness, effort)
        if chosen.stand_in and _doubtful(outcome, certificate):
            if time_limit is None:
                known = _first_plan(family, asked, Clock(DOUBT))
            keeps = None if outcome.plan is None else certificate.feasible
            doubted = _refuted(family, asked, chosen, outcome, options, known, FIRST, keeps)
            if doubted is not outcome:
                outcome, certificate = doubted, _certified(asked, doubted.plan, None, effort)
    tell(f"certified in {certificate.seconds:.3g} s")
    unproved = outcome.plan is not None and not certificate.proved and certificate.stopped
    return Solution(
        problem=asked.name,
        method=chosen.name,
        solver=solver,
        bits=chosen.bits,
        status=_status(outcome, certificate.proved, certificate.infeasible),
        plan=outcome.plan,
        objective=certificate.objective if outcome.plan else None,
        bound=claimed(outcome.bound, certificate),
        seconds=seconds,
        certificate=certificate,
        witness=outcome.witness,
        message="; ".join(filter(None, (outcome.message, unused, STOPPED[unproved] if unproved else ""))),
        details=outcome.details,
        refuted=outcome.refuted,
        instance=asked,
    )


def _run(method: Method, function: Callable[[Any, Options], Outcome], problem: Problem, options: Options) -> Outcome:
    """What a method says; where the clock broke it off, that."""
    try:
        outcome = function(problem, options)
    except OutOfTime:
        return Outcome("time-limit")
    if not isinstance(outcome, Outcome):  # a user's own method
        raise MethodError(f"method {method.name}: returned {shown(outcome)}, which is no Outcome")
    return outcome


def _why_not(family: Family, problem: Problem, method: Method, start: Plan) -> str:
    """Why a plan is not begun with, in words: it breaks a limit. Raises what makes it no plan for this problem."""
    if not isinstance(start, family.part("plan")):
        raise InputError("start", with_article(type(start).__name__), f"a plan for {family.a_problem}")
    bits = getattr(start, "bits", None)
    if isinstance(bits, str) and bits != method.bits:
        raise InputError("start", f"a plan of {bits} bits", f"one of {method.bits} bits (method {method.name})")
    try:
        found = _certified(problem, start, None, {"clock": Clock(0.0)} if _takes_a_clock(family) else {})
    except InputError as error:
        raise InputError(error.field.replace("plan", "start", 1), error.found, error.allowed) from None
    if found.feasible:
        return ""
    return f"the start was not used, it breaks {found.violations[0] if found.violations else 'a limit'}"


def _not_worse(family: Family, problem: Problem, method: Method, outcome: Outcome, options: Options) -> Outcome:
    """An outcome with the start in the place of no plan, or of a worse one."""
    start = options.start
    if start is None or not family.first:
        return outcome
    outcome = _refuted(family, problem, method, outcome, options, start, STARTED)
    value = family.part("first").objective
    if outcome.plan is not None and value(problem, outcome.plan) <= value(problem, start):
        return outcome
    return replace(outcome, plan=start, message="; ".join(filter(None, (outcome.message, STARTED))))


def _doubtful(outcome: Outcome, certificate: Certificate) -> bool:
    """Whether a method claims what its certificate leaves open: that there is no plan, or none better than its own."""
    if outcome.plan is None:
        return outcome.status == "infeasible" and not certificate.infeasible
    return outcome.status == "optimal" and not certificate.proved


def _refuted(
    family: Family,
    problem: Problem,
    method: Method,
    outcome: Outcome,
    options: Options,
    known: Plan | None,
    where: str,
    keeps: bool | None = None,
) -> Outcome:
    """An outcome that has failed where its plan breaks a limit, or a plan that keeps all of them refutes its claim.

    Its plan is the better one of those that keep the limits. `keeps` says whether the method's own does, if that is
    known.
    """
    if known is None and keeps is not False:
        return outcome
    value = family.part("first").objective if family.first else None
    best = None if known is None or value is None else value(problem, known)
    own = None if outcome.plan is None or keeps is False or value is None else value(problem, outcome.plan)
    claim = refuted(outcome.status, own, (outcome.bound,), keeps, best, gap=options.gap or 0.0)
    if not claim:
        return outcome
    plan, message = outcome.plan, ""
    if known is not None and (own is None or best is None or own > best):
        plan, message = known, where
    message = "; ".join(filter(None, (f"{method.name} {FALSE[claim]}", message)))
    return replace(outcome, status="failed", plan=plan, bound=None, message=message, refuted=claim)


DOUBT = 1.0
"""Seconds in which a heuristic may look for a plan that refutes a claim which the certificate leaves unproved."""

FALSE = {
    "there is a plan": "says that there is no plan",
    "a better plan is known": "says a worse plan to be optimal",
    "bound above a plan": "says that no plan is as good as one that there is",
    "plan breaks a limit": "says a plan to be optimal that breaks a limit",
}
"""What a method has said, by the words of `refuted`."""

STARTED = "the plan is the start"


def _takes_a_clock(family: Family) -> bool:
    """Whether a family's certificate can be stopped."""
    return "clock" in inspect.signature(family.part("certificate").certify).parameters


def _first_plan(family: Family, problem: Problem, clock: Clock) -> Plan | None:
    """The plan of the family's cheap heuristic: there is one even where the search does not come to any."""
    if not family.first:
        return None
    with clock.held():
        module = family.part("first")
    found: Plan | None = module.first_plan(problem, clock)
    return found


def _stood_in(family: Family, problem: Problem, method: Method, outcome: Outcome, known: Plan | None) -> Outcome:
    """An outcome with the first plan in the place of none, or of a worse one that the clock left."""
    if known is None or outcome.status not in ("time-limit", "failed"):
        return outcome
    value = family.part("first").objective
    if outcome.plan is not None and (not method.exact or value(problem, outcome.plan) <= value(problem, known)):
        return outcome
    return replace(outcome, plan=known, message="; ".join(filter(None, (outcome.message, FIRST))))


FIRST = "the plan is that of a quick heuristic"
"""Said of a plan that the method has not found itself."""


def _status(outcome: Outcome, proved: bool, infeasible: bool) -> Status:
    """A method's claim of optimality or infeasibility stands only where the certificate proves it."""
    if outcome.plan is None and infeasible:
        return "infeasible"
    if outcome.status == "optimal":
        return "optimal" if proved else "optimal-by-solver"
    if outcome.status == "infeasible" and not infeasible:
        return "infeasible-by-solver"
    return outcome.status


def breakpoints(
    problem: Problem | str | os.PathLike[str],
    parameter: str,
    *,
    time_limit: float | None = None,
    **options: object,
) -> Envelope:
    """The best plan for every value of one parameter, exactly.

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    parameter : name of the field that varies; the error lists those that a family knows.
    time_limit : seconds of wall time for the whole call; what was found by then is kept (`Envelope.complete`).
    options : ``low`` and ``high``, the range; for QPART ``bits`` too, for JQODI how much may be listed. See
        `qopt.qpart.serving.breakpoints`, `qopt.placement.breakpoints` and `qopt.jqodi.breakpoints`.

    Raises
    ------
    InputError
        The family has no such function, parameter or option.
    """
    asked = as_problem(problem)
    function = _part("breakpoints", asked, options, time_limit)
    found: Envelope = function(asked, parameter, **options, **_clock(time_limit))
    return found


def front(problem: Problem | str | os.PathLike[str], *, time_limit: float | None = None, **options: object) -> Front:
    """Non-dominated plans of a problem, each with its proof: of a placement, accuracy against the objective.

    Of a JQODI problem, energy against time, and against the loss where that is asked for (`qopt.jqodi.front`).

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    time_limit : seconds of wall time for the whole call; what was found by then is kept (`Front.complete`).
    options : of the family's own function.

    Raises
    ------
    InputError
        The family has no front, or the function no such option.
    """
    asked = as_problem(problem)
    found: Front = _part("front", asked, options, time_limit)(asked, **options, **_clock(time_limit))
    return found


def _clock(time_limit: float | None) -> dict[str, Clock]:
    """The option that a limit is for functions that ask a clock."""
    return {} if time_limit is None else {"clock": Clock(time_limit)}


def _part(
    name: str, problem: Problem, options: dict[str, object], time_limit: float | None = None
) -> Callable[..., Any]:
    """A family's function of some name, once it is known to take some options and a time limit."""
    family = family_of(problem)
    if not getattr(family, name):
        able = " or ".join(f.a_problem for f in FAMILIES.values() if getattr(f, name))
        instead = "; by one parameter, qopt.breakpoints(problem, PARAMETER)" if family.breakpoints else ""
        raise InputError("problem", f"{shown(problem.name)}, {family.a_problem}", (able or "none") + instead)
    function: Callable[..., Any] = family.part(name)
    check_time_limit(time_limit)
    if "clock" in options:
        raise InputError("clock", shown(options["clock"]), "nothing: time_limit is the option")
    asked = options if time_limit is None else {**options, "time_limit": time_limit}
    _check_options(function, f"{name} of {family.a_problem}", asked)
    return function


def _check_options(function: Callable[..., object], what: str, options: dict[str, object]) -> None:
    """Refuse options that a function does not take."""
    parameters = inspect.signature(function).parameters.values()
    known = ["time_limit" if p.name == "clock" else p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name, value in options.items():
        if name not in known:
            taken = ", ".join(known) if known else "no options"
            raise InputError(name, shown(value), f"nothing: {what} takes {taken}")


def methods(
    problem: Problem | str | os.PathLike[str] | None = None, *, family: str | None = None
) -> list[dict[str, Any]]:
    """What can solve a problem, what each method promises, and why a method cannot be used here.

    Parameters
    ----------
    problem : whose methods to list.
    family : whose methods to list without a problem, by name; by default the first family's.

    Returns
    -------
    One dict a method: name, bits, proves, summary, options, solvers (name to None or the reason why not),
    formulations, reason (None if it can be used).
    """
    asked = None if problem is None else as_problem(problem)
    own = family_named(family) if asked is None else family_of(asked)
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
        for m in methods_of(own)
    ]
