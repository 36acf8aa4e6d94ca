"""`qopt run-part`: one part of a model on its machine, as a service or as the machine that asks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.cli.common import ExitCode
from qopt.core.errors import InputError, printable
from qopt.runtime.extra import need_service

if TYPE_CHECKING:
    from qopt.runtime.device import Array, OpenPart
    from qopt.runtime.service import Node, Settings


def run_part(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Parts of `qopt split`, or of `qopt pack --parts`.")],
    role: Annotated[str, typer.Option(help="Tier of this machine: mobile, edge, cloud, or another name of the parts.")],
    next_url: Annotated[
        str | None, typer.Option("--next", metavar="URL", help="Service of the next tier, http://HOST:PORT.")
    ] = None,
    link: Annotated[
        float | None, typer.Option(help="Bits per second at which the link to the next tier is held, e.g. 200e6.")
    ] = None,
    down_link: Annotated[float | None, typer.Option(help="Its rate on the way back; by default the same.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for one that is free.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; by default nothing outside this machine.")] = (
        "127.0.0.1"
    ),
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of one operation.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds after which a peer is given up.")] = 30.0,
    limit: Annotated[int, typer.Option(min=1024, help="Bytes of a message, at most.")] = 2**26,
    log: Annotated[Path | None, typer.Option(help="Append a line of JSON for each request to this file.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="What the log calls this way of running; by default operator and tiers.")
    ] = None,
    pre: Annotated[
        str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Pre-processing, as for `qopt profile --pre`.")
    ] = None,
    post: Annotated[
        str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Post-processing: a function of the outputs.")
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Run these inputs (n, ...), by name, and end; do not listen."),
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Times that each example is run.")] = 5,
    warmup: Annotated[int, typer.Option(min=0, help="Requests before that count for nothing.")] = 100,
    pause: Annotated[float, typer.Option(min=0, max=60, help="Seconds before each of these requests.")] = 0.0,
    end_with_input: Annotated[
        bool, typer.Option("--end-with-input", hidden=True, help="End when standard input ends: who started it has.")
    ] = False,
) -> int:
    """Run one part of a model: listen for requests, or (--examples) ask, once after the other, and log the times.

    Example: qopt run-part parts --role edge --port 8801 --log edge.jsonl
    """
    if end_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()
    need_service()
    for name, value in (("--link", link), ("--down-link", down_link), ("--timeout", timeout)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(name, f"{value:g}", "a positive number")
    if next_url is None and (link or down_link):
        raise InputError("--next", "nothing beside --link", "the address of the next tier")
    if next_url is not None and not next_url.startswith(("http://", "https://")):
        raise InputError("--next", next_url, "http://HOST:PORT")
    from qopt.runtime.device import OpenPart
    from qopt.runtime.functions import load_function
    from qopt.runtime.link import Link
    from qopt.runtime.service import Node, Settings, open_log

    part = OpenPart(folder, role, threads)
    settings = Settings(
        strategy,
        limit,
        timeout=timeout,
        pre=None if pre is None else _prepared(load_function(pre, "--pre"), part),
        post=None if post is None else load_function(post, "--post"),
    )
    rows = None if examples is None else _examples(examples, part, settings)
    lines = None if log is None else open_log(log)

    async def run() -> int:
        way = None if next_url is None else Link(next_url, link, down_link, timeout=timeout, limit=limit)
        node = Node(part, way, settings, lines)
        if way is None:
            return await _run(node, host, port, rows, repetitions, warmup, pause)
        async with way:
            return await _run(node, host, port, rows, repetitions, warmup, pause)

    try:
        return asyncio.run(run())
    finally:
        if lines is not None:
            lines.close()


def _end_with_input() -> None:
    while os.read(0, 2**12):
        pass
    os._exit(ExitCode.INTERRUPTED)  # at once, whatever it waits for; of a log every line is written


async def _run(
    node: Node, host: str, port: int, rows: list[dict[str, Array]] | None, repetitions: int, warmup: int, pause: float
) -> int:
    from qopt.runtime.experiment import check_next, experiment
    from qopt.runtime.service import serve

    if rows is not None:
        await check_next(node, node.settings.timeout)
        reasons = Counter[str]()
        counts = await experiment(node, rows, repetitions, warmup, reasons, pause)
        _say(f"{node.strategy}: {counts['answered']} answered, {counts['refused']} refused")
        for reason, times in reasons.most_common(1):
            _say(f"refused {times} times: {printable(reason)}")
        return ExitCode.FOUND if counts["answered"] else ExitCode.BAD_INPUT
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(node, host, port, lambda url: _say(f"{node.part.role} listens on {url}"), stop)
    return ExitCode.FOUND


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _prepared(function: Callable[..., Any], part: OpenPart) -> Callable[..., Any]:
    """What pre-processing calls: the first of the two that a function of shapes gives, as for `qopt profile`."""
    try:
        made = function(part.shapes)
    except Exception as error:  # whatever a stranger's function raises
        raise InputError("--pre", f"{type(error).__name__}: {error}", "a function that runs") from None
    if not isinstance(made, tuple) or len(made) != 2 or not callable(made[0]):
        raise InputError("--pre", type(made).__name__, "a function of shapes that gives (callable, raw input)")
    call: Callable[..., Any] = made[0]
    return call


def _examples(path: Path, part: OpenPart, settings: Settings) -> list[dict[str, Array]]:
    """Examples one by one: raw ones as they are, inputs as a batch of one."""
    from qopt.measuring.archives import read_arrays

    inputs = part.reads or part.parts.inputs
    names = None if settings.pre else inputs
    found = read_arrays(path, "arrays (n, ...) by the names of the inputs", names)
    for name in inputs if settings.pre is None else ():
        if name not in found:
            raise InputError(
                f"{path}",
                f"no array {name}, but {', '.join(map(printable, found)) or 'nothing'}",
                f"arrays called {', '.join(inputs)}",
            )
    sizes = {len(value) if value.ndim else 0 for value in found.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise InputError(f"{path}", "arrays of different lengths, or none", "arrays (n, ...), n at least 1")
    (count,) = sizes
    if settings.pre is not None:
        return [{name: value[i] for name, value in found.items()} for i in range(count)]
    return [{name: value[i : i + 1] for name, value in found.items()} for i in range(count)]
