"""Access tokens of agents: minting, replacing with an overlap, and the end of the old one."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

import structlog
from sqlalchemy import RowMapping, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from agent.errors import TokenError
from agent.server.db.tables import AGENT_SECRETS
from agent.server.operations.agents import find_agent, get_agent
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import AddressMissingError, ConflictError, InvalidError
from agent.server.operations.records import Agent
from agent.server.stock_ssh import stock_ssh_command
from agent.server.tokens import digest
from agent.tunnel.token import AccessToken, new_secret, split_server

GRACE_DEFAULT_S: Final = 86_400.0
GRACE_MAX_S: Final = 30 * 86_400.0
TOKENS_MAX: Final = 3
"""Access tokens of one agent that work at once: whoever rotates again and again would leave as many ways in."""

SWEEP_EVERY_S: Final = 2.0
"""A tunnel that logged in with a token that has ended is cut within so long."""

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewAgent:
    """An agent and what is shown once: the token, or for stock OpenSSH the secret and how to use it."""

    agent: Agent
    access_token: str = field(repr=False)
    secret: str = field(repr=False)
    ssh_address: str
    known_hosts_line: str

    @property
    def stock_ssh_command(self) -> str:
        """For an agent that is a stock OpenSSH client; "" for another."""
        store = self.agent.plain_store
        return stock_ssh_command(self.agent.id, str(store), self.ssh_address) if store is not None else ""

    @classmethod
    def of(cls, plane: ControlPlane, agent: Agent, token: str, secret: str, servers: tuple[str, ...]) -> Self:
        """With what the server knows of itself."""
        return cls(agent, token, secret, servers[0], plane.facts.known_hosts_line(servers[0]))


async def rotate_token(plane: ControlPlane, actor: str, reference: str, grace_period_s: float) -> NewAgent:
    """Mint a further token, which works at once; the older ones work for ``grace_period_s`` (0 to 30 days) more.

    0 ends them now, and cuts the tunnels that use them. Raises NotFoundError, InvalidError, ConflictError for a revoked
    agent and while ``TOKENS_MAX`` of its tokens work, AddressMissingError when no public SSH address is known.
    """
    if not 0 <= grace_period_s <= GRACE_MAX_S:
        raise InvalidError(f"The grace period must be 0 to {GRACE_MAX_S:.0f} seconds.", field="grace_period_s")
    servers = await public_servers(plane, None)
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        if row["revoked_at"] is not None:
            raise ConflictError(f'The agent "{row["name"]}" is revoked: register a new one.')
        if grace_period_s:
            await _check_room(change, row)
        token, secret = token_of(plane, servers, row["id"])
        ends_at = change.now + grace_period_s
        later = or_(AGENT_SECRETS.c.expires_at.is_(None), AGENT_SECRETS.c.expires_at > ends_at)
        await change.connection.execute(
            update(AGENT_SECRETS).where(AGENT_SECRETS.c.agent_id == row["id"], later).values(expires_at=ends_at)
        )
        await add_secret(change, row["id"], secret)
        await change.audit("agent.token_rotated", row["name"], agent_id=row["id"], grace_period_s=grace_period_s)
    if not grace_period_s:
        await sweep_secrets(plane)
    return NewAgent.of(plane, await get_agent(plane, row["id"]), token, secret, servers)


async def end_old_tokens(plane: ControlPlane, actor: str, reference: str) -> Agent:
    """End the tokens that were replaced, and cut the tunnels that use them. Raises NotFoundError."""
    async with plane.change(actor) as change:
        row = await find_agent(change.connection, reference)
        old = (AGENT_SECRETS.c.agent_id == row["id"]) & AGENT_SECRETS.c.expires_at.is_not(None)
        ended = await change.connection.execute(delete(AGENT_SECRETS).where(old))
        if ended.rowcount:
            await change.audit("agent.old_tokens_ended", row["name"], agent_id=row["id"], tokens=ended.rowcount)
    _cut(plane, row["id"])
    return await get_agent(plane, row["id"])


async def sweep_secrets(plane: ControlPlane) -> None:
    """Forget the secrets that have come to their end, and cut the tunnels that logged in with them."""
    ended = plane.live.agents_with_ended_secrets()
    if not ended:
        return
    async with plane.change("server") as change:
        over = (AGENT_SECRETS.c.expires_at <= change.now) & AGENT_SECRETS.c.agent_id.in_(ended)
        gone = (await change.connection.execute(select(AGENT_SECRETS.c.agent_id).where(over))).scalars().all()
        await change.connection.execute(delete(AGENT_SECRETS).where(over))
        for agent_id in dict.fromkeys(gone):
            row = await find_agent(change.connection, agent_id)
            await change.audit("agent.old_tokens_ended", row["name"], agent_id=agent_id, tokens=gone.count(agent_id))
    for agent_id in ended:
        _cut(plane, agent_id)


async def keep_sweeping(plane: ControlPlane) -> None:
    """Sweep again and again, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            await sweep_secrets(plane)
        except SQLAlchemyError as error:  # the next turn tries again; the secrets do not work meanwhile
            _LOG.warning("agent.secrets_not_swept", error=type(error).__name__)


