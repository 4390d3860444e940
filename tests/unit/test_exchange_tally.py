"""The numbers of exchanges: what is counted where, and that nobody else's words become a name of a series."""

from __future__ import annotations

from dataclasses import replace

from agent.exchange_log import in_turn
from agent.exchange_tally import EXCHANGES_KEPT, OTHER_METHOD, ExchangeTally
from agent.forward.context import ExchangeRecord
from agent.past import exchanges_of

SHOP = "https://shop.example.com/"
DONE = ExchangeRecord("id-1", SHOP, "GET", "/api/x?ws_key", 200, "", 0.02, 300, 5000)
DENIED = replace(DONE, request_id="id-2", method="PUT", status=403, error="policy_denied", elapsed_s=0.0)


def test_numbers_of_one_store() -> None:
    tally, seen = ExchangeTally(), list[ExchangeRecord]()
    take = in_turn(tally.take, seen.append)
    for record in (DONE, DONE, DENIED, replace(DONE, status=0, error="client_gone", elapsed_s=999.0)):
        take(record)
    assert len(seen) == 4
    shop = tally.stores[SHOP]
    assert shop.answers == {("GET", 2): 2, ("PUT", 4): 1, ("GET", 0): 1}
    assert shop.errors == {"policy_denied": 1, "client_gone": 1}
    assert (shop.ended, shop.failed) == (4, 2)
    assert (shop.durations[0], shop.durations[2], shop.durations[-1]) == (1, 2, 1)
    assert (shop.bytes_to_store, shop.bytes_from_store) == (1200, 20000)


def test_a_duration_on_a_bound_is_below_it() -> None:
    tally = ExchangeTally()
    tally.take(replace(DONE, elapsed_s=0.005))
    assert tally.stores[SHOP].durations[0] == 1


def test_methods_of_others_are_one() -> None:
    tally = ExchangeTally()
    for number in range(100):
        tally.take(replace(DENIED, store="", method=f"BREW{number}"))
    assert tally.stores[""].answers == {(OTHER_METHOD, 4): 100}


def test_the_last_ones_are_kept_and_the_youngest_comes_first() -> None:
    clock = iter(range(1000))
    tally = ExchangeTally(now=lambda: float(next(clock)))
    tally.take(DENIED)
    for number in range(EXCHANGES_KEPT + 5):
        tally.take(replace(DONE, request_id=str(number)))
    last, failed = exchanges_of(tally.last), exchanges_of(tally.last_failed)
    assert [each.request_id for each in last] == [str(number) for number in range(EXCHANGES_KEPT + 4, 4, -1)]
    assert [(each.request_id, each.at, each.error) for each in failed] == [("id-2", 0.0, "policy_denied")]
    assert last[0].target == "/api/x?ws_key"
    assert last[0].ms == 20.0
