"""The agent as a process behind real proxies: settings, environment, logins, rules, SSH on port 443, restarts."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from agent.tunnel.token import AccessToken
from tests.kit.agent_place import Place
from tests.kit.agent_process import AgentProcess
from tests.kit.real_proxies import PASSWORD, USER, Kind, RealProxy, any_loopback_address
from tests.kit.scripted_proxy import ProxyConnection, ScriptedProxy
from tests.kit.scripted_store import ScriptedStore
from tests.kit.ssh_servers import CollectingSession, TunnelServer, tunnel_server
from tests.kit.tools import missing

FAST = "tunnels = 1\n[reconnect]\nfirst_s = 0.05\nmax_s = 1\n"
STEP_TIMEOUT_S = 60
DEAD = "http://127.0.0.1:9"


def settings(proxy: RealProxy, directory: Path, password: str = PASSWORD) -> str:
    """An agent whose settings name the proxy, with the login in its two places."""
    text = f'{FAST}[proxy]\nurl = "{proxy.url}"\n'
    if proxy.login:
        text += f'username = "{USER}"\npassword_file = "{write_password(directory, password)}"\n'
    return text


def write_password(directory: Path, password: str) -> Path:
    file = directory / "proxy-password"
    file.write_text(password + "\n")
    file.chmod(0o600)
    return file


def token_of(server: TunnelServer, host: str | None = None) -> str:
    """A token for the server, by another of its names if so wished."""
    token: AccessToken = server.token(server.agents.add())
    return (replace(token, servers=(f"{host}:{server.port}",)) if host else token).encode()


async def one_exchange(server: TunnelServer, store: ScriptedStore) -> None:
    """A request through the tunnel to the store."""
    (tunnel,) = await server.wait_tunnels(1)
    session = CollectingSession()
    await tunnel.open_channel(session)
    await session.opened.wait()
    origin = f"http://127.0.0.1:{store.port}"
    session.channel.write(f"GET {origin}/api/ HTTP/1.1\r\nHost: 127.0.0.1:{store.port}\r\n\r\n".encode())
    while not session.received.endswith(b"<prestashop/>"):
        await session.wait_bytes(len(session.received) + 1)
        assert not session.lost.is_set(), bytes(session.received)
    session.channel.close()


@pytest.fixture
async def server_on_443() -> AsyncIterator[TunnelServer]:
    """The server's SSH endpoint on port 443 of an address that nobody else has."""
    server = TunnelServer()
    server.host, server.port = any_loopback_address(), 443
    try:
        socket.create_server((server.host, server.port)).close()
    except PermissionError:
        missing("only root may listen on port 443 here")
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("kind", "login"), [("tinyproxy", False), ("tinyproxy", True), ("microsocks", False), ("microsocks", True)]
)
async def test_by_settings(tmp_path: Path, kind: Kind, login: bool) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        ScriptedStore() as store,
        RealProxy(kind, tmp_path, login=login) as proxy,
    ):
        toml = settings(proxy, tmp_path) + f'[[stores]]\nurl = "http://127.0.0.1:{store.port}/api/"\n'
        async with AgentProcess(tmp_path, toml, token_of(server), environ={"https_proxy": DEAD}) as process:
            assert (await process.event("agent.starting"))["proxy"] == f"{proxy.url} (proxy.url)"
            await process.event("tunnel.ready")
            await one_exchange(server, store)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
        assert str(server.port) in proxy.log
        assert str(store.port) not in proxy.log  # a store is never reached through the proxy
        assert PASSWORD not in process.log
        assert process.other_lines == []


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
async def test_by_environment(tmp_path: Path, variable: str) -> None:
    kind: Kind = "microsocks" if variable.lower() == "all_proxy" else "tinyproxy"
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        RealProxy(kind, tmp_path, login=True) as proxy,
    ):
        encoded = "".join(f"%{ord(character):02x}" for character in PASSWORD)
        environ = {variable: proxy.url_with_login.replace(PASSWORD, encoded), "NO_PROXY": "example.com"}
        weaker = {"https_proxy": "HTTPS_PROXY", "HTTPS_PROXY": "all_proxy", "all_proxy": "ALL_PROXY"}
        if variable in weaker:
            environ[weaker[variable]] = DEAD
        async with AgentProcess(tmp_path, FAST, token_of(server, "localhost"), environ=environ) as process:
            assert (await process.event("agent.starting"))["proxy"] == f"{proxy.url} ({variable})"
            await process.event("tunnel.ready")
            await server.wait_tunnels(1)
        if kind == "tinyproxy":
            assert f"CONNECT localhost:{server.port} HTTP/1.1" in proxy.log  # the name went there unresolved
        else:
            assert f"localhost:{server.port}" in proxy.log
        assert PASSWORD not in process.log
        assert quote(encoded) not in process.log


