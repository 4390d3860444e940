"""Properties of store addresses that hold for every store and every text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SettingsError
from agent.policy import METHODS, Rule, judge
from agent.store_url import Store, make_store, parse_store, read_store_url

folder_names = st.text(st.sampled_from("abcXYZ019._~-"), min_size=1, max_size=6).filter(
    lambda name: name.strip(".") != "" and name != "api"
)
hosts = st.one_of(
    st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6, network="2001::/16").map(str),
)


@st.composite
def stores(draw: st.DrawFn) -> Store:
    folders = draw(st.lists(folder_names, max_size=3))
    virtual = draw(st.lists(folder_names, max_size=2))
    return make_store(
        draw(st.sampled_from(["http", "https"])),
        draw(hosts),
        draw(st.integers(1, 65535)),
        "".join(["/", *(name + "/" for name in folders)]),
        "".join(name + "/" for name in virtual),
        draw(st.sampled_from(["", "1", "27", "all"])),
    )


@settings(max_examples=400)
@given(stores())
def test_a_stored_address_is_read_back_exactly(store: Store) -> None:
    assert parse_store(str(store), store.virtual_uri) == store
    bare = str(store).partition("?")[0]
    assert parse_store(bare, store.virtual_uri, store.id_shop) == store


@settings(max_examples=400)
@given(stores())
def test_the_address_of_the_webservice_is_read_back(store: Store) -> None:
    """A virtual folder cannot be told from a real one; the requests are the same."""
    suffix = f"?id_shop={store.id_shop}" if store.id_shop else ""
    (found,) = read_store_url(store.webservice_url + suffix).candidates
    assert (found.origin, found.shop_path, found.id_shop) == (store.origin, store.shop_path, store.id_shop)
    assert parse_store(str(found)) == found


@settings(max_examples=400)
@given(st.text(max_size=40))
def test_any_text_gives_stores_or_a_sentence(text: str) -> None:
    try:
        reading = read_store_url("https://h/" + text)
    except SettingsError:
        return
    for store in reading.candidates:
        assert parse_store(str(store)) == store


@settings(max_examples=400)
@given(stores(), stores())
def test_a_store_takes_no_request_of_another(store: Store, other: Store) -> None:
    """Comparing prefixes is exact: what is open on one folder is not open on another."""
    target = other.shop_path.encode() + b"api/products"
    target += f"?id_shop={other.id_shop}".encode() if other.id_shop else b""
    same = (store.shop_path, store.id_shop) == (other.shop_path, other.id_shop)
    assert judge(Rule(store, frozenset(METHODS)), b"GET", target, None).allowed is same
