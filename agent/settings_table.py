"""What the tables of the agent's settings are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _absolute(path: Path) -> Path:
    """A daemon has no working directory of its own, so that a relative path would change its meaning."""
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError("must be an absolute path, one that begins with /")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class SettingsTable(BaseModel):
    """One table: no key but its own, and nothing changes once it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