@pytest.mark.parametrize(
    ("toml", "environ", "said"),
    [
        ("", {"https_proxy": DEAD, "no_proxy": "127.0.0.0/8"}, f"{DEAD} (https_proxy), but not for 127.0.0.1:"),
        (f'[proxy]\nurl = "{DEAD}"\nno_proxy = ["127.0.0.1"]\n', {}, f"{DEAD} (proxy.url), but not for 127.0.0.1:"),
        ('[proxy]\nurl = "none"\n', {"https_proxy": DEAD}, "none"),
        ("", {"http_proxy": DEAD, "HTTP_PROXY": DEAD}, "none"),
    ],
)
async def test_past_the_proxy(tmp_path: Path, toml: str, environ: dict[str, str], said: str) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        AgentProcess(tmp_path, FAST + toml, token_of(server), environ=environ) as process,
    ):
        assert (await process.event("agent.starting"))["proxy"].startswith(said)
        await process.event("tunnel.ready")


@pytest.mark.parametrize("kind", ["tinyproxy", "microsocks"])
async def test_a_refused_login_is_one_error_and_a_reload_repairs_it(tmp_path: Path, kind: Kind) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        RealProxy(kind, tmp_path, login=True) as proxy,
    ):
        toml = settings(proxy, tmp_path, password="wr0ng-password").replace("max_s = 1", "max_s = 3600")
        async with AgentProcess(tmp_path, toml, token_of(server)) as process:
            refused = await process.event("tunnel.refused")
            assert (refused["level"], refused["reason"]) == ("error", "proxy_refused")
            assert refused["detail"].startswith(
                f"The proxy {proxy.url} (proxy.url) refuses the user name or the password"
            )
            assert refused["retry_in_s"] > 1000  # a person is needed: the slow lane
            write_password(tmp_path, PASSWORD)
            process.signal(signal.SIGHUP)
            await process.event("proxy.changed")
            await process.event("tunnel.ready")
            process.write(FAST + f'[proxy]\nurl = "https://{proxy.address}"\n')
            process.signal(signal.SIGHUP)
            assert '"proxy.url" begins with https://' in (await process.event("settings.refused"))["detail"]
        for secret in ("wr0ng-password", PASSWORD):
            assert secret not in process.log


async def test_a_login_that_is_missing(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        RealProxy("tinyproxy", tmp_path, login=True) as proxy,
    ):
        async with AgentProcess(tmp_path, FAST, token_of(server), environ={"ALL_PROXY": proxy.url}) as process:
            detail = (await process.event("tunnel.refused"))["detail"]
        assert detail == (
            f"The proxy {proxy.url} (ALL_PROXY) asks for a user name and password (407):"
            " set user:password@ in ALL_PROXY."
        )


@pytest.mark.parametrize("kind", ["squid", "tinyproxy"])
async def test_ssh_on_port_443_through_a_proxy_that_allows_no_other(
    tmp_path: Path, server_on_443: TunnelServer, kind: Kind
) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        RealProxy(kind, tmp_path, allow_port=443) as proxy,
        AgentProcess(tmp_path, settings(proxy, tmp_path), token_of(server_on_443)) as process,
    ):
        await process.event("tunnel.ready")
        await server_on_443.wait_tunnels(1)


@pytest.mark.parametrize("kind", ["squid", "tinyproxy", "dante"])
async def test_a_port_that_the_proxy_forbids(tmp_path: Path, kind: Kind) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        RealProxy(kind, tmp_path, allow_port=443, blocked_port=server.port) as proxy,
    ):
        async with AgentProcess(tmp_path, settings(proxy, tmp_path), token_of(server)) as process:
            refused = await process.event("tunnel.refused")
        assert (refused["level"], refused["reason"]) == ("error", "proxy_refused")
        assert f"forbids a connection to 127.0.0.1:{server.port}" in refused["detail"]
        assert "let the integration server's SSH listen on" in refused["detail"]
        assert "443" in refused["detail"]
        assert server.registry.tunnels("agent-1") == ()


