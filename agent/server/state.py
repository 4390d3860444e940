"""What is on disk, opened: database, key ring, host key, and the live tables read from them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from agent.checkup.plan import CheckPlan
from agent.server.db.claim import DatabaseClaim, claimed_database
from agent.server.db.database import failures_told, make_newest
from agent.server.db.migrate import schema_of
from agent.server.db.tables import CONNECTIONS
from agent.server.db.watch_tables import NOTICE_TARGETS
from agent.server.keys import HostKey, KeyRingSource, load_host_key, load_key_ring, read_credential
from agent.server.operations.control_plane import ControlPlane, InternalExchange, ServerFacts
from agent.server.operations.live_tables import LiveTables
from agent.server.operations.notice_message import SendNotice
from agent.server.operations.status import ServerReport
from agent.server.registry import Registry
from agent.server.routes import Route, RoutingTable
from agent.server.settings import ServerSettings
from agent.server.traffic import Traffic
from agent.server.vault import Vault

DATABASE_CREDENTIAL: Final = "database-url"


@dataclass(frozen=True, slots=True)
class ServerState:
    """The opened state; whoever opens it holds the data directory's lock."""

    settings: ServerSettings
    engine: AsyncEngine
    vault: Vault
    host_key: HostKey
    live: LiveTables
    claim: DatabaseClaim
    keys: KeyRingSource

    def control_plane(
        self,
        listening_gateway_url: str,
        *,
        registry: Registry | None = None,
        exchange: InternalExchange | None = None,
        report: Callable[[], ServerReport] | None = None,
        cloud_plan: Callable[[Route], CheckPlan] | None = None,
        traffic: Traffic | None = None,
        send_notice: SendNotice | None = None,
    ) -> ControlPlane:
        """Operations over this state."""
        facts = ServerFacts(
            public_ssh_address=self.settings.public_ssh_address,
            public_gateway_url=self.settings.public_gateway_url,
            public_panel_url=self.settings.public_panel_url,
            listening_gateway_url=listening_gateway_url,
            host_key_fingerprint=self.host_key.fingerprint,
            known_hosts_line=self.host_key.known_hosts_line,
            session_idle_s=self.settings.panel.session_idle_timeout_s,
            session_lifetime_s=self.settings.panel.session_lifetime_s,
            test_history_max=self.settings.watch.history_max,
            certificate_warning_days=self.settings.watch.certificate_warning_days,
            can_mail=self.settings.smtp.host is not None,
        )
        return ControlPlane(
            self.engine,
            self.vault,
            self.live,
            facts,
            keys=self.keys,
            data_dir=self.settings.data_dir,
            registry=registry,
            exchange=exchange,
            report=report,
            cloud_plan=cloud_plan,
            traffic=traffic,
            send_notice=send_notice,
        )


@contextlib.asynccontextmanager
async def opened_state(
    settings: ServerSettings, environ: Mapping[str, str], *, even_older: bool = False
) -> AsyncIterator[ServerState]:
    """Open what is in the data directory, making what is missing on the first start.

    ``even_older``: an older schema is left as it is, for a back-up before it is changed; the live tables are empty
    then. Raises StartError or SettingsError, one sentence.
    """
    host_key = load_host_key(settings.data_dir)
    async with claimed_database(settings.data_dir, database_address(settings, environ)) as claim:
        engine = claim.engine
        is_left = even_older and await _holds_older(engine)
        if not is_left:
            await make_newest(engine)
        async with engine.connect() as connection:
            there = await connection.run_sync(lambda opened: inspect(opened).get_table_names())
            sealing = [table for table in (CONNECTIONS, NOTICE_TARGETS) if table.name in there]
            counts = [select(func.count()).select_from(table) for table in sealing]
            sealed = [(await connection.execute(count)).scalar_one() for count in counts]
        keys = load_key_ring(settings.data_dir, environ, may_create=not any(sealed))
        vault = Vault(keys.ring)
        live = LiveTables(RoutingTable())
        if not is_left:
            await live.refresh(engine, vault)
        yield ServerState(settings, engine, vault, host_key, live, claim, keys)


async def _holds_older(engine: AsyncEngine) -> bool:
    with failures_told(engine):
        schema = await schema_of(engine)
    return schema.present is not None and not schema.is_newest


def database_address(settings: ServerSettings, environ: Mapping[str, str]) -> str | None:
    """The address of PostgreSQL: of the settings, or the systemd credential; None = SQLite. Raises SettingsError."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return read_credential(environ, DATABASE_CREDENTIAL)
