"""What the tests of measuring share: how many threads torch takes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The networks here are small: more threads than one only wait for each other."""
    if importlib.util.find_spec("torch") is None:  # a few tests here need none
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_threads() -> Iterator[Callable[[], None]]:
    """Takes two threads when called, until the test ends."""
    import torch

    yield lambda: torch.set_num_threads(2)
    torch.set_num_threads(1)
