"""What importing qopt costs, and that every public name is there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import qopt


def test_importing_qopt_imports_nothing_heavy() -> None:
    heavy = (
        "pydantic",
        "pyomo",
        "cvxpy",
        "torch",
        "matplotlib",
        "scipy",
        "pandas",
        "highspy",
        "rich",
        "typer",
        "numpy",
    )
    code = f"import sys, qopt, qopt.kernels; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['numpy']")


def test_a_familys_package_is_an_attribute() -> None:
    """In a fresh interpreter: modules and functions of qopt.jqodi load when first used."""
    code = (
        "import sys, qopt; before = 'qopt.jqodi' in sys.modules; "
        "p = qopt.load('jqodi/fig5').replace({'time_limit': 2}); "
        "print(before, qopt.jqodi.smallest_limits(p).feasible, len(qopt.jqodi.diagram.diagram(p)) > 1, "
        "callable(qopt.jqodi.labels.labels), callable(qopt.jqodi.breakdown), 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "True", "True", "False"]
    assert not set(qopt.jqodi.__all__) - set(dir(qopt.jqodi))
    assert all(getattr(qopt.jqodi, name) is not None for name in qopt.jqodi.__all__)
    with pytest.raises(AttributeError, match=r"qopt\.jqodi.*nothing"):
        _ = qopt.jqodi.nothing


def test_solving_and_certifying_needs_no_heavy_package() -> None:
    heavy = ("pyomo", "cvxpy", "torch", "matplotlib", "pandas", "highspy")
    code = (
        "import sys, qopt; s = qopt.solve('qpart/teaching-3'); "
        f"print(s.status, [m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "optimal []"


def test_every_public_name_is_there() -> None:
    for name in qopt.__all__:
        if name != "plots" or importlib.util.find_spec("qopt.plots"):
            assert getattr(qopt, name) is not None
    assert set(qopt.__all__) <= set(dir(qopt))
    with pytest.raises(AttributeError):
        _ = qopt.no_such_name
    with pytest.raises(AttributeError):
        _ = qopt.kernels.no_such_name
