"""The agent's log events in words, for a person at a terminal. Pure: from an event's fields to a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Fields = Mapping[str, Any]


def sentence_of(event: str, fields: Fields) -> str | None:
    """The sentence of ``event``; "" when a person need not see it, None when there are no words for it."""
    words = _WORDS.get(event)
    try:
        return words(fields) if callable(words) else words.format_map(fields) if words is not None else None
    except (KeyError, TypeError, ValueError):  # an event that has other fields by now is still to be seen
        return None


def _starting(fields: Fields) -> str:
    lines = [
        f"prestashop-agent {fields['version']} for {fields['agent_id']}. Ctrl-C to stop; running requests end first.",
        f"Connects to\t{fields['servers']}",
    ]
    if fields["proxy"] != "none":
        lines.append(f"By proxy\t{fields['proxy']}")
    return "\n".join([*lines, f"Settings\t{fields['settings_file']}"])


def _open(fields: Fields) -> str:
    resources = "all resources" if fields["resources"] == "all" else fields["resources"].replace(",", ", ")
    return f"Open\t{fields['store']} for {fields['methods'].replace(',', ' ')}, {resources}"


def _paused(fields: Fields) -> str:
    reason = f" ({fields['reason']})" if fields["reason"] else ""
    return f"{_what(fields['store'])} is paused{reason}: nothing reaches it until prestashop-agent resume."


def _resumed(fields: Fields) -> str:
    return f"{_what(fields['store'])} is served again (by {fields['by']})."


def _what(store: str) -> str:
    return "Every store" if store == "all" else store


def _tunnel(lead: str) -> Callable[[Fields], str]:
    def words(fields: Fields) -> str:
        wait_s = fields["retry_in_s"]
        when = f"in {wait_s:g} s" if wait_s else "at once"
        return f"Tunnel {fields['index']} {lead} ({fields['reason']}). {fields['detail']} Next attempt {when}."

    return words


def _state(fields: Fields) -> str:
    """The other states have events of their own."""
    return f"Tunnel {fields['index']} logs in." if fields["after"] == "authenticating" else ""


def _leaving(fields: Fields) -> str:
    running = fields["in_flight"]
    if not running:
        return "Stopping."
    return f"Waiting for {_exchanges(running)}, {fields['at_most_s']:g} s at most; Ctrl-C again to leave at once."


def _draining(fields: Fields) -> str:
    running = fields["in_flight"]
    return f"Taking nothing new; {_exchanges(running)} left, {fields['at_most_s']:g} s at most." if running else ""


def _stopped(fields: Fields) -> str:
    return "Stopped; nothing was cut off." if fields["complete"] else "Stopped; what took longer was cut off."


def _disturbed(fields: Fields) -> str:
    what = {
        "suspended": "This machine slept",
        "stalled": "This process stood still",
        "clock_jumped": "The clock was set",
    }[fields["what"]]
    return f"{what} ({fields['seconds']:g} s): asking every tunnel whether it lives."


def _exchanges(count: int) -> str:
    return f"{count} exchange{'' if count == 1 else 's'}"


_WORDS: Final[Mapping[str, str | Callable[[Fields], str]]] = {
    "access_log.failing": "The access log in {directory} is not written: {detail}.",
    "access_log.resumed": "The access log is written again; requests that are not in it: {lost}.",
    "agent.starting": _starting,
    "agent.leaving": _leaving,
    "agent.draining": _draining,
    "agent.left_at_once": "Left at once: what ran was cut off.",
    "agent.stopped": _stopped,
    "clock.disturbed": _disturbed,
    "fast_path.unavailable": "SSH packets take asyncssh's own, slower way: {reason}.",
    "metrics.listening": "Metrics and health at http://{address}:{port}/metrics.",
    "network.changed": "The network changed: what waits tries at once.",
    "pause.not_kept": "{detail}",
    "pause.unreadable": "{detail}",
    "proxy.changed": "From now on the way out is {proxy}.",
    "settings.need_restart": "Changed, and in effect at the next start: {settings}.",
    "settings.refused": "The settings were not taken, those from before stay. {detail}",
    "settings.reloaded": "The settings were read anew; stores open: {stores}.",
    "socket.unavailable": "{detail} Until then {missing} cannot ask this agent.",
    "store.ambiguous": "{store}: {detail} Write {write} in the settings.",
    "store.check_refused": "The server asked for a check of {host}: {reason}",
    "store.checked": "The server asked for a check of {store}: {verdict}, {elapsed_ms:.0f} ms.",
    "store.limited": "{store}: {detail}.",
    "store.none": "{detail}",
    "store.open": _open,
    "store.paused": _paused,
    "store.resumed": _resumed,
    "store.warning": "{store}: {detail}",
    "tunnel.connecting": "Tunnel {index} connects to {server}.",
    "tunnel.drain_incomplete": "The time is over; still running, and cut off now: {in_flight}.",
    "tunnel.draining": "Tunnel {index}: the server is about to leave; what runs goes on.",
    "tunnel.lost": _tunnel("is down"),
    "tunnel.next_pins": "Tunnel {index}: the server announces its next host key.",
    "tunnel.ready": "Tunnel {index} is up to {server}, server version {server_version}.",
    "tunnel.refused": _tunnel("is turned away"),
    "tunnel.state": _state,
    "tunnel.unreachable": _tunnel("is not up"),
}
