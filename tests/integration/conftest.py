"""Fixtures for tests with processes and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from agent.server.ssh_config import SshConfig
from tests.kit.agent_place import Place
from tests.kit.cluster import Cluster
from tests.kit.raw_agent import Sink, raw_connection
from tests.kit.raw_client import RawClient
from tests.kit.scripted_store import ScriptedStore
from tests.kit.ssh_servers import TunnelServer, tunnel_server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The files of one agent: settings and a token that are good."""
    found = Place(tmp_path)
    found.write()
    return found


@pytest.fixture
def ssh_config() -> SshConfig:
    """How ``server`` behaves; a module of tests may have one of its own."""
    return SshConfig(bye_grace_s=0.5)


@pytest.fixture
async def server(ssh_config: SshConfig) -> AsyncIterator[TunnelServer]:
    """The SSH endpoint of the server, without a gateway."""
    async with tunnel_server(ssh_config) as running:
        yield running


@pytest.fixture
async def conn(server: TunnelServer) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Logged in, with the forward of store:80, without hello."""
    connection = await raw_connection(server.port, server.agents.add())
    await connection.create_server(lambda host, port: Sink(), "store", 80)
    yield connection
    connection.close()
    await connection.wait_closed()


@pytest.fixture
async def store() -> AsyncIterator[ScriptedStore]:
    """A store on loopback that does what its script says."""
    async with ScriptedStore() as running:
        yield running


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[RawClient]:
    """Connected to the gateway of ``cluster``, which each module of tests makes to its taste."""
    async with cluster.client() as connected:
        yield connected
