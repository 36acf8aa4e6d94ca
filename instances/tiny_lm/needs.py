"""What the scripts of this folder need beside the standard library; one line says what is missing."""

import sys
from importlib.util import find_spec
from pathlib import Path

for package in ("qopt", "torch", "safetensors"):
    if find_spec(package) is None:
        root = Path(__file__).resolve().parents[2]
        print(
            f"error: {package} is not installed for {sys.executable}: pip install '{root}[measure]', or after "
            f"`make test` run {root}/.venv/bin/python {sys.argv[0]}",
            file=sys.stderr,
        )
        sys.exit(2)
