"""Who leaves in the middle: nothing of an exchange stays behind on either side, and a whole answer stays whole."""

from __future__ import annotations

import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from agent.forward.target import ForwardTimeouts
from agent.tunnel.config import TunnelConfig
from tests.kit.cluster import CLIENT_KEY, FAST_BACKOFF, Cluster, Link, Mode, loopback_store
from tests.kit.deaf_store import DeafStore
from tests.kit.raw_client import basic
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest
from tests.kit.until import until

ONE_TUNNEL = TunnelConfig(tunnels=1, backoff=FAST_BACKOFF)
LARGE_BYTES = 128 << 20  # more than all windows of a tunnel can grow to
PIECE = b"x" * 65536
GET = b"GET /shop/api/products HTTP/1.1\r\nHost: gateway\r\n" + basic(CLIENT_KEY) + b"\r\n"

both_modes = pytest.mark.parametrize("mode", ["tunnel", "cloud"])


def _upload_head() -> bytes:
    head = f"POST /shop/api/products HTTP/1.1\r\nHost: gateway\r\nContent-Length: {LARGE_BYTES}\r\n"
    return head.encode() + basic(CLIENT_KEY) + b"\r\n"


async def test_a_client_that_leaves_while_the_store_reads_nothing_frees_store_and_channel() -> None:
    """The agent has stopped reading the channel then, and must hear of its end all the same."""
    async with DeafStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links, tunnel=ONE_TUNNEL) as cluster:
            async with cluster.client() as client:
                await client.send(_upload_head())
                for _ in range(LARGE_BYTES // len(PIECE)):
                    if await _agent_holds_back(cluster):
                        break
                    await client.send(PIECE)
                    await asyncio.sleep(0.003)  # so that it goes all the way before the next
                assert await _agent_holds_back(cluster)
            await _nothing_runs(cluster)
            store.listen.set()
            async with asyncio.timeout(5):
                await store.ended.wait()


@both_modes
async def test_a_client_that_left_behind_a_full_way_is_given_up_when_the_store_stalls(mode: Mode) -> None:
    """Nobody reads from such a client, so nobody hears that it has gone: the limit of the store ends it."""
    async with DeafStore() as store:
        links = [Link("shop", loopback_store(store.port))]
        timeouts = ForwardTimeouts(stall_s=0.7)
        async with Cluster(links, mode=mode, tunnel=ONE_TUNNEL, timeouts=timeouts) as cluster:
            async with cluster.client() as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.4):  # until every buffer on the way is full
                        await client.send(_upload_head())
                        for _ in range(LARGE_BYTES // len(PIECE)):
                            await client.send(PIECE)
            await _nothing_runs(cluster)
            assert cluster.records[-1].error in ("store_timeout", "client_gone")


async def _agent_holds_back(cluster: Cluster) -> bool:
    """Has the agent stopped reading a channel, with bytes of it in hand, for good? asyncssh shows that nowhere else."""
    link = cluster.running[0].supervisor._keepers[0]._link
    assert link is not None and link._conn is not None
    channels = link._conn._channels
    for _ in range(20):  # the kernel's buffers grow as they fill
        if not any(channel._recv_paused and channel._recv_buf for channel in channels.values()):
            return False
        await asyncio.sleep(0.01)
    return True


async def _nothing_runs(cluster: Cluster) -> None:
    """Until neither side has a running exchange."""
    await until(lambda: cluster.gateway.context.active == 0, 5)
    for agent in cluster.running:
        await until(lambda agent=agent: agent.context.active == 0, 5)  # type: ignore[misc]  # mypy cannot type a lambda with a default


@both_modes
async def test_clients_that_leave_in_the_middle_of_downloads_leave_no_error_behind(
    mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    async def endless(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.send(b"10000\r\n" + PIECE + b"\r\n")

    async with ScriptedStore(endless) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links, mode=mode, tunnel=ONE_TUNNEL) as cluster:
            with capture_logs() as events, caplog.at_level(logging.WARNING):
                for pieces in range(1, 30):
                    async with cluster.client() as client:
                        await client.send(GET)
                        await client.reader.readexactly(pieces * 4000)
                await _nothing_runs(cluster)
                await until(lambda: all(one.writer.transport.is_closing() for one in store.connections), 5)
        assert [event for event in events if event["log_level"] in ("warning", "error")] == []
        assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize("until_eof", [True, False])
@both_modes
async def test_an_answer_that_was_over_before_the_client_read_it_is_whole(mode: Mode, *, until_eof: bool) -> None:
    """Also one that only the end of its connection ends: the end must not overtake what is still on the way."""
    sent_bytes = 0

    async def large(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        nonlocal sent_bytes
        framing = b"" if until_eof else b"Transfer-Encoding: chunked\r\n"
        await connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        pieces_left = 8
        while pieces_left:
            await connection.send(PIECE if until_eof else b"10000\r\n" + PIECE + b"\r\n")
            sent_bytes += len(PIECE)
            await asyncio.sleep(0.002)  # so that it goes all the way before the next
            held = any(exchange._held for exchange in cluster.gateway.context._running)
            pieces_left -= held  # the last ones wait behind the gateway, and the end behind them
        if not until_eof:
            await connection.send(b"0\r\n\r\n")
        connection.writer.close()
        return None

    async with ScriptedStore(large) as store:
        links = [Link("shop", loopback_store(store.port))]
        async with Cluster(links, mode=mode, tunnel=ONE_TUNNEL) as cluster, cluster.client() as client:
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport
            await client.send(GET)
            await store.wait_for_requests(1)
            await until(store.connections[0].writer.is_closing)
            await asyncio.sleep(0.1)  # the end, too, has come as far as it can: there is no event for that
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]  # a socket transport
            answer = await client.answer()
            body = answer.body if until_eof else answer.body.replace(b"\r\n", b"")
            assert body.count(b"x") == sent_bytes
