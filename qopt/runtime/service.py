"""One part of a model as a small HTTP service: ``POST /infer`` with a message, a message back, or a reason.

A request goes through the parts in their order: each runs its own and asks the next for the rest. What a machine that
holds no part gets it passes on. One inference runs at a time; of every request one line is logged, with the times of
its parts as section 4.4.1 of the study divides them: pre-processing, computing, transmission, post-processing.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

import numpy as np
from aiohttp import web

from qopt.core.errors import InputError, shown
from qopt.runtime.device import Array, OpenPart
from qopt.runtime.functions import called, feeds
from qopt.runtime.link import Link, PeerError, PeerTimeout, aside
from qopt.runtime.messages import decode, encode

WAITING = 64
"""Requests that may wait; more are refused."""

BODIES = 4
"""Messages of the largest size whose bytes may be in flight at once, together; more are refused."""

LINGER = 1.0
"""Seconds in which the rest of a refused body is thrown away, so that its sender reads the reason; at most."""

LINE = "qopt/latency"
"""Format of a line of the log."""

SHORT = 0.05
"""Seconds of computing up to which the part of a lone request is run at once: handing it to a thread and back takes a
tenth of a millisecond, in which nothing else has to be done."""


@dataclass(frozen=True)
class Settings:
    """How a part is run.

    Attributes
    ----------
    strategy : what the log calls this way of running the model; by default the operator and its tiers.
    limit : bytes of a message.
    timeout : seconds in which a request's body has come.
    pre, post : of the first part: raw input to the model's inputs, and outputs to the result.
    """

    strategy: str | None = None
    limit: int = 2**26
    timeout: float = 30.0
    pre: Callable[..., Any] | None = None
    post: Callable[..., Any] | None = None


class Node:
    """A part with its link to the next, and its log.

    Parameters
    ----------
    part : of this machine.
    link : to the next; None where nothing runs behind.
    settings : how it is run.
    log : where lines go; None for nowhere.

    Raises
    ------
    InputError
        Parts run behind this one and there is no link, or the other way round.
    """

    def __init__(self, part: OpenPart, link: Link | None, settings: Settings, log: IO[str] | None = None) -> None:
        behind = ", ".join(own.tier for own in part.later)
        if behind and link is None:
            raise InputError("--next", "nothing", f"the address of the next part: {behind} runs behind {part.role}")
        if not behind and link is not None:
            raise InputError("--next", link.url, f"nothing: no part runs behind {part.role}")
        self.part, self.link, self.settings, self._log = part, link, settings, log
        tiers = "-".join(own.tier for own in part.parts.parts)
        self.strategy = settings.strategy or f"{part.parts.operator} on {tiers}"
        self._tiers = tiers
        self._one = ThreadPoolExecutor(1, thread_name_prefix="part")
        self._waiting, self._bytes, self._last = 0, 0, 0.0

    async def answer(self, raw: Mapping[str, Array], request: str) -> tuple[dict[str, Array], Any, dict[str, Any]]:
        """Run this part, and the rest of the model by way of the link.

        Parameters
        ----------
        raw : tensors by name, or what pre-processing takes.
        request : its number.

        Returns
        -------
        The model's outputs that are there, what post-processing makes of them, and the times and bytes of the parts.

        Raises
        ------
        InputError
            A tensor is missing, or refused by the runtime. PeerError where the next part does not answer.
        """
        start = time.perf_counter()
        loop = asyncio.get_running_loop()
        tensors = dict(raw) if self.settings.pre is None else _processed(self.settings.pre, raw, self.part.parts.inputs)
        begun = time.perf_counter()
        for name in self.part.reads:
            if name not in tensors:
                raise InputError("tensors", f"nothing for {shown(name)}", ", ".join(self.part.reads))
        if self._waiting <= 1 and self._last < SHORT:
            made, computing = self._timed(tensors)
        else:
            made, computing = await loop.run_in_executor(self._one, self._timed, tensors)
        self._last = computing
        tensors |= made
        outputs = {name: made[name] for name in self.part.parts.outputs if name in made}
        seconds: dict[str, Any] = {"pre": begun - start, "compute": {}, "link": {}}
        sizes: dict[str, Any] = {}
        if self.part.part is not None:
            seconds["compute"][self.part.role] = computing
        if self.link is not None:
            said = {"request": request, "plan": self.part.plan}
            body = await self._packed(said, {name: tensors[name] for name in self.part.forwards or tensors})
            hop = await self.link.ask(body, self.part.crossing)
            theirs, role = _their_times(hop.said)
            name = f"{self.part.role}-{role}"
            seconds["compute"] |= theirs["compute"]
            seconds["link"] = {name: hop.seconds - theirs["own"]} | theirs["link"]
            sizes = {name: [hop.up, hop.down]} | theirs["bytes"]
            outputs |= {name: hop.tensors[name] for name in self.part.parts.outputs if name in hop.tensors}
        ready = time.perf_counter()
        result = outputs if self.settings.post is None else called(self.settings.post, (outputs,), "--post")
        end = time.perf_counter()
        return outputs, result, {"seconds": seconds | {"post": end - ready, "total": end - start}, "bytes": sizes}

    async def _packed(self, said: Mapping[str, object], tensors: Mapping[str, Array]) -> bytes:
        size = sum(value.nbytes for value in tensors.values())
        return await aside(size, lambda: encode(said, tensors, self.part.bits))

    def _timed(self, tensors: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
        start = time.perf_counter()
        return self.part.run(tensors), time.perf_counter() - start

    def line(self, request: str, **more: object) -> None:
        """Write a line of the log.

        Parameters
        ----------
        request : its number.
        more : status, reason, seconds, bytes; of a request of an experiment its repetition and example.
        """
        if self._log is None:
            return
        own = {
            "format": LINE,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "role": self.part.role,
            "model": self.part.parts.source.file,
            "operator": self.part.parts.operator,
            "tiers": self._tiers,
            "parts": [own.tier for own in self.part.parts.parts],
            "strategy": self.strategy,
            "plan": self.part.plan[:16],
            "rate": None if self.link is None else self.link.rate,
        }
        self._log.write(json.dumps(own | more, separators=(",", ":")) + "\n")
        self._log.flush()

    def application(self) -> web.Application:
        """The service."""
        found = web.Application(client_max_size=self.settings.limit)
        found.router.add_get("/", self._who)
        found.router.add_post("/infer", self._infer)
        return found

    async def _who(self, _: web.Request) -> web.Response:
        own = {"format": "qopt/part", "role": self.part.role, "plan": self.part.plan, "tiers": self._tiers}
        return web.json_response(own)

    async def _infer(self, request: web.Request) -> web.Response:
        """Answer a request or refuse it with a reason, and log it, whatever becomes of it."""
        number, held = uuid.uuid4().hex, 0
        self._waiting += 1
        said: dict[str, Any] = {}
        try:
            if self._waiting > WAITING:
                return self._refused(number, 503, f"{WAITING} requests are waiting")
            size = request.content_length
            if size is None:
                return self._refused(number, 411, "a body of unknown length")
            if size > self.settings.limit:
                return self._refused(number, 413, f"{size} bytes, of at most {self.settings.limit}")
            if self._bytes + size > BODIES * self.settings.limit:
                return self._refused(number, 503, f"{self._bytes} bytes of other requests are in flight")
            held = size
            self._bytes += held
            try:
                body = await asyncio.wait_for(request.read(), self.settings.timeout)
            except TimeoutError:
                return self._refused(number, 408, f"the body did not come within {self.settings.timeout:g} s")
            start = time.perf_counter()
            try:
                said, tensors = await aside(len(body), lambda: decode(body, self.part.crossing))
            except InputError as error:
                return self._refused(number, 400, str(error))
            if isinstance(said.get("request"), str):
                number = said["request"][:64]
            if said.get("plan", self.part.plan) != self.part.plan:
                found = f"a part of another plan ({shown(said['plan'])[:20]}), here is {self.part.plan[:16]}"
                return self._refused(number, 409, found)
            outputs, _, times = await self.answer(tensors, number)
            seconds = times["seconds"]
            reply = {"request": number, "role": self.part.role, "bytes": times["bytes"]} | {
                "seconds": {"compute": seconds["compute"], "link": seconds["link"], "own": time.perf_counter() - start}
            }
            data = await self._packed(reply, outputs)
            self.line(number, status="answered", **times)
            return web.Response(body=data, content_type="application/octet-stream")
        except PeerError as error:
            return self._refused(number, 504 if isinstance(error, PeerTimeout) else 502, str(error))
        except InputError as error:
            return self._refused(number, 422, str(error))
        except web.RequestPayloadError as error:
            return self._refused(number, 400, f"a body that breaks off ({error})")
        except (asyncio.CancelledError, ConnectionError):
            self.line(number, status="refused", reason="the sender has left")
            raise
        except Exception as error:  # whatever it is, the request has an answer
            return self._refused(number, 500, f"{type(error).__name__}: {error}")
        finally:
            self._waiting -= 1
            self._bytes -= held

    def _refused(self, number: str, status: int, reason: str) -> web.Response:
        reason = " ".join(reason.split())[:500]
        self.line(number, status="refused", reason=reason)
        found = web.json_response({"error": reason, "request": number}, status=status)
        if status in (408, 411, 413, 503):
            found.force_close()  # what is left of the body is not read
        return found


def _their_times(said: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What the next part says of its times: numbers by names, or nothing."""

    def numbers(data: object) -> dict[str, float]:
        rows = data.items() if isinstance(data, dict) else ()
        return {str(k): float(v) for k, v in rows if isinstance(v, int | float) and 0 <= v < 1e9}

    seconds = said.get("seconds")
    seconds = seconds if isinstance(seconds, dict) else {}
    own = numbers({"own": seconds.get("own")}).get("own", 0.0)
    bytes_ = said.get("bytes") if isinstance(said.get("bytes"), dict) else {}
    found = {"compute": numbers(seconds.get("compute")), "link": numbers(seconds.get("link")), "own": own}
    return found | {"bytes": bytes_}, str(said.get("role", "next"))[:64]


