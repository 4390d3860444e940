"""PostgreSQL of the tests' own: one cluster per test process, one database per test, made from a migrated template."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from agent.server.db.database import open_database
from tests.kit.tools import missing

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=60")


@dataclass(frozen=True)
class Cluster:
    """A running cluster that only a Unix socket leads to."""

    directory: Path
    programs: Path
    as_owner: tuple[str, ...]

    def url(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.directory), safe='')}"

    def run(self, sql: str) -> str:
        """Run one statement."""
        command = [
            str(self.programs / "psql"),
            "-h",
            str(self.directory),
            "-U",
            "postgres",
            "-qAtX",
            "-c",
            sql,
            "postgres",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> None:
        """Let it run; returns when it answers."""
        options = " ".join(f"-c {option}" for option in (*_FAST, f"unix_socket_directories={self.directory}"))
        self._control("-l", str(self.directory / "log"), "-o", options, "start")

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """It does not run, as when its machine is restarted; everybody who was connected is cut."""
        self._control("-m", "fast", "stop")
        try:
            yield
        finally:
            self.start()

    def stop(self) -> None:
        """End it and remove its files."""
        self._control("-m", "immediate", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        run_as((*self.as_owner, str(self.programs / "pg_ctl"), "-D", str(self.directory / "data"), "-w", *arguments))


def run_as(command: tuple[str, ...]) -> None:
    """Run one of PostgreSQL's programs to its end."""
    done = subprocess.run(
        command,
        # Not a pipe: the server would inherit it, and its end be waited for.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr


_running: list[Cluster] = []


def cluster() -> Cluster:
    """The cluster of this process, started when it is first asked for; skips where PostgreSQL is not installed."""
    if not _running:
        _running.append(_start())
        atexit.register(_running[0].stop)
    return _running[0]


async def new_database() -> str:
    """The address of a new database with the newest schema."""
    own = cluster()
    if not own.run("SELECT 1 FROM pg_database WHERE datname = 'template_newest'"):
        own.run("CREATE DATABASE template_newest")
        await (await open_database(own.directory, own.url("template_newest"))).dispose()
    name = f"t{uuid.uuid4().hex}"
    own.run(f"CREATE DATABASE {name} TEMPLATE template_newest")
    return own.url(name)


async def empty_database() -> str:
    """The address of a new database without any table."""
    name = f"t{uuid.uuid4().hex}"
    cluster().run(f"CREATE DATABASE {name}")
    return cluster().url(name)


def _start() -> Cluster:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing("PostgreSQL's server is not installed: apt-get install postgresql")
    programs = found[-1].parent
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    as_owner: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        as_owner = ("setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
    own = Cluster(directory, programs, as_owner)
    initdb = ("-D", str(directory / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    run_as((*as_owner, str(programs / "initdb"), *initdb))
    own.start()
    return own
