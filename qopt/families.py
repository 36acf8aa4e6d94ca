"""The families of problems, a row each: where the parts of each stand. The first is the usual one."""

from __future__ import annotations

from qopt.core.families import Family, register

ROWS = (
    Family(
        name="qpart",
        problem="qopt.qpart.problem:QPart",
        plan="qopt.qpart.plan:QPartPlan",
        registry="qopt.qpart.methods.registry",
        certificate="qopt.qpart.certificate.certify",
        report="qopt.qpart.report",
        breakpoints="qopt.qpart.serving.breakpoints:breakpoints",
        front="qopt.qpart.front:front",
        first="qopt.qpart.methods.first",
        formulation="qopt.formulations.qpart",
        generate="qopt.qpart.generate:qpart",
        limited="qopt.qpart.limited",
        proof="qopt.qpart.certificate.proof:proof",
        bits=("whole", "real"),
    ),
    Family(
        name="placement",
        problem="qopt.placement.problem:Placement",
        plan="qopt.placement.plan:PlacementPlan",
        registry="qopt.placement.methods.registry",
        certificate="qopt.placement.certificate.certify",
        report="qopt.placement.report",
        breakpoints="qopt.placement.breakpoints:breakpoints",
        front="qopt.placement.front:front",
        first="qopt.placement.methods.first",
        formulation="qopt.formulations.placement",
        generate="qopt.placement.generate:placement",
        limited="qopt.placement.limited",
        proof="qopt.placement.certificate.proof:proof",
    ),
    Family(
        name="jqodi",
        problem="qopt.jqodi.problem:Jqodi",
        plan="qopt.jqodi.plan:JqodiPlan",
        registry="qopt.jqodi.methods.registry",
        certificate="qopt.jqodi.certificate.certify",
        report="qopt.jqodi.report",
        breakpoints="qopt.jqodi.breakpoints:breakpoints",
        front="qopt.jqodi.front:front",
        first="qopt.jqodi.methods.first",
        formulation="qopt.formulations.jqodi",
        generate="qopt.jqodi.generate:jqodi",
        limited="qopt.jqodi.limited",
        proof="qopt.jqodi.certificate.proof:proof",
    ),
    Family(
        name="allocation",
        problem="qopt.allocation.problem:Allocation",
        plan="qopt.allocation.plan:AllocationPlan",
        registry="qopt.allocation.methods.registry",
        certificate="qopt.allocation.certificate.certify",
        report="qopt.allocation.report",
        breakpoints="qopt.allocation.breakpoints:breakpoints",
        front="qopt.allocation.front:front",
        first="qopt.allocation.methods.first",
        formulation="qopt.formulations.allocation",
        generate="qopt.allocation.generate:allocation",
        limited="qopt.allocation.limited",
        proof="qopt.allocation.certificate.proof:proof",
    ),
    Family(
        name="fleet",
        problem="qopt.fleet.problem:Fleet",
        plan="qopt.fleet.plan:FleetPlan",
        registry="qopt.fleet.methods.registry",
        certificate="qopt.fleet.certificate.certify",
        report="qopt.fleet.report",
        first="qopt.fleet.methods.first",
        formulation="qopt.formulations.fleet",
        generate="qopt.fleet.generate:fleet",
        proof="qopt.fleet.certificate.proof:proof",
    ),
)

for row in ROWS:
    register(row)
