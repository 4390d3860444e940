"""The panel's listener: TLS, limits, its end while something streams, and what proxies say."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from agent.errors import StartError
from agent.server.assembly import panel_listener
from agent.server.body_limit import BODY_MAX_BYTES, BodyLimit
from agent.server.inherited_sockets import InheritedSockets
from agent.server.listening import listen_for_people
from agent.server.panel.application import create_panel
from agent.server.panel_gate import SESSION_COOKIE
from agent.server.panel_open import OpenPanel, announce_first_link, panel_open
from agent.server.panel_server import PanelServer
from agent.server.settings import ServerSettings
from tests.kit.certificates import CertificateAuthority
from tests.kit.control_plane import ControlApi
from tests.kit.panel import PASSWORD, Panel, let_everybody_in, panel_of
from tests.kit.socket_activation import listening_socket

QUICKLY_S = 0.2


class Streaming:
    """An application that streams for ever."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"data\n", "more_body": True})
            self.began.set()
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def opened(api: ControlApi, **settings: Any) -> AsyncIterator[OpenPanel]:
    """The panel as a running server opens it."""
    panel = {"listen": "127.0.0.1:0"} | settings.pop("panel", {})
    async with panel_open(api.plane, ServerSettings(panel=panel, **settings), InheritedSockets({})) as found:
        assert found is not None
        yield found


