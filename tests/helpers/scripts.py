"""Scripts that stand outside the package, as modules."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def scripts(folder: str, *names: str) -> Iterator[SimpleNamespace]:
    """Scripts of a folder of the repository; their short names do not stay, and others of these names come back."""
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / folder))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(others)