@pytest.mark.parametrize(("kind", "cause"), [("squid", "503 "), ("tinyproxy", "500 "), ("microsocks", "refused")])
async def test_a_server_that_is_down_behind_the_proxy_is_tried_again(tmp_path: Path, kind: Kind, cause: str) -> None:
    server = TunnelServer()
    if kind == "squid":
        server.host, server.port = any_loopback_address(), 443  # nothing listens there in this test
    else:
        await server.start()
        await server.close()
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        RealProxy(kind, tmp_path) as proxy,
        AgentProcess(tmp_path, settings(proxy, tmp_path), token_of(server)) as process,
    ):
        said = await process.event("tunnel.unreachable")
        assert (said["level"], said["reason"]) == ("warning", "unreachable")
        assert f"could not reach {server.host}:{server.port} ({cause}" in said["detail"].replace("connection ", "")
        if kind != "squid":
            await server.start()
            await process.event("tunnel.ready")
    await server.close()


@pytest.mark.parametrize("kind", ["tinyproxy", "microsocks"])
async def test_the_tunnel_heals_when_the_proxy_was_restarted(tmp_path: Path, kind: Kind) -> None:
    async with (
        asyncio.timeout(STEP_TIMEOUT_S),
        tunnel_server() as server,
        RealProxy(kind, tmp_path, login=True) as proxy,
        AgentProcess(tmp_path, settings(proxy, tmp_path), token_of(server)) as process,
    ):
        await process.event("tunnel.ready")
        await proxy.stop()
        await process.event("tunnel.lost")
        await server.wait_tunnels(0)
        away = await process.event("tunnel.unreachable")
        assert away["detail"].startswith(f"The proxy {proxy.url} (proxy.url) ")
        await proxy.start()
        await process.event("tunnel.ready", 2)
        await server.wait_tunnels(1)


async def test_a_proxy_that_hangs_is_named(tmp_path: Path) -> None:
    async def hang(connection: ProxyConnection) -> None:
        await connection.until_gone()

    async with asyncio.timeout(STEP_TIMEOUT_S), tunnel_server() as server, ScriptedProxy(hang) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        toml = f'{FAST}[timeouts]\nssh_connect_s = 2\n[proxy]\nurl = "{url}"\n'
        async with AgentProcess(tmp_path, toml, token_of(server)) as process:
            said = await process.event("tunnel.unreachable")
            assert said["detail"].startswith(
                f"The proxy {url} (proxy.url) did not lead to 127.0.0.1 port {server.port}"
            )
            assert "within 2 s" in said["detail"]
            await proxy.all_left()


@pytest.mark.parametrize("command", [("run",), ("config", "check")])
def test_wrong_settings_end_with_78(place: Place, command: tuple[str, ...]) -> None:
    place.write('[proxy]\nurl = "http://shop:t0p/s#cret@p.test:3128"\n')
    sentence = place.refused(78, *command)
    assert '"proxy.url" may not hold a user name or a password' in sentence
    assert "t0p" not in sentence
    assert "cret" not in sentence
    place.write()
    sentence = place.refused(78, *command, environ={"HTTPS_PROXY": "https://shop:t0psecret@p.test:3128"})
    assert "The environment variable HTTPS_PROXY begins with https://" in sentence
    assert "t0psecret" not in sentence
    file = place.root / "proxy-password"
    file.write_text("t0psecret")
    file.chmod(0o644)
    place.write(f'[proxy]\nurl = "http://p.test:3128"\nusername = "shop"\npassword_file = "{file}"\n')
    assert f"chmod 600 {file}" in place.refused(78, *command)


def test_config_check_shows_the_proxy_without_its_login(place: Place) -> None:
    environ = {"https_proxy": "http://shop:t0psecret@p.test:3128"}
    ended = place.run("config", "check", "--config", str(place.config), environ=environ)
    assert ended.returncode == 0
    assert "Proxy            http://p.test:3128 (https_proxy)\n" in ended.stdout
    assert "t0psecret" not in ended.stdout + ended.stderr
    ended = place.run("config", "check", "--json", "--config", str(place.config))
    assert '"proxy": "none"' in ended.stdout
