"""What is on disk, opened: database, key ring, host key, and the live tables read from them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from agent.server.db.database import open_database
from agent.server.db.tables import CONNECTIONS
from agent.server.keys import HostKey, load_host_key, load_key_ring
from agent.server.operations.control_plane import ControlPlane, InternalExchange, ServerFacts
from agent.server.operations.live_tables import LiveTables
from agent.server.operations.status import ServerReport
from agent.server.registry import Registry
from agent.server.routes import RoutingTable
from agent.server.settings import ServerSettings
from agent.server.vault import Vault


@dataclass(frozen=True, slots=True)
class ServerState:
    """The opened state; whoever opens it holds the data directory's lock."""

    settings: ServerSettings
    engine: AsyncEngine
    vault: Vault
    host_key: HostKey
    live: LiveTables

    def control_plane(
        self,
        listening_gateway_url: str,
        *,
        registry: Registry | None = None,
        exchange: InternalExchange | None = None,
        report: Callable[[], ServerReport] | None = None,
    ) -> ControlPlane:
        """Operations over this state."""
        facts = ServerFacts(
            public_ssh_address=self.settings.public_ssh_address,
            public_gateway_url=self.settings.public_gateway_url,
            listening_gateway_url=listening_gateway_url,
            host_key_fingerprint=self.host_key.fingerprint,
            known_hosts_line=self.host_key.known_hosts_line,
        )
        return ControlPlane(
            self.engine, self.vault, self.live, facts, registry=registry, exchange=exchange, report=report
        )


@contextlib.asynccontextmanager
async def opened_state(settings: ServerSettings, environ: Mapping[str, str]) -> AsyncIterator[ServerState]:
    """Open what is in the data directory, making what is missing on the first start.

    Raises StartError or SettingsError, one sentence.
    """
    host_key = load_host_key(settings.data_dir)
    engine = await open_database(settings.data_dir)
    try:
        async with engine.connect() as connection:
            sealed = (await connection.execute(select(func.count()).select_from(CONNECTIONS))).scalar_one()
        vault = Vault(load_key_ring(settings.data_dir, environ, may_create=sealed == 0))
        live = LiveTables(RoutingTable())
        await live.refresh(engine, vault)
        yield ServerState(settings, engine, vault, host_key, live)
    finally:
        await engine.dispose()
