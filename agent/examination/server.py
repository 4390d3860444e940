"""One server of the access token, layer by layer, as a probe that never serves."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncssh

from agent.doctor.finding import OwnLayer, Subject
from agent.examination.notes import LayerStopError, Notes, Tell
from agent.examination.probe import Probe, ProbeEndedError
from agent.examination.way import greeting, reach
from agent.tunnel.config import TunnelConfig
from agent.tunnel.ending import Ending, EndReason
from agent.tunnel.messages import Welcome
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.ssh import LoginError, PinnedClient
from agent.tunnel.text import printable
from agent.tunnel.token import AccessToken, split_server

CLOCK_OFF_S: Final = 5.0
SLOW_ROUND_TRIP_S: Final = 1.0
SLOW_BYTES_PER_S: Final = 32_000.0

_ANEW: Final = (
    "Make a new access token on the integration server (integration-server agents rotate NAME, or the agent's page) "
    "and install it here."
)
_REMEDIES: Final = {
    EndReason.WRONG_HOST_KEY: "Ask the server's administrator for its host key (the line ssh.listening of its log has "
    "it). If it was changed on purpose, install a new token; else somebody else answers at this address.",
    EndReason.TOKEN_REFUSED: _ANEW,
    EndReason.REVOKED: _ANEW,
    EndReason.DISABLED: "An admin enables it: integration-server agents enable NAME, or on the agent's page.",
    EndReason.HANDSHAKE: "Try again in a minute; if it stays, look at the log of the integration server.",
    EndReason.NOT_GRANTED: "Check that the address in the access token is an integration server and not another SSH "
    "server, and that the token was not made for stock ssh (--plain-ssh).",
    EndReason.SERVER_LEFT: "Try again in a moment: it is restarting.",
    EndReason.LOST: "Try again; if it stays, look at firewalls on the way and at the log of the integration server.",
    EndReason.PROTOCOL: "Bring both programs to the same version.",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is the same for every server; ``now`` is this machine's clock (unix), ``measuring`` lets one at a time."""

    token: AccessToken
    route: ProxyRoute | None
    config: TunnelConfig
    measuring: asyncio.Lock
    now: Callable[[], float] = time.time


async def examine_server(server: str, around: Around, tell: Tell) -> None:
    """Look at ``server`` (``host:port``); everything is told, nothing raised but cancellation."""
    notes = Notes(Subject.SERVER, server, tell)
    host, port = split_server(server)
    config = around.config
    try:
        sock = await reach(host, port, around.route, config.connect_timeout_s, notes)
        try:
            await greeting(sock, config.login_timeout_s, notes)
        except BaseException:  # cancelled, too: nobody else knows this socket yet
            sock.close()
            raise
        probe = Probe(server, config)
        try:
            await _inside(probe, sock, around, notes)
        finally:
            await probe.close()
    except LayerStopError:
        return


async def _inside(probe: Probe, sock: socket.socket, around: Around, notes: Notes) -> None:
    began = time.monotonic()
    try:
        client = await probe.login(sock, around.token)
    except LoginError as error:
        layer = OwnLayer.LOGIN if error.pin_matched else OwnLayer.HOST_KEY
        if error.pin_matched:
            notes.ok(OwnLayer.HOST_KEY, "It is one that the access token pins.")
        raise _stopped(notes, layer, error.ending) from None
    _logged_in(client, began, around.token, notes)
    welcome = await _control(probe, around.config.login_timeout_s, notes)
    look_at_clock(welcome.unix_time_s, "the server", around.now(), notes)
    await _measures(probe, around, notes)


def _logged_in(client: PinnedClient, began: float, token: AccessToken, notes: Notes) -> None:
    now = time.monotonic()
    shown_at = client.key_shown_at
    notes.ok(
        OwnLayer.HOST_KEY,
        "It is one that the access token pins.",
        facts={"host_key": client.host_key},
        elapsed_ms=(shown_at - began) * 1000,
    )
    finding = f"The access token of agent {token.agent_id} is taken."
    notes.ok(OwnLayer.LOGIN, finding, elapsed_ms=(now - shown_at) * 1000)


async def _control(probe: Probe, timeout_s: float, notes: Notes) -> Welcome:
    layer = OwnLayer.CONTROL
    try:
        welcome = await probe.greet(str(uuid.uuid4()), timeout_s)
    except ProbeEndedError as error:
        raise _stopped(notes, layer, error.ending) from None
    except TimeoutError:
        raise notes.stop(
            layer,
            "no_welcome",
            f"The login succeeded, but no welcome came within {timeout_s:g} s.",
            "Look at the log of the integration server: it may be overloaded, or it is not one of this product.",
        ) from None
    except (asyncssh.Error, OSError) as error:
        detail = f"The server logs in, but grants no control channel ({printable(str(error), 100)})."
        raise _stopped(notes, layer, Ending(EndReason.NOT_GRANTED, detail)) from None
    version = printable(welcome.version, 64) or "of a version it does not say"
    notes.ok(layer, f"integration-server {version} answers.", facts={"server_version": version})
    return welcome


