"""A whole installation of real processes with one connection, and the commands of the agent beside it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.agent_process import AgentProcess
from tests.kit.raw_client import RawClient, basic
from tests.kit.scripted_store import Script, ScriptedStore, StoreConnection, StoreRequest, always_ok, ok
from tests.kit.server_process import Outcome, ServerProcess, clean_environment

API_KEY = "APIKEY000APIKEY000APIKEY000APIKE"


class HeldStore:
    """A script that answers when told to; ``asked`` is set when a request has come."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def script(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        self.asked.set()
        await self.answer.wait()
        return ok(b"<late/>")


@dataclass
class Installation:
    """Server, agent and store, with one connection."""

    server: ServerProcess
    agent: AgentProcess
    token: str
    key: str

    async def request(self, client: RawClient, fields: bytes = b"") -> None:
        """Send one GET through the gateway."""
        await client.send(b"GET /shop/api/products HTTP/1.1\r\nHost: g\r\n" + basic(self.key) + fields + b"\r\n")

    async def agent_report(self) -> dict[str, Any]:
        """What the agent says of itself."""
        found: dict[str, Any] = (await agent_status(self.agent.config, "--json"))[1]
        return found

    async def server_report(self) -> dict[str, Any]:
        """What the server says of itself."""
        found: dict[str, Any] = await self.server.api("get", "status")
        return found


async def agent_command(
    *arguments: str, home: Path, prefix: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> Outcome:
    """Run one ``prestashop-agent`` command to its end."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *(sys.executable, "-m", "agent.cli.main", *arguments),
        env=clean_environment(home, **(environ or {})),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


async def agent_status(config: Path, *arguments: str) -> tuple[int, Any]:
    """Exit code, and the page or, with ``--json``, what it says."""
    found = await agent_command("--config", str(config), "status", *arguments, home=config.parent)
    assert found.err == "", found.err
    return found.code, found.json if "--json" in arguments else found.out


@asynccontextmanager
async def installation(directory: Path, script: Script = always_ok) -> AsyncIterator[Installation]:
    """Started, both tunnels up."""
    async with ServerProcess(directory / "data") as server, ScriptedStore(script) as store:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        url = f"http://127.0.0.1:{store.port}/api/"
        await server.api(
            "post", "connections", name="shop", mode="on-premise", agent="lyon", store_url=url, api_key=API_KEY
        )
        key = (await server.api("post", "client-keys", all_connections=True))["key"]
        token = made["access_token"]
        toml = f'[[stores]]\nurl = "{url}"\n'
        async with AgentProcess(directory / "agent", toml, token) as agent:
            await agent.event("tunnel.ready", 2)
            yield Installation(server, agent, token, key)
