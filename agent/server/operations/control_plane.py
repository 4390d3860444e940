"""What every operation works with: the database, the vault, the live tables; one change at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Update, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.checkup.plan import CheckPlan
from agent.doctor.answer import ProbeAnswer
from agent.server.db.tables import AUDIT, SERVER_SETTINGS
from agent.server.keys import KeyRingSource
from agent.server.operations.audit_budget import AuditBudget
from agent.server.operations.live_tables import LiveTables
from agent.server.operations.login_throttle import LoginThrottle
from agent.server.operations.notice_message import SendNotice
from agent.server.operations.passwords import Passwords
from agent.server.operations.status import ServerReport
from agent.server.operations.test_places import TestPlaces
from agent.server.registry import Registry
from agent.server.routes import Route
from agent.server.traffic import Traffic
from agent.server.vault import Vault

_LOG = structlog.get_logger()

InternalExchange = Callable[[Route, bytes], Awaitable[ProbeAnswer]]
"""Sends one GET as the gateway would, for this route and the target after the slug (``/api/``)."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """How this server is reached and known. Addresses from the settings; None = not set there."""

    public_ssh_address: str | None
    public_gateway_url: str | None
    public_panel_url: str | None
    listening_gateway_url: str
    host_key_fingerprint: str
    known_hosts_line: Callable[[str], str]
    session_idle_s: float = 43_200.0
    session_lifetime_s: float = 604_800.0
    test_history_max: int = 100
    certificate_warning_days: int = 21
    can_mail: bool = False  # a mail server is set


@dataclass(frozen=True, slots=True)
class Change:
    """One running change: its transaction, who makes it, and the time (unix) that goes into the records."""

    connection: AsyncConnection
    actor: str
    now: float

    async def audit(self, action: str, subject: str, **detail: object) -> None:
        """Write the audit line of this change, in the same transaction. ``detail`` never holds a secret."""
        await self.connection.execute(
            insert(AUDIT).values(at=self.now, actor=self.actor, action=action, subject=subject[:200], detail=detail)
        )


class ControlPlane:
    """The database and what is derived from it.

    What a running server adds (``registry`` to ``traffic``) is None when none runs in this process: then nothing is
    online and nothing can be tested, but everything can be created and revoked. Probes of unsaved stores take turns by
    ``probing``; ``deliveries_due`` is set when notices, or the targets that they go to, have changed.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        vault: Vault,
        live: LiveTables,
        facts: ServerFacts,
        *,
        keys: KeyRingSource,
        data_dir: Path | None = None,
        registry: Registry | None = None,
        exchange: InternalExchange | None = None,
        report: Callable[[], ServerReport] | None = None,
        cloud_plan: Callable[[Route], CheckPlan] | None = None,
        traffic: Traffic | None = None,
        send_notice: SendNotice | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = engine
        self.vault = vault
        self.live = live
        self.facts = facts
        self.keys = keys
        self.data_dir = data_dir
        self.registry = registry
        self.exchange = exchange
        self.report = report
        self.cloud_plan = cloud_plan
        self.traffic = traffic
        self.send_notice = send_notice
        self.clock = clock
        self.listening_panel_url: str | None = None  # of the running server, once it listens for people
        self.probing = asyncio.Lock()
        self.deliveries_due = asyncio.Event()
        self.deliveries: Counter[str] = Counter(delivered=0, failed=0, given_up=0)  # since the start
        self.testing = TestPlaces()
        self.passwords = Passwords()
        self.throttle = LoginThrottle(time.monotonic)
        self.refusals = AuditBudget(time.monotonic)
        self._one_at_a_time = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def change(self, actor: str) -> AsyncIterator[Change]:
        """One transaction; when it is committed, the live tables follow before anybody is told of success.

        Changes wait for each other, so that an older state never overwrites a newer one in the live tables.
        """
        async with self._one_at_a_time:
            async with self.engine.begin() as connection:
                yield Change(connection, actor, self.clock())
            await self.live.refresh(self.engine, self.vault)

    @contextlib.asynccontextmanager
    async def note(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for what the live tables do not depend on, such as when an agent was last heard of."""
        async with self._one_at_a_time, self.engine.begin() as connection:
            yield connection

    async def note_use(self, statement: Update) -> None:
        """Write down that something was used. A database that cannot take it, its disk full, stops nobody who reads."""
        try:
            async with self.note() as connection:
                await connection.execute(statement)
        except SQLAlchemyError as error:
            _LOG.warning("use.not_noted", table=statement.table.description, error=type(error).__name__)

    @contextlib.asynccontextmanager
    async def note_change(self, actor: str) -> AsyncIterator[Change]:
        """A change with an audit line that the live tables do not depend on: people and their sessions."""
        async with self.note() as connection:
            yield Change(connection, actor, self.clock())

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading."""
        async with self.engine.connect() as connection:
            yield connection

    async def remembered(self, name: str) -> str | None:
        """What was asked for once and kept, such as ``public_ssh_address``."""
        async with self.read() as connection:
            query = select(SERVER_SETTINGS.c.value).where(SERVER_SETTINGS.c.name == name)
            return (await connection.execute(query)).scalar_one_or_none()

    async def remember(self, change: Change, name: str, value: str) -> None:
        """Keep an answer for next time."""
        await change.connection.execute(SERVER_SETTINGS.delete().where(SERVER_SETTINGS.c.name == name))
        await change.connection.execute(insert(SERVER_SETTINGS).values(name=name, value=value))
        await change.audit("settings.remembered", name, value=value)

    @property
    def panel_url(self) -> str | None:
        """The address of the panel, without trailing slash: as set, or as listening; None when neither is known."""
        return self.facts.public_panel_url or self.listening_panel_url

    async def gateway_url(self) -> str:
        """The address that integrations use, without trailing slash: as set, as given once, or as listening."""
        facts = self.facts
        return facts.public_gateway_url or await self.remembered("public_gateway_url") or facts.listening_gateway_url
