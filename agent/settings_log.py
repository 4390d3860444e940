"""The settings of what the agent writes down: its log, and the access log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agent.settings_table import AbsolutePath, SettingsTable


class LogSettings(SettingsTable):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, JSON lines otherwise."
    )


class AccessLogSettings(SettingsTable):
    """A line for each request to a store, in files of their own: path and names of parameters, never a value."""

    enabled: bool = Field(default=True, description="Write it.")
    dir: AbsolutePath | None = Field(
        default=None, description="Directory of its files, one a day (UTC). Default: `access` in state_dir."
    )
    retention_days: int = Field(default=30, ge=1, le=3650, description="Files of so many days are kept.")
    max_mb: int = Field(
        default=500, ge=1, le=1_000_000, description="Megabytes that all files take at most; the oldest go first."
    )
