"""Tests that a person asks for: of a saved connection, kept in its history, and of one that is not saved yet."""

from __future__ import annotations

from dataclasses import replace

from agent.server.operations.checks import ConnectionTest, OnStep, check_connection, check_route, need_server
from agent.server.operations.connection_changes import check_may_leave_unverified
from agent.server.operations.connection_watch import keep_test
from agent.server.operations.connection_wish import ConnectionWish, probe_wish
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.principal import Principal
from agent.server.operations.store_choice import read_candidates


async def check_by_person(plane: ControlPlane, connection_id: str, *, on_step: OnStep | None = None) -> ConnectionTest:
    """Test a saved connection now. Raises what ``check_connection`` raises."""
    test = await check_connection(plane, connection_id, on_step=on_step)
    await keep_test(plane, test, "person")
    return test


async def check_unsaved(
    plane: ControlPlane, asker: Principal, wish: ConnectionWish, api_key: str, *, on_step: OnStep | None = None
) -> ConnectionTest:
    """Test what is asked for, with this key; nothing is kept.

    Raises what creating it would raise, but for a name that is taken, and ConflictError when no server runs here.
    """
    need_server(plane)
    check_may_leave_unverified(asker, wish)
    candidates = read_candidates(wish.store_url, virtual_uri=wish.virtual_uri, id_shop=wish.id_shop)
    route = replace(await probe_wish(plane, wish, api_key, candidates), api_key=api_key)
    async with plane.testing.one(""):
        return ConnectionTest("", "", await check_route(plane, route, on_step=on_step))
