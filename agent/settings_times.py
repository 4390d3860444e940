"""The agent's settings of time: how long it waits, how soon it tries again, when it gives up a silent server."""

from __future__ import annotations

from pydantic import Field

from agent.settings_table import SettingsTable


class TimeoutSettings(SettingsTable):
    """How long the agent waits, in seconds."""

    store_connect_s: float = Field(default=5, gt=0, le=120, description="TCP connection to a store.")
    store_tls_s: float = Field(default=5, gt=0, le=120, description="TLS handshake with a store.")
    store_first_byte_s: float = Field(
        default=120, gt=0, le=3600, description="From the request to the first byte of the store's answer."
    )
    store_stall_s: float = Field(default=120, gt=0, le=3600, description="A store that stops in the middle.")
    ssh_connect_s: float = Field(default=10, gt=0, le=120, description="TCP connection to the integration server.")
    ssh_login_s: float = Field(default=10, gt=0, le=120, description="SSH handshake and login.")
    drain_s: float = Field(
        default=30,
        ge=0,
        le=600,
        description="At the end: time for what runs, then as much for what has begun meanwhile.",
    )


class ReconnectSettings(SettingsTable):
    """Waiting between attempts to connect: random between nothing and a bound that doubles (full jitter)."""

    first_s: float = Field(default=0.5, ge=0.05, le=60, description="Bound of the first wait, in seconds.")
    max_s: float = Field(default=60, ge=1, le=3600, description="Largest bound; also the pace after a refusal.")
    stable_s: float = Field(default=30, ge=1, le=3600, description="Time connected after which the bound starts anew.")


class HeartbeatSettings(SettingsTable):
    """Noticing a link or a server that no longer answers."""

    interval_s: float = Field(
        default=10,
        ge=1,
        le=300,
        description="A heartbeat is sent when nothing else was said for so many seconds; the server may ask for fewer.",
    )
    silence_s: float = Field(
        default=25, ge=1, le=600, description="A server from which nothing came for so many seconds is given up."
    )
