"""The file of the access token: what is in it, and putting another one there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.errors import StartError, TokenError
from agent.settings_file import make_directory
from agent.tunnel.token import AccessToken, read_token_file
from agent.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """``before`` is the token that is there; None when there is none, or none that can be used (``trouble``)."""

    path: Path
    before: AccessToken | None
    trouble: str

    @classmethod
    def look(cls, path: Path) -> TokenPlace:
        """What is at ``path`` now."""
        if not os.path.lexists(path):
            return cls(path, None, "")
        try:
            return cls(path, read_token_file(path), "")
        except TokenError as error:
            return cls(path, None, str(error))

    @property
    def is_taken(self) -> bool:
        """True when something would be replaced."""
        return self.before is not None or bool(self.trouble)

    def write(self, token: AccessToken) -> None:
        """Put ``token`` there, whole or not at all, readable by this user only. Raises StartError."""
        try:
            make_directory(self.path.parent, 0o755 if os.geteuid() == 0 else 0o700)
            with whole_file(self.path, may_replace=True) as file:
                file.write(token.encode().encode("ascii") + b"\n")
        except OSError as error:
            raise StartError(
                f"The access token cannot be written to {self.path} ({error.strerror}): run this as root (sudo), or "
                "name another place with token_file in the settings."
            ) from None
