"""Where the lines of an agent are: in the journal, by which unit, or where its standard error leads."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNIT: Final = "prestashop-agent.service"
LINES: Final = 100

_INSTANCE: Final = re.compile(r"[A-Za-z0-9:_.\\-]+")
_SERVICE: Final = re.compile(r"[^/]+\.service")
_USER_MANAGER: Final = re.compile(r"user@[0-9]+\.service")
_UNIT_DIRECTORIES: Final = tuple(
    Path(place) / "systemd/system" for place in ("etc", "run", "usr/local/lib", "usr/lib", "lib")
)


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal's lines of ``unit``; ``is_users`` where a user's own manager runs it."""

    unit: str
    is_users: bool = False

    def command(self, *, lines: int | None, follow: bool, since: str | None) -> tuple[str, ...]:
        """What to run. Without ``lines`` the last 100, but all of them ``since`` a time."""
        shown = lines if lines is not None or since is not None else LINES
        return (
            "journalctl",
            *(("--user",) if self.is_users else ()),
            *(("-u", self.unit)),
            *(("-n", str(shown)) if shown is not None else ()),
            *((f"--since={since}",) if since is not None else ()),
            *(("-f",) if follow else ()),
        )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not in the journal; ``sentence`` says where, and what to do."""

    sentence: str


Place = Journal | Elsewhere


def named_instance(name: str) -> Place:
    """The unit of the template. Raises ``ValueError`` for what is no name of one."""
    if _INSTANCE.fullmatch(name) is None:
        raise ValueError(
            "it is what stands between @ and .service in systemctl list-units 'prestashop-agent@*', "
            "letters, digits and :_.-\\ only."
        )
    return Journal(f"prestashop-agent@{name}.service")


def find_place(pid: int | None, root: Path = Path("/")) -> Place:
    """For the agent that runs as ``pid``, or for the unit that is installed; ``root`` is where the files are."""
    if pid is None:
        if any((root / directory / UNIT).exists() for directory in _UNIT_DIRECTORIES):
            return Journal(UNIT)
        return Elsewhere(
            f"No prestashop-agent answers here, and {UNIT} is not installed: an agent that was run by hand wrote to "
            "the terminal, or to where its standard error led. prestashop-agent logs --instance NAME reads the log of "
            "prestashop-agent@NAME.service."
        )
    process = root / "proc" / str(pid)
    try:
        control_group = (process / "cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        control_group = ""
    return journal_of(control_group) or Elsewhere(_where_standard_error_leads(process, pid))


def journal_of(control_group: str) -> Journal | None:
    """The unit in the text of /proc/PID/cgroup (cgroups(7)); None where a person's session or a container has it."""
    for line in control_group.splitlines():
        services = [part for part in line.rpartition(":")[2].split("/") if _SERVICE.fullmatch(part)]
        is_users = any(map(_USER_MANAGER.fullmatch, services))
        own = [service for service in services if not _USER_MANAGER.fullmatch(service)]
        if own and line.rstrip("/").endswith(own[-1]):
            return Journal(own[-1], is_users)
    return None


def _where_standard_error_leads(process: Path, pid: int) -> str:
    who = f"This agent (process {pid}) is no systemd service: "
    descriptor = process / "fd" / "2"
    try:
        target, kind = str(descriptor.readlink()), descriptor.stat().st_mode
    except OSError:
        return f"{who}its lines are where its standard error leads. Ask as root (sudo) to be told where."
    if stat.S_ISCHR(kind) and target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return f"{who}its lines are on the terminal {target}, where it was started."
    if target == "/dev/null":
        return f"{who}its lines are thrown away (/dev/null). Start it with its standard error in a file to keep them."
    if stat.S_ISREG(kind):
        return f"{who}its lines are in {target}. Read them with: tail -n {LINES} -f {target}"
    return (
        f"{who}its lines go to another program ({target}), such as a container's: podman logs, docker logs or kubectl "
        "logs show them, or the program that it was started by."
    )
