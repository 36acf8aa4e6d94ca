"""How much `make test` leaves out."""

from __future__ import annotations

from sweeps import spread


def test_of_many_cases_the_ends_and_the_middle_stay() -> None:
    names = ["a.py::one", *(f"a.py::many[{k}]" for k in range(10)), *(f"a.py::few[{k}]" for k in range(3)), "b.py::one"]
    kept = [names[at] for at in spread(names)]
    assert kept == ["a.py::one", *(f"a.py::many[{k}]" for k in (0, 4, 9)), *names[11:14], "b.py::one"]
    assert spread([]) == []
