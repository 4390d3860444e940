"""From a pasted address to one store: by the text, or by asking the candidates."""

from __future__ import annotations

import pytest

from agent.doctor.diagnosis import Diagnosis
from agent.server.operations.failures import InvalidError
from agent.server.operations.store_choice import choose_store, choose_store_by_asking, read_candidates
from agent.store_url import Store

ROOT = Store("https", "h.example", 443, "/")
SHOP = Store("https", "h.example", 443, "/shop/")


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("https://h.example/shop/admin123abcdef/index.php?controller=AdminLogin&token=x", SHOP),
        ("https://h.example/shop/api/", SHOP),
        ("https://H.example/", ROOT),
    ],
)
def test_a_text_that_can_mean_one_store_only(text: str, store: Store) -> None:
    assert choose_store(text) == store


def test_two_candidates_are_both_named_with_the_way_to_say_which() -> None:
    with pytest.raises(InvalidError) as caught:
        choose_store("https://h.example/shop/")
    assert "https://h.example/shop/api/ or https://h.example/api/" in str(caught.value)
    assert caught.value.field == "store_url"


def test_a_token_in_the_address_is_never_repeated() -> None:
    for text in ("https://h.example/shop/?x=CANARY", "ftp://CANARY@h.example/", "https://CANARY:pw@h.example/"):
        with pytest.raises(InvalidError) as caught:
            choose_store(text)
        assert "CANARY" not in str(caught.value)


def test_multistore_options_become_part_of_the_store() -> None:
    stores = read_candidates("https://h.example/shop/b2b/api/", virtual_uri="/b2b/", id_shop="2")
    assert stores == (Store("https", "h.example", 443, "/shop/", "b2b/", "2"),)


def test_a_wrong_shop_number_is_refused() -> None:
    with pytest.raises(InvalidError):
        read_candidates("https://h.example/api/", id_shop="two")


def diagnosis(verdict: str) -> Diagnosis:
    return Diagnosis(verdict, "", "", 0)


async def test_the_candidate_where_a_webservice_answers_is_taken() -> None:
    asked: list[Store] = []

    async def check(store: Store) -> Diagnosis:
        asked.append(store)
        return diagnosis("key_unknown" if store == ROOT else "wrong_folder")

    assert await choose_store_by_asking((SHOP, ROOT), check) == ROOT
    assert asked == [SHOP, ROOT]


async def test_nobody_is_asked_when_there_is_no_choice() -> None:
    async def check(store: Store) -> Diagnosis:
        raise AssertionError(store)

    assert await choose_store_by_asking((SHOP,), check) == SHOP


async def test_what_each_candidate_answered_is_told_when_none_is_a_webservice() -> None:
    async def check(store: Store) -> Diagnosis:
        return diagnosis("wrong_folder" if store == SHOP else "store_unreachable")

    with pytest.raises(InvalidError) as caught:
        await choose_store_by_asking((SHOP, ROOT), check)
    assert "https://h.example/shop/api/: wrong_folder, https://h.example/api/: store_unreachable" in str(caught.value)
