"""The page that ``integration-server status`` prints for a person. Pure: from the report's JSON to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from agent.cli.durations import shown_duration, shown_moment, shown_round_trip
from agent.cli.page import colored, counted, entry, plain, shown_pause

Report = Mapping[str, Any]

OFFLINE_SHOWN_MAX: Final = 20

_WORDS: Final = {"ready": "ready", "draining": "draining", "offline": "running, but no agent is connected"}


def status_page(report: Report, *, width: int, now: float) -> Iterator[str]:
    """The lines for ``report``, each at most ``width`` wide where words allow; ``now`` is Unix seconds."""
    since = shown_moment(now - report["uptime_s"])
    word = _WORDS.get(report["state"], plain(report["state"]))
    yield colored(f"integration-server {plain(report['version'])} is {word}", word, report["state"])
    running = f"{report['pid']}, running since {since} ({shown_duration(report['uptime_s'])})"
    yield from entry("Process", running, width)
    listeners = report["listeners"]
    yield from entry("For agents", f"{_address(listeners['ssh'])}, host key {report['host_key_fingerprint']}", width)
    for_integrations = f"{_address(listeners['gateway'])}, {plain(listeners['gateway_url'])}"
    yield from entry("For clients", for_integrations, width)
    if listeners.get("panel"):
        yield from entry("For people", _address(listeners["panel"]), width)
    gateway = report["gateway"]
    yield from entry(
        "Gateway",
        f"{counted(gateway['clients'], 'client')} connected, {counted(gateway['in_flight'], 'exchange')} in flight, "
        f"{gateway['parked']} waiting for a tunnel",
        width,
    )
    yield from entry("Last 5 min", _traffic(report["traffic"]), width)
    yield from entry("Agents", _agents(report), width)
    for _, group in groupby(sorted(report["tunnels"], key=_place), key=lambda tunnel: _place(tunnel)[:-1]):
        yield ""
        yield from _instance(list(group), width)
    yield from _offline(report.get("offline_agents") or (), width, now)


def _place(tunnel: Report) -> tuple[str, str, str, int]:
    return str(tunnel["agent_name"]), str(tunnel["agent_id"]), str(tunnel["instance_id"]), int(tunnel["index"])


def _address(listener: Report) -> str:
    host = plain(listener["host"])
    return f"[{host}]:{listener['port']}" if ":" in host else f"{host}:{listener['port']}"


def _traffic(lately: Report) -> str:
    if not lately["requests"]:
        return "no request"
    split = [
        f"{name} {lately[key]:g} ms"
        for name, key in (("tunnel", "tunnel_ms"), ("store", "store_ms"))
        if lately[key] is not None
    ]
    median = f", median {', '.join(split)}" if split else ""
    return f"{counted(lately['requests'], 'request')}, {counted(lately['errors'], 'error')}{median}"


def _agents(report: Report) -> str:
    registered, online = report["agents_registered"], report["agents_online"]
    if not registered:
        return "none is registered: integration-server agents create NAME makes one"
    return f"{online} of {registered} online, {counted(len(report['tunnels']), 'tunnel')} up"


def _instance(tunnels: Sequence[Report], width: int) -> Iterator[str]:
    """One running agent and its tunnels."""
    first = tunnels[0]
    where = "stock ssh client" if first["plain"] else f"on {plain(first['host']) or 'a host without name'}"
    yield from entry("Agent", plain(first["agent_name"]), width)
    yield from entry("", f"id {plain(first['agent_id'])}", width)
    if not first["plain"]:
        yield from entry("", f"instance {plain(first['instance_id'])}", width)
    yield from entry("", f"{where}, version {plain(first['version'])}", width)
    for store, pause in (first.get("paused") or {}).items():
        line, *more = entry("", f"paused by the shop {shown_pause(pause)}: {plain(store)}", width)
        yield colored(line, "paused", "paused")
        yield from more
    for tunnel in tunnels:
        state = "draining" if tunnel["draining"] else "ready"
        line, *more = entry(
            f"  tunnel {tunnel['index']}",
            f"{state} for {shown_duration(tunnel['connected_s'])}, from {plain(tunnel['peer'])}",
            width,
        )
        yield colored(line, state, state)
        yield from more
        channels = tunnel["channels"]
        heard = [] if tunnel["plain"] else _heard(tunnel)
        yield from entry("", ", ".join([*heard, f"channels {channels['idle']} idle, {channels['busy']} busy"]), width)


def _offline(agents: Sequence[Report], width: int, now: float) -> Iterator[str]:
    """Agents without a tunnel, and what to do about each."""
    if not agents:
        return
    yield ""
    for number, agent in enumerate(agents[:OFFLINE_SHOWN_MAX]):
        line, *more = entry("" if number else "Offline", f"{plain(agent['name'])}: {_absence(agent, now)}", width)
        yield line if number else colored(line, "Offline", "offline")
        yield from more
    if len(agents) > OFFLINE_SHOWN_MAX:
        yield from entry("", f"and {len(agents) - OFFLINE_SHOWN_MAX} more: integration-server agents list", width)


def _absence(agent: Report, now: float) -> str:
    if agent["last_heartbeat_at"] is None:
        return "never connected: install it with its access token"
    at = datetime.fromisoformat(agent["last_heartbeat_at"]).timestamp()
    since = f"since {shown_moment(at)} ({shown_duration(now - at)})"
    if not agent["host"]:  # stock ssh clients do not say where they run
        return f"{since}: is prestashop-agent, or its ssh command, running there?"
    return f"{since}: is prestashop-agent running on {plain(agent['host'])}?"


def _heard(tunnel: Report) -> list[str]:
    return [
        f"round trip {shown_round_trip(tunnel['round_trip_ms'])}",
        f"last heartbeat {shown_duration(tunnel['last_heartbeat_age_s'])} ago",
    ]
