"""Limits of the SSH endpoint; every one is a setting, and these are the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.server.doorkeeper import DoorLimits
from agent.tunnel.algorithms import CHANNEL_WINDOW_BYTES
from agent.tunnel.flow import LinkLimits


def _no_audit(event: str, fields: Mapping[str, str]) -> None:
    """Audit nothing."""


@dataclass(frozen=True, slots=True)
class SshConfig:
    """Times in seconds.

    ``login_timeout_s`` runs from the TCP connection to the secret, ``hello_timeout_s`` from there to the hello;
    an agent from which nothing was heard for ``silence_limit_s`` is dropped (it speaks every
    ``heartbeat_interval_s``). One that said bye keeps its connection while clients still read what came through it,
    ``leave_max_s`` at most. A server that leaves asks its agents back at ``returns_per_s``. ``fast_path`` allows that
    of ``agent.tunnel.fastpath``. ``next_pins`` are announced to agents before the host key changes. ``audit`` is called
    with an event name and fields when an instance is turned away.
    """

    login_timeout_s: float = 10.0
    hello_timeout_s: float = 10.0
    password_attempts_max: int = 3
    heartbeat_interval_s: float = 10.0
    silence_limit_s: float = 25.0
    bye_grace_s: float = 2.0
    leave_max_s: float = 60.0
    probe_limit_s: float = 120.0
    returns_per_s: float = 100.0  # a third of what one core logs in, so that exchanges go on beside it
    links_per_agent_max: int = 64
    channel_window_bytes: int = CHANNEL_WINDOW_BYTES
    backlog: int = 1024
    fast_path: bool = True
    next_pins: tuple[str, ...] = ()
    door: DoorLimits = field(default_factory=DoorLimits)
    link: LinkLimits = field(default_factory=LinkLimits)
    audit: Callable[[str, Mapping[str, str]], None] = _no_audit
