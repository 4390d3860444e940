"""prestashop-agent stores: what is written, what is said, and what never happens to a file that is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.errors import EXIT_SETTINGS
from tests.kit.fresh_agent import FreshAgent

SHOP = "https://shop.example.com/"
OFFICE = "https://shop.example.com/admin123abcdef/index.php?controller=AdminLogin&token=t0psecret"
COMMENTED = (
    f"# ours\n\n[[stores]]\nurl = '{SHOP}api/'  # the shop\nmethods = ['GET', 'PUT']\nresources = ['products']\n"
)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> FreshAgent:
    return FreshAgent(tmp_path, monkeypatch, capsys)


def written(agent: FreshAgent) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(agent.config.read_text()).get("stores", [])
    return found


def test_an_address_from_the_browser_becomes_the_webservices_and_opens_reading(agent: FreshAgent) -> None:
    said = agent("stores", "add", OFFICE)
    assert (said.code, said.err) == (0, "")
    assert written(agent) == [{"url": f"{SHOP}api/", "methods": "read"}]
    for part in (
        f"{SHOP}: opened",
        "GET, HEAD of all resources",
        "POST, PUT, PATCH, DELETE",
        f"prestashop-agent stores add {SHOP} --write",
        "the parameters controller, token",
        "None is running",
    ):
        assert part in " ".join(said.out.split())
    assert "t0psecret" not in said.out + agent.config.read_text()
    assert "admin123abcdef" not in said.out + agent.config.read_text()


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (("--write",), {"methods": "write"}),
        (("--methods", "put,get"), {"methods": ["GET", "PUT"]}),
        (("--resource", "orders", "--resource", "products"), {"resources": ["orders", "products"]}),
        (("--connect", "10.0.0.5:8443", "--shop-host", "a.lan"), {"connect": "10.0.0.5:8443", "shop_host": "a.lan"}),
        (("--id-shop", "2"), {"id_shop": "2"}),
    ],
)  # fmt: skip
def test_what_is_said_of_a_store_is_written(
    agent: FreshAgent, options: tuple[str, ...], keys: dict[str, object]
) -> None:
    answer = agent("stores", "add", f"{SHOP}api/", *options, "--json").json
    assert (answer["changed"], answer["result"], answer["reload"]) == (True, "added", "not_running")
    assert written(agent) == [{"url": f"{SHOP}api/", "methods": "read", **keys}]
    before = agent.config.read_bytes()
    again = agent("stores", "add", f"{SHOP}api/", *options, "--json").json
    assert (again["changed"], again["result"], again["reload"]) == (False, "unchanged", "not_asked")
    assert agent.config.read_bytes() == before


def test_a_store_that_is_there_only_gets_more(agent: FreshAgent) -> None:
    agent.write(COMMENTED)
    said = agent("stores", "add", "shop.example.com:443", "--methods", "read", "--resource", "orders")
    assert written(agent) == [
        {"url": f"{SHOP}api/", "methods": ["GET", "HEAD", "PUT"], "resources": ["products", "orders"]}
    ]
    assert "PUT, products stays open; to open less" in " ".join(said.out.split())
    assert agent.config.read_text().startswith(f"# ours\n\n[[stores]]\nurl = '{SHOP}api/'  # the shop\n")


def test_every_way_of_writing_its_address_closes_a_store(agent: FreshAgent) -> None:
    for url in (OFFICE, "shop.example.com", f"{SHOP}api/products/1?ws_key=k3y", "HTTPS://Shop.Example.com:443"):
        agent.write(COMMENTED)
        said = agent("stores", "remove", url)
        assert (said.code, written(agent)) == (0, []), url
        assert f"{SHOP}: closed" in said.out
    assert agent.config.read_text() == "# ours\n\n"
    again = agent("stores", "remove", SHOP)
    assert (again.code, "No store of this address is open" in again.out) == (0, True)


def test_of_several_shops_the_one_that_is_meant_has_to_be_said(agent: FreshAgent) -> None:
    agent.write("".join(f"[[stores]]\nurl = '{SHOP}api/'\nid_shop = {number}\n" for number in (1, 2)))
    sentence = agent.refused(EXIT_SETTINGS, "stores", "remove", SHOP)
    assert f"{SHOP}?id_shop=1 or {SHOP}?id_shop=2" in sentence
    assert agent("stores", "remove", f"{SHOP}?id_shop=2").code == 0
    assert [store["id_shop"] for store in written(agent)] == [1]


def test_the_list_shows_what_is_open_and_how_to_open_more(agent: FreshAgent) -> None:
    agent.write(COMMENTED)
    said = agent("stores", "list")
    for part in (SHOP, "GET, PUT of products", "HEAD, POST, PATCH, DELETE", f"stores add {SHOP} --write"):
        assert part in said.out
    [store] = agent("stores", "list", "--json").json["stores"]
    assert (store["methods"], store["resources"]) == (["GET", "PUT"], ["products"])
    agent.write("")
    assert "prestashop-agent stores add URL" in agent("stores", "list").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ftp://shop.example.com/",), "begins with http:// or https://"),
        (("https://key@shop.example.com/",), "a user name or key before an @"),
        ((SHOP, "--methods", "TRACE"), "stores[0].methods"),
        ((SHOP, "--write", "--methods", "read"), "--write and --methods were both given"),
        ((SHOP, "--connect", "a b"), "stores[0].connect"),
        ((SHOP, "--ca-file", "/nowhere/ca.pem"), "The CA file /nowhere/ca.pem"),
    ],
)
def test_what_cannot_be_used_changes_nothing(agent: FreshAgent, arguments: tuple[str, ...], sentence: str) -> None:
    agent.write("# ours\n")
    assert sentence in agent.refused(EXIT_SETTINGS, "stores", "add", *arguments)
    assert agent.config.read_text() == "# ours\n"
    assert [each.name for each in agent.config.parent.iterdir()] == ["agent.toml"]


def test_settings_that_are_wrong_already_are_left_alone(agent: FreshAgent) -> None:
    agent.write("tunels = 2\n")
    outcome = agent("stores", "add", SHOP, "--json")
    assert (outcome.code, outcome.json["ok"]) == (EXIT_SETTINGS, False)
    assert '"tunels"' in outcome.json["error"]
    assert agent.config.read_text() == "tunels = 2\n"


def test_an_instance_has_a_file_of_its_own(agent: FreshAgent) -> None:
    assert agent("stores", "add", f"{SHOP}api/", "--instance", "second").code == 0
    assert (agent.root / "etc" / "second" / "agent.toml").exists()
    assert not agent.config.exists()
    for name in ("../up", "access", "", "a b"):
        assert "name of an instance" in agent.refused(EXIT_SETTINGS, "stores", "list", "--instance", name)
