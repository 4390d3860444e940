"""From one store's settings to what is opened."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from agent.errors import SettingsError
from agent.opening import Opening, _longest_grant, read_openings
from agent.settings import StoreSettings, TimeoutSettings
from agent.store_url import Store
from agent.tunnel.messages import LINE_MAX_BYTES, STORES_MAX, Grant, Hello, hello_size_bytes

TIMEOUTS = TimeoutSettings(store_connect_s=1, store_tls_s=2)


def opening(**settings: Any) -> Opening:
    return Opening.of(StoreSettings.model_validate({"url": "https://shop.example.com/api/", **settings}))


def test_the_rule_is_read_only_and_of_every_resource_by_default() -> None:
    rule = opening().rule()
    assert rule.store == Store("https", "shop.example.com", 443, "/")
    assert rule.methods == {"GET", "HEAD"}
    assert rule.resources is None


def test_the_rule_takes_methods_and_resources() -> None:
    rule = opening(methods=["PUT"], resources=["products"]).rule()
    assert rule.methods == {"PUT"}
    assert rule.resources == frozenset({"products"})
    assert opening(resources=[]).rule().resources == frozenset()


def test_the_shop_may_be_reached_elsewhere_under_its_own_name() -> None:
    found = opening(connect="10.0.0.5:8443", shop_host="www.example.com", server_name="inner.example.com")
    dialer = found.dialer(found.store, TIMEOUTS)
    assert (dialer.host, dialer.port, dialer.server_name) == ("10.0.0.5", 8443, "inner.example.com")
    assert (dialer.connect_timeout_s, dialer.tls_timeout_s) == (1, 2)
    assert found.target(TIMEOUTS).host == b"www.example.com"


def test_a_connect_address_without_port_keeps_the_port_and_the_certificate_keeps_the_name() -> None:
    found = opening(url="https://shop.example.com:8443/api/", connect="[2001:db8::5]")
    dialer = found.dialer(found.store, TIMEOUTS)
    assert (dialer.host, dialer.port, dialer.server_name) == ("2001:db8::5", 8443, "shop.example.com")
    assert found.target(TIMEOUTS).host == b"shop.example.com:8443"


def test_verification_is_on_unless_switched_off_with_a_warning() -> None:
    checked, unchecked = opening(), opening(verify=False)
    context = checked.dialer(checked.store, TIMEOUTS).tls
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert checked.warnings() == []
    context = unchecked.dialer(unchecked.store, TIMEOUTS).tls
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE
    (warning,) = unchecked.warnings()
    assert "https://shop.example.com/" in warning
    assert "not checked" in warning


def test_tls_settings_of_a_store_without_tls_are_pointed_out() -> None:
    url = "http://shop.example.com/api/"
    assert opening(url=url).warnings() == []
    assert len(opening(url=url, verify=False, server_name="x").warnings()) == 2


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(SettingsError, match=name):
            opening(ca_file=str(tmp_path / name)).target(TIMEOUTS)


def test_virtual_folder_and_shop_number_are_put_into_the_store() -> None:
    for url in ("https://shop.example.com/base/api/", "https://shop.example.com/base/virtual/api/"):
        found = opening(url=url, virtual_uri="/virtual", id_shop=2)
        assert found.store == Store("https", "shop.example.com", 443, "/base/", "virtual/", "2")
        assert found.certain


def test_an_address_that_can_be_read_in_several_ways_keeps_the_likeliest_first() -> None:
    found = opening(url="https://shop.example.com/shop/")
    assert [store.base_path for store in found.candidates] == ["/shop/", "/"]
    assert not found.certain
    assert found.decided(found.candidates[1]).store.base_path == "/"


def test_fields_and_connections_reach_the_target() -> None:
    target = opening(forward_fields=["X-Module-Token"]).target(TIMEOUTS)
    assert target.extra_fields == {b"x-module-token"}


def test_one_store_in_two_tables_is_refused() -> None:
    stores = [StoreSettings(url="https://shop.example.com/api/"), StoreSettings(url="https://SHOP.example.com:443/api")]
    with pytest.raises(SettingsError, match=r"stores\[0\] and stores\[1\] both open https://shop.example.com/"):
        read_openings(stores)
    assert len(read_openings([stores[0], StoreSettings(url="http://shop.example.com/api/")])) == 2


def many(count: int, **settings: Any) -> list[StoreSettings]:
    return [
        StoreSettings.model_validate({"url": f"https://shop-{index}.example.com/api/", **settings})
        for index in range(count)
    ]


def test_more_stores_than_one_message_can_name_are_refused() -> None:
    assert len(read_openings(many(STORES_MAX))) == STORES_MAX
    with pytest.raises(SettingsError, match="open 513 stores, and one agent can serve 512 at most"):
        read_openings(many(STORES_MAX + 1))


def test_a_hello_that_is_too_long_is_refused_before_it_is_sent() -> None:
    resources = [f"{'r' * 50}_{index}" for index in range(250)]
    few, more = many(4, resources=resources), many(6, resources=resources)
    with pytest.raises(SettingsError, match=r"The 6 stores .* message of \d+ bytes .* over the limit of 65536"):
        read_openings(more)
    openings = read_openings(few)
    # What is accepted fits, whatever the agent then says of itself.
    grants = [Grant.from_rule(opening.rule()) for opening in openings]
    hello = Hello(version="9" * 64, instance_id="i" * 64, tunnel_index=7, host="h" * 255, nonce="0" * 64, stores=grants)
    assert len(hello.encode()) == hello_size_bytes(grants) <= LINE_MAX_BYTES


def test_the_longest_reading_of_an_address_counts() -> None:
    unclear = f"https://shop.example.com/{'a' * 600}/"
    (found,) = read_openings([StoreSettings.model_validate({"url": unclear})])
    lengths = [len(str(store)) for store in found.candidates]
    assert max(lengths) > min(lengths)
    assert len(_longest_grant(0, found).base_path) > 600


@pytest.mark.parametrize(
    "settings",
    [{"url": f"https://shop.example.com/{'a' * 1100}/api/"}, {"resources": [f"r{index}" for index in range(257)]}],
)
def test_what_a_grant_cannot_hold_is_a_settings_error(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"stores\[0\] in the settings opens .* too long to tell the server"):
        read_openings(many(1, **settings))


def test_stores_that_trust_the_same_share_a_tls_context_and_a_reload_reads_it_anew() -> None:
    """A context of the system's CAs takes 22 ms and 0.8 MB: 512 stores would stop the event loop for 20 s."""
    urls = ("https://one.example.com/api/", "https://two.example.com/api/", "http://three.example.com/api/")
    stores = [StoreSettings.model_validate({"url": url}) for url in urls]
    stores.append(StoreSettings.model_validate({"url": "https://four.example.com/api/", "verify": False}))
    openings = read_openings(stores)
    one, two, plain, unverified = (each.dialer(each.store, TIMEOUTS).tls for each in openings)
    assert (
        one
        is two
        is openings[0].check_plan(TIMEOUTS).tls
        is openings[1].decided(openings[1].store).check_plan(TIMEOUTS).tls
    )
    assert plain is None
    assert unverified is not None
    assert unverified is not one
    assert unverified.verify_mode is ssl.CERT_NONE
    again = read_openings(stores)[0]
    assert again.dialer(again.store, TIMEOUTS).tls is not one
