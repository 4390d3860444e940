"""From an agent that goes away to the people who are told: targets of the panel, the watch, webhook and mail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.integration.test_notice_targets import TOKEN, environment
from tests.kit.agent_process import AgentProcess
from tests.kit.control_plane import control_api
from tests.kit.mail_server import mail_server
from tests.kit.panel import Panel, let_everybody_in, panel_of
from tests.kit.server_process import ServerProcess
from tests.kit.webhook_receiver import webhook_receiver

ABSENT = {"INTEGRATION_SERVER_WATCH__OFFLINE_AFTER_S": "1"}
PROMPT_S = 15.0  # far below the minute after which the delivery looks without being woken
STORE = '[[stores]]\nurl = "http://127.0.0.1:9/api/"\n'


async def signed_in(data_dir: Path) -> Panel:
    """People with sessions, who are known to the server that is started on this directory."""
    async with control_api(data_dir) as api, panel_of(api) as panel:
        await let_everybody_in(panel)
        return panel


async def test_an_agent_that_goes_away_is_told_of_to_targets_of_the_panel(tmp_path: Path) -> None:
    people = await signed_in(tmp_path / "data")
    async with (
        webhook_receiver(tmp_path) as hook,
        mail_server(tmp_path) as mail,
        ServerProcess(tmp_path / "data", environment=environment(hook, mail) | ABSENT) as server,
    ):
        panel = replace(people, port=server.ready["panel"]["port"])
        for form in (
            {"name": "chat", "kind": "webhook", "address": hook.url(f"/{TOKEN}"), "events": ["agent.offline"]},
            {"name": "ops", "kind": "email", "address": "ops@example.com"},
            {"name": "keys", "kind": "email", "address": "k@example.com", "events": ["connection.key_failed"]},
        ):
            assert (await panel.post("/notices/targets", form, "viewer")).status == 403
            assert (await panel.post("/notices/targets", form, "admin")).status == 303
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        async with AgentProcess(tmp_path / "agent", STORE, made["access_token"]) as agent:
            await agent.event("tunnel.ready")
        await hook.wait_for(1, PROMPT_S)
        await mail.wait_for(1, PROMPT_S)
        page = await panel.get("/notices", "viewer")
    (received,) = hook.received
    told = json.loads(received.body)
    assert (received.line, told["event"]) == (f"POST /{TOKEN} HTTP/1.1", "agent.offline")
    assert told["sentence"].startswith('The agent "lyon" is offline')
    (letter,) = mail.letters
    assert (letter["To"], letter["Subject"]) == ("ops@example.com", "[integration-server] agent.offline: lyon")
    assert told["sentence"] in page.text.replace("&#34;", '"')
    assert TOKEN not in page.text + server.err
