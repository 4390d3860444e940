"""From the first start to a connection that is tested, used, edited and deleted: one browser, real processes."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.shots import shoot
from tests.kit.agent_process import AgentProcess
from tests.kit.browser import open_browser
from tests.kit.sample_store import KEY, running
from tests.kit.server_process import ServerProcess

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "four other words entirely"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_from_the_first_link_to_a_used_connection(tmp_path: Path) -> None:
    async with (
        running() as store,
        ServerProcess(tmp_path / "data") as server,
        open_browser() as browser,
    ):
        context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
        foreign: list[str] = []
        panel = server.ready["panel"]["url"]
        page.on("request", lambda asked: None if asked.url.startswith((panel, "data:")) else foreign.append(asked.url))

        webservice = f"http://127.0.0.1:{store.port}/api/"

        # the first admin
        link = await server.first_link()
        await page.goto(link)
        await shoot(page, "welcome")
        await page.get_by_label("Name to log in with").fill("anne")
        await page.get_by_label(re.compile("^Password")).fill("short")
        await page.get_by_label("The same password again").fill("short")
        await page.get_by_label(re.compile("^Password")).evaluate("field => field.removeAttribute('minlength')")
        await page.get_by_role("button", name="Set password").click()
        await expect(page.get_by_role("alert")).to_contain_text("12 to 256 characters")
        await page.get_by_label(re.compile("^Password")).fill(PASSWORD)
        await page.get_by_label("The same password again").fill(PASSWORD)
        await page.get_by_role("button", name="Set password").click()
        await expect(page.get_by_role("heading", name="Set up in five steps")).to_be_visible()
        await shoot(page, "overview-new")
        (cookie,) = await context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["path"]) == (
            "__Host-integration-server",
            True,
            True,
            "/",
        )
        await page.goto(link)
        await expect(page.get_by_role("heading")).to_contain_text("This link does not work")

        # an agent
        await page.goto(panel)
        await page.get_by_role("link", name="Create an agent").click()
        await page.get_by_label("Name").fill("warehouse <b>1</b>")
        await page.get_by_label(re.compile("Address for agents")).fill(server.ssh_address)
        await shoot(page, "agent-new")
        await page.get_by_role("button", name="Create agent").click()
        token = (await page.locator("#access-token").text_content() or "").strip()
        await shoot(page, "agent-token")
        await page.get_by_role("button", name="Copy the access token").click()
        assert await page.evaluate("navigator.clipboard.readText()") == token
        await expect(page.get_by_text("awaiting install")).to_be_visible()
        settings = f'[[stores]]\nurl = "{webservice}"\nmethods = "write"\n'
        async with AgentProcess(tmp_path / "agent", settings, token) as agent:
            await agent.event("tunnel.ready", 2)
            await expect(page.locator(".badge.good", has_text="online")).to_be_visible(timeout=15_000)
            await page.reload()
            assert token in await page.content()  # and no form is sent again
            await page.get_by_role("navigation").get_by_role("link", name="Agents").click()
            await page.go_back()
            await expect(page.get_by_role("heading")).to_contain_text(["not shown any more"])
            await shoot(page, "shown-gone")
            assert token not in await page.content()
            await page.get_by_role("navigation").get_by_role("link", name="Agents").click()
            await expect(page.get_by_role("link", name="warehouse <b>1</b>")).to_be_visible()
            await shoot(page, "agents")
            await page.get_by_role("link", name="warehouse <b>1</b>").click()
            await shoot(page, "agent")

            # a connection
            await page.get_by_role("link", name="Connections", exact=True).click()
            await shoot(page, "connections-empty")
            await page.get_by_role("main").get_by_role("link", name="Create connection").first.click()
            await page.get_by_label("Name your connection").type("Shop Lyon", delay=10)
            await expect(page.locator("#name-slug")).to_contain_text("/shop-lyon")
            await page.locator("#agent").select_option(label="warehouse <b>1</b> (online)")
            back_office = webservice.removesuffix("api/") + "admin9014z77vpinmj03dssx/index.php?token=abc"
            await page.get_by_label("Store URL").type(back_office, delay=2)
            await expect(page.locator("#store_url-preview")).to_contain_text(webservice)
            await shoot(page, "connection-new")
            await page.get_by_label(re.compile("^API key")).fill("WRONGKEYWRONGKEYWRONGKEYWRONGKEY")
            await page.get_by_role("button", name="Test before saving").click()
            await expect(page.locator("#try")).to_contain_text("PrestaShop does not know the key", timeout=20_000)
            await shoot(page, "connection-try")
            await page.get_by_label(re.compile("^API key")).fill(KEY)
            await page.get_by_role("button", name="Create connection").click()
            await expect(page.get_by_role("heading", name="Shop Lyon")).to_be_visible()
            gateway_url = (await page.locator("#gateway-url").text_content() or "").strip()
            assert gateway_url.endswith("/shop-lyon")
            await page.get_by_role("button", name="Test", exact=True).click()
            await expect(page.locator("#test")).to_contain_text("resources are open to this key", timeout=20_000)
            await expect(page.locator("#test .badge")).to_have_text("ok")
            await expect(page.locator("#test table.matrix th[scope=row]").first).to_be_visible()
            await shoot(page, "connection-tested")

            # it is used
            await page.get_by_role("link", name="Create client key").click()
            await shoot(page, "client-key-new")
            await page.get_by_role("button", name="Create client key").click()
            client_key = (await page.locator("#client-key").text_content() or "").strip()
            await shoot(page, "client-key-shown")
            assert b"<product " in await get(f"{gateway_url}/api/products?limit=1&filter[id]=1", client_key)
            await page.get_by_role("link", name="Live exchanges").click()
            await expect(page.get_by_text("GET /shop-lyon/api/products")).to_be_visible()
            assert b"<api " in await get(f"{gateway_url}/api/", client_key)
            await expect(page.locator("tbody tr")).to_have_count(2, timeout=10_000)  # without a reload
            await shoot(page, "exchanges")
            await page.goto(panel)
            await shoot(page, "overview")

            # it is edited, only with the key
            await page.goto(f"{panel}/connections/shop-lyon/edit")
            await expect(page.get_by_label(re.compile("^API key"))).to_have_value("")
            await page.get_by_text("HTTP view").click()
            await page.get_by_label("Requests at once").fill("3")
            await page.get_by_label("Headers on every request").fill("X-Channel: erp")
            await shoot(page, "connection-edit")
            await page.get_by_role("button", name="Save").click()
            await expect(page.get_by_role("alert")).to_contain_text("API key")
            assert (await server.api("get", "connections", "shop-lyon"))["concurrency"] == 8
            await page.get_by_label(re.compile("^API key")).fill(KEY)
            await page.get_by_role("button", name="Save").click()
            await expect(page.get_by_role("status")).to_contain_text("Saved")
            kept = await server.api("get", "connections", "shop-lyon")
            assert (kept["concurrency"], kept["headers"]) == (3, [{"name": "X-Channel", "value": "erp"}])
            assert b"<product " in await get(f"{gateway_url}/api/products?limit=1", client_key)
            await page.get_by_role("button", name="Disable").click()
            await refused(f"{gateway_url}/api/", client_key, 403)
            await page.get_by_role("button", name="Enable").click()
            await expect(page.get_by_role("status")).to_contain_text("Enabled")

            # somebody who may only look
            await page.get_by_role("link", name="People").click()
            await page.get_by_label("Name", exact=False).last.fill("victor")
            await shoot(page, "people")
            await page.get_by_role("button", name="Make the link").click()
            invitation = (await page.locator("#link").text_content() or "").strip()
            await viewer_sees_no_actions(browser, panel, invitation)

            for path, name in (
                ("client-keys", "client-keys"),
                ("audit", "audit"),
                ("settings", "settings"),
                ("api-tokens", "api-tokens"),
                ("account", "account"),
                ("docs", "docs"),
                ("connections", "connections"),
                ("connections/shop-lyon/tests", "connection-tests"),
                ("notices", "notices"),
                ("transfer", "transfer"),
            ):
                await page.goto(f"{panel}/{path}")
                await shoot(page, name)

            # somebody is told of what happens
            await page.goto(f"{panel}/notices/targets/new")
            await page.get_by_label("Name").fill("On call")
            await page.get_by_label("Address").fill("https://hooks.example.com/services/abc")
            await shoot(page, "notice-target-new")
            await page.get_by_role("button", name="Create target").click()
            await expect(page.locator("#signing-secret")).to_contain_text("whsec_")
            await shoot(page, "notice-secret")
            await page.get_by_role("button", name="I have copied it").click()
            await expect(page.get_by_text("https://hooks.example.com", exact=True)).to_be_visible()
            await shoot(page, "notice-target")

            # what is exported changes nothing here
            await page.goto(f"{panel}/transfer")
            async with page.expect_download() as started:
                await page.get_by_role("link", name="Download the export").click()
            exported = await (await started.value).path()
            await page.get_by_label("File of an export").set_input_files(exported)
            await page.get_by_role("button", name="Look at what it would do").click()
            await expect(page.get_by_text("There is nothing to import")).to_be_visible()
            await shoot(page, "transfer-preview")

            # and it is deleted
            await page.goto(f"{panel}/connections/shop-lyon")
            await page.get_by_role("link", name="Delete").click()
            await shoot(page, "connection-delete")
            await page.get_by_role("button", name="Delete connection").click()
            await expect(page.get_by_role("status")).to_contain_text("Deleted")
            await refused(f"{gateway_url}/api/", client_key, 401)
            await page.get_by_role("button", name="Log out").click()
            await shoot(page, "login")
            await page.goto(f"{panel}/agents")
            await expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert foreign == []
        assert [said for said in complaints if not re.search("4(04|10|22)", said)] == []


async def viewer_sees_no_actions(browser: Any, panel: str, invitation: str) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(invitation)
    await page.get_by_label(re.compile("^Password")).fill(NEW_PASSWORD)
    await page.get_by_label("The same password again").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Set password").click()
    await page.goto(f"{panel}/connections/shop-lyon")
    await expect(page.get_by_role("heading", name="Shop Lyon")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("button", name="Test")).to_have_count(0)
    await expect(page.get_by_role("main").get_by_role("link", name="Edit")).to_have_count(0)
    await expect(page.get_by_role("link", name="People")).to_have_count(0)
    assert (await page.goto(f"{panel}/people")).status == 403
    assert (await page.goto(f"{panel}/connections/shop-lyon/edit")).status == 403
    await context.close()


async def get(url: str, key: str) -> bytes:
    """The body of an answer of the gateway."""
    return await asyncio.to_thread(_get, url, key)


async def refused(url: str, key: str, status: int) -> None:
    """Until the gateway answers with this status."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        await get(url, key)
    assert caught.value.code == status
    caught.value.close()


def _get(url: str, key: str) -> bytes:
    credential = b64encode(f"{key}:".encode()).decode()
    asked = urllib.request.Request(url, headers={"Authorization": f"Basic {credential}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        body: bytes = answer.read()
        return body
