"""Tables of the server's settings that concern the control plane: panel, mail, watching."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agent.server.addresses import ListenAddress
from agent.settings import AbsolutePath

Seconds = Annotated[float, Field(gt=0, le=86400)]
Patience = Annotated[float, Field(ge=0, le=300)]


class SettingsTable(BaseModel):
    """What every table of the server's settings obeys: no unknown keys, nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PanelSettings(SettingsTable):
    """``[panel]``: the web panel and the control API, for browsers and programs."""

    enabled: bool = Field(default=True, description="Listen at all; commands work without it.")
    listen: ListenAddress = Field(
        default="0.0.0.0:8081",
        description="Address of the panel. Without TLS or trusted_proxies only loopback is listened on.",
    )
    tls_certificate_file: AbsolutePath | None = Field(default=None, description="PEM file, with its chain.")
    tls_key_file: AbsolutePath | None = Field(default=None, description="PEM file of the private key.")
    session_idle_timeout_s: Annotated[float, Field(ge=60, le=2_592_000)] = Field(
        default=43_200, description="A session that was not used for so many seconds ends."
    )
    session_lifetime_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800, description="A session ends after so many seconds in any case."
    )


class WatchSettings(SettingsTable):
    """``[watch]``: tests of the connections that the server makes by itself, and what it reports."""

    test_interval_s: Annotated[float, Field(ge=0, le=604_800)] = Field(
        default=3600.0, description="Every enabled connection is tested once in so many seconds; 0: only by hand."
    )
    history_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="Tests that are kept per connection."
    )
    offline_after_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="An agent that is away for so many seconds is reported; a restart is not."
    )
    certificate_warning_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=21, description="A store's certificate that ends within so many days is reported."
    )
