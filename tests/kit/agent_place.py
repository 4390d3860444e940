"""The files of one prestashop-agent, and the command run on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.tunnel.token import AccessToken, new_secret
from tests.kit import fast_path

SERVER = "127.0.0.1:9"  # the discard port: nothing answers there
SECRET = new_secret()
TOKEN = AccessToken((SERVER,), ("SHA256:" + "A" * 43,), "lyon-1", SECRET).encode()


@dataclass
class Place:
    """The files of one agent in a directory of its own."""

    root: Path
    prefix: tuple[str, ...] = ()

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "agent.toml"

    @property
    def token(self) -> Path:
        """The token file."""
        return self.root / "token"

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.root / "state"

    def write(self, toml: str = "", token: str = TOKEN, mode: int = 0o600) -> None:
        """Write settings and token; ``toml`` follows the paths of the two."""
        paths = f'token_file = "{self.token}"\nstate_dir = "{self.state}"\n'
        self.config.write_text(paths + toml)
        self.token.write_text(token)
        self.token.chmod(mode)

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the command: nothing of the one that runs the tests but how to find programs."""
        inherited = fast_path.inherited()
        own = {"HOME": str(self.root), "PRESTASHOP_AGENT_RUNTIME_DIR": str(self.root / "run")}
        return {**inherited, **own, **(extra or {})}

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "agent.cli.main", *arguments],
            env=self.environ(environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def refused(self, code: int, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Run, expect the exit code and one sentence on stderr, and give it back."""
        ended = self.run(*arguments, "--config", str(self.config), environ=environ)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        lines = ended.stderr.splitlines()
        assert len(lines) == 1, ended.stderr
        assert lines[0].startswith("prestashop-agent: ")
        assert SECRET not in ended.stderr + ended.stdout
        assert TOKEN not in ended.stderr + ended.stdout
        return lines[0]
