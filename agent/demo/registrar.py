"""Registers agent, connection and client key by the server's own commands, as a person would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.demo import child
from agent.demo.failure import DemoError


class Registrar:
    """Runs ``integration-server`` commands on the demo's server and reads their JSON."""

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = dict(environ)

    async def create_agent(self, name: str, ssh_address: str) -> str:
        """Register an agent; its access token. Raises DemoError."""
        made = await self._run("agents", "create", name, "--public-ssh-address", ssh_address)
        return str(made["access_token"])

    async def create_connection(self, name: str, agent: str, store_url: str, api_key: str) -> str:
        """Register a connection; its slug. The API key goes through standard input. Raises DemoError."""
        options = ("--name", name, "--mode", "on-premise", "--agent", agent, "--store-url", store_url)
        made = await self._run("connections", "create", *options, "--api-key-file", "-", standard_input=api_key)
        return str(made["slug"])

    async def create_client_key(self, slug: str) -> str:
        """Mint a client key for one connection. Raises DemoError."""
        made = await self._run("client-keys", "create", "--connection", slug)
        return str(made["key"])

    async def _run(self, *arguments: str, standard_input: str = "") -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", child.__file__, str(os.getpid())),
            *(sys.executable, "-m", "agent.server.cli.main", "--config", str(self._config), *arguments, "--json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._config.parent,
            env=self._environ,
            start_new_session=True,
        )
        try:
            output, complaint = await process.communicate(standard_input.encode())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        command = f"integration-server {' '.join(arguments[:2])}"
        if process.returncode != 0:
            said = complaint.decode("utf-8", "replace").strip()
            raise DemoError(f"`{command}` ended with exit code {process.returncode}.", {command: said})
        try:
            made: dict[str, Any] = json.loads(output)
        except ValueError:
            raise DemoError(f"`{command} --json` did not print JSON.") from None
        return made