def _processed(pre: Callable[..., Any], raw: Mapping[str, Array], names: tuple[str, ...]) -> dict[str, Array]:
    """The model's inputs, from a raw one: the only array, or all of them by name."""
    found = called(pre, (next(iter(raw.values())) if len(raw) == 1 else dict(raw),), "--pre")
    return {str(name): np.asarray(value) for name, value in feeds(found, names).items()}


def address(host: str, port: int) -> str:
    """The URL of a service; of IPv6 the host stands in brackets.

    Parameters
    ----------
    host, port : where it listens.
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(node: Node, host: str, port: int, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Listen until told to stop.

    Parameters
    ----------
    node : what answers.
    host, port : where; port 0 for one that is free.
    say : told the address once it listens.
    stop : set when it is enough.

    Raises
    ------
    InputError
        The address cannot be listened on.
    """
    # a body is taken as it comes: unpacked by HTTP it would be larger than it said
    runner = web.AppRunner(
        node.application(),
        access_log=None,
        keepalive_timeout=60.0,
        auto_decompress=False,
        lingering_time=min(LINGER, node.settings.timeout),
    )
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
        except OSError as error:
            raise InputError("--port", f"{host}:{port}: {error.strerror or error}", "an address that is free") from None
        say(address(host, runner.addresses[0][1]))
        await stop.wait()
    finally:
        await runner.cleanup()


def open_log(path: str | os.PathLike[str]) -> IO[str]:
    """A log to append to; a line that was cut off when its process died is ended first.

    Parameters
    ----------
    path : of the file.

    Raises
    ------
    InputError
        It cannot be written.
    """
    try:
        with open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise InputError(
            os.fspath(path), (error.strerror or "cannot be written").lower(), "a file to append to"
        ) from None
