"""What is shown once: on a page of its own, again at a reload, to nobody else, and gone when it was left."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from agent.server.operations.paging import Paging
from agent.server.operations.people import list_people, set_role
from agent.server.operations.principal import Permission, Role
from agent.server.operations.sessions import Session
from agent.server.panel.shown_once import KEPT_MAX, KEPT_PER_SESSION_MAX, Kind, ShownOnce, ShownPage
from tests.kit.control_plane import ControlApi
from tests.kit.panel import ADMIN, PASSWORD, Answer, Panel
from tests.kit.until import until

AGENT = {"name": "warehouse", "max_instances": "1", "public_ssh_address": "agents.example.com:2222"}
TOKEN = re.compile(r"psa1_[A-Za-z0-9_-]+")


async def make_agent(panel: Panel) -> str:
    """The path of the page with the token of a new agent."""
    answer = await panel.post("/agents", AGENT, "admin")
    assert (answer.status, answer.text) == (303, "")
    return answer.fields["location"]


async def test_a_reload_shows_it_again_and_makes_nothing(panel: Panel, api: ControlApi) -> None:
    path = await make_agent(panel)
    shown = [await panel.get(path, "admin") for _ in range(2)]
    (token,) = {found[0] for page in shown if (found := TOKEN.search(page.text)) is not None}
    assert [page.status for page in shown] == [200, 200]
    assert {page.fields["cache-control"] for page in shown} == {"no-store"}
    assert token not in path
    _, (agent,) = await api.call("GET", "agents")
    for other in ("/agents", f"/agents/{agent['id']}", "/audit"):
        assert token not in (await panel.get(other, "admin")).text
    again = await panel.post("/agents", AGENT, "admin")
    assert (again.status, "exists: choose another name" in again.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "form", "marks", "remedy"),
    [
        ("/agents", AGENT, r"psa1_[A-Za-z0-9_-]+", "Replace token"),
        ("/agents/warehouse/rotate", {"grace_hours": "1"}, r"psa1_[A-Za-z0-9_-]+", "Replace token"),
        ("/agents/warehouse/clone", {"name": "second"}, r"psa1_[A-Za-z0-9_-]+", "Replace token"),
        ("/client-keys", {"scope": "all"}, r">[A-Z0-9]{32}<", "revoke the first one"),
        ("/api-tokens", {"name": "ci", "role": "viewer"}, r"ist_[A-Za-z0-9_-]+", "create another one"),
        ("/people", {"name": "victor", "role": "viewer"}, r"/welcome/[A-Za-z0-9_-]+", "New link"),
    ],
)
async def test_once_copied_it_is_gone_and_it_is_said_what_to_do(
    panel: Panel, api: ControlApi, path: str, form: dict[str, str], marks: str, remedy: str
) -> None:
    if "warehouse" in path:
        await api.agent()
    answer = await panel.post(path, form, "admin")
    where = answer.fields["location"]
    page = await panel.get(where, "admin")
    assert (answer.status, page.status) == (303, 200)
    secret = re.search(marks, page.text)
    assert secret is not None
    left = await panel.post(where, {"next": "/agents"}, "admin")
    assert (left.status, left.fields["location"]) == (303, "/agents")
    gone = await panel.get(where, "admin")
    assert (gone.status, remedy in gone.text, secret[0] in gone.text) == (410, True, False)


async def test_it_is_left_by_a_link_and_not_by_a_stream_a_reload_or_another_tab(panel: Panel) -> None:
    path = await make_agent(panel)
    here = f"http://127.0.0.1:{panel.port}{path}"
    await panel.get("/agents", "admin", referer=here, sec_fetch_mode="cors")
    await panel.get(path, "admin", referer=here, sec_fetch_mode="navigate")
    await panel.get("/agents", "admin", referer=f"http://127.0.0.1:{panel.port}/audit", sec_fetch_mode="navigate")
    await panel.get("/agents", "editor", referer=here, sec_fetch_mode="navigate")
    assert (await panel.get(path, "admin")).status == 200
    await panel.get("/agents", "admin", referer=here, sec_fetch_mode="navigate")
    assert (await panel.get(path, "admin")).status == 410


async def test_the_ticket_alone_opens_nothing(panel: Panel) -> None:
    path = await make_agent(panel)
    kind = path.split("/")[2]
    assert (await panel.get(path)).status == 303
    assert (await panel.get(path, "editor")).status == 410
    assert (await panel.get(path.replace(kind, Kind.CLIENT_KEY), "admin")).status == 410
    assert (await panel.get(path.replace(kind, "nothing"), "admin")).status == 404
    assert (await panel.post(path, {"csrf_token": "wrong"}, "admin")).status == 403
    assert (await panel.post(path, {}, "editor")).status == 303
    other = await log_in_again(panel, "admin")
    assert (await panel.ask("GET", path, fields={"cookie": other})).status == 410
    assert TOKEN.search((await panel.get(path, "admin")).text) is not None


async def test_it_ends_with_the_session_and_with_the_right(
    panel: Panel, api: ControlApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = api.plane
    stores: list[ShownOnce] = []
    forget_all = ShownOnce.forget_all

    def noted(store: ShownOnce, ended: Session) -> None:
        forget_all(store, ended)
        stores.append(store)

    monkeypatch.setattr(ShownOnce, "forget_all", noted)
    (editor,) = [each for each in (await list_people(plane, Paging())).items if each.name == "editor"]
    await set_role(plane, ADMIN, editor.id, Role.ADMIN)
    answer = await panel.post("/agents", AGENT, "editor")
    path = answer.fields["location"]
    await set_role(plane, ADMIN, editor.id, Role.EDITOR)
    assert (await panel.get(path, "editor")).status == 403
    await set_role(plane, ADMIN, editor.id, Role.ADMIN)
    assert (await panel.get(path, "editor")).status == 200
    assert (await panel.post("/logout", {}, "editor")).status == 303
    assert [len(store) for store in stores] == [0]  # not only out of reach, but gone
    panel.cookies["editor"] = (await log_in_again(panel, "editor")).partition("=")[2]
    assert (await panel.get(path, "editor")).status == 410


async def test_leaving_leads_nowhere_else(panel: Panel) -> None:
    path = await make_agent(panel)
    answer = await panel.post(path, {"next": "//evil.example"}, "admin")
    assert answer.fields["location"] == "/"


async def test_the_page_of_a_stock_ssh_client_has_its_command(panel: Panel, api: ControlApi) -> None:
    await api.agent("emergency", plain_store_url="http://192.168.1.20/")
    answer = await panel.post("/agents/emergency/clone", {"name": "second"}, "admin")
    page = await panel.get(answer.fields["location"], "admin")
    assert "-p 2222 -R store:80:192.168.1.20:80" in page.text
    assert "ssh-ed25519" in page.text
    assert TOKEN.search(page.text) is None


async def test_an_agent_that_was_deleted_meanwhile_is_said_so(panel: Panel, api: ControlApi) -> None:
    path = await make_agent(panel)
    await api.call("DELETE", "agents/warehouse")
    answer = await panel.get(path, "admin")
    assert (answer.status, "No agent has this id or name" in answer.text) == (404, True)


def session(number: int) -> Session:
    return Session(f"p{number}", "anne", Role.ADMIN, f"token-{number}", 9e9, 0.0, 0.0, "127.0.0.1", f"{number:08x}")


def page(secret: str) -> ShownPage:
    return ShownPage(Kind.CLIENT_KEY, Permission.CLIENT_KEYS_MINT, "keys/shown.html", {"secret": secret})


async def test_it_is_forgotten_after_its_time_without_being_asked_for() -> None:
    store = ShownOnce(kept_s=0.01)
    store.keep(session(1), page("CANARY"))
    assert len(store) == 1
    await until(lambda: len(store) == 0)


async def test_the_number_is_bounded_per_session_and_in_all() -> None:
    store = ShownOnce()
    paths = [store.keep(session(1), page(str(number))) for number in range(KEPT_PER_SESSION_MAX + 3)]
    kept = [path for path in paths if store.find(session(1), *urlsplit(path).path.split("/")[2:]) is not None]
    assert kept == paths[3:]
    for number in range(2, KEPT_MAX + 20):
        store.keep(session(number), page("x"))
    assert len(store) == KEPT_MAX
    assert store.find(session(1), *paths[-1].split("/")[2:]) is None
    for number in range(KEPT_MAX + 20):
        store.forget_all(session(number))
    assert len(store) == 0


async def test_a_secret_is_in_no_representation() -> None:
    store = ShownOnce()
    path = store.keep(session(1), page("CANARY"))
    found = store.find(session(1), *path.split("/")[2:])
    assert "CANARY" not in repr(found)
    assert "CANARY" not in repr(vars(store))
    assert found is not None
    assert (await replace(found).context())["secret"] == "CANARY"
    store.forget_all(session(1))
    await asyncio.sleep(0)


async def log_in_again(panel: Panel, who: str) -> str:
    """A further session of somebody; its cookie."""
    answer: Answer = await panel.post("/login", {"name": who, "password": PASSWORD})
    return answer.fields["set-cookie"].partition(";")[0]
