"""The best plan known of every bundled instance, with what proves it: `best/FAMILY/NAME.json`.

    python instances/best.py update [NAME ...]   # solve, prove, write what is better, or not written yet; seconds
    python instances/best.py add NAME PLAN.json --by WHO   # a plan from elsewhere: taken if verified and better
    python instances/best.py check [--proofs] [NAME ...]   # certify all again; --proofs: checker.py over the files too
    python instances/best.py unpack NAME FOLDER  # the proof as pairs of files for checker.py

`update` also writes `best_known` into the instances, but for optima worked by hand, and docs/library.md. A record is a
solution file (`qopt check NAME best/NAME.json` reads it) with the instance's fingerprint, and who proved it, by what
and when. It is replaced only by a plan that is feasible in the exact test and costs less, by the same plan with more
proof, or where the instance has changed.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import sys
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from qopt.instances import library, proofs, rcsp_records, records

import qopt
from qopt.allocation.plan import AllocationPlan
from qopt.comparison.tasks import fingerprint
from qopt.core.errors import InputError, QoptError
from qopt.core.files import write_whole
from qopt.core.plan import read_answer
from qopt.core.problem import Problem
from qopt.core.reading import bundled, load, save
from qopt.fleet.plan import FleetPlan
from qopt.jqodi.plan import JqodiPlan
from qopt.kernels import checker
from qopt.qpart.plan import QPartPlan

FOLDER = Path(__file__).resolve().parent

SAME = 1e-12
"""Values of the same plan on two machines differ by less than this share."""


class Refused(QoptError):
    """Why a record stays as it is, in a line."""


# --- a record that is offered -------------------------------------------------------------------------------------


def offered(
    name: str, problem: Problem, plan: Any, witness: object, *, by: str, method: str | None, solver: str | None = None
) -> tuple[records.Record, list[proofs.Claim] | None]:
    """The record that a plan deserves, and its claims; `Refused` where it is not better than the one that stands."""
    certificate = qopt.certify(problem, plan, witness)
    if not certificate.feasible:
        raise Refused(f"{name}: the plan breaks a limit: {'; '.join(certificate.violations)}")
    objective, old, print_ = certificate.objective, records.record(name), fingerprint(problem)
    assert objective is not None
    if old is not None and old["fingerprint"] == print_:
        room = SAME * (abs(old["objective"]) or 1.0)
        if objective > old["objective"] + room:
            raise Refused(f"{name}: the plan costs {objective:.12g}, {old['objective']:.12g} is known")
        better = objective < old["objective"] - room
        if better and old["bound"] is not None and objective < old["bound"] - 1e-9 * abs(old["objective"]):
            raise Refused(
                f"{name}: the plan costs {objective:.12g}, below the proved {old['bound']:.12g}: a proof is false"
            )
        if not better and (old["status"] == "optimal" or not certificate.proved):
            raise Refused(f"{name}: no better than what is known")
    found: records.Record = {
        "format": "qopt/solution",
        "version": 1,
        "instance": name,
        "problem": problem.name,
        "fingerprint": print_,
        "status": "optimal" if certificate.proved else "feasible",
        "objective": objective,
        "bound": certificate.bound,
        "plan": plan.to_dict(),
        "witness": witness,
    }
    claims, why = None, "not proved"
    if certificate.proved:
        try:
            claims, why = proofs.claims(problem, plan, objective, witness), ""
        except proofs.NoFile as reason:
            why = str(reason)
    found["proved"] = {
        "kind": certificate.kind if certificate.proved else None,
        "method": method,
        "solver": solver,
        "by": by,
        "qopt": qopt.__version__,
        "date": datetime.date.today().isoformat(),
        "files": 0 if claims is None else len(claims),
        "no_files": why,
    }
    return found, claims


def write(name: str, found: records.Record, claims: list[proofs.Claim] | None) -> None:
    """Write a record and its proof."""
    path = records.BEST / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files = records.BEST / f"{name}.proof.json.gz"
    if claims is None:
        files.unlink(missing_ok=True)
    else:
        whole = {"format": "qopt/proofs", "version": 1, "instance": name, "fingerprint": found["fingerprint"]}
        text = json.dumps({**whole, "objective": found["objective"], "claims": claims}, allow_nan=False)
        packed = gzip.compress(text.encode(), mtime=0)  # the same content, the same bytes
        write_whole(files, lambda file: file.write(packed))
    text = json.dumps(found, indent=1, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def update(name: str) -> str:
    """Solve an instance anew and write what is better; what was done, in a line."""
    claims: list[proofs.Claim] | None
    if name in rcsp_records.names():
        found, claims = rcsp_records.solved(name)
        old = records.record(name)
        if old is not None and old["fingerprint"] == found["fingerprint"]:
            return f"{name}: no better than what is known"
        write(name, found, claims)
        return f"{name}: {found['objective']:.12g}, {found['status']}"
    problem = load(name)
    solution = qopt.solve(problem)
    if solution.plan is None:
        return f"{name}: {solution.status}, nothing written"
    try:
        found, claims = offered(
            name, problem, solution.plan, solution.witness, by="qopt", method=solution.method, solver=solution.solver
        )
        write(name, found, claims)
        said = f"{name}: {found['objective']:.12g}, {found['status']}"
    except Refused as why:
        said = str(why)
    _into_instance(name, problem)
    return said


def _into_instance(name: str, problem: Problem) -> None:
    """Write a proved best value into the instance's file, where it does not say it yet."""
    best, known = records.record(name), problem.best_known
    if best is None or best["status"] != "optimal":
        return
    agrees = known is not None and abs(known["objective"] - best["objective"]) <= SAME * abs(best["objective"])
    if agrees:
        return
    if known is not None and str(known.get("how", "")).startswith("worked by hand"):
        raise Refused(f"{name}: {known['objective']:.12g} was worked by hand, {best['objective']:.12g} is proved")
    plan, _ = read_answer(records.BEST / f"{name}.json", problem)
    found = {
        "objective": best["objective"],
        **decision(plan),
        "how": f"method {best['proved']['method']}, proved by {best['proved']['kind']}",
    }
    save(problem.replace({"best_known": found}), FOLDER / f"{name}.json")


