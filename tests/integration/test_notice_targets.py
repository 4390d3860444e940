"""A real server delivers by webhook and by mail, goes on after a restart, and lets no secret of either out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.server.operations.notice_targets import TargetWish, create_target
from agent.server.operations.notices import give_notice
from agent.server.operations.principal import Principal, Role
from tests.kit.canary import Canaries, files_below
from tests.kit.control_plane import control_api
from tests.kit.mail_server import PASSWORD, USER, MailServer, mail_server
from tests.kit.server_process import ServerProcess
from tests.kit.webhook_receiver import WebhookReceiver, answer, webhook_receiver

TOKEN = "CANARY-token-of-the-url"
ADMIN = Principal("person:anne", Role.ADMIN)


def environment(hook: WebhookReceiver, mail: MailServer) -> dict[str, str]:
    settings = {
        "LOG__LEVEL": "debug",
        "NOTICES__ALLOW_PRIVATE_TARGETS": '["127.0.0.0/8"]',
        "NOTICES__CA_FILE": str(hook.ca_file),
        "SMTP__HOST": "127.0.0.1",
        "SMTP__PORT": str(mail.port),
        "SMTP__SENDER": "server@example.com",
        "SMTP__USER": USER,
        "SMTP__PASSWORD": PASSWORD,
        "SMTP__CA_FILE": str(mail.ca_file),
    }
    return {f"INTEGRATION_SERVER_{name}": value for name, value in settings.items()}


async def put_up(data_dir: Path, url: str) -> str:
    """Two targets, and a notice that waits for both, before any server runs; the signing secret."""
    async with control_api(data_dir) as api:
        api.plane.facts = replace(api.plane.facts, can_mail=True)
        _, secret = await create_target(api.plane, ADMIN, TargetWish("chat", "webhook", url))
        await create_target(api.plane, ADMIN, TargetWish("ops", "email", "ops@example.com"))
        await give_notice(api.plane, "agent.offline", "agent/1", "It is away.", name="warehouse")
    assert secret is not None
    return secret


async def settled(server: ServerProcess, target: str, state: str) -> Any:
    """The delivery of the notice to a target, once it is so far and has been tried."""
    async with asyncio.timeout(20):
        while True:
            (notice,) = await server.api("get", "notices")
            (found,) = (each for each in notice["deliveries"] if each["target"] == target)
            if found["state"] == state and found["attempts"]:
                return found
            await asyncio.sleep(0.05)


async def test_by_webhook_and_by_mail_over_a_restart(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with webhook_receiver(tmp_path) as hook, mail_server(tmp_path) as mail:
        secret = await put_up(data_dir, hook.url(f"/{TOKEN}?key={TOKEN}"))
        hook.answers.extend([answer(500), answer(204), answer(204), answer(404)])
        shown: list[Any] = []
        async with ServerProcess(data_dir, environment=environment(hook, mail)) as first:
            failed = await settled(first, "chat", "waiting")
            assert failed["error"] == f"https://127.0.0.1:{hook.port} answered 500."
            await settled(first, "ops", "delivered")
            shown += [failed, await first.api("get", "notice-targets")]
        async with ServerProcess(data_dir, environment=environment(hook, mail)) as second:
            assert len(hook.received) == 1  # its time had not come
            good = await second.api("post", "notice-targets", "chat", "test")
            assert good["ok"], good
            await settled(second, "chat", "delivered")
            bad = await second.api("post", "notice-targets", "chat", "test")
            assert bad["error"] == f"https://127.0.0.1:{hook.port} answered 404."
            mailed = await second.api("post", "notice-targets", "ops", "test")
            assert mailed["ok"], mailed
            shown += [good, bad, mailed, await second.api("get", "notice-targets"), await second.api("get", "audit")]
            shown += [await second.api("get", "notices")]
    first_try, _test, second_try, *_ = hook.received
    assert first_try.fields["webhook-id"] == second_try.fields["webhook-id"]
    assert json.loads(second_try.body)["sentence"] == "It is away."
    assert [letter["Subject"] for letter in mail.letters] == [
        "[integration-server] agent.offline: warehouse",
        "[integration-server] test: ops",
    ]
    canaries = Canaries({"url": TOKEN, "secret": secret.removeprefix("whsec_"), "password": PASSWORD})
    sources = {f"log of {which}": (run.err + run.out).encode() for which, run in (("1", first), ("2", second))}
    sources |= {"answers": json.dumps(shown).encode()} | files_below(data_dir)
    assert canaries.find(sources) == []
    assert any(event["event"] == "notices.not_delivered" for event in first.log)
