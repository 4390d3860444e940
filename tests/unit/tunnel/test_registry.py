"""The registry: takeover, places, eligibility, events."""

from __future__ import annotations

import pytest

from agent.policy import Rule
from agent.server.agent_record import AgentRecord
from agent.server.registry import Change, Registry, RegistryEvent
from agent.server.tunnel import Tunnel
from agent.store_url import Store
from agent.streams import ByteSession
from agent.tunnel.messages import Goodbye, Grant, Hello

SHOP = Store("http", "shop.test", 80, "/")
OTHER = Store("http", "shop.test", 80, "/other/")
RECORD = AgentRecord("a", "name")


class Link:
    """The connection under a tunnel: notes what it is told, and what the registry looked like then."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.ends: list[tuple[int, str, Goodbye]] = []
        self.drains: list[tuple[str, float | None]] = []
        self.eligible_at_end: list[Tunnel] = []

    async def open_channel(self, session: ByteSession) -> None:
        raise NotImplementedError

    def disconnect(self, code: int, reason: str, goodbye: Goodbye = Goodbye.OTHER) -> None:
        self.ends.append((code, reason, goodbye))
        self.eligible_at_end = self.registry.eligible("a", SHOP)

    def drain(self, reason: str, retry_after_s: float | None) -> None:
        self.drains.append((reason, retry_after_s))


class Pool:
    """What a pool factory makes."""

    closed, retired, idle_count, busy_count = 0, "", 2, 1

    def retire(self, *, is_draining: bool) -> None:
        self.retired = "drains" if is_draining else "leaves"

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def registry() -> Registry:
    return Registry(lambda _tunnel: Pool(), clock=lambda: 5000.0)


def make(registry: Registry, instance: str = "i1", index: int = 0, stores: tuple[Store, ...] = (SHOP,)) -> Tunnel:
    hello = Hello(
        version="1",
        instance_id=instance,
        tunnel_index=index,
        nonce="ab" * 16,
        stores=[Grant.from_rule(Rule(store)) for store in stores],
    )
    return Tunnel.from_hello(RECORD, hello, Link(registry), "192.0.2.1:5", 4000.0)


def link_of(tunnel: Tunnel) -> Link:
    assert isinstance(tunnel.link, Link)
    return tunnel.link


def test_a_tunnel_is_chosen_for_what_its_hello_names(registry: Registry) -> None:
    tunnel = make(registry)
    registry.add(tunnel)
    assert registry.eligible("a", SHOP) == [tunnel]
    assert registry.eligible("a", OTHER) == []
    assert registry.eligible("b", SHOP) == []
    assert tunnel.nonce == b"ab" * 16


def test_the_least_loaded_comes_first(registry: Registry) -> None:
    first, second = make(registry, index=0), make(registry, index=1)
    registry.add(first)
    registry.add(second)
    first.in_flight = 2
    assert registry.eligible("a", SHOP) == [second, first]


def test_a_draining_tunnel_is_not_chosen(registry: Registry) -> None:
    tunnel = make(registry)
    registry.add(tunnel)
    registry.set_draining(tunnel, "restart")
    assert (registry.eligible("a", SHOP), tunnel.channels.retired) == ([], "drains")
    assert registry.tunnels("a") == (tunnel,)


def test_one_that_leaves_soon_is_chosen_only_where_no_other_can_serve(registry: Registry) -> None:
    leaving, other = make(registry, "i1"), make(registry, "i2")
    registry.add(leaving)
    registry.add(other)
    other.in_flight = 7
    registry.set_leaving(leaving, "restart")
    assert (registry.eligible("a", SHOP), leaving.channels.retired) == ([other], "leaves")
    registry.set_draining(other, "restart")
    assert registry.eligible("a", SHOP) == [leaving]
    registry.set_draining(leaving, "restart")
    assert registry.eligible("a", SHOP) == []


def test_one_that_leaves_soon_holds_no_place_and_is_expected_back(registry: Registry) -> None:
    tunnel = make(registry, "i1")
    registry.add(tunnel)
    assert registry.holders(RECORD, "i2")
    registry.set_leaving(tunnel, "restart")
    assert not registry.holders(RECORD, "i2")
    registry.remove(tunnel, "killed")
    seen = registry.last_seen("a")
    assert seen is not None
    assert seen.drained


def test_takeover_lets_go_before_it_tells_the_old_one(registry: Registry) -> None:
    old, new = make(registry), make(registry)
    registry.add(old)
    pool = old.channels
    registry.add(new)
    assert registry.eligible("a", SHOP) == [new]
    assert link_of(old).ends == [(12, "replaced", Goodbye.REPLACED)]
    assert link_of(old).eligible_at_end == []
    assert pool.closed == 1
    assert old.channels is None


def test_another_index_or_instance_takes_nothing_over(registry: Registry) -> None:
    tunnels = [make(registry), make(registry, index=1), make(registry, instance="i2")]
    for tunnel in tunnels:
        registry.add(tunnel)
    assert registry.tunnels("a") == tuple(tunnels)
    assert not any(link_of(tunnel).ends for tunnel in tunnels)


def test_places(registry: Registry) -> None:
    registry.add(make(registry, "i1", 0))
    registry.add(make(registry, "i1", 1))
    one, two = AgentRecord("a", "n", 1), AgentRecord("a", "n", 2)
    assert [tunnel.instance_id for tunnel in registry.holders(one, "i2")] == ["i1"]
    assert registry.holders(one, "i1") == ()
    assert registry.holders(two, "i2") == ()
    registry.add(make(registry, "i2", 0))
    assert len(registry.holders(two, "i3")) == 2


def test_an_instance_that_drains_holds_no_place(registry: Registry) -> None:
    first, second = make(registry, "i1", 0), make(registry, "i1", 1)
    registry.add(first)
    registry.add(second)
    registry.set_draining(first, "stop")
    assert registry.holders(RECORD, "i2")
    registry.set_draining(second, "stop")
    assert not registry.holders(RECORD, "i2")


def test_events_in_order(registry: Registry) -> None:
    events: list[RegistryEvent] = []
    unsubscribe = registry.subscribe(events.append)
    tunnel = make(registry)
    registry.add(tunnel)
    registry.set_draining(tunnel, "stop")
    registry.set_draining(tunnel, "stop")
    registry.remove(tunnel, "gone")
    registry.remove(tunnel, "gone")
    unsubscribe()
    registry.add(make(registry))
    assert [(event.change, event.reason) for event in events] == [
        (Change.READY, ""),
        (Change.DRAINING, "stop"),
        (Change.REMOVED, "gone"),
    ]


def test_a_failing_subscriber_disturbs_nobody(registry: Registry) -> None:
    events: list[RegistryEvent] = []

    def fails(event: RegistryEvent) -> None:
        raise ValueError

    registry.subscribe(fails)
    registry.subscribe(events.append)
    registry.add(make(registry))
    assert len(events) == 1


def test_what_is_known_of_an_agent(registry: Registry) -> None:
    assert not registry.knows("a")
    assert registry.last_seen("a") is None
    tunnel = make(registry)
    registry.add(tunnel)
    seen = registry.last_seen("a")
    assert registry.knows("a")
    assert seen is not None
    assert (seen.at, seen.drained) == (5000.0, False)
    registry.set_draining(tunnel, "stop")
    registry.remove(tunnel, "bye")
    seen = registry.last_seen("a")
    assert registry.knows("a")
    assert seen is not None
    assert (seen.drained, seen.reason) == (True, "bye")


def test_revocation_reaches_every_connection(registry: Registry) -> None:
    tunnel, greeting = make(registry), Link(registry)
    registry.attach("a", link_of(tunnel))
    registry.attach("a", greeting)
    registry.add(tunnel)
    registry.evict_agent("a", "revoked")
    assert registry.tunnels("a") == ()
    assert link_of(tunnel).ends == [(14, "revoked", Goodbye.REVOKED)]
    assert len(greeting.ends) == 1
    registry.detach("a", greeting)
    registry.detach("a", link_of(tunnel))
    registry.evict_agent("a")
    assert len(greeting.ends) == 1


def test_leaving_tells_everybody_when_to_come_back(registry: Registry) -> None:
    tunnels = [make(registry), make(registry, index=1)]
    for tunnel in tunnels:
        registry.add(tunnel)
    registry.drain_all("restart", 3.0)
    assert [link_of(tunnel).drains for tunnel in tunnels] == [[("restart", 3.0)]] * 2
    assert registry.eligible("a", SHOP) == []


def test_a_plain_tunnel_serves_its_one_store(registry: Registry) -> None:
    record = AgentRecord("p", "plain", plain_store=SHOP)
    tunnel = Tunnel.from_plain(record, Link(registry), "192.0.2.1:5", "OpenSSH", 1.0)
    registry.add(tunnel)
    assert registry.eligible("p", SHOP) == [tunnel]
    assert registry.eligible("p", OTHER) == []
    assert tunnel.plain
    with pytest.raises(ValueError, match="plain_store"):
        Tunnel.from_plain(RECORD, Link(registry), "", "", 1.0)


def test_new_rules_change_what_it_serves(registry: Registry) -> None:
    tunnel = make(registry)
    registry.add(tunnel)
    tunnel.set_rules((Rule(OTHER),))
    registry.rules_changed(tunnel)
    assert registry.eligible("a", SHOP) == []
    assert registry.eligible("a", OTHER) == [tunnel]
    assert tunnel.rule_for(OTHER) == Rule(OTHER)
    assert tunnel.rule_for(SHOP) is None


def test_a_snapshot_shows_hostile_text_escaped(registry: Registry) -> None:
    tunnel = make(registry)
    tunnel.host, tunnel.version, tunnel.round_trip_s = "h\x1b[2J\n", "v" * 255, 0.012
    registry.add(tunnel)
    (shown,) = registry.snapshot()
    assert shown.host == "h\\x1b[2J\\n"
    assert len(shown.version) < 210
    assert shown.stores == ("http://shop.test/",)
    assert (shown.channels_idle, shown.channels_busy, shown.round_trip_s) == (2, 1, 0.012)


def test_a_store_that_only_a_gone_instance_served_is_remembered_until_it_or_another_says_otherwise(
    registry: Registry,
) -> None:
    here, gone = make(registry, "i1"), make(registry, "i2")
    here.set_rules(())
    registry.add(here)
    registry.add(gone)
    assert registry.last_served("a", SHOP) is None
    registry.set_leaving(gone, "restart")
    registry.remove(gone, "bye")
    seen = registry.last_served("a", SHOP)
    assert seen is not None
    assert (seen.at, seen.drained) == (5000.0, True)
    another = make(registry, "i3")
    another.set_rules(())
    registry.add(another)
    assert registry.last_served("a", SHOP) is not None, "that one never served it"
    returned = make(registry, "i2")
    returned.set_rules(())
    registry.add(returned)
    assert registry.last_served("a", SHOP) is None, "its settings open it no more"


def test_a_store_that_is_still_served_is_not_remembered_as_gone(registry: Registry) -> None:
    first, second = make(registry, "i1"), make(registry, "i2")
    registry.add(first)
    registry.add(second)
    registry.remove(second, "killed")
    assert registry.last_served("a", SHOP) is None
    registry.remove(first, "killed")
    assert registry.last_served("a", SHOP) is not None
    registry.evict_agent("a")
    assert registry.last_served("a", SHOP) is None
