"""More ways on which a secret could come out: notices that are sent, streams, archives, a refused certificate."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import tarfile
import time
from pathlib import Path

from agent.demo.store import ApiKey, Front, StoreConfig
from agent.server.panel_gate import SESSION_COOKIE
from tests.e2e.canary_site import API_KEY, HOOK_TOKEN, CanarySite
from tests.kit.certificates import CertificateAuthority
from tests.kit.sample_store import running
from tests.kit.webhook_receiver import CLOSE, answer

STREAM_S = 3.0  # a stream looks every 2 s


async def notices(site: CanarySite) -> None:
    """Targets by API, page and command; notices that are taken, refused and lost."""
    hook = site.hook.url(f"/{HOOK_TOKEN}?token={HOOK_TOKEN}")
    asked = {"name": "chat", "kind": "webhook", "address": hook}
    made = await site.api("POST", "notice-targets", asked, status=201, once="signing_secret")
    site.learn("signing secret", made["signing_secret"].removeprefix("whsec_"))
    for wrong in (hook.replace("https:", "http:"), hook.replace("//", f"//{HOOK_TOKEN}@"), f"{hook}#x", HOOK_TOKEN):
        await site.api("POST", "notice-targets", {**asked, "name": "wrong", "address": wrong}, status=422)
    nobody = f"https://127.0.0.1:9/{HOOK_TOKEN}"
    site.hook.answers.extend(
        [answer(204), answer(500), answer(302, f"Location: https://a.example/{HOOK_TOKEN}"), CLOSE]
    )
    for _ in range(4):
        await site.api("POST", "notice-targets/chat/test", status=200)
    assert len(site.hook.received) == 4
    await site.api("PATCH", "notice-targets/chat", {"address": nobody}, status=200)
    await site.api("POST", "notice-targets/chat/test", status=200)
    turned = await site.api("POST", "notice-targets/chat/rotate-secret", status=200, once="signing_secret")
    site.learn("second signing secret", turned["signing_secret"].removeprefix("whsec_"))
    mail = {"name": "ops", "kind": "email", "address": "ops@example.com"}
    await site.api("POST", "notice-targets", mail, status=201)
    assert (await site.api("POST", "notice-targets/ops/test", status=200))["ok"]
    site.mail.refusals["MAIL"] = "451 not now"
    assert not (await site.api("POST", "notice-targets/ops/test", status=200))["ok"]
    by_stdin = ("--url-file", "-")
    await site.command("notices", "targets", "create", "http", *by_stdin, stdin=hook.replace("https:", "http:"), code=1)
    await site.command("notices", "targets", "update", "chat", *by_stdin, stdin=hook)
    await site.command("notices", "targets", "test", "ops", code=1)
    await site.command("notices", "targets", "list", "--json")
    form = {"name": "By page", "kind": "webhook", "address": hook.replace("https:", "http:")}
    await site.looked_at("/notices/targets", form, status=422)
    for path in ("/notices", "/notices/targets", f"/notices/targets/{made['target']['id']}"):
        await site.looked_at(path)


async def streams(site: CanarySite) -> None:
    """What is open in a browser, and tests that are followed step by step, while secrets pass."""
    cookie = {"Cookie": f"{SESSION_COOKIE}={site.cookie}", "Accept": "text/event-stream"}
    key = site.secrets["client key"]
    live = [
        asyncio.create_task(asyncio.to_thread(_streamed, site.panel_port, path, cookie))
        for path in ("/exchanges/live", "/agents/live", "/overview/live")
    ]
    basic = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    await site.gateway(f"/lyon/api/products?ws_key={key}&filter[name]={API_KEY}", basic, status=200)
    await site.gateway(f"/lyon/api/products?{API_KEY}", {"Authorization": f"Bearer {key}x"}, status=401)
    for path, (status, text) in zip(("exchanges", "agents", "overview"), await asyncio.gather(*live), strict=True):
        assert (status, b"event: update" in text) == (200, True), path
        site.keep(f"stream of {path}", {}, text)
    wish = {"mode": "cloud", "name": "x", "store_url": site.url(), "api_key": API_KEY}
    fields = {"Authorization": f"Bearer {site.secrets['API token']}", "Content-Type": "application/json"}
    for path, body in (("connections/lyon/test", b""), ("connections/test", str(wish).replace("'", '"').encode())):
        status, answered, text = await site.ask(site.panel_port, "POST", f"/v1/{path}?stream=true", fields, body)
        assert status == 200
        assert b"event: report" in text
        site.keep(f"stream of {path}", answered, text)
    await site.looked_at("/connections/lyon/test", {}, status=303)


def _streamed(port: int, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
    """Status, and what a stream says within ``STREAM_S``."""
    said = bytearray()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=STREAM_S)) as client:
        client.request("GET", path, headers=fields)
        response = client.getresponse()
        until = time.monotonic() + STREAM_S
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < until and (piece := response.read1(65_536)):
                said += piece
        return response.status, bytes(said)


async def archives(site: CanarySite) -> None:
    """Back-ups with and without keys, and an export: what stands in them is searched, unpacked."""
    for name, more in (("plain", ()), ("with-keys", ("--with-keys",))):
        file = site.directory / f"{name}.tar.gz"
        await site.command("backup", str(file), *more)
        site.archives[f"back-up {name}"] = await asyncio.to_thread(_unpacked, file)
    exported = site.directory / "export.json"
    await site.command("export", str(exported))
    site.archives["export"] = {"export.json": exported.read_bytes()}


def _unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        members = [(member, archive.extractfile(member)) for member in archive]
        return {member.name: opened.read() for member, opened in members if opened is not None}


async def a_refused_certificate(site: CanarySite) -> None:
    """A store whose certificate nobody here trusts is asked nothing, by test and by request."""
    certificate, key = CertificateAuthority(site.directory, "Unknown CA").issue("127.0.0.1")
    front = Front(certificate=certificate, certificate_key=key)
    async with running(StoreConfig(keys=(ApiKey(API_KEY),), front=front)) as store:
        url = f"https://127.0.0.1:{store.port}/api/"
        wish = {"mode": "cloud", "name": "Strange", "store_url": url, "api_key": API_KEY}
        tried = await site.api("POST", "connections/test", wish, status=200)
        assert tried["verdict"] == "certificate_unknown_issuer"
        await site.api("POST", "connections", wish, status=201)
        await site.gateway(
            "/strange/api/products", {"Authorization": f"Bearer {site.secrets['client key']}"}, status=502
        )
