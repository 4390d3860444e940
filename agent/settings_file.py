"""The settings file as commands change it: read, tried out by the real loader, then replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import SettingsError, StartError
from agent.whole_file import whole_file

HEADER: Final = (
    "# Settings of prestashop-agent. What is not said here has its default; nothing is open but the stores below.\n"
    "# prestashop-agent stores add URL opens a store, prestashop-agent config check looks at all of it.\n"
)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """``text`` is what stands in it, "" where there is none; ``new_mode`` is for a file that is made."""

    path: Path
    content: bytes | None
    new_mode: int

    @classmethod
    def read(cls, path: Path, *, new_mode: int = 0o644) -> SettingsFile:
        """What is there now. Raises SettingsError for a file that cannot be read or is not UTF-8."""
        try:
            content = path.read_bytes()
            content.decode("utf-8")
        except FileNotFoundError:
            content = None
        except UnicodeDecodeError as error:
            raise SettingsError(
                f"The settings file {path} is not UTF-8 at byte {error.start}: save it as UTF-8."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"The settings file {path} cannot be read ({error.strerror}): run this as root (sudo), or as its owner."
            ) from None
        return cls(path, content, new_mode)

    @property
    def text(self) -> str:
        """What stands in it, with its own line ends and byte order mark."""
        return (self.content or b"").decode("utf-8")

    def replace(self, text: str, try_out: Callable[[Path], object]) -> bool:
        """Put ``text`` in its place, once ``try_out`` has loaded it from the path that it is given; False: no change.

        Mode and owner stay; a directory that is missing is made.

        Raises:
            SettingsError: it would not load; the file is as it was. Or what ``try_out`` raises of this kind.
            StartError: it cannot be written, or somebody else has changed it meanwhile.
        """
        if self.content is not None and text == self.text:
            return False
        if self.content is None:
            text = f"{HEADER}\n{text}"
        try:
            make_directory(self.path.parent, 0o755 if self.new_mode & 0o077 else 0o700)
            with whole_file(self.path, may_replace=True) as file:
                file.write(text.encode("utf-8"))
                file.flush()
                self._dress(file.fileno())
                self._try(Path(f"/proc/self/fd/{file.fileno()}"), try_out)
                if SettingsFile.read(self.path).content != self.content:
                    raise StartError(f"Somebody else changed {self.path} at this moment: run the command again.")
        except OSError as error:
            raise StartError(
                f"The settings file {self.path} cannot be written ({error.strerror}): run this as root (sudo), or as "
                "its owner."
            ) from None
        return True

    def _dress(self, descriptor: int) -> None:
        """Mode and owner of the file that is replaced."""
        if self.content is None:
            os.fchmod(descriptor, self.new_mode)
            return
        status = self.path.stat()
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            # Without the right to give files away the group alone may be possible, or nothing.
            try:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            except PermissionError:
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, -1, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))

    def _try(self, written: Path, try_out: Callable[[Path], object]) -> None:
        """Load what was written; sentences name the file that it is to become."""
        try:
            try_out(written)
        except SettingsError as error:
            raise type(error)(str(error).replace(str(written), str(self.path))) from None


def make_directory(path: Path, mode: int) -> None:
    """Make ``path`` where it is missing, with ``mode`` whatever the umask says: a service may have to get in.

    Raises:
        OSError: it cannot be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    path.mkdir(exist_ok=True)
    path.chmod(mode)
