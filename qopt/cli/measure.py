"""Commands on a user's own network: qopt profile, qopt measure, qopt pack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qopt.core.errors import InputError, QoptError

app = typer.Typer()

NetworkFunction = Annotated[
    str, typer.Argument(metavar="NET.py:FUNCTION", help="A function that returns (module, example input).")
]
Weights = Annotated[Path | None, typer.Option(help="Safetensors file with the module's weights.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def need_torch() -> None:
    """Say what to install where torch is missing."""
    try:
        import safetensors
        import torch
    except ModuleNotFoundError as error:
        raise QoptError(f"{error.name} is not installed: pip install 'qopt-edge[measure]'") from error
    del safetensors, torch


@app.command()
def profile(
    network: NetworkFunction,
    weights: Weights = None,
    save: Annotated[Path | None, typer.Option(help="Write the network object of an instance to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the layers of a network, what each reads, and what crosses every cut."""
    need_torch()
    from qopt.measuring.loading import load_module
    from qopt.measuring.profile import records, trace

    traced = trace(*load_module(network, weights))
    columns, rows = traced.columns(), records(traced)
    if save is not None:
        try:
            save.write_text(json.dumps(columns, indent=1) + "\n")
        except OSError as error:
            raise InputError("--save", str(save), f"a file that can be written ({error.strerror})") from error
    if as_json:
        print(json.dumps({"network": columns, "layers": rows}, indent=1))
        return 0
    from qopt.core.report import console

    console().print(_table(columns, rows))
    for group in traced.shared:
        console().print(f"layers {', '.join(map(str, group))} share one weight")
    return 0


@app.command()
def measure(
    network: NetworkFunction,
    examples: Annotated[
        Path, typer.Argument(help="An .npz file with x and labels, or a folder of IDX archives; not used in training.")
    ],
    weights: Weights = None,
    split: Annotated[str, typer.Option(help="Which archives of a folder: train or t10k.")] = "train",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Examples for coefficients, calibration and test, e.g. 5000,10000,5000; default 1/4, 1/2, 1/4."
        ),
    ] = None,
    levels: Annotated[str, typer.Option(help="Accuracy losses, ascending.")] = "0.002,0.005,0.01,0.02,0.05",
    bits: Annotated[str, typer.Option(help="Widths, LO-HI.")] = "1-16",
    grid: Annotated[
        str, typer.Option(help="Of the weights: per-tensor or per-channel, asymmetric or symmetric, minmax or clipped.")
    ] = "per-channel,clipped",
    input_bits: Annotated[int, typer.Option(help="Bits of each value of the raw input.")] = 32,
    device: Annotated[str, typer.Option(help="Where to measure: cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of division, noise and intervals.")] = 0,
    memory: Annotated[int, typer.Option(help="MiB that tensors may take.")] = 1024,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder for finished work; a run stopped there goes on.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the instance to this file.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Write the sensitivities to this file, for qopt pack.")] = None,
    as_json: AsJson = False,
) -> int:
    """Measure how much quantization a network bears: noise, robustness and noise limits, with intervals."""
    need_torch()
    for option, path in (("--save", save), ("--measured", measured)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):  # said before hours of work
            raise InputError(option, str(path), "a file in a folder that exists")
    from qopt.measuring import command
    from qopt.measuring import report as report_measure

    with report_measure.progress(quiet=as_json) as (say, advance):
        found = command.run(
            network,
            examples,
            weights=weights,
            split=split,
            sizes=None if sizes is None else command.numbers("--sizes", sizes, int, 3),
            levels=command.numbers("--levels", levels, float),
            bits=command.widths("--bits", bits),
            grid=grid,
            device=device,
            input_bits=input_bits,
            seed=seed,
            memory=memory * 2**20,
            checkpoint=checkpoint,
            say=say,
            advance=advance,
        )
    if save is not None:
        from qopt.core.reading import save as write

        write(found.problem, save)
    if measured is not None:
        found.sensitivity.save(measured)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1, allow_nan=False))
        return 0
    report_measure.show(found)
    return 0


