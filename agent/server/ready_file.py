"""The file that says, whole or not at all, that a server listens, and where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from agent.errors import StartError


def write_ready_file(path: Path, ready: Mapping[str, object]) -> None:
    """Write ``ready`` as JSON. Raises StartError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(ready) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StartError(f"The ready file {path} cannot be written ({error.strerror}): name another one.") from None
