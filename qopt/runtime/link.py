"""A link held to a rate, and one request over it: the sender's side holds both directions.

Tensors of n bytes have arrived n * 8 / rate seconds after their first bit was sent: pieces are handed to the socket
when a link of that rate would have carried them, and an answer is taken for arrived no sooner. It is the tensors that a
plan counts; what says which they are, and HTTP's own lines, some hundred bytes, are not held.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from qopt.core.errors import QoptError, printable, shown
from qopt.runtime.messages import Array, Expected, decode, tensor_bytes

Result = TypeVar("Result")

LARGE = 2**18
"""Bytes from which a message is packed or unpacked in a thread: meanwhile other requests go on."""

PIECE = 0.001
"""Seconds of link time of a piece, about; at least 256 bytes and at most 64 KiB."""

CLOSE = 0.002
"""Seconds before a moment from which it is waited for awake: timers are late by about one."""


class PeerError(QoptError):
    """The next part did not answer, or refused: why."""


class PeerTimeout(PeerError):
    """The next part, or one behind it, did not answer in time."""


@dataclass(frozen=True)
class Hop:
    """A request over the link, answered.

    Attributes
    ----------
    said : header of the answer.
    tensors : of the answer, by name.
    seconds : from before the first byte went out until the last had come back.
    up, down : bytes of the tensors there and back.
    """

    said: dict[str, Any]
    tensors: dict[str, Array]
    seconds: float
    up: int
    down: int


class Link:
    """The way to the next part.

    Parameters
    ----------
    url : of its service.
    rate, down_rate : bits per second there and back; None for what the sockets give, and for `rate`.
    timeout : seconds in which a request is answered or given up.
    limit : bytes of an answer.
    """

    def __init__(
        self, url: str, rate: float | None = None, down_rate: float | None = None, *, timeout: float, limit: int
    ) -> None:
        self.url, self.rate, self.timeout, self.limit = url.rstrip("/"), rate, timeout, limit
        self.down_rate = rate if down_rate is None else down_rate
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Link:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            auto_decompress=False,  # what comes is bounded as it comes
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def who(self) -> dict[str, Any]:
        """What the service there says of itself.

        Raises
        ------
        PeerError
            It does not answer, or is no such service.
        """
        assert self._session is not None
        try:
            async with self._session.get(f"{self.url}/", allow_redirects=False) as response:
                found = json.loads(await response.content.read(2**16))
        except TimeoutError:
            raise PeerTimeout(f"{self.url} does not answer within {self.timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            raise PeerError(f"{self.url} cannot be reached ({_told(error)})") from None
        if not isinstance(found, dict) or found.get("format") != "qopt/part":
            raise PeerError(f"{self.url} is no service of a part")
        return found

    async def ask(self, body: bytes, expected: Mapping[str, Expected] | None = None) -> Hop:
        """Send a message, and wait for the answer: all of it takes at most `timeout`.

        Parameters
        ----------
        body : the message.
        expected : what is known of the answer's tensors, as for `decode`.

        Raises
        ------
        PeerError
            The peer is not there, refuses, hangs, or answers with something else.
        """
        try:
            async with asyncio.timeout(self.timeout):
                try:
                    return await self._ask(body, expected)
                except aiohttp.ServerDisconnectedError:  # of a connection kept open: an inference may be asked twice
                    return await self._ask(body, expected)
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(error) from None

    async def _ask(self, body: bytes, expected: Mapping[str, Expected] | None) -> Hop:
        assert self._session is not None
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
        start = time.perf_counter()
        data = body if self.rate is None else _paced(body, self.rate)
        way = f"{self.url}/infer"
        async with self._session.post(way, data=data, headers=headers, allow_redirects=False) as response:
            begun = time.perf_counter()
            size = response.content_length
            if size is None or size > self.limit:
                raise PeerError(f"{self.url} answers with {size} bytes, of at most {self.limit}")
            found = await response.read()
            if response.status != 200:
                raise (PeerTimeout if response.status == 504 else PeerError)(f"{self.url} refuses: {_reason(found)}")
            if self.down_rate is not None:
                await until(begun + 8 * tensor_bytes(found) / self.down_rate)
        seconds = time.perf_counter() - start
        try:
            said, tensors = await aside(len(found), lambda: decode(found, expected))
        except QoptError as error:
            raise PeerError(f"{self.url} answers with no message: {error}") from None
        return Hop(said, tensors, seconds, tensor_bytes(body), tensor_bytes(found))

    def _failed(self, error: Exception) -> PeerError:
        if isinstance(error, TimeoutError):
            return PeerTimeout(f"{self.url} does not answer within {self.timeout:g} s")
        return PeerError(f"{self.url} cannot be reached ({_told(error)})")


async def aside(size: int, work: Callable[[], Result]) -> Result:
    """What some work gives, done in a thread where it is large.

    Parameters
    ----------
    size : bytes that it is about.
    work : to do.
    """
    return work() if size < LARGE else await asyncio.get_running_loop().run_in_executor(None, work)


async def _paced(body: bytes, rate: float) -> AsyncIterator[bytes]:
    """Pieces of a body, each when a link of `rate` bits per second would have carried its tensors."""
    start, header = time.perf_counter(), len(body) - tensor_bytes(body)
    piece = int(min(2**16, max(2**8, rate * PIECE / 8)))
    for at in range(0, len(body), piece):
        part = body[at : at + piece]
        await until(start + 8 * (at + len(part) - header) / rate)
        yield part


async def until(moment: float) -> None:
    """Wait for a moment of `time.perf_counter`, the last two milliseconds awake.

    Parameters
    ----------
    moment : in seconds.
    """
    while (rest := moment - time.perf_counter()) > 0:
        await asyncio.sleep(rest - CLOSE if rest > 2 * CLOSE else 0)


def _reason(found: bytes) -> str:
    try:
        data = json.loads(found)
        return printable(" ".join(str(data["error"]).split())[:300])
    except (ValueError, KeyError, TypeError, RecursionError):
        return shown(found[:60].decode(errors="replace"))


def _told(error: Exception) -> str:
    return printable((" ".join(str(error).split()) or type(error).__name__)[:120])
