"""Limits of the agent's tunnels; every one is a setting, and these are the defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.tunnel.algorithms import CHANNEL_WINDOW_BYTES
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.flow import LinkLimits
from agent.tunnel.messages import Check, Message


@dataclass(frozen=True, slots=True)
class TunnelConfig:
    """Times in seconds.

    ``connect_timeout_s`` is for name and TCP, ``login_timeout_s`` from there to the server's welcome. A heartbeat is
    sent when one direction was quiet for ``heartbeat_interval_s`` (the server may ask for a shorter time), and a
    server from which nothing came for ``silence_limit_s`` is given up; after a suspend it has ``challenge_s`` to
    answer. ``channels_max`` bounds what a server can open in one tunnel. ``fast_path`` allows that of ``fastpath``.
    ``on_check`` is given a check that the server asks for, and how to answer; None: it is not made.
    """

    tunnels: int = 2
    connect_timeout_s: float = 10.0
    login_timeout_s: float = 10.0
    heartbeat_interval_s: float = 10.0
    silence_limit_s: float = 25.0
    challenge_s: float = 5.0
    bye_grace_s: float = 1.0
    channels_max: int = 256
    channel_window_bytes: int = CHANNEL_WINDOW_BYTES
    backoff: BackoffLimits = field(default_factory=BackoffLimits)
    link: LinkLimits = field(default_factory=LinkLimits)
    fast_path: bool = True
    on_check: Callable[[Check, Callable[[Message], bool]], None] | None = None
