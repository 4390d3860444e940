"""OpenSSH's client in the place of an agent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.kit.cluster import AGENT_ID, LOOPBACK, Cluster
from tests.kit.tools import require_tool


@asynccontextmanager
async def stock_ssh(cluster: Cluster, store_port: int, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """OpenSSH's client with the agent's secret as its password, started."""
    ssh = require_tool("ssh", "openssh-client")
    askpass = folder / "askpass"
    askpass.write_text('#!/bin/sh\nprintf "%s\\n" "$AGENT_SECRET"\n')
    askpass.chmod(0o700)
    known_hosts = folder / "known_hosts"
    public_key = cluster.host_key.export_public_key().decode().strip()
    known_hosts.write_text(f"[{LOOPBACK}]:{cluster.ssh_port} {public_key}\n")
    options = {
        "UserKnownHostsFile": str(known_hosts),
        "StrictHostKeyChecking": "yes",
        "PreferredAuthentications": "password",
        "NumberOfPasswordPrompts": "1",
        "ExitOnForwardFailure": "yes",
    }
    arguments = [f"-o{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        ssh,
        "-F",
        "none",
        "-N",
        "-R",
        f"store:80:{LOOPBACK}:{store_port}",
        "-p",
        str(cluster.ssh_port),
        *arguments,
        f"{AGENT_ID}@{LOOPBACK}",
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SSH_ASKPASS": str(askpass),
            "SSH_ASKPASS_REQUIRE": "force",
            "AGENT_SECRET": cluster.secret,
        },
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
