"""What whoever has a token cannot get out of the registry: more instances than may be there, memory without bound."""

from __future__ import annotations

import pytest

from agent.server.agent_record import AgentRecord
from agent.server.registry import SERVED_MAX, Registry
from agent.store_url import Store
from tests.unit.tunnel.test_registry import SHOP, make


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_one_that_leaves_soon_is_not_chosen_beside_those_that_may_be_there(registry: Registry) -> None:
    """Else an instance could say for ever that it leaves, and serve beside the one that holds the place."""
    leaving = [make(registry, "i1", 0), make(registry, "i1", 1)]
    for tunnel in leaving:
        registry.add(tunnel)
        registry.set_leaving(tunnel, "restart")
    second = make(registry, "i2")
    registry.add(second)
    registry.take_place(AgentRecord("a", "n", 2), second)
    assert not any(tunnel.draining for tunnel in leaving), "there is room for both"
    registry.take_place(AgentRecord("a", "n", 1), second)
    registry.remove(second, "gone")
    assert registry.eligible("a", SHOP) == []


def test_only_as_many_that_leave_are_let_go_as_there_are_too_many(registry: Registry) -> None:
    tunnels = [make(registry, f"i{number}") for number in range(4)]
    for number, tunnel in enumerate(tunnels):
        registry.add(tunnel)
        if number < 3:
            registry.set_leaving(tunnel, "restart")
    registry.take_place(AgentRecord("a", "n", 2), tunnels[3])
    assert [tunnel.draining for tunnel in tunnels] == [True, True, False, False]


def test_what_is_remembered_of_one_agent_is_bounded(registry: Registry) -> None:
    """Whoever has a token can come as ever new instances with ever new stores."""
    names = [f"s{number}.test" for number in range(SERVED_MAX + 500)]
    for number in range(0, len(names), 500):
        stores = tuple(Store("http", name, 80, "/") for name in names[number : number + 500])
        tunnel = make(registry, f"i{number}", stores=stores)
        registry.add(tunnel)
        registry.remove(tunnel, "gone")
    known = [name for name in names if registry.last_served("a", Store("http", name, 80, "/"))]
    assert len(known) == SERVED_MAX
    assert set(known) >= set(names[1500:]), "the newest"