def decision(plan: Any) -> dict[str, Any]:
    """What a plan of any family decides."""
    if isinstance(plan, QPartPlan):
        widths = {"weights": [int(b) for b in plan.weights], "activations": [int(b) for b in plan.activations]}
        return {"cut": plan.cut, **widths}
    if isinstance(plan, JqodiPlan):
        return {"model": plan.model, "bits": plan.bits, "servers": list(plan.servers), "cuts": list(plan.cuts)}
    if isinstance(plan, AllocationPlan):
        return {"formats": dict(plan.formats), **({"pools": dict(plan.pools)} if plan.pools else {})}
    if isinstance(plan, FleetPlan):
        splits = {"splits": [list(split) for split in plan.splits]} if plan.splits else {}
        return {"option": plan.option.tolist(), **splits}
    return {"operator": plan.operator, "tiers": dict(plan.tiers)}


def add(name: str, path: str, by: str) -> str:
    """Take a plan from a plan or solution file; `Refused` where it is not verified, or no better."""
    if name not in bundled():
        raise InputError("instance", repr(name), "the name of a bundled instance")
    problem = load(name)
    plan, witness = read_answer(path, problem)
    if plan is None:
        raise InputError("plan", "none", "a plan")
    found, claims = offered(name, problem, plan, witness, by=by, method=None)
    write(name, found, claims)
    _into_instance(name, problem)
    return f"{name}: {found['objective']:.12g}, {found['status']}"


# --- checking -----------------------------------------------------------------------------------------------------


def faults(name: str) -> list[str]:
    """What is wrong with a record, a line each: its certificate is computed again."""
    found = records.record(name)
    if found is None:
        return [f"{name}: no record; run python instances/best.py update {name}"]
    if name in rcsp_records.names():
        return rcsp_records.faults(name, found)
    problem = load(name)
    if found["fingerprint"] != fingerprint(problem):
        return [f"{name}: the instance has changed; run python instances/best.py update {name}"]
    plan, witness = read_answer(records.BEST / f"{name}.json", problem)
    certificate = qopt.certify(problem, plan, witness)
    lines = []
    if not certificate.feasible or certificate.objective is None:
        return [f"{name}: the plan breaks a limit: {'; '.join(certificate.violations)}"]
    room = SAME * (abs(found["objective"]) or 1.0)
    if abs(certificate.objective - found["objective"]) > room:
        lines.append(f"{name}: the plan costs {certificate.objective:.12g}, not {found['objective']:.12g}")
    if (found["status"] == "optimal") != certificate.proved:
        lines.append(f"{name}: {found['status']} is written, and the certificate says: {certificate.verdict}")
    known = (problem.best_known or {}).get("objective")
    if known is None or abs(known - found["objective"]) > room:
        lines.append(f"{name}: the instance says {known} is the best known, not {found['objective']:.12g}")
    return lines


