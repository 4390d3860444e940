"""No secret comes out: every path, with its failures, at debug level; then everything that came out is searched.

A new path is one more step. What the search finds is told by the canary's name, never by its value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.server.panel_gate import SESSION_COOKIE
from tests.e2e.canary_site import (
    API_KEY,
    NEW_PASSWORD,
    PASSWORD,
    POOR_KEY,
    WRONG_KEY,
    WRONG_PASSWORD,
    CanarySite,
    canary_site,
)
from tests.e2e.canary_told import a_refused_certificate, archives, notices, streams
from tests.kit.installation import agent_command
from tests.kit.local_page import local_page
from tests.kit.postgres import new_database

Step = Callable[[CanarySite], Awaitable[None]]

NOWHERE = "http://127.0.0.1:9/api/"
CLOUD = {"mode": "cloud", "api_key": API_KEY}


async def first_admin(site: CanarySite) -> None:
    link = (await site.server.first_link()).rpartition("/")[2]
    site.learn("one-time link", link)
    answered, text = await site.page(f"/welcome/{link}")
    site.keep("welcome", answered, text)
    form = {"name": "anne", "password": PASSWORD, "password_again": WRONG_PASSWORD}
    answered, text = await site.page(f"/welcome/{link}", form, status=422)
    site.keep("welcome, refused", answered, text)
    answered, text = await site.page(f"/welcome/{link}", {**form, "password_again": PASSWORD}, status=303)
    log_in(site, answered, "session cookie of the welcome")
    answered, text = await site.page(f"/welcome/{link}", status=404)
    site.keep("welcome, used", answered, text)


def log_in(site: CanarySite, answered: dict[str, str], name: str) -> None:
    found = re.match(rf"{SESSION_COOKIE}=([^;]+)", answered["set-cookie"])
    assert found is not None
    site.cookie = site.learn(name, found[1])


async def sessions(site: CanarySite) -> None:
    form = {"name": "anne", "password": WRONG_PASSWORD, "next": "/"}
    await site.looked_at("/login", form, status=422)
    # Typed into the wrong field, it is shown there again, to the one who typed it; but nowhere else.
    await site.page("/login", {**form, "name": PASSWORD}, status=422)
    answered, _ = await site.page("/login", {**form, "password": PASSWORD}, status=303)
    log_in(site, answered, "session cookie")
    csrf = re.search(rb'name="csrf_token" value="([^"]+)"', (await site.page("/account"))[1])
    assert csrf is not None
    site.csrf = csrf[1].decode()
    changed = {"old_password": WRONG_PASSWORD, "password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    await site.looked_at("/account/password", changed, status=422)


async def api_tokens(site: CanarySite) -> None:
    made = await site.server.api("post", "api-tokens", name="ci", role="admin")
    site.learn("API token", made["secret"])
    wrong = {"Authorization": f"Bearer {made['secret']}x"}
    got, answered, text = await site.ask(site.panel_port, "GET", "/v1/status", wrong)
    assert got == 401
    site.keep("/v1, refused", answered, text)
    again = await site.api("POST", "api-tokens", {"name": "old", "role": "viewer"}, status=201, once="secret")
    site.learn("API token that is revoked", again["secret"])
    await site.api("POST", "api-tokens/old/revoke", status=200)
    invited = await site.api("POST", "people", {"name": "bob", "role": "viewer"}, status=201, once="link_path")
    site.learn("link of an invitation", invited["link_path"].rpartition("/")[2])


async def connections(site: CanarySite) -> None:
    asked = {**CLOUD, "name": "Lyon", "store_url": site.url()}
    await site.api("POST", "connections", asked, status=201)
    await site.api("POST", "connections/lyon/test", status=200)
    await site.api("PATCH", "connections/lyon", {"name": "Lyon 2"}, status=422)
    await site.api("PATCH", "connections/lyon", {"name": "Lyon 2", "api_key": POOR_KEY}, status=200)
    await site.api("POST", "connections/lyon/test", status=200)
    await site.api("PUT", "connections/lyon", {**asked, "api_key": API_KEY}, status=200)
    for number, (key, url) in enumerate(
        [(WRONG_KEY, site.url()), (API_KEY, NOWHERE), (API_KEY, site.url(site.deaf_store)),
         (API_KEY, site.url().replace("http:", "https:"))]
    ):  # fmt: skip
        wish = {**CLOUD, "name": f"Wish {number}", "store_url": url, "api_key": key}
        await site.api("POST", "connections/test", wish, status=200)
    await site.api("POST", "connections", {**asked, "name": "By query", "key_in": "ws_key"}, status=201)
    await site.api("POST", "connections/by-query/test", status=200)
    await site.api("POST", "connections/by-query/clone", {"name": "Copy", "api_key": API_KEY}, status=201)
    await site.api("DELETE", "connections/copy", status=200)


async def keys_where_they_do_not_belong(site: CanarySite) -> None:
    asked = {**CLOUD, "name": "Wrong", "store_url": site.url()}
    host = site.url().removeprefix("http://")
    for wrong in (
        {"store_url": f"http://{API_KEY}@{host}"},
        {"store_url": f"http://{API_KEY}:@{host}"},
        {"store_url": API_KEY},
        {"agent": API_KEY, "mode": "on-premise"},
        {"api_key": [API_KEY]},
        {"api_key": API_KEY + " x"},
        {"mode": API_KEY},
        {"concurrency": API_KEY},
        {"methods": [API_KEY]},
        {"unknown": API_KEY},
        {"headers": {"Authorization": API_KEY}},
    ):
        body = {**asked, **wrong}
        fields = {"Authorization": f"Bearer {site.secrets['API token']}", "Content-Type": "application/json"}
        for path in ("connections", "connections/test"):
            sent = str(body).replace("'", '"').encode()
            got, answered, text = await site.ask(site.panel_port, "POST", f"/v1/{path}", fields, sent)
            assert 400 <= got < 500, (wrong.keys(), got)
            site.keep(f"POST /v1/{path} with the key in {next(iter(wrong))}", answered, text)
    cut = b'{"api_key": "' + API_KEY.encode() + b'", "name": '
    got, answered, text = await site.ask(site.panel_port, "POST", "/v1/connections", fields, cut)
    assert got == 422
    site.keep("POST /v1/connections, cut short", answered, text)


async def pages(site: CanarySite) -> None:
    form = {"name": "By page", "mode": "cloud", "store_url": site.url(), "methods": ["GET"], "test_path": "/api/"}
    await site.looked_at("/connections", {**form, "concurrency": "many", "api_key": API_KEY}, status=422)
    await site.looked_at("/connections", {**form, "api_key": API_KEY, "name": ""}, status=422)
    await site.looked_at("/connections", {**form, "store_url": f"http://{API_KEY}@shop.example"}, status=422)
    for address in (f"http://{API_KEY}@shop.example/", f"{site.url()}?ws_key={API_KEY}", f"{site.url()}#{API_KEY}"):
        pasted = {**form, "store_url": address, "concurrency": "many", "api_key": API_KEY}
        await site.looked_at("/connections", pasted, status=422)
        await site.looked_at("/connections/preview", pasted)
    await site.looked_at("/connections", {**form, "agent": API_KEY, "mode": "on-premise"}, status=422)
    await site.looked_at("/connections", {**form, "api_key": API_KEY}, status=303)
    await site.looked_at("/connections/by-page/edit", {**form, "api_key": ""}, status=422)
    for path in (
        "/", "/connections", "/connections/by-page", "/connections/by-page/edit", "/connections/lyon", "/agents",
        "/client-keys", "/exchanges", "/people", "/api-tokens", "/audit", "/settings", "/account", "/docs",
    ):  # fmt: skip
        await site.looked_at(path)


async def client_keys(site: CanarySite) -> None:
    made = await site.api("POST", "client-keys", {"all_connections": True, "name": "erp"}, status=201, once="key")
    key = site.learn("client key", made["key"])
    other = await site.command("client-keys", "create", "--connection", "lyon", "--json", once="key")
    site.learn("client key of a command", other.json["key"])
    basic = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    path = "/lyon/api/products"
    await site.gateway(path, basic, status=200)
    await site.gateway("/by-query/api/products", basic, status=200)
    await site.gateway(path, {"Authorization": f"Bearer {key}"}, status=200)
    await site.gateway(f"{path}?ws_key={key}&limit=1", {}, status=200)
    await site.gateway(f"{path}%26ws_key={key}", {}, status=401)
    await site.gateway(f"{path}?{key}", basic, status=200)
    await site.gateway(f"{path}?ws_key={WRONG_KEY}", {}, status=401)
    await site.gateway(path, {"Authorization": f"Bearer {key}x"}, status=401)
    await site.gateway(f"{path}?ps_method={key}", basic, status=403)
    await site.gateway("/lyon/../x", {**basic, "Cookie": key}, status=403)


async def an_agent(site: CanarySite) -> None:
    asked = {"name": "warehouse", "public_ssh_address": site.server.ssh_address}
    made = await site.api("POST", "agents", asked, status=201, once="access_token")
    wish = {"mode": "on-premise", "agent": "warehouse", "name": "Far", "store_url": site.url(), "api_key": API_KEY}
    await site.api("POST", "connections", wish, status=201)
    await site.api("POST", "connections/far/test", status=200)  # the agent is not there yet
    key = {"Authorization": f"Bearer {site.secrets['client key']}"}
    async with site.agent("warehouse", made["access_token"], site.url(), site.url(site.deaf_store)) as agent:
        await agent.event("tunnel.ready", 2)
        await site.api("POST", "connections/far/test", status=200)
        await site.gateway("/far/api/products?filter[id]=1", key, status=200)
        await site.gateway(f"/far/api/products?ws_key={site.secrets['client key']}", {}, status=200)
        await site.api("PATCH", "connections/far", {"key_in": "ws_key", "api_key": WRONG_KEY}, status=200)
        await site.api("POST", "connections/far/test", status=200)
        await site.gateway("/far/api/products", key, status=401)
        for command in (["status", "--json"], ["config", "check"]):
            done = await agent_command("--config", str(agent.config), *command, home=agent.directory)
            assert "Usage:" not in done.err, done.err
            site.keep(f"prestashop-agent {command[0]}", {}, (done.out + done.err).encode())
        site.keep("metrics of the agent", {}, (await local_page(agent.directory / "run", "metrics")).encode())
        await site.looked_at("/agents")
        await site.api("POST", "agents/warehouse/revoke", status=200)
    async with site.agent("warehouse-refused", made["access_token"], site.url()) as agent:
        await agent.event("tunnel.refused")


async def commands(site: CanarySite) -> None:
    store = ("--mode", "cloud", "--store-url", site.url())
    by_stdin = ("--api-key-file", "-")
    await site.command("connections", "create", "--name", "By command", *store, code=1)
    await site.command("connections", "create", "--name", "By command", *store, *by_stdin, stdin=API_KEY)
    await site.command("connections", "update", "by-command", "--name", "Renamed", *by_stdin, stdin=API_KEY)
    file = site.directory / "key"
    file.write_text(POOR_KEY + "\n")
    file.chmod(0o600)
    await site.command("connections", "update", "by-command", "--api-key-file", str(file))
    await site.command("connections", "test", "by-command", code=1)
    await site.command("connections", "create", "--name", "Two", *store, *by_stdin, stdin=f"{API_KEY} x", code=1)
    await site.command("connections", "list", "--json")
    await site.command("status", "--json")
    await site.command("connections", "delete", "by-command", "--yes")


STEPS: tuple[Step, ...] = (
    first_admin,
    sessions,
    api_tokens,
    connections,
    keys_where_they_do_not_belong,
    client_keys,
    pages,
    an_agent,
    notices,
    streams,
    a_refused_certificate,
    commands,
    archives,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_secret_comes_out(tmp_path: Path, kind: str) -> None:
    async with canary_site(tmp_path, await new_database() if kind == "postgresql" else None) as site:
        for step in STEPS:
            await step(site)
        for path in ("audit", "connections", "agents", "client-keys", "api-tokens", "people", "notices", "status"):
            await site.api("GET", f"{path}?limit=200" if path != "status" else path, status=200)
        _, answered, text = await site.ask(site.server.ready["metrics"]["port"], "GET", "/metrics")
        site.keep("/metrics", answered, text)
        clean, running = site.sources(), site.canaries
        assert "\n".join(running.find(clean)) == ""
        assert await site.server.stop() == 0
        assert "\n".join(running.find(site.sources())) == ""  # what was written at the end, too
        proves_that_it_would_be_found(site, clean, kind)


SOURCES = (
    "answer", "standard output of the server", "log of the server", "log of agent", "cmdline", "environ", "agent.toml",
    "stream of exchanges", "stream of connections/test", "back-up plain", "back-up with-keys", "export.json",
)  # fmt: skip
SOURCES_OF = {
    "sqlite": ("integration-server.sqlite3", "sqlite3-wal"),
    "postgresql": ("PostgreSQL rows of connections", "PostgreSQL file"),
}


def proves_that_it_would_be_found(site: CanarySite, clean: dict[str, bytes], kind: str) -> None:
    """Each canary, planted in the middle of each source that there was; and no kind of source is missing."""
    for sort in (*SOURCES, *SOURCES_OF[kind]):
        (source, *_) = [source for source in clean if sort in source and clean[source]]
        content = clean[source]
        half = len(content) // 2
        planted = content[:half] + base64.b64encode(f"{API_KEY}:".encode()) + content[half:]
        assert site.canaries.find({source: planted}) == [f"API key in {source}"]
