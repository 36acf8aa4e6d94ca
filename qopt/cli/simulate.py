"""`qopt simulate`: policies on one stream of requests over a fading channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qopt.cli.common import AsJson, Changes, ExitCode, load_instance, print_json, records, settings
from qopt.core.errors import InputError


def simulate(
    instances: Annotated[list[str], typer.Argument(help="Networks: bundled names or paths of QPART instances.")],
    requests: Annotated[int, typer.Option("--requests", "-n", help="How many requests.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    policy: Annotated[
        str, typer.Option(help="With commas between them: exact, published, restored, device, server, float.")
    ] = "published,exact",
    channel: Annotated[str, typer.Option(help="How it fades: transmission, block or markov.")] = "transmission",
    fading: Annotated[
        list[str] | None,
        typer.Option(help="A number of the channel: bandwidth=1e6, gain, block, bad_gain, ... Repeatable."),
    ] = None,
    devices: Annotated[
        Path | None, typer.Option(help="JSON: classes of devices by name, each with fields of requests and count.")
    ] = None,
    levels: Annotated[str | None, typer.Option(help="Accuracy levels: 0.005,0.01; default the networks' own.")] = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Simulate a stream of requests under several policies: time, energy, price, misses, cost above the exact table.

    Example: qopt simulate qpart/mnist-mlp6 --requests 1000 --channel block
    """
    from qopt.core.reading import read_json
    from qopt.qpart.problem import QPart
    from qopt.simulation.channels import Channel
    from qopt.simulation.simulate import simulate as run
    from qopt.simulation.streams import draw_stream

    fields = settings(change)
    networks: list[Any] = []
    for name in instances:
        problem = load_instance(name)
        if not isinstance(problem, QPart):
            raise InputError("INSTANCES", f"{problem.name}, of {problem.format}", "QPART requests")
        networks.append(problem.replace(fields) if fields else problem)
    try:
        numbers = None if levels is None else [float(part) for part in levels.split(",")]
    except ValueError:
        raise InputError("--levels", repr(levels), "numbers with commas between them") from None
    classes: Any = None if devices is None else read_json(devices)
    stream = draw_stream(
        requests,
        networks,
        seed=seed,
        devices=classes,
        levels=numbers,
        channel=Channel(model=channel, **_numbers(fading)),  # type: ignore[arg-type]
    )
    found = run(stream, policy.split(","))
    if as_json:
        data = {
            "requests": len(stream),
            "seed": seed,
            "stream": stream.digest(),
            "distributions": records(found.to_dataframe()),
            "misses": records(found.misses()),
        }
        if "exact" in found.runs:
            others = [name for name in found.runs if name != "exact"]
            data["excess"] = {n: records(found.excess(n)) for n in others}
        print_json(data)
    else:
        from qopt.core.report import console
        from qopt.simulation.report import rendered

        console().print(rendered(found))
    return ExitCode.FOUND


def _numbers(given: list[str] | None) -> dict[str, Any]:
    """NAME=NUMBER of a channel."""
    from dataclasses import fields

    from qopt.simulation.channels import Channel

    known = [field.name for field in fields(Channel) if field.name != "model"]
    found: dict[str, Any] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or name not in known or name in found:
            raise InputError("--fading", repr(text), f"NAME=NUMBER, each once, of {', '.join(known)}")
        try:
            found[name] = int(value) if name == "block" else float(value)
        except ValueError:
            raise InputError("--fading", repr(text), "NAME=NUMBER") from None
    return found
