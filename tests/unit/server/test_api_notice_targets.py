"""``/v1/notice-targets`` and its commands: what is taken, what is shown, and what is never shown again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage
from tests.kit.control_plane import ControlApi, control_api
from tests.kit.server_cli import ServerCli

TOKEN = "CANARY-token-of-the-url"
URL = f"https://hooks.example.com/{TOKEN}?key={TOKEN}"
HOOK = {"name": "Chat", "kind": "webhook", "address": URL}
TARGETS = ("notices", "targets")


async def test_the_life_of_a_target(api: ControlApi) -> None:
    made = await api.created("notice-targets", **HOOK)
    secret = made["signing_secret"]
    assert secret.startswith("whsec_")
    assert made["target"]["address_shown"] == "https://hooks.example.com"
    answers = [api.text]
    for method, path, body in (
        ("GET", "notice-targets", None),
        ("GET", "notice-targets?q=chat", None),
        ("GET", "notice-targets/Chat", None),
        ("PATCH", "notice-targets/Chat", {"events": ["agent.offline"], "address": URL + "2"}),
        ("PATCH", "notice-targets/Chat", {"events": None, "enabled": False}),
    ):
        status, _ = await api.call(method, path, body)
        assert status == 200
        answers.append(api.text)
    _, shown = await api.call("GET", "notice-targets/Chat")
    assert (shown["events"], shown["enabled"], shown["waiting"]) == (None, False, 0)
    _, rotated = await api.call("POST", "notice-targets/Chat/rotate-secret")
    assert rotated["signing_secret"] not in (None, secret)
    assert (await api.call("POST", "notice-targets/Chat/test"))[0] == 409  # no server runs here
    assert (await api.call("GET", "audit"))[0] == 200
    answers.append(api.text)
    assert await api.call("DELETE", f"notice-targets/{shown['id']}") == (200, {"name": "Chat"})
    assert await api.call("GET", "notice-targets") == (200, [])
    assert (await api.call("GET", "notice-targets/Chat"))[0] == 404
    for answer in answers[1:]:
        assert TOKEN not in answer
        assert secret not in answer


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"address": f"http://hooks.example.com/{TOKEN}"}, "address"),
        ({"address": f"https://u:{TOKEN}@hooks.example.com/"}, "address"),
        ({"address": TOKEN * 100}, "address"),
        ({"kind": "email"}, None),  # no mail server is set
        ({"kind": "sms"}, "kind"),
        ({"events": ["agent.exploded"]}, "events.0"),
        ({"events": []}, "events"),
        ({"name": " "}, "name"),
        ({"secret": TOKEN}, "secret"),
    ],
)
async def test_what_is_refused_is_not_repeated(tmp_path: Path, wrong: dict[str, object], field: str | None) -> None:
    async with control_api(tmp_path / "data") as api:
        status, problem = await api.call("POST", "notice-targets", HOOK | wrong)
        named = problem["errors"][0]["field"] if "errors" in problem else problem.get("field")
        assert (status, named) == (409 if field is None else 422, field)
        assert TOKEN not in api.text
        assert await api.call("GET", "notice-targets") == (200, [])


async def test_a_test_tells_what_came_of_it(api: ControlApi) -> None:
    await api.created("notice-targets", **HOOK)

    async def send(_destination: Destination, _message: NoticeMessage) -> None:
        raise NotDeliveredError("https://hooks.example.com answered 503.")

    api.plane.send_notice = send
    status, outcome = await api.call("POST", "notice-targets/Chat/test")
    assert (status, outcome["ok"], outcome["error"]) == (200, False, "https://hooks.example.com answered 503.")


def test_by_command(cli: ServerCli, tmp_path: Path) -> None:
    assert "There is no notice target" in cli(*TARGETS, "list").out
    made = cli(*TARGETS, "create", "Chat", "--url-file", "-", "--event", "agent.offline", stdin=URL.encode())
    assert "Notice target Chat is made: webhook, https://hooks.example.com." in made.out
    assert "whsec_" in made.out
    (tmp_path / "url").write_text(URL)
    changed = cli(*TARGETS, "update", "Chat", "--url-file", str(tmp_path / "url"), "--event", "all", "--json")
    assert changed.json["events"] is None
    assert cli(*TARGETS, "update", "Chat", "--disable", "--name", "Talk").code == 0
    (shown,) = cli(*TARGETS, "list", "--json").json
    assert (shown["name"], shown["enabled"]) == ("Talk", False)
    rotated = cli(*TARGETS, "rotate-secret", "Talk", "--json").json
    assert rotated["signing_secret"] not in made.out
    table = cli(*TARGETS, "list", "--search", "talk").out
    assert "https://hooks.example.com " in table
    for out in (made.out, changed.out, table, json.dumps(shown), json.dumps(rotated)):
        assert TOKEN not in out
    assert cli(*TARGETS, "delete", "Talk", stdin=b"n\n").code != 0
    assert cli(*TARGETS, "delete", "Talk", "--yes").code == 0
    assert cli(*TARGETS, "list", "--json").json == []


def test_what_a_command_refuses_is_one_sentence_without_the_url(cli: ServerCli) -> None:
    assert "either --webhook or --email" in cli(*TARGETS, "create", "x").err
    assert "either --webhook or --email" in cli(*TARGETS, "create", "x", "--webhook", "--email", "a@example.com").err
    assert "--url-file" in cli.refused(1, *TARGETS, "create", "x", "--webhook")
    assert "is empty" in cli.refused(1, *TARGETS, "create", "x", "--url-file", "-")
    refused = cli.refused(1, *TARGETS, "create", "x", "--url-file", "-", stdin=f"http://a.example/{TOKEN}".encode())
    assert "https://" in refused
    assert TOKEN not in refused
    assert "smtp.host" in cli.refused(1, *TARGETS, "create", "x", "--email", "a@example.com")
    assert "not both" in cli(*TARGETS, "update", "x", "--new-url", "--email", "a@example.com").err
    assert "notices targets list" in cli.refused(1, *TARGETS, "update", "x", "--disable")
    cli(*TARGETS, "create", "x", "--url-file", "-", stdin=URL.encode())
    assert "start it" in cli.refused(1, *TARGETS, "test", "x")
