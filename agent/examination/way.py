"""The way to a server up to its first words: proxy, name, connection, SSH greeting."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import Final

from agent.doctor.finding import OwnLayer
from agent.examination.notes import Notes
from agent.forward.lookup import resolve
from agent.tunnel.dial import dial
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.text import printable

GREETING_MAX_BYTES: Final = 8192
ASKED_MAX_S: Final = 2.0
_PAUSE_S: Final = 0.02
_SETTLED_S: Final = 0.5
_SHOWN_CHARS: Final = 60

_NOT_OURS: Final = (
    "Check host and port in the access token's server address: this port belongs to another program, or a proxy or "
    "load balancer in front of it does not pass SSH on."
)


async def reach(
    host: str, port: int, route: ProxyRoute | None, connect_timeout_s: float, notes: Notes
) -> socket.socket:
    """A socket that leads to the server. Raises ``LayerStopError`` after the layer that failed was told."""
    notes.begin()
    if route is not None and route.leads_to(host, port):
        return await _through(route, host, port, connect_timeout_s, notes)
    shown = "none is set" if route is None else f"{route} is not used for this server (no_proxy)"
    notes.ok(OwnLayer.PROXY, f"Connected directly: {shown}.")
    addresses = await _addresses(host, port, connect_timeout_s, notes)
    return await _connected(host, port, addresses, connect_timeout_s, notes)


async def _through(route: ProxyRoute, host: str, port: int, timeout_s: float, notes: Notes) -> socket.socket:
    try:
        sock = await ProxyDial(route, timeout_s)(host, port)
    except ProxyError as error:
        verdict = "proxy_refused" if error.needs_a_person else "proxy_failed"
        finding, _, remedy = str(error).partition(": ")
        remedy = remedy[:1].upper() + remedy[1:] or "Look at the proxy's log."
        raise notes.stop(OwnLayer.PROXY, verdict, _sentence(finding), remedy) from None
    notes.ok(OwnLayer.PROXY, f"{route} leads to the server; name and connection are the proxy's.")
    return sock


async def _addresses(host: str, port: int, timeout_s: float, notes: Notes) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(timeout_s):
            found = await resolve(host, port)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        slow = isinstance(error, TimeoutError)
        finding = (
            f'No name server answered for "{host}" within {timeout_s:g} s.'
            if slow
            else f'The name "{host}" does not resolve.'
        )
        remedy = (
            "Check the name servers of this machine (/etc/resolv.conf, resolvectl status), and that the server address "
            "in the access token is spelled right; behind a proxy, set proxy.url."
        )
        raise notes.stop(OwnLayer.DNS, "server_name_unknown", finding, remedy) from None
    shown = ", ".join(found[:4])
    finding = f"{host} is {shown}." if found[0] != host else f"{host} is an address already."
    notes.ok(OwnLayer.DNS, finding, facts={"addresses": shown})
    return found


async def _connected(host: str, port: int, addresses: tuple[str, ...], timeout_s: float, notes: Notes) -> socket.socket:
    try:
        async with asyncio.timeout(timeout_s):
            sock = await dial(host, port)
    except TimeoutError:
        raise notes.stop(
            OwnLayer.TCP,
            "server_no_answer",
            f"No answer from {', '.join(addresses[:4])} port {port} within {timeout_s:g} s.",
            f"A firewall swallows the attempt, or the machine is off: let this machine out to TCP port {port} of the "
            "server, or name the proxy that leads out (proxy.url).",
        ) from None
    except OSError as error:
        refused = error.errno == errno.ECONNREFUSED
        cause = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else printable(str(error))
        raise notes.stop(
            OwnLayer.TCP,
            "server_port_closed" if refused else "server_unreachable",
            f"{', '.join(addresses[:4])} refuses connections to port {port}."
            if refused
            else f"{', '.join(addresses[:4])} port {port} cannot be reached ({cause}).",
            "Check that the integration server runs, that it listens on this port (ssh.listen), and that the port in "
            "the access token is the one that is open to the outside."
            if refused
            else "Check the network of this machine (ip route), the firewall, and the address in the access token.",
        ) from None
    peer = str(sock.getpeername()[0])
    notes.ok(OwnLayer.TCP, f"{peer} port {port} accepts connections.", facts={"address": peer})
    return sock


async def greeting(sock: socket.socket, timeout_s: float, notes: Notes) -> None:
    """See that the other end speaks SSH (RFC 4253 section 4.2); what is read stays in the socket.

    Raises ``LayerStopError`` after it was told.
    """
    layer = OwnLayer.GREETING
    try:
        async with asyncio.timeout(timeout_s):
            line = await _first_words(sock)
    except TimeoutError:
        said = await _said_when_asked(sock, min(timeout_s, ASKED_MAX_S))
        if said:
            raise notes.stop(layer, "not_ssh", f"This port speaks {said}, not SSH.", _NOT_OURS) from None
        raise notes.stop(
            layer,
            "no_greeting",
            f"The connection stands, but no SSH greeting came within {timeout_s:g} s.",
            "Look at the log of the integration server: it may be overloaded or stuck; a firewall that inspects "
            "traffic can hold the greeting back, too.",
        ) from None
    except OSError as error:
        cause = os.strerror(error.errno).lower() if error.errno else "broken"
        raise notes.stop(
            layer, "no_greeting", f"The connection broke before a greeting ({cause}).", _NOT_OURS
        ) from None
    if not line:
        raise notes.stop(layer, "no_greeting", "The other side closed the connection without a greeting.", _NOT_OURS)
    shown = printable(line.decode("ascii", "replace"), _SHOWN_CHARS)
    if not line.startswith(b"SSH-2.0-"):
        raise notes.stop(layer, "not_ssh", f'This port does not speak SSH: it began with "{shown}".', _NOT_OURS)
    notes.ok(layer, f"The server says {shown}.", facts={"greeting": shown})


async def _first_words(sock: socket.socket) -> bytes:
    """The line that begins with ``SSH-``, else what came first; b"" when the other side closed."""
    seen, grown_at = b"", time.monotonic()
    while True:
        await _readable(sock)
        peeked = sock.recv(GREETING_MAX_BYTES, socket.MSG_PEEK)
        *lines, _ = peeked.split(b"\n")
        found = next((line for line in lines if line.startswith(b"SSH-")), None)
        if found is not None or not peeked:
            return (found or b"").rstrip(b"\r")
        if peeked != seen:
            seen, grown_at = peeked, time.monotonic()
        elif time.monotonic() - grown_at > _SETTLED_S:  # a server may send other lines before its greeting
            return peeked.split(b"\n")[0].rstrip(b"\r")
        await asyncio.sleep(_PAUSE_S)  # it stays readable: nothing is taken out


async def _said_when_asked(sock: socket.socket, timeout_s: float) -> str:
    """What a protocol in which the client speaks first makes of an SSH greeting; "" for silence."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            await loop.sock_sendall(sock, b"SSH-2.0-prestashop-agent\r\n\r\n")
            answer = await loop.sock_recv(sock, 64)
    except OSError:  # TimeoutError is one
        return ""
    if answer.startswith(b"HTTP/"):
        return "HTTP"
    if answer[:2] == b"\x15\x03":  # an alert record, RFC 8446 section 5.1
        return "TLS"
    return "something else" if answer else ""


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."
