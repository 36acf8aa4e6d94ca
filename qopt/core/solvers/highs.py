"""Mixed-integer programs handed to HiGHS as arrays, and answers that are taken at their word's worth.

`setOptionValue` raises nothing, so every status is checked; a gap of zero is asked for; tolerances are
as tight as HiGHS allows; a warning from the hand-over is an error. The caller normalises costs and rows
and rechecks the point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_array

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.display import Brief
from qopt.core.errors import QoptError
from qopt.core.phases import phase, say, teller

if TYPE_CHECKING:
    import highspy


SMALLEST = 1e-12
"""Least coefficient of a row that counts: noise terms differ by many orders of magnitude."""


class SolverError(QoptError, RuntimeError):
    """HiGHS refused an option or a model."""


@dataclass(frozen=True, repr=False)
class MilpResult(Brief):
    """What HiGHS says of a program.

    Attributes
    ----------
    status : ``optimal``, ``infeasible``, ``time-limit`` or ``failed``.
    x : (n,) best point, None if there is none.
    objective, bound : of that point, and HiGHS's own lower bound; None where they do not exist.
    """

    status: Literal["optimal", "infeasible", "time-limit", "failed"]
    x: FloatArray | None
    objective: float | None
    bound: float | None
    nodes: int
    message: str


def solve_milp(
    cost: FloatArray,
    matrix: csr_array,
    row_lower: FloatArray,
    row_upper: FloatArray,
    upper: FloatArray,
    integer: BoolArray,
    *,
    time_limit: float | None = None,
    threads: int | None = None,
    seed: int | None = None,
    start: FloatArray | None = None,
    log: bool = False,
    told: tuple[float, float] | None = None,
    smallest: float = SMALLEST,
    most_nodes: int | None = None,
) -> MilpResult:
    """Minimise ``cost @ x`` subject to ``row_lower <= matrix @ x <= row_upper``, ``0 <= x <= upper``.

    Parameters
    ----------
    matrix : (m, n), its coefficients and `cost` scaled to about 1.
    integer : (n,) which columns are whole.
    start : a feasible point to begin with.
    log : whether HiGHS prints its log.
    told : (unit, offset): the problem's objective is ``offset + unit * value``. Where the program is the whole problem,
        for what is recorded of incumbents and bounds over time.
    smallest : coefficients of rows below it count as 0. HiGHS's own is 1e-9; which is better depends on the model: with
        1e-12 and presolve HiGHS 1.15 called a plan of mnist-cnn's readable model optimal that is 20 % too dear.
    most_nodes : of its tree; then its answer is one of ``failed`` with a point. Unlike a limit of time it stops at the
        same point on every machine.
    """
    if time_limit is not None and not time_limit > 0:
        return MilpResult("time-limit", None, None, None, 0, "no time is left to hand the model over")
    with phase("hand_over"):
        h = _solver(time_limit, threads, seed, log, smallest, most_nodes)
        _pass_model(h, cost, matrix, row_lower, row_upper, upper, integer)
        if start is not None:
            columns = matrix.shape[1]
            h.setSolution(columns, np.arange(columns, dtype=np.int32), np.ascontiguousarray(start, dtype=np.float64))
        if told is not None:
            _listen(h, told)
    with phase("solve"):
        h.run()
    with phase("extract"):
        found = _answer(h)
    say("HiGHS", found.message)
    return found


def _listen(h: highspy.Highs, told: tuple[float, float]) -> None:
    """Have HiGHS tell of incumbents and bounds, where somebody records."""
    import highspy

    tell = teller(*told)
    if tell is None:
        return

    def on(*arguments: Any) -> None:  # kind, message, what HiGHS tells, what it may be told, the caller's own
        values = arguments[2].mip_primal_bound, arguments[2].mip_dual_bound
        tell(*(float(value) if np.isfinite(value) else None for value in values))

    h.setCallback(on, None)
    for kind in ("kCallbackMipImprovingSolution", "kCallbackMipLogging"):
        h.startCallback(getattr(highspy.cb.HighsCallbackType, kind))


def _solver(
    time_limit: float | None,
    threads: int | None,
    seed: int | None,
    log: bool,
    smallest: float,
    most_nodes: int | None = None,
) -> highspy.Highs:
    """A fresh HiGHS that proves what it returns, as tightly as it can."""
    import highspy

    if threads is not None:
        highspy.Highs.resetGlobalScheduler(True)  # its pool of threads outlives a solve and keeps its first size
    h = highspy.Highs()

    def option(name: str, value: object) -> None:
        if h.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverError(f"HiGHS refuses {name} = {value!r}")

    option("output_flag", log)
    for name in ("mip_rel_gap", "mip_abs_gap"):
        option(name, 0.0)
    for name in ("mip_feasibility_tolerance", "primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        option(name, 1e-9)
    option("small_matrix_value", smallest)
    if time_limit is not None:
        option("time_limit", max(float(time_limit), 0.0))
    if most_nodes is not None:
        option("mip_max_nodes", most_nodes)
    if threads is not None:
        option("threads", threads)
    if seed is not None:
        option("random_seed", seed % (2**31 - 1))
    return h


def _pass_model(
    h: highspy.Highs,
    cost: FloatArray,
    matrix: csr_array,
    row_lower: FloatArray,
    row_upper: FloatArray,
    upper: FloatArray,
    integer: BoolArray,
) -> None:
    """Hand the arrays over."""
    import highspy

    rows, columns = matrix.shape
    status = h.passModel(
        columns,
        rows,
        int(matrix.nnz),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        np.ascontiguousarray(cost, dtype=np.float64),
        np.zeros(columns),
        np.ascontiguousarray(upper, dtype=np.float64),
        np.ascontiguousarray(row_lower, dtype=np.float64),
        np.ascontiguousarray(row_upper, dtype=np.float64),
        np.ascontiguousarray(matrix.indptr, dtype=np.int32),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
        np.ascontiguousarray(matrix.data, dtype=np.float64),
        np.ascontiguousarray(integer, dtype=np.int32),
    )
    if status != highspy.HighsStatus.kOk:
        raise SolverError("HiGHS refuses the model: a coefficient is out of its range")


def _answer(h: highspy.Highs) -> MilpResult:
    """What a solver that has run says."""
    import highspy

    model_status, info = h.getModelStatus(), h.getInfo()
    said = h.modelStatusToString(model_status)
    has_point = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.array(h.getSolution().col_value) if has_point else None
    bound = float(info.mip_dual_bound)
    outcome: Literal["optimal", "infeasible", "time-limit", "failed"]
    if model_status == highspy.HighsModelStatus.kOptimal and has_point:
        outcome = "optimal"
    elif model_status == highspy.HighsModelStatus.kInfeasible:
        outcome = "infeasible"
    elif model_status == highspy.HighsModelStatus.kTimeLimit:
        outcome = "time-limit"
    else:
        outcome = "failed"
    return MilpResult(
        outcome,
        x,
        float(info.objective_function_value) if has_point else None,
        bound if np.isfinite(bound) and outcome != "infeasible" else None,
        int(info.mip_node_count),
        said,
    )
