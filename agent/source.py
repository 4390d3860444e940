"""Where the settings of a running agent come from, and the values that its parts take of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.access_files import AccessFiles
from agent.errors import StartError
from agent.forward.target import ForwardTimeouts
from agent.locations import Locations
from agent.settings import AgentSettings, TimeoutSettings, load_agent_settings
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.config import TunnelConfig
from agent.tunnel.flow import LinkLimits

ACCESS_NAME: Final = "access"
"""The access log's directory in the state directory, where the settings name no other."""


_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings of this process come from; a reload reads all of it again."""

    config: Path | None
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]
    is_root: bool

    def read(self) -> tuple[AgentSettings, Locations]:
        """The settings as they are now. Raises ``SettingsError``."""
        return load_agent_settings(self.config, self.environ, self.overrides, is_root=self.is_root)

    def only_meant(self, command: Callable[[Mapping[str, Any]], _Answer]) -> Callable[[Mapping[str, Any]], _Answer]:
        """``command``, refused where the request names another ``settings_file``: several agents may run here.

        The one that was meant may have a socket that was not found, and the default place be this one's.
        """

        def judged(request: Mapping[str, Any]) -> _Answer:
            meant, own = request.get("settings_file"), self.file
            if isinstance(meant, str) and meant != str(own.resolve()):
                raise StartError(
                    f"The agent that answers here reads {own}, not {meant}, and nothing was changed: name the one that "
                    "is meant with --instance NAME, or set runtime_dir in its settings."
                )
            return command(request)

        return judged

    @property
    def file(self) -> Path:
        """The settings file, which need not be there."""
        return self.config or Locations.of(self.environ, is_root=self.is_root).config_file


def access_log_dir(settings: AgentSettings, places: Locations) -> Path:
    """Where the files of the access log are."""
    return settings.access_log.dir or places.state_dir / ACCESS_NAME


def access_log_files(settings: AgentSettings, places: Locations) -> AccessFiles | None:
    """Its files; None when it is switched off."""
    if not settings.access_log.enabled:
        return None
    return AccessFiles(
        access_log_dir(settings, places),
        retention_days=settings.access_log.retention_days,
        max_bytes=settings.access_log.max_mb * 1_000_000,
    )


def tunnel_config(settings: AgentSettings) -> TunnelConfig:
    """The settings that concern the tunnels, as the supervisor takes them."""
    reconnect, heartbeat, timeouts = settings.reconnect, settings.heartbeat, settings.timeouts
    return TunnelConfig(
        tunnels=settings.tunnels,
        fast_path=settings.fast_path,
        connect_timeout_s=timeouts.ssh_connect_s,
        login_timeout_s=timeouts.ssh_login_s,
        heartbeat_interval_s=heartbeat.interval_s,
        silence_limit_s=heartbeat.silence_s,
        link=LinkLimits.within(heartbeat.silence_s),
        backoff=BackoffLimits(first_s=reconnect.first_s, cap_s=reconnect.max_s, reset_after_s=reconnect.stable_s),
    )


def forward_timeouts(timeouts: TimeoutSettings) -> ForwardTimeouts:
    """The settings that concern one exchange."""
    return ForwardTimeouts(
        connect_s=timeouts.store_connect_s,
        tls_s=timeouts.store_tls_s,
        first_byte_s=timeouts.store_first_byte_s,
        stall_s=timeouts.store_stall_s,
    )