def look_at_clock(there_unix_s: float | None, whose: str, here_unix_s: float, notes: Notes) -> None:
    """Compare this machine's clock with another one."""
    if there_unix_s is None:
        notes.skipped(OwnLayer.CLOCK, f"Not compared: {whose} does not tell its time.")
        return
    off_s = here_unix_s - there_unix_s
    word = "ahead of" if off_s > 0 else "behind"
    facts = {"off_s": round(off_s, 1)}
    if abs(off_s) < CLOCK_OFF_S:
        notes.ok(OwnLayer.CLOCK, f"Less than {CLOCK_OFF_S:g} s off that of {whose}.", facts=facts)
        return
    notes.warning(
        OwnLayer.CLOCK,
        "clock_off",
        f"The clock of this machine is {_duration(abs(off_s))} {word} that of {whose}.",
        "Set it (timedatectl set-ntp true); with a wrong clock certificates look expired or not yet valid, and the "
        "logs of both sides do not match.",
        facts=facts,
    )


async def _measures(probe: Probe, around: Around, notes: Notes) -> None:
    layer = OwnLayer.ROUND_TRIP
    async with around.measuring:
        notes.begin()
        try:
            taken = await probe.round_trips_s(around.config.login_timeout_s)
        except ProbeEndedError as error:
            raise _stopped(notes, layer, error.ending) from None
        except TimeoutError:
            raise notes.stop(
                layer,
                "no_heartbeat",
                "The server welcomes, but does not answer heartbeats.",
                "Look at the log of the integration server; a firewall may drop longer connections.",
            ) from None
        middle_s = probe.median_s(taken)
        facts = {"median_ms": round(middle_s * 1000, 2), "worst_ms": round(max(taken) * 1000, 2)}
        finding = f"{middle_s * 1000:.1f} ms, at worst {max(taken) * 1000:.1f} ms ({len(taken)} heartbeats)."
        if middle_s > SLOW_ROUND_TRIP_S:
            notes.warning(
                layer,
                "slow_round_trip",
                finding,
                "Each request takes at least as long: look at the line of this machine, and what else fills it.",
                facts=facts,
            )
        else:
            notes.ok(layer, finding, facts=facts)
        try:
            speed = await probe.throughput_bytes_per_s(middle_s)
        except ProbeEndedError as error:
            raise _stopped(notes, OwnLayer.THROUGHPUT, error.ending) from None
    _throughput(speed, notes)


def _throughput(speed: float | None, notes: Notes) -> None:
    layer = OwnLayer.THROUGHPUT
    if speed is None:
        notes.skipped(layer, "Not measured: the server does not answer measures (an older version).")
        return
    facts = {"bytes_per_s": round(speed)}
    finding = f"At least {_speed(speed)} to the server (a hint)."
    if speed >= SLOW_BYTES_PER_S:
        notes.ok(layer, finding, facts=facts)
        return
    notes.warning(
        layer,
        "slow_link",
        finding,
        "Exports and pictures will take long: look at the line of this machine, and what else fills it.",
        facts=facts,
    )


def _stopped(notes: Notes, layer: OwnLayer, ending: Ending) -> LayerStopError:
    """A server can say any goodbye; one that a probe cannot meet counts as a connection that was lost."""
    reason = ending.reason if ending.reason in _REMEDIES else EndReason.LOST
    finding = ending.detail.partition(_ADVICE[reason])[0] if reason in _ADVICE else ending.detail
    return notes.stop(layer, reason.value, finding.rstrip(".") + ".", _REMEDIES[reason])


_ADVICE: Final = {
    EndReason.TOKEN_REFUSED: ": ",
    EndReason.HANDSHAKE: ": ",
    EndReason.DISABLED: ": ",
    EndReason.WRONG_HOST_KEY: "; ask",
    EndReason.REVOKED: "; make",
}
"""Where the advice of a sentence begins that a log has room for once; here the remedy gives it."""


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _speed(bytes_per_s: float) -> str:
    return f"{bytes_per_s / 1e6:.1f} MB/s" if bytes_per_s >= 1e6 else f"{bytes_per_s / 1e3:.0f} kB/s"
