"""`qopt profile`: the layers of a user's own network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, NetworkFunction, Weights, print_json
from qopt.core.errors import InputError
from qopt.core.files import write_text
from qopt.measuring.extra import need_torch


def profile(
    network: NetworkFunction,
    weights: Weights = None,
    save: Annotated[Path | None, typer.Option(help="Write the network object of an instance to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the layers of a network, what each reads, and what crosses every cut."""
    need_torch()
    from qopt.measuring import report
    from qopt.measuring.loading import load_module
    from qopt.measuring.profile import records, trace

    traced = trace(*load_module(network, weights))
    columns, rows = traced.columns(), records(traced)
    if save is not None:
        try:
            write_text(save, json.dumps(columns, indent=1) + "\n")
        except InputError as error:
            raise InputError("--save", f"{save}: {error.found}", error.allowed) from None
    if as_json:
        print_json({"network": columns, "layers": rows})
    else:
        report.show_layers(columns, rows)
    return ExitCode.FOUND