async def raw(port: int, *parts: bytes) -> bytes:
    """Send ``parts`` and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


async def test_tls_from_the_files_of_the_settings(api: ControlApi, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("localhost")
    files = {"tls_certificate_file": certificate, "tls_key_file": key}
    async with opened(api, panel=files) as panel:
        assert panel.url == f"https://127.0.0.1:{panel.port}"
        trusting = ssl.create_default_context(cafile=authority.ca_file)
        browser = Panel(panel.port, api, trusting)
        await let_everybody_in(browser)
        form = {"name": "admin", "password": PASSWORD}
        own = f"localhost:{panel.port}"
        over_http = await browser.post("/login", form, origin=f"http://{own}")
        assert (over_http.status, "set-cookie" in over_http.fields) == (403, False)
        answer = await browser.post("/login", form, origin=f"https://{own}")
        assert answer.status == 303
        assert answer.fields["set-cookie"].startswith(f"{SESSION_COOKIE}=")
        assert "server" not in answer.fields


async def test_without_protection_only_this_machine_can_connect(api: ControlApi) -> None:
    async with opened(api, panel={"listen": "0.0.0.0:0"}) as panel:
        assert panel.host == "127.0.0.1"
        assert "without TLS passwords travel readable; set panel.tls_certificate_file" in panel.reason
        assert panel.facts == {"host": "127.0.0.1", "port": panel.port, "url": f"http://127.0.0.1:{panel.port}"}
        assert (panel.report.host, panel.report.port) == ("127.0.0.1", panel.port)
    async with opened(api, panel={"listen": "0.0.0.0:0"}, trusted_proxies=["127.0.0.1"]) as panel:
        assert (panel.host, panel.reason) == ("0.0.0.0", "")


async def test_a_panel_that_is_switched_off_listens_nowhere(api: ControlApi) -> None:
    settings = ServerSettings(panel={"enabled": False})
    for passed, warnings in (({}, []), ({"panel": (listening_socket(),)}, ["panel.socket_not_used"])):
        with structlog.testing.capture_logs() as logged:
            async with panel_open(api.plane, settings, InheritedSockets(passed)) as found:
                assert found is None
        assert [entry["event"] for entry in logged] == warnings
        for sock in passed.get("panel", ()):
            sock.close()


async def test_a_passed_socket_is_used_and_refused_where_passwords_would_travel_readable(api: ControlApi) -> None:
    settings = ServerSettings()
    for host, is_fine in (("127.0.0.1", True), ("0.0.0.0", False)):
        sock = listening_socket(host)
        sock.setblocking(False)
        server = PanelServer(create_panel(api.plane, settings), None)
        listening = listen_for_people(server, panel_listener(settings), InheritedSockets({"panel": (sock,)}))
        if is_fine:
            assert (await listening).port == sock.getsockname()[1]
            assert (await Panel(sock.getsockname()[1], api).get("/login")).status == 200
        else:
            with pytest.raises(StartError, match="passwords would travel readable"):
                await listening
        await server.close()
        sock.close()


async def test_a_port_in_use_is_one_sentence(api: ControlApi) -> None:
    with listening_socket() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match="--panel-listen"):
            async with opened(api, panel={"listen": address}):
                pass


async def test_the_first_link_is_announced_until_there_is_an_admin(api: ControlApi) -> None:
    async with opened(api) as panel:
        api.plane.listening_panel_url = panel.url
        lines: list[str] = []
        await announce_first_link(api.plane, lines.append)
        assert "works once, until " in lines[0]
        base, _, token = lines[1].strip().rpartition("/welcome/")
        assert (base, len(token)) == (panel.url, 43)
        again: list[str] = []
        await announce_first_link(api.plane, again.append)
        browser = Panel(panel.port, api)
        assert (await browser.get(f"/welcome/{token}")).status == 404  # the newer link replaced it
        token = again[1].rpartition("/")[2]
        form = {"name": "anne", "password": PASSWORD, "password_again": PASSWORD}
        assert (await browser.post(f"/welcome/{token}", form)).status == 303
        nothing: list[str] = []
        await announce_first_link(api.plane, nothing.append)
        assert nothing == []
        _, trail = await api.call("GET", "audit")
        assert trail
        assert token not in api.text


async def test_limits_on_the_head_and_on_a_body_that_is_announced(api: ControlApi) -> None:
    async with panel_of(api) as panel:
        head = b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 70_000
        assert (await raw(panel.port, head)).startswith(b"HTTP/1.1 400 ")
        post = b"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        announced = post + b"Content-Length: %d\r\n\r\n" % (BODY_MAX_BYTES + 1)
        assert (await raw(panel.port, announced)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_comes_longer_than_allowed_is_not_taken_in() -> None:
    limit, taken = 100_000, 0
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal taken
        while (message := await receive())["type"] == "http.request":
            taken += len(message["body"])
        ended.set()

    server = PanelServer(BodyLimit(app, limit), None, whole_request_s=QUICKLY_S)  # nor waited for
    port = await server.start("127.0.0.1", 0)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"1000\r\n" + b"a" * 4096 + b"\r\n"] * 200
    try:
        async with asyncio.timeout(10):
            await asyncio.gather(raw(port, head, *chunks), ended.wait())  # which has no last chunk
        assert taken <= limit
    finally:
        await server.close()


async def test_a_body_in_chunks_that_is_too_long_is_answered_with_413(api: ControlApi) -> None:
    async with panel_of(api) as panel:
        secret = (await api.created("api-tokens", name="ci", role="admin"))["secret"]
        # More than the limit, and all of it sent before the answer is read, as most clients do.
        chunks = [b"a" * 0x40000] * (BODY_MAX_BYTES // 0x40000 + 8)
        fields = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        client = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=10)
        await asyncio.to_thread(client.request, "POST", "/v1/import", iter(chunks), fields)
        answer = await asyncio.to_thread(client.getresponse)
        problem = json.loads(await asyncio.to_thread(answer.read))
        client.close()
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
    assert (problem["name"], "send less at once" in problem["detail"]) == ("body_too_large", True)


async def test_a_connection_that_is_kept_waits_longer_than_a_request(api: ControlApi) -> None:
    server = PanelServer(create_panel(api.plane, ServerSettings()), None, whole_request_s=QUICKLY_S)
    port = await server.start("127.0.0.1", 0)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    statuses = []
    for _ in range(2):
        await asyncio.to_thread(client.request, "GET", "/login")
        answer = await asyncio.to_thread(client.getresponse)
        await asyncio.to_thread(answer.read)
        statuses.append((answer.status, client.sock is not None))
        client.auto_open = 0  # the second request must find the same connection
        await asyncio.sleep(2 * QUICKLY_S)  # time itself is what is tested
    assert statuses == [(200, True)] * 2
    client.close()
    await server.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /login HT",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nna",
        b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\nGET /log",
    ],
)
async def test_a_request_that_does_not_come_is_not_waited_for(api: ControlApi, begun: bytes) -> None:
    server = PanelServer(create_panel(api.plane, ServerSettings()), None, whole_request_s=QUICKLY_S)
    port = await server.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        if begun.endswith(b"/log"):  # the second request begins when the first was answered
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"in HTT")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
    finally:
        await server.close()


async def test_an_answer_may_take_longer_than_its_request(api: ControlApi) -> None:
    app = Streaming()
    server = PanelServer(app, None, whole_request_s=QUICKLY_S)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    began, count = time.monotonic(), 0
    async with asyncio.timeout(5):
        while time.monotonic() - began < 4 * QUICKLY_S:
            count += len(await reader.readuntil(b"data\n"))
    assert count > 0
    writer.close()
    await server.close()


async def test_what_streams_does_not_hold_up_the_end(api: ControlApi) -> None:
    app = Streaming()
    server = PanelServer(app, None)
    port = await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await app.began.wait()
    async with asyncio.timeout(5):
        await server.close()
    writer.close()


async def test_a_trusted_proxy_says_who_asks_and_how(api: ControlApi) -> None:
    settings = ServerSettings(trusted_proxies=["127.0.0.1"])
    async with panel_of(api, settings) as panel:
        await let_everybody_in(panel)
        own = {"host": "panel.example", "origin": "https://panel.example"}
        form = {"name": "admin", "password": PASSWORD}
        plain = await panel.post("/login", form, **own)
        assert (plain.status, "set-cookie" in plain.fields) == (403, False)  # a browser would not keep the cookie
        fields = {"x_forwarded_proto": "https", "x_forwarded_for": "1.2.3.4, 203.0.113.9:4711"}
        assert (await panel.post("/login", form, **own, **fields)).status == 303
        _, trail = await api.call("GET", "audit?action=login.done&limit=1")
        assert trail[0]["detail"]["peer"] == "203.0.113.9"
    async with panel_of(api) as panel:
        refused = await panel.post("/login", form, **own, x_forwarded_proto="https", x_forwarded_for="203.0.113.9")
        assert refused.status == 403  # nobody is believed