def false_claims(name: str, *, standalone: bool = False) -> list[str]:
    """What is wrong with the files of a proof, a line each: the checker reads them, and they speak of this instance."""
    found, written = records.record(name), records.proof(name)
    if found is None or (written is None) != (found["proved"]["files"] == 0):
        return [f"{name}: a record without its proof, or a proof without its record"]
    if written is None:
        return []
    if (written["fingerprint"], written["objective"]) != (found["fingerprint"], found["objective"]):
        return [f"{name}: the proof is of another instance or value"]
    least = Fraction(found["objective"]) - proofs.GAP * abs(Fraction(found["objective"]))
    lines = []
    for claim in written["claims"]:
        why = proofs.refuted(claim, least)
        if why is None and standalone:
            with tempfile.TemporaryDirectory() as folder:
                if checker.main([str(path) for path in pair(claim, Path(folder), "claim")]):
                    why = "checker.py says no"
        if why is not None:
            lines.append(f"{name}, {claim['about']}: {why}")
    if name in rcsp_records.names():
        expected = [rcsp_records.instance(name)]
    else:
        plan, _ = read_answer(records.BEST / f"{name}.json", load(name))
        expected = [c["instance"] for c in proofs.claims(load(name), plan, found["objective"], found["witness"])]
    if not _alike([c["instance"] for c in written["claims"]], json.loads(json.dumps(expected))):
        lines.append(f"{name}: the files are of another problem")
    return lines


def _alike(left: Any, right: Any) -> bool:
    """Whether two files say the same, numbers to twelve digits: prices may be rounded otherwise elsewhere."""
    if isinstance(left, float) or isinstance(right, float):
        return bool(abs(left - right) <= 1e-12 * max(abs(left), abs(right)))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_alike(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    return bool(left == right)


def pair(claim: proofs.Claim, folder: Path, stem: str) -> tuple[Path, Path]:
    """A claim as the two files that checker.py reads."""
    paths = folder / f"{stem}.instance.json", folder / f"{stem}.witness.json"
    for path, part in zip(paths, ("instance", "witness"), strict=True):
        path.write_text(json.dumps(claim[part]) + "\n", encoding="utf-8")
    return paths


def unpack(name: str, folder: Path) -> list[str]:
    """Write the pairs of a proof into a folder; the commands that check them."""
    written = records.proof(name)
    if written is None:
        raise InputError("instance", repr(name), "an instance whose proof has files")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for k, claim in enumerate(written["claims"]):
        left, right = pair(claim, folder, f"{k:02d}")
        lines.append(f"python qopt/kernels/checker.py {left} {right}   # {claim['about']}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("update", "check"):
        part = verbs.add_parser(verb)
        part.add_argument("names", nargs="*")
        if verb == "check":
            part.add_argument("--proofs", action="store_true")
    part = verbs.add_parser("add")
    part.add_argument("name")
    part.add_argument("plan")
    part.add_argument("--by", required=True)
    part = verbs.add_parser("unpack")
    part.add_argument("name")
    part.add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    try:
        return _run(asked)
    except QoptError as why:
        print(why, file=sys.stderr)
        return 1


def _run(asked: argparse.Namespace) -> int:
    if asked.verb == "add":
        print(add(asked.name, asked.plan, asked.by))
        library.write()
        return 0
    if asked.verb == "unpack":
        print("\n".join(unpack(asked.name, asked.folder)))
        return 0
    chosen: Iterable[str] = asked.names or records.names()
    if unknown := sorted(set(chosen) - set(records.names())):
        raise InputError("instance", ", ".join(unknown), "names of bundled instances")
    wrong = 0
    for name in chosen:
        if asked.verb == "update":
            print(update(name), flush=True)
            continue
        lines = faults(name) or (false_claims(name, standalone=True) if asked.proofs else [])
        wrong += bool(lines)
        print("\n".join(lines) if lines else f"{name}: holds", flush=True)
    if asked.verb == "update":
        library.write()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
