"""`qopt profile`: the layers of a user's own network; of an ONNX file also what each operation takes here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, Weights, print_json
from qopt.cli.onnx_options import Shapes
from qopt.core.errors import InputError
from qopt.core.files import write_text
from qopt.measuring.extra import need_torch
from qopt.runtime.extra import need_onnx

if TYPE_CHECKING:
    from qopt.runtime.profiling import Step

ONNX = "ONNX files"
"""Panel of the help: options that a torch function does not have."""


def profile(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NET.py:FUNCTION|MODEL.onnx",
            help="A function that returns (module, example input), or an ONNX file.",
        ),
    ],
    weights: Weights = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the network object of an instance, or the profile, to this file.")
    ] = None,
    shape: Shapes = None,
    of: Annotated[
        Path | None, typer.Option(help="The untreated file, of a quantized or shortened one.", rich_help_panel=ONNX)
    ] = None,
    tier: Annotated[str | None, typer.Option(help="What this machine is called.", rich_help_panel=ONNX)] = None,
    operator: Annotated[str | None, typer.Option(help="How the file is treated.", rich_help_panel=ONNX)] = None,
    accuracy: Annotated[float | None, typer.Option(help="What it reaches.", rich_help_panel=ONNX)] = None,
    pre: Annotated[
        str | None,
        typer.Option(metavar="SECONDS|FILE.py:FUNCTION", help="Pre-processing, given or timed.", rich_help_panel=ONNX),
    ] = None,
    post: Annotated[
        str | None,
        typer.Option(metavar="SECONDS|FILE.py:FUNCTION", help="Post-processing, given or timed.", rich_help_panel=ONNX),
    ] = None,
    raw_bytes: Annotated[str | None, typer.Option(help="Of the raw input, each size.", rich_help_panel=ONNX)] = None,
    result_bytes: Annotated[str | None, typer.Option(help="Of the result, each size.", rich_help_panel=ONNX)] = None,
    pinned: Annotated[
        str | None, typer.Option(help="pre, post or pre,post: may not be moved.", rich_help_panel=ONNX)
    ] = None,
    warmup: Annotated[int | None, typer.Option(help="Runs that do not count [100].", rich_help_panel=ONNX)] = None,
    repetitions: Annotated[int | None, typer.Option(help="Repetitions [5].", rich_help_panel=ONNX)] = None,
    runs: Annotated[int | None, typer.Option(help="Runs of a repetition [100].", rich_help_panel=ONNX)] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of an operation [1].", rich_help_panel=ONNX)] = None,
    pause: Annotated[
        float | None,
        typer.Option(help="Seconds before each run of the whole as it is deployed [0].", rich_help_panel=ONNX),
    ] = None,
    optimization: Annotated[
        str | None,
        typer.Option(help="What is rewritten while it is timed: off, basic, extended.", rich_help_panel=ONNX),
    ] = None,
    unfolded: Annotated[
        bool, typer.Option("--unfolded", help="Leave operations as they are.", rich_help_panel=ONNX)
    ] = False,
    as_json: AsJson = False,
) -> int:
    """List the layers of a network, what each reads, and what crosses every cut; of an ONNX file, measure them.

    Example: qopt profile net.py:build --weights net.safetensors
    """
    given = {
        "shape": shape,
        "of": of,
        "tier": tier,
        "operator": operator,
        "accuracy": accuracy,
        "pre": pre,
        "post": post,
        "raw_bytes": raw_bytes,
        "result_bytes": result_bytes,
        "pinned": pinned,
        "warmup": warmup,
        "repetitions": repetitions,
        "runs": runs,
        "threads": threads,
        "pause": pause,
        "optimization": optimization,
        "unfolded": unfolded or None,
    }
    chosen: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if network.endswith(".onnx"):
        if weights is not None:
            raise InputError("--weights", str(weights), "nothing: an ONNX file has its weights")
        return _profile_onnx(network, chosen, save, as_json)
    if chosen:
        option = f"--{next(iter(chosen)).replace('_', '-')}"
        raise InputError(option, "an option of ONNX files", "NET.py:FUNCTION without it, or MODEL.onnx")
    return _profile_torch(network, weights, save, as_json)


def _profile_torch(network: str, weights: Path | None, save: Path | None, as_json: bool) -> int:
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


def _profile_onnx(network: str, chosen: dict[str, object], save: Path | None, as_json: bool) -> int:
    need_onnx()
    if save is not None and (save.is_dir() or not save.absolute().parent.is_dir()):  # said before minutes of work
        raise InputError("--save", str(save), "a file in a folder that exists")
    from qopt.runtime import report
    from qopt.runtime.profiling import profile_onnx
    from qopt.runtime.shapes import parse_sizes

    options = dict(chosen)
    texts = options.pop("shape", None)
    if texts:
        options["shapes"] = parse_sizes(list(texts))  # type: ignore[call-overload]
    for name in ("pre", "post"):
        if name in options:
            options[name] = _step(str(options[name]), f"--{name}")
    for name in ("raw_bytes", "result_bytes"):
        if name in options:
            option = f"--{name.replace('_', '-')}"
            options[name] = [int(_number(text, option)) for text in str(options[name]).split(",")]
    if "pinned" in options:
        options["pinned"] = str(options["pinned"]).split(",")
    options["optimize"] = not options.pop("unfolded", False)
    with report.progress(quiet=as_json) as say:
        found = profile_onnx(network, say=say, **options)  # type: ignore[arg-type]
    if save is not None:
        found.save(save)
    if as_json:
        print_json(found.model_dump(exclude_none=True))
    else:
        report.show_profile(found)
    return ExitCode.FOUND


def _step(text: str, option: str) -> Step:
    """Seconds, or the function that a file has."""
    if ".py:" in text:
        from qopt.runtime.functions import load_function

        return load_function(text, option)
    return [_number(part, option) for part in text.split(",")]


def _number(text: str, option: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise InputError(option, repr(text), "numbers >= 0, separated by commas")
    return found
