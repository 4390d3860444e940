"""Back-pressure from end to end: whoever does not read stops whoever sends, and nothing piles up in between."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest

from agent.forward.target import ForwardTimeouts
from agent.server.gateway_context import GatewayLimits
from agent.tunnel.config import TunnelConfig
from tests.kit.asking import KEY, request
from tests.kit.cluster import Cluster, Link, Mode, loopback_store
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

SIZE = 64_000_000
PIECE = b"x" * 65_536
# Pipes of 256 KiB and buffers of sockets and streams; a tunnel has the channel's SSH window on top of that.
STALLED_MAX = 4_000_000
FLOWING_MAX = 32_000_000
WINDOW: dict[Mode, int] = {"cloud": 0, "tunnel": TunnelConfig().channel_window_bytes}
STILL_S = 0.15
PATIENT = GatewayLimits(client_stall_s=60.0)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Traced, this process is so slow that the line seems long: see test_fast_path_windows for windows that grow.
    monkeypatch.setattr("agent.tunnel.window.WINDOW_MAX_BYTES", TunnelConfig().channel_window_bytes)
    tracemalloc.start()
    yield
    tracemalloc.stop()


class Moved:
    """Counts bytes, and tells when no more come."""

    def __init__(self) -> None:
        self.bytes = 0

    async def stopped(self) -> int:
        """Until nothing has moved for a while; the bytes that moved."""
        async with asyncio.timeout(30):
            while True:
                before = self.bytes
                await asyncio.sleep(STILL_S)
                if self.bytes == before and before > 0:
                    return before


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_download_waits_for_a_client_that_does_not_read(mode: Mode, traced: None) -> None:
    sent = Moved()

    async def download(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while sent.bytes < SIZE:
            piece = PIECE[: SIZE - sent.bytes]
            await connection.send(piece)
            sent.bytes += len(piece)
        return None

    async with ScriptedStore(download) as store:
        links = [Link("lyon", loopback_store(store.port))]
        async with Cluster(links, mode=mode, limits=PATIENT) as cluster, cluster.client() as client:
            transport = client.writer.transport
            transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await client.send(request())
            assert await sent.stopped() < SIZE / 2
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < WINDOW[mode] + STALLED_MAX
            transport.resume_reading()  # type: ignore[attr-defined]  # a socket transport
            taken = await drop_answer(client)
            _, peak = tracemalloc.get_traced_memory()
            assert taken >= SIZE
            assert peak - before < WINDOW[mode] + FLOWING_MAX
            assert cluster.records[0].bytes_down >= SIZE


async def drop_answer(client: RawClient) -> int:
    """Read the answer without keeping it; bytes read."""
    taken = 0
    async with asyncio.timeout(30):
        while taken < SIZE:
            data = await client.reader.read(65_536)
            assert data
            taken += len(data)
    return taken


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_waits_for_a_store_that_does_not_read(mode: Mode, chunked: bool, traced: None) -> None:
    go = asyncio.Event()
    sent, taken = Moved(), Moved()
    frame = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)

    async def upload(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        taken.bytes = len(seen.body)
        tail = b""
        while taken.bytes < total:
            data = await connection.reader.read(65_536)
            assert data
            taken.bytes += len(data)
            tail = (tail + data)[-16:]
        assert tail.endswith(b"\r\n0\r\n\r\n" if chunked else b"x" * 16)
        return ok()

    pieces = SIZE // len(PIECE)
    total = pieces * len(frame) + 5 if chunked else pieces * len(PIECE)
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % total
    async with ScriptedStore(upload, at_head=True) as store:
        links = [Link("lyon", loopback_store(store.port))]
        async with Cluster(links, mode=mode, limits=PATIENT) as cluster, cluster.client() as client:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()

            async def send() -> None:
                await client.send(request(fields=KEY + framing, method=b"PUT"))
                for _ in range(pieces):
                    await client.send(frame if chunked else PIECE)
                    sent.bytes += len(PIECE)
                if chunked:
                    await client.send(b"0\r\n\r\n")

            sending = asyncio.ensure_future(send())
            assert await sent.stopped() < SIZE / 2
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < WINDOW[mode] + STALLED_MAX
            go.set()
            answer = await client.answer()
            await sending
            _, peak = tracemalloc.get_traced_memory()
            assert answer.status == 200
            assert taken.bytes == total
            assert peak - before < WINDOW[mode] + FLOWING_MAX


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_store_that_never_reads_is_given_up(mode: Mode) -> None:
    async def deaf(seen: StoreRequest, connection: StoreConnection) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async with ScriptedStore(deaf, at_head=True) as store:
        links = [Link("lyon", loopback_store(store.port))]
        timeouts = ForwardTimeouts(stall_s=0.3, first_byte_s=0.3)
        async with Cluster(links, mode=mode, timeouts=timeouts) as cluster, cluster.client() as client:
            sending = asyncio.ensure_future(
                client.send(request(fields=KEY + b"Content-Length: %d\r\n" % SIZE, method=b"PUT") + b"x" * SIZE)
            )
            answer = await client.answer()
            assert (answer.status, answer.error_name) == (504, "store_timeout")
            assert b"outcome: unknown" in answer.body
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize("mode", ["cloud", "tunnel"])
async def test_a_body_arrives_in_order_on_a_new_store_connection(mode: Mode) -> None:
    """What comes while the store is still being dialed stands before what comes after."""
    body = b"".join(b"%08d" % number for number in range(100_000))
    async with ScriptedStore() as store, Cluster([Link("lyon", loopback_store(store.port))], mode=mode) as cluster:
        for count in range(3):
            async with cluster.client() as client:
                assert (await client.ask(request(method=b"PUT", body=body))).status == 200
            assert store.requests[count].body == body
            store.connections[-1].writer.close()
            await store.wait_for_connections_closed(count + 1)
