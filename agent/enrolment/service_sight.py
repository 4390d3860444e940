"""What the service cannot see, though root can who writes the settings: other users' files, and hidden directories."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - ProtectHome= and PrivateTmp= of the unit


def sight_warning(file: Path) -> str | None:
    """A sentence, where the service's user cannot read ``file``; None where it can, or the file is not there."""
    path = file.resolve()
    hidden = next((below for below in _HIDDEN if path.is_relative_to(below)), None)
    if hidden is not None:
        return f"The service does not see {hidden}: put {file} below /etc, and name it there."
    try:
        closed = [parent for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH]
        is_closed = bool(closed) or not path.stat().st_mode & stat.S_IROTH
    except OSError:
        return None
    if not is_closed:
        return None
    where = f"{closed[-1]} lets nobody else in" if closed else f"mode {stat.S_IMODE(path.stat().st_mode):04o}"
    return f"The service's user may not be able to read {file} ({where}): a certificate is no secret, chmod a+r it."
