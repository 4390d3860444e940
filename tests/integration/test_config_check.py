"""What prestashop-agent config check says of good settings."""

from __future__ import annotations

import asyncio
import json

from tests.kit.agent_place import SECRET, SERVER, Place
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

STORES = """
[[stores]]
url = "https://shop.example.com/api/"
resources = ["products", "orders"]
verify = false

[[stores]]
url = "http://10.0.0.5/admin123abcdef/index.php?controller=AdminLogin&token=t0psecret"
methods = "write"
connect = "127.0.0.1:8080"
"""


def test_config_check_shows_what_is_open(place: Place) -> None:
    place.write(STORES)
    ended = place.run("config", "check", "--config", str(place.config))
    assert (ended.returncode, ended.stderr) == (0, "")
    for part in (
        str(place.config),
        f"{place.token}: agent lyon-1, server {SERVER}",
        "https://shop.example.com/api/",
        "GET, HEAD of products, orders",
        "is not checked",
        "http://10.0.0.5/api/",
        "GET, HEAD, POST, PUT, PATCH, DELETE of all resources",
        "127.0.0.1:8080",
        "2 stores are open",
    ):
        assert part in ended.stdout
    assert "t0psecret" not in ended.stdout
    assert SECRET not in ended.stdout


def test_config_check_as_json(place: Place) -> None:
    place.write(STORES)
    ended = place.run("--config", str(place.config), "config", "check", "--json")
    report = json.loads(ended.stdout)
    assert report["ok"] is True
    assert report["agent_id"] == "lyon-1"
    assert [store["webservice"] for store in report["stores"]] == [
        "https://shop.example.com/api/",
        "http://10.0.0.5/api/",
    ]
    assert report["stores"][0]["resources"] == ["products", "orders"]
    assert len(report["stores"][0]["warnings"]) == 1
    assert "t0psecret" not in ended.stdout
    assert SECRET not in ended.stdout

    place.write("tunels = 1")
    ended = place.run("--config", str(place.config), "config", "check", "--json")
    assert ended.returncode == 78
    report = json.loads(ended.stdout)
    assert report["ok"] is False
    assert '"tunels"' in report["error"]


def test_config_check_without_a_store_says_that_nothing_is_open(place: Place) -> None:
    ended = place.run("config", "check", "--config", str(place.config))
    assert ended.returncode == 0
    assert "No store is open" in ended.stdout


async def under_shop(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    """A webservice below /shop/ alone."""
    status = (
        b"401 Unauthorized\r\nPSWS-Version: 0" if request.raw_head.startswith(b"GET /shop/api/ ") else b"404 Not Found"
    )
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"


async def test_config_check_asks_the_store_where_the_address_does_not_decide(place: Place) -> None:
    async with ScriptedStore(under_shop) as store:
        url = f"http://127.0.0.1:{store.port}"
        place.write(f'[[stores]]\nurl = "{url}/shop/"\n')
        arguments = ("config", "check", "--json", "--config", str(place.config))
        ended = await asyncio.to_thread(place.run, *arguments)
        report = json.loads(ended.stdout)["stores"][0]
        assert report["certain"] is True
        assert report["webservice"] == f"{url}/shop/api/"
        assert [(each["webservice"], each["probe"]) for each in report["readings"]] == [
            (f"{url}/shop/api/", "webservice"),
            (f"{url}/api/", "something else"),
        ]
        asked = len(store.requests)
        ended = await asyncio.to_thread(place.run, *arguments, "--no-probe")
        report = json.loads(ended.stdout)["stores"][0]
        assert report["certain"] is False
        assert {each["probe"] for each in report["readings"]} == {"not asked"}
        assert len(store.requests) == asked


def test_config_check_shows_the_stores_without_a_token(place: Place) -> None:
    place.write(STORES)
    place.token.unlink()
    ended = place.run("--config", str(place.config), "config", "check")
    assert ended.returncode == 78
    assert f"{place.token} does not exist" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert f"{place.token}: cannot be used" in ended.stdout
    assert "GET, HEAD of products, orders" in ended.stdout
    assert "stores are open" not in ended.stdout

    ended = place.run("--config", str(place.config), "config", "check", "--json")
    assert ended.returncode == 78
    report = json.loads(ended.stdout)
    assert report["ok"] is False
    assert report["error"] == report["token_error"]
    assert [store["certain"] for store in report["stores"]] == [True, True]


def test_more_stores_than_fit_end_with_78_at_check_and_at_start(place: Place) -> None:
    place.write("".join(f'[[stores]]\nurl = "http://10.0.0.5/{index}/api/"\n' for index in range(513)))
    for command in (("config", "check", "--no-probe"), ("run",)):
        assert "open 513 stores, and one agent can serve 512 at most" in place.refused(78, *command)
    long = ", ".join(f'"{"r" * 50}_{index}"' for index in range(250))
    place.write("".join(f'[[stores]]\nurl = "http://10.0.0.5/{n}/api/"\nresources = [{long}]\n' for n in range(6)))
    for command in (("config", "check", "--no-probe"), ("run",)):
        assert "over the limit of 65536: list fewer resources" in place.refused(78, *command)