def token_of(plane: ControlPlane, servers: tuple[str, ...], agent_id: str) -> tuple[str, str]:
    """A new access token, and the secret in it. Raises InvalidError for addresses that do not fit into one."""
    secret = new_secret()
    try:
        return AccessToken(servers, (plane.facts.host_key_fingerprint,), agent_id, secret).encode(), secret
    except TokenError as error:
        raise InvalidError(str(error), field="public_ssh_address") from None


async def add_secret(change: Change, agent_id: str, secret: str) -> None:
    """Keep what is needed to know the secret again."""
    await change.connection.execute(
        insert(AGENT_SECRETS).values(
            id=str(uuid.uuid4()), agent_id=agent_id, sha256=digest(secret), created_at=change.now
        )
    )


async def public_servers(plane: ControlPlane, given: str | None) -> tuple[str, ...]:
    """The addresses under which agents reach this server: as set, as given now, or as given once.

    Raises AddressMissingError when none is known, InvalidError for what is none.
    """
    text = plane.facts.public_ssh_address or given or await plane.remembered("public_ssh_address")
    if not text:
        raise AddressMissingError(
            "The address under which agents reach this server is not known: give it once with "
            "--public-ssh-address host:2222, or set public_ssh_address in the settings file.",
            field="public_ssh_address",
        )
    servers = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        for server in servers:
            split_server(server)
    except TokenError:
        raise InvalidError(
            f'The public SSH address "{text}" is not host:port, such as agents.example.com:2222.',
            field="public_ssh_address",
        ) from None
    return servers


async def _check_room(change: Change, row: RowMapping) -> None:
    works = AGENT_SECRETS.c.expires_at.is_(None) | (AGENT_SECRETS.c.expires_at > change.now)
    ends = select(AGENT_SECRETS.c.expires_at).where(AGENT_SECRETS.c.agent_id == row["id"], works)
    found = (await change.connection.execute(ends)).scalars().all()
    if len(found) >= TOKENS_MAX:
        first = min(end for end in found if end is not None)
        raise ConflictError(
            f'{len(found)} access tokens of the agent "{row["name"]}" work, and no more than {TOKENS_MAX} may at once: '
            "put the newest one into its token file and end the replaced ones (integration-server agents "
            f"end-old-tokens {row['id']}), wait until {datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M} UTC, when "
            "the next one ends, or replace all of them at once with a grace period of 0.",
            field="grace_period_s",
        )


def _cut(plane: ControlPlane, agent_id: str) -> None:
    if plane.registry is not None:
        kept = plane.live.living_secrets(agent_id)
        plane.registry.evict_agent(agent_id, "its access token was replaced", kept=kept)