@app.command()
def pack(
    instance: Annotated[str, typer.Argument(help="A bundled name or the path of an instance file.")],
    plan: Annotated[Path, typer.Argument(help="A plan file, or the output of `qopt solve --json`.")],
    network: NetworkFunction,
    out: Annotated[Path, typer.Option(help="Write the segment to this file (safetensors).")],
    weights: Weights = None,
    measured: Annotated[
        Path | None, typer.Option(help="Measured sensitivities: their grids, and their ranges of the activations.")
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="Without --measured: the weights' grid, e.g. per-channel,symmetric,clipped.")
    ] = None,
    ranges: Annotated[
        Path | None, typer.Option(help="Without --measured: examples on which the activations' ranges are fixed.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Run device and server on these examples (.npz, or a folder of IDX archives).")
    ] = None,
    split: Annotated[str, typer.Option(help="Of a folder to check on: t10k or train.")] = "t10k",
    level: Annotated[float | None, typer.Option(help="Accuracy level to check; by default the instance's.")] = None,
    as_json: AsJson = False,
) -> int:
    """Pack the device's part of a network, quantized as a plan says, into a file.

    Of a folder of archives, --ranges reads the training examples. With --check the file is read back and run.
    """
    need_torch()
    if (measured is None) == (ranges is None):
        found = "nothing" if measured is None else "--measured beside --ranges"
        raise InputError("--measured", found, "--measured FILE, or --ranges EXAMPLES and perhaps --grid")
    if measured is not None and grid is not None:
        raise InputError("--grid", "--grid beside --measured", "one of them: what was measured has a grid")
    if level is not None and check is None:
        raise InputError("--level", "--level without --check", "both, or neither: without --check nothing is run")
    if level is not None and not 0 <= level <= 1:
        raise InputError("--level", f"{level:g}", "an accuracy loss from 0 to 1, 0.01 for one point")
    from qopt.measuring import delivery
    from qopt.measuring.examples import read
    from qopt.measuring.grids import Grid
    from qopt.measuring.loading import load_module
    from qopt.measuring.profile import trace
    from qopt.measuring.segment import make
    from qopt.measuring.segment_file import read_segment
    from qopt.measuring.sensitivity import Sensitivity

    problem, decision = delivery.request_and_plan(instance, plan)
    traced = trace(*load_module(network, weights))
    if measured is not None:
        known = Sensitivity.load(measured)
        weight_grid, activation_grid = known.grid, known.activation_grid
        delivery.check_request(problem, traced, weight_grid)
        spans = delivery.measured_ranges(known, traced, decision)
    else:
        weight_grid = Grid.parse(grid or "")
        activation_grid = Grid(clip=weight_grid.clip)
        delivery.check_request(problem, traced, weight_grid)
        assert ranges is not None
        spans = delivery.ranges_on(traced, read(ranges, traced.input_shape), decision, activation_grid)
    make(traced, decision, weight_grid, spans, activation_grid).save(out)
    segment = read_segment(out)
    checked = None if check is None else delivery.check(segment, traced, read(check, traced.input_shape, split))
    record = delivery.record(problem, traced, segment, checked, problem.level if level is None else level)
    if as_json:
        print(json.dumps(record, indent=1, allow_nan=False))
        return 0
    from qopt.core.report import console
    from qopt.core.report import grid as rows

    table = rows()
    for label, value in delivery.lines(record):
        table.add_row(label, value)
    console().print(table)
    return 0


def _table(columns: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False, footer_style="bold", show_footer=True)
    sent = {tie["layers"][i] for tie in columns.get("ties", []) for i in range(1, len(tie["layers"]))}
    totals = {
        "MACs": sum(row["macs"] for row in rows),
        "weights": sum(row["weights"] for row in rows if row["layer"] not in sent),
        "biases": sum(row["biases"] for row in rows),
    }
    for heading in ("layer", "name", "kind", "MACs", "weights", "biases", "output", "reads", "crosses", "sent"):
        right = heading in ("layer", "MACs", "weights", "biases", "sent")
        footer = "total" if heading == "name" else f"{totals[heading]:,}" if heading in totals else ""
        table.add_column(heading, footer, justify="right" if right else "left", no_wrap=heading == "MACs")
    size = f"{columns['input_size']:,}"
    table.add_row("0", "input", "", "", "", "", "", "", "0", size)
    for row in rows:
        table.add_row(
            str(row["layer"]),
            row["name"],
            row["kind"],
            f"{row['macs']:,}",
            f"{row['weights']:,}",
            f"{row['biases']:,}",
            " x ".join(map(str, row["output"])),
            " ".join(map(str, row["reads"])),
            " ".join(map(str, row["crossing"])),
            f"{row['sent']:,}",
        )
    return table
