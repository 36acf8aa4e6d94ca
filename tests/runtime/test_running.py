"""Parts over real sockets: the whole's outputs, every request answered or refused with a reason, and logged."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Cli, check_refusal
from onnx_networks import node, saved, small

pytest.importorskip("aiohttp")

import aiohttp
from aiohttp import web

from qopt.core.errors import InputError, QoptError
from qopt.placement.plan import PlacementPlan
from qopt.runtime.device import OpenPart
from qopt.runtime.experiment import check_next, experiment
from qopt.runtime.functions import load_function
from qopt.runtime.link import Link, PeerError
from qopt.runtime.messages import decode, encode
from qopt.runtime.processes import _alive, _command, _read
from qopt.runtime.service import Node, Settings, address, open_log, serve
from qopt.runtime.splitting import split_onnx

X = np.arange(4, dtype=np.float32).reshape(1, 4)
Y = np.abs(X * np.array([1, -2, 3, -4], np.float32)) + X + 1


@pytest.fixture
def parts(tmp_path: Path) -> Callable[..., Path]:
    """Parts of a small model; the last operation reads the input too."""

    def made(a: str, b: str, y: str, name: str = "parts") -> Path:
        nodes = [node("Mul", "x w", "a"), node("Abs", "a", "b"), node("Sum", "b v x", "y")]
        model = saved(small(nodes, {"x": ["n", 4]}, "y", {"w": [1, -2, 3, -4], "v": [1, 1, 1, 1]}), tmp_path)
        plan = PlacementPlan(operator="identity", tiers={"a": a, "b": b, "y": y})
        split_onnx(model, plan, tmp_path / name, shapes={"x": (1, 4)})
        return tmp_path / name

    return made


class Chain:
    """Services of some roles in this process, the last first, each on a socket of its own."""

    def __init__(self, folder: Path, roles: list[str], settings: Settings | None = None, **link: Any) -> None:
        self.folder, self.roles, self.settings, self.link = folder, roles, settings or Settings(timeout=5.0), link
        self.logs = {role: io.StringIO() for role in roles}
        self.nodes: dict[str, Node] = {}
        self.urls: dict[str, str] = {}

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        stop = asyncio.Event()
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            url = None
            for role in reversed(self.roles):
                way = None
                if url is not None:
                    asked = {"timeout": 5.0, "limit": 2**20} | self.link
                    way = await stack.enter_async_context(Link(url, **asked))
                self.nodes[role] = own = Node(OpenPart(self.folder, role), way, self.settings, self.logs[role])
                there: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                tasks.create_task(serve(own, "127.0.0.1", 0, there.set_result, stop))
                self.urls[role] = url = await there
            try:
                await work()
            finally:
                stop.set()

    def lines(self, role: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logs[role].getvalue().splitlines()]


@pytest.mark.parametrize(
    ("tiers", "roles"),
    [
        (("mobile", "edge", "cloud"), ["mobile", "edge", "cloud"]),
        (("mobile", "cloud", "cloud"), ["mobile", "edge", "cloud"]),  # the edge passes on
        (("edge", "edge", "edge"), ["mobile", "edge"]),  # and so does the phone
        (("mobile", "mobile", "mobile"), ["mobile"]),
    ],
)
def test_parts_on_sockets_give_the_whole(parts: Callable[..., Path], tiers: Any, roles: list[str]) -> None:
    chain = Chain(parts(*tiers), roles, rate=1e6)

    async def work() -> None:
        await check_next(chain.nodes["mobile"], 1.0)
        outputs, _, times = await chain.nodes["mobile"].answer({"x": X}, "one")
        np.testing.assert_array_equal(outputs["y"], Y)
        assert set(times["seconds"]["compute"]) == set(tiers)
        assert list(times["seconds"]["link"]) == [f"{a}-{b}" for a, b in pairwise(roles)]
        for name, (up, down) in times["bytes"].items():  # a link is never faster than its rate
            assert times["seconds"]["link"][name] >= 8 * (up + down) / 1e6
        spent = sum(sum(times["seconds"][part].values()) for part in ("compute", "link"))
        assert spent <= times["seconds"]["total"]

    asyncio.run(chain.run(work))
    for role in roles[1:]:
        assert [(line["request"], line["status"]) for line in chain.lines(role)] == [("one", "answered")]


def test_every_bad_request_is_refused_with_a_reason_and_logged(parts: Callable[..., Path]) -> None:
    chain = Chain(parts("edge", "edge", "edge"), ["edge"], Settings(limit=4096, timeout=0.3))
    good = encode({}, {"x": X}, {})

    def message(**row: object) -> bytes:
        header = json.dumps({"tensors": [{"name": "x", "type": "float32", "shape": [1, 4]} | row]}).encode()
        return len(header).to_bytes(4, "little") + header + X.tobytes()

    async def pieces() -> Any:
        yield good

    async def stops() -> Any:
        yield good[:8]
        await asyncio.sleep(1.0)

    bad: list[tuple[Any, int, str]] = [
        (b"", 400, "without a whole header"),
        (b"\xff" * 40, 400, "without a whole header"),
        (b"\x02\0\0\0{}", 400, "list of name, type and shape"),
        (good[:-1], 400, "15 are left"),
        (good + b"x", 400, "behind the last tensor"),
        (message(type="object"), 400, "type"),
        (message(shape=[2**40, 2**40]), 400, "as many as its shape needs"),
        (message(shape=[-4]), 400, "extents"),
        (message(shape=[0, 2**40, 2**40]), 400, "of a product of at most"),
        (message(bits=3), 400, "bits"),
        (message(name="q"), 422, "nothing for 'x'"),
        (encode({}, {"x": X.astype(np.float64)}, {}), 422, "runtime refuses"),
        (encode({"plan": "0" * 64}, {"x": X}, {}), 409, "another plan"),
        (bytes(5000), 413, "5000 bytes, of at most 4096"),
        (pieces, 411, "unknown length"),
        (stops, 408, "did not come within 0.3 s"),
    ]

    async def work() -> None:
        url = chain.urls["edge"] + "/infer"
        assert url.startswith("http://127.0.0.1:")
        async with aiohttp.ClientSession() as session:
            for body, status, why in bad:
                headers = {"Content-Length": str(len(good))} if body is stops else {}
                data = body() if callable(body) else body
                async with session.post(url, data=data, headers=headers) as response:
                    said = await response.json()
                    assert (response.status, why in said["error"]) == (status, True), said
            async with session.post(url, data=good) as response:
                np.testing.assert_array_equal(decode(await response.read())[1]["y"], Y)

    asyncio.run(chain.run(work))
    lines = chain.lines("edge")
    assert [line["status"] for line in lines] == ["refused"] * len(bad) + ["answered"]
    assert all(why in line["reason"] for line, (_, _, why) in zip(lines, bad, strict=False))


def test_a_peer_that_hangs_or_is_of_another_plan_or_is_gone(parts: Callable[..., Path]) -> None:
    folder, other = parts("mobile", "edge", "edge"), parts("mobile", "mobile", "edge", "other")

    async def hangs(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.0)
        writer.close()

    async def silent() -> None:
        server = await asyncio.start_server(hangs, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, Link(url, timeout=0.2, limit=2**20) as way:
            log = io.StringIO()
            counts = await experiment(Node(OpenPart(folder, "mobile"), way, Settings(), log), [{"x": X}], 1, 0)
            assert counts == {"answered": 0, "refused": 1}
            assert "does not answer within 0.2 s" in json.loads(log.getvalue())["reason"]
        async with Link(url, timeout=0.2, limit=2**20) as way:
            with pytest.raises(PeerError, match="cannot be reached"):
                await way.ask(b"")

    asyncio.run(silent())
    chain = Chain(folder, ["mobile", "edge"])

    async def mixed() -> None:
        async with Link(chain.urls["edge"], timeout=5.0, limit=2**20) as way:
            stranger = Node(OpenPart(other, "mobile"), way, Settings())
            with pytest.raises(InputError, match="a part of another plan"):
                await check_next(stranger, 0.0)
            with pytest.raises(PeerError, match="refuses: a part of another plan"):
                await stranger.answer({"x": X}, "two")

    asyncio.run(chain.run(mixed))


def test_bad_options_are_one_line(parts: Callable[..., Path], qopt_cli: Cli, tmp_path: Path) -> None:
    folder = parts("mobile", "edge", "edge")
    np.savez(tmp_path / "x.npz", x=X)
    np.savez(tmp_path / "q.npz", q=X)
    at = ("--next", "http://127.0.0.1:1")
    for arguments, why in (
        ((folder, "--role", "mobile"), "edge runs behind mobile"),
        ((folder, "--role", "edge", *at), "no part runs behind edge"),
        ((folder, "--role", "mobile", "--next", "ftp://x"), "http://HOST:PORT"),
        ((folder, "--role", "mobile", "--link", "1e6"), "nothing beside --link"),
        ((folder, "--role", "mobile", *at, "--link", "0"), "a positive number"),
        ((folder, "--role", "mobile", *at, "--examples", tmp_path / "q.npz"), "no array x"),
        ((folder, "--role", "mobile", *at, "--examples", tmp_path / "x.npz", "--timeout", "0.1"), "cannot be reached"),
        ((tmp_path, "--role", "mobile"), "parts.json"),
    ):
        assert why in check_refusal(qopt_cli("run-part", *arguments))


def test_a_line_that_was_cut_off_is_ended_before_more_is_written(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"format":"qopt/lat')
    with open_log(tmp_path / "log") as log:
        log.write("{}\n")
    assert (tmp_path / "log").read_text() == '{"format":"qopt/lat\n{}\n'


def served(folder: Path, role: str, port: int, *more: object) -> tuple[subprocess.Popen[str], str]:
    """A part in a process of its own, and its address once it listens."""
    command = [sys.executable, "-m", "qopt", "run-part", folder, "--role", role, "--port", port, *more]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


@pytest.mark.sweep
def test_a_part_that_is_killed_and_restarted_loses_no_request(parts: Callable[..., Path], tmp_path: Path) -> None:
    """QOPT_REQUESTS says how many requests; a tenth of them in, the part behind is killed, and soon is there again."""
    count = int(os.environ.get("QOPT_REQUESTS", "300"))
    folder = parts("mobile", "edge", "edge")
    np.savez(tmp_path / "x.npz", x=np.repeat(X, 10, axis=0))
    edge, url = served(folder, "edge", 0, "--log", tmp_path / "edge.jsonl")
    log = tmp_path / "mobile.jsonl"
    command = ["run-part", folder, "--role", "mobile", "--next", url, "--examples", tmp_path / "x.npz"]
    command += ["--repetitions", count // 10, "--warmup", 0, "--log", log, "--timeout", 5]
    mobile = subprocess.Popen([sys.executable, "-m", "qopt", *map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while (not log.exists() or log.read_bytes().count(b"\n") < count // 10) and time.monotonic() < end:
            time.sleep(0.005)
        edge.send_signal(signal.SIGKILL)
        edge.wait(10)
        edge, _ = served(folder, "edge", int(url.rpartition(":")[2]), "--log", tmp_path / "edge.jsonl")
        out, _ = mobile.communicate(timeout=600)
    finally:
        for process in (mobile, edge):
            process.kill()
            process.wait(10)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    keys = {(line["repetition"], line["example"]) for line in lines}
    assert len(lines) == len(keys) == count // 10 * 10
    refused = [line["reason"] for line in lines if line["status"] == "refused"]
    assert all("cannot be reached" in reason for reason in refused)
    assert f"{len(lines) - len(refused)} answered, {len(refused)} refused" in out
    print(out)


def test_a_peer_that_bombs_redirects_nests_or_drips_is_one_line() -> None:
    """Answers that grow when they are unpacked, lead elsewhere, or keep the link busy for longer than the timeout."""
    answers = [
        web.Response(body=gzip.compress(bytes(2**22)), headers={"Content-Encoding": "gzip"}),
        web.Response(status=307, headers={"Location": "/elsewhere"}),
        web.Response(body=encode({}, {"y": np.zeros(400, np.float32)}, {})),
        web.Response(body=encode({}, {"y": np.zeros(8, np.uint8)}, {"y": 1})),
    ]
    left = list(answers)

    async def infer(request: web.Request) -> web.Response:
        await request.read()
        return left.pop(0)

    async def nested(_: web.Request) -> web.Response:
        return web.Response(body=b"[" * 60000)

    async def work() -> None:
        app = web.Application()
        app.router.add_post("/infer", infer)
        app.router.add_post("/elsewhere", infer)
        app.router.add_get("/", nested)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with Link(url, rate=1e9, down_rate=800.0, timeout=0.2, limit=2**20) as way:
                for why in ("no message: message: found", "refuses", "does not answer within 0.2 s"):
                    with pytest.raises(PeerError, match=why):
                        await way.ask(encode({}, {}, {}))
                with pytest.raises(PeerError, match=r"tensors\[0\].bits: found 1; allowed: 2"):
                    await way.ask(encode({}, {}, {}), {"y": ("uint8", None, 2)})
                with pytest.raises(PeerError, match="cannot be reached"):
                    await way.who()
            assert left == []
        finally:
            await runner.cleanup()

    asyncio.run(work())


def test_bodies_in_flight_are_bounded_together(parts: Callable[..., Path]) -> None:
    chain = Chain(parts("edge", "edge", "edge"), ["edge"], Settings(limit=4096, timeout=0.4))
    head = b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n"

    async def work() -> None:
        port, writers = int(chain.urls["edge"].rpartition(":")[2]), []
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            writers.append(writer)
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert b" 503 " in await reader.readline()
        for each in (*writers, writer):
            each.transport.abort()

    asyncio.run(chain.run(work))
    assert "16000 bytes of other requests are in flight" in chain.lines("edge")[0]["reason"]


def test_codes_are_unpacked_in_bounded_memory_and_only_as_the_manifest_says() -> None:
    kind, bits = np.uint16, 3
    codes = np.random.default_rng(0).integers(0, 8, 2**19 + 5).astype(kind)
    body = encode({}, {"a": codes}, {"a": bits})
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(decode(body)[1]["a"], codes)
        assert tracemalloc.get_traced_memory()[1] < 6 * codes.nbytes
    finally:
        tracemalloc.stop()
    for wanted in (("uint16", (None,), 4), ("uint8", None, 3), ("uint16", (5,), 3), ("uint16", (None, 1), 3)):
        with pytest.raises(InputError, match="allowed"):
            decode(body, {"a": wanted})
    with pytest.raises(InputError, match="bits"):
        decode(body, {})
    assert decode(body, {"a": ("uint16", (None,), 3)})[1]["a"].size == codes.size


async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.5)
    writer.close()


def test_an_experiment_ends_when_nobody_answers(parts: Callable[..., Path]) -> None:
    part, log = OpenPart(parts("mobile", "edge", "edge"), "mobile"), io.StringIO()

    async def hangs() -> None:
        server = await asyncio.start_server(drips, "127.0.0.1", 0)
        url = address(*server.sockets[0].getsockname())
        async with server, Link(url, timeout=0.02, limit=2**20) as way:
            with pytest.raises(PeerError, match=r"5 requests in a row were given up: .* within 0.02 s"):
                await experiment(Node(part, way, Settings(), log), [{"x": X}], 100, 0)
        async with Link(url, timeout=0.5, limit=2**20) as way:
            with pytest.raises(PeerError, match=r"no request of the warm-up was answered: .* cannot be reached"):
                await experiment(Node(part, way, Settings(), log), [{"x": X}], 1, 7)
            reasons = Counter[str]()
            await experiment(Node(part, way, Settings(), log), [{"x": X}], 7, 0, reasons)
            assert list(reasons.values()) == [7]

    asyncio.run(hangs())
    assert log.getvalue().count("\n") == 5 + 7 + 7
    assert json.loads(log.getvalue().splitlines()[0])["parts"] == ["mobile", "edge"]


def test_processes_end_with_the_one_that_started_them() -> None:
    """Its end of the pipe is closed when it is gone, however it was ended."""
    code = "from qopt.cli.run_part import _end_with_input as wait; wait()"
    with _alive() as given:
        process = subprocess.Popen([sys.executable, "-c", code], stdin=given)
        assert process.poll() is None
    assert process.wait(30) == 130
    assert "--end-with-input" in _command("parts", "edge", 1, None, None)


def test_a_process_that_broke_off_is_no_measurement(tmp_path: Path) -> None:
    way = {"strategy": "s", "operator": "o", "tiers": "t", "repetition": 0, "status": "answered"}
    seconds = {"total": 1.0, "compute": 1.0}
    rows = [{"format": "qopt/latency", "example": e, "seconds": seconds} | way for e in range(2)]
    log = tmp_path / "log"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def done(code: int, out: str, errors: str = "") -> Any:
        return subprocess.CompletedProcess([], code, out, errors)

    assert len(_read("mobile", done(0, "s: 2 answered, 0 refused\n"), log).requests) == 2
    for found, why in (
        (done(1, "", "Traceback\nMemoryError"), "mobile: Traceback\nMemoryError"),
        (done(-9, ""), "mobile: it ended with code -9"),
        (done(1, "s: 2 answered, 0 refused\n", "disk full"), "disk full"),
        (done(0, "s: 3 answered, 0 refused\n"), "2 and 0 lines of 3 answered and 0 refused"),
    ):
        with pytest.raises(QoptError, match=why):
            _read("mobile", found, log)


def test_functions_of_files_with_dataclasses_and_addresses_of_ipv6(tmp_path: Path) -> None:
    file = tmp_path / "json.py"  # as a module is called that is there
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\n"
        "class A:\n    a: int = 0\ndef post(o): return A(o)\n"
    )
    assert load_function(f"{file}:post", "--post")(3).a == 3
    assert sys.modules["json"] is json
    assert address("::1", 8000) == "http://[::1]:8000"
    assert address("127.0.0.1", 8000) == "http://127.0.0.1:8000"


def test_a_folder_that_is_full_is_refused_before_anything_is_packed(qopt_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    asked = ("pack", tmp_path / "i", tmp_path / "p", "no.py:net", "--out", tmp_path / "o")
    for folder, why in (("full", "there already"), ("no/where", "no such file")):
        assert why in check_refusal(qopt_cli(*asked, "--parts", tmp_path / folder))
