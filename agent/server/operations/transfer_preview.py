"""What an import would do, before it is done; no shop is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.server.operations.agent_changes import check_new_agent
from agent.server.operations.agents import list_agents
from agent.server.operations.connection_changes import check_may_leave_unverified, taken_slugs
from agent.server.operations.connection_wish import ConnectionWish, check_wish
from agent.server.operations.connections import list_connections
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import OperationError
from agent.server.operations.names import clean_name
from agent.server.operations.principal import Permission, Principal
from agent.server.operations.slugs import imported_slug
from agent.server.operations.store_choice import read_candidates
from agent.server.operations.transfer_keys import KeyWish, check_key, key_names


class Outcome(StrEnum):
    """What becomes of one record: it is made, stays as it is since its name is there, or cannot be made."""

    NEW = "new"
    STAYS = "stays"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """One record, ``number`` counted from 1 within its list; ``sentence`` says why, or what to know of it."""

    number: int
    name: str
    outcome: Outcome
    sentence: str = ""
    slug: str = ""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would become of a document."""

    agents: tuple[PlannedRecord, ...]
    connections: tuple[PlannedRecord, ...]
    client_keys: tuple[PlannedRecord, ...]

    def count(self, outcome: Outcome) -> int:
        """How many records have this outcome."""
        return sum(each.outcome is outcome for each in (*self.agents, *self.connections, *self.client_keys))


async def plan_import(
    plane: ControlPlane,
    asker: Principal,
    agents: Sequence[Mapping[str, Any]],
    connections: Sequence[tuple[str, ConnectionWish]],
    client_keys: Sequence[KeyWish],
) -> ImportPlan:
    """What ``import_all`` would do with the same now, as far as it is known without asking a shop. Raises as that."""
    if client_keys:
        asker.require(Permission.CLIENT_KEYS_MINT)
    planned = await _plan_agents(plane, agents)
    coming = {each.name for each in planned if each.outcome is Outcome.NEW}
    stores = await _plan_connections(plane, asker, connections, coming)
    return ImportPlan(planned, stores, await _plan_keys(plane, client_keys, stores))


async def _plan_agents(plane: ControlPlane, agents: Sequence[Mapping[str, Any]]) -> tuple[PlannedRecord, ...]:
    there = {agent.name for agent in (await list_agents(plane)).items if agent.revoked_at is None}
    seen: set[str] = set()
    found = []
    for number, agent in enumerate(agents, 1):
        name = agent["name"]
        try:
            name = clean_name(name)
            if name in there:
                planned = PlannedRecord(number, name, Outcome.STAYS, "An agent of this name exists.")
            elif name in seen:
                planned = PlannedRecord(number, name, Outcome.LEFT_OUT, "An agent before has the same name.")
            else:
                await check_new_agent(plane, **agent)
                planned = PlannedRecord(number, name, Outcome.NEW)
                seen.add(name)
        except OperationError as error:
            planned = PlannedRecord(number, name, Outcome.LEFT_OUT, str(error))
        found.append(planned)
    return tuple(found)


async def _plan_connections(
    plane: ControlPlane, asker: Principal, connections: Sequence[tuple[str, ConnectionWish]], coming: set[str]
) -> tuple[PlannedRecord, ...]:
    there = {each.name: each.slug for each in (await list_connections(plane)).items}
    async with plane.read() as connection:
        slugs = await taken_slugs(connection)
    seen: set[str] = set()
    found = []
    for number, (slug, wish) in enumerate(connections, 1):
        name = wish.name
        try:
            name = clean_name(name)
            if name in there:
                planned = PlannedRecord(
                    number, name, Outcome.STAYS, "A connection of this name exists.", slug=there[name]
                )
            elif name in seen:
                planned = PlannedRecord(number, name, Outcome.LEFT_OUT, "A connection before has the same name.")
            else:
                note = await _check_connection(plane, asker, wish, coming)
                kept = imported_slug(slug, name, slugs)
                slugs.add(kept)
                if slug and kept != slug:
                    note = f"Its address /{slug} is taken or cannot be: it gets another one. {note}".strip()
                planned = PlannedRecord(number, name, Outcome.NEW, note, slug=kept)
                seen.add(name)
        except OperationError as error:
            planned = PlannedRecord(number, name, Outcome.LEFT_OUT, str(error))
        found.append(planned)
    return tuple(found)


async def _plan_keys(
    plane: ControlPlane, wishes: Sequence[KeyWish], stores: Sequence[PlannedRecord]
) -> tuple[PlannedRecord, ...]:
    taken = await key_names(plane)
    there = {connection.name for connection in (await list_connections(plane)).items}
    there |= {each.name for each in stores if each.outcome is Outcome.NEW}
    seen: set[str] = set()
    found = []
    for number, wish in enumerate(wishes, 1):
        try:
            name = check_key(plane, wish, seen, there)
            outcome, sentence = Outcome.NEW, ""
            if name in taken:
                outcome, sentence = Outcome.STAYS, "A client key of this name exists."
            seen.add(name)
        except OperationError as error:
            name, outcome, sentence = wish.name, Outcome.LEFT_OUT, str(error)
        found.append(PlannedRecord(number, name, outcome, sentence))
    return tuple(found)


async def _check_connection(plane: ControlPlane, asker: Principal, wish: ConnectionWish, coming: set[str]) -> str:
    """What there is to know of it. Raises OperationError when it cannot be made."""
    check_may_leave_unverified(asker, wish)
    candidates = read_candidates(wish.store_url, virtual_uri=wish.virtual_uri, id_shop=wish.id_shop)
    await check_wish(plane, wish, candidates[0], coming)
    notes = []
    if len(candidates) > 1:
        notes.append("Its store URL can be read in several ways: the shop is asked when it is imported.")
    if not wish.verify_tls:
        notes.append("The certificate of its shop is not checked.")
    return " ".join(notes)
