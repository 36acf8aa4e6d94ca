"""A solver in a process of its own, which a limit can end and which no other solver's library shares.

The parent (`run`) writes the model as an MPS file and a question as JSON, and reads the answer as JSON; the child is
this file as a program. So run SCIP (pyscipopt), CP-SAT (ortools, which does not load beside highspy) and GLPK
(swiglpk).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9
"""Feasibility and integrality tolerance asked for, as of HiGHS."""

GRACE = 5.0
"""Seconds that a solver may go on after its time limit, before it is killed."""


def run(
    name: str, mps: str, *, left: float | None, seed: int | None, threads: int | None, start: dict[str, float] | None,
    verbose: bool,
) -> dict[str, Any]:  # fmt: skip
    """Solve an MPS file to gap 0.

    Parameters
    ----------
    name : ``scip``, ``cp-sat`` or ``glpk``.
    left : seconds; None for no limit.
    start : values of columns by name, to begin with.
    verbose : whether the solver's log goes to standard error.

    Returns
    -------
    ``status`` (optimal, infeasible, time-limit, failed), ``values`` by name or None, ``bound``, ``nodes``, ``message``.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, answer = Path(folder, "model.mps"), Path(folder, "answer.json")
        model.write_text(mps)
        question = {
            "solver": name, "model": str(model), "answer": str(answer), "left": left, "seed": seed,
            "threads": threads, "start": start, "verbose": verbose,
        }  # fmt: skip
        Path(folder, "question.json").write_text(json.dumps(question))
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, str(Path(folder, "question.json"))],
                stdout=sys.stderr.fileno() if verbose else subprocess.DEVNULL,
                stderr=None if verbose else subprocess.PIPE,
                timeout=None if left is None else left + GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _said("time-limit", message=f"{name} was killed {GRACE:g} s after its time limit")
        if not answer.exists():
            lines = (done.stderr or b"").decode(errors="replace").strip().splitlines()
            reason = f"signal {-done.returncode}" if done.returncode < 0 else lines[-1] if lines else "no reason given"
            return _said("failed", message=f"{name} broke off: {reason[:200]}")
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


def _said(
    status: str, values: dict[str, float] | None = None, bound: float | None = None, nodes: int | None = None,
    message: str = "",
) -> dict[str, Any]:  # fmt: skip
    return {"status": status, "values": values, "bound": bound, "nodes": nodes, "message": message}


def _scip(asked: dict[str, Any]) -> dict[str, Any]:
    from pyscipopt import Model

    model = Model()
    if not asked["verbose"]:
        model.hideOutput()
    model.readProblem(asked["model"])
    settings: dict[str, object] = {"limits/gap": 0.0, "limits/absgap": 0.0, "numerics/feastol": TOLERANCE}
    if asked["left"] is not None:
        settings["limits/time"] = max(asked["left"], 0.01)
    if asked["seed"] is not None:
        settings["randomization/randomseedshift"] = asked["seed"]
    model.setParams(settings)
    columns = {v.name: v for v in model.getVars()}
    if asked["start"]:
        point = model.createSol()
        for name, value in asked["start"].items():
            model.setSolVal(point, columns[name], value)
        model.addSol(point)
    model.optimize()
    said = model.getStatus()
    statuses = {"optimal": "optimal", "infeasible": "infeasible", "inforunbd": "infeasible", "timelimit": "time-limit"}
    status = statuses.get(said, "failed")
    values = None
    if model.getNSols():
        best = model.getBestSol()
        values = {name: model.getSolVal(best, v) for name, v in columns.items()}
    bound = model.getDualbound() if status in ("optimal", "time-limit") else None
    bound = None if bound is None or abs(bound) >= model.infinity() else bound
    return _said(status, values, bound, int(model.getNTotalNodes()), f"SCIP stopped: {said}" * (status == "failed"))


def _cp_sat(asked: dict[str, Any]) -> dict[str, Any]:
    from ortools.linear_solver.python import model_builder

    model = model_builder.ModelBuilder()
    if not model.import_from_mps_file(asked["model"]):
        return _said("failed", message="CP-SAT does not read the model")
    solver = model_builder.Solver("sat")
    settings = ["relative_gap_limit:0", "absolute_gap_limit:0", f"mip_wanted_precision:{TOLERANCE}"]
    if asked["threads"] is not None:
        settings.append(f"num_workers:{asked['threads']}")
    if asked["seed"] is not None:
        settings.append(f"random_seed:{asked['seed']}")
    solver.set_solver_specific_parameters(" ".join(settings))
    solver.enable_output(asked["verbose"])
    if asked["left"] is not None:
        solver.set_time_limit_in_seconds(max(asked["left"], 0.01))
    columns = list(model.get_variables())
    for column in columns if asked["start"] else ():
        model.add_hint(column, asked["start"][column.name])
    kind = model_builder.SolveStatus
    said = solver.solve(model)
    statuses = {kind.OPTIMAL: "optimal", kind.INFEASIBLE: "infeasible"}
    late = asked["left"] is not None and solver.wall_time >= asked["left"]
    status = statuses.get(said, "time-limit" if late or said in (kind.FEASIBLE, kind.NOT_SOLVED) else "failed")
    has_point = said in (kind.OPTIMAL, kind.FEASIBLE)
    values = {column.name: solver.value(column) for column in columns} if has_point else None
    bound = solver.best_objective_bound if has_point else None
    message = f"CP-SAT stopped: {solver.status_string or said.name}" if status == "failed" else ""
    return _said(status, values, bound, None, message)


def _glpk(asked: dict[str, Any]) -> dict[str, Any]:
    import swiglpk as glpk

    glpk.glp_term_out(glpk.GLP_ON if asked["verbose"] else glpk.GLP_OFF)
    problem, settings = glpk.glp_create_prob(), glpk.glp_iocp()
    if glpk.glp_read_mps(problem, glpk.GLP_MPS_FILE, None, asked["model"]):
        return _said("failed", message="GLPK does not read the model")
    glpk.glp_init_iocp(settings)
    settings.presolve, settings.mip_gap, settings.tol_int = glpk.GLP_ON, 0.0, TOLERANCE
    if asked["left"] is not None:
        settings.tm_lim = max(int(asked["left"] * 1000), 1)
    code = glpk.glp_intopt(problem, settings)
    said = glpk.glp_mip_status(problem)
    if code == glpk.GLP_ENOPFS or said == glpk.GLP_NOFEAS:
        return _said("infeasible")
    has_point = said in (glpk.GLP_OPT, glpk.GLP_FEAS)
    status = "optimal" if said == glpk.GLP_OPT else "time-limit" if code == glpk.GLP_ETMLIM else "failed"
    numbers = range(1, glpk.glp_get_num_cols(problem) + 1)
    values = {glpk.glp_get_col_name(problem, j): glpk.glp_mip_col_val(problem, j) for j in numbers}
    bound = glpk.glp_mip_obj_val(problem) if status == "optimal" else None
    message = f"GLPK stopped with code {code}" if status == "failed" else ""
    return _said(status, values if has_point else None, bound, None, message)


SOLVERS = {"scip": _scip, "cp-sat": _cp_sat, "glpk": _glpk}


def main() -> None:
    """The child: answer the question in the file that the first argument names."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    Path(asked["answer"]).write_text(json.dumps(SOLVERS[asked["solver"]](asked)))


if __name__ == "__main__":
    main()
