"""An installation whose every secret is a canary, and what has come out of it: answers, logs, files, processes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from agent.demo.store import ApiKey, Front, SampleStore, StoreConfig
from agent.demo.store.config import READ
from agent.server.panel_gate import SESSION_COOKIE
from agent.tunnel.token import parse_token
from tests.kit.agent_process import AgentProcess
from tests.kit.canary import Canaries, files_below
from tests.kit.database_dump import DatabaseDump
from tests.kit.mail_server import PASSWORD as SMTP_PASSWORD
from tests.kit.mail_server import USER as SMTP_USER
from tests.kit.mail_server import MailServer, mail_server
from tests.kit.sample_store import running
from tests.kit.seen_processes import SeenProcesses
from tests.kit.server_process import Outcome, ServerProcess
from tests.kit.webhook_receiver import WebhookReceiver, webhook_receiver

API_KEY = "CANARY0API0KEY0CANARY0API0KEY012"
POOR_KEY = "CANARY0POOR0KEY0CANARY0POOR0KEY0"  # without any permission
WRONG_KEY = "CANARY0WRONG0KEY0CANARY0WRONG0KE"  # of nobody
PASSWORD = 'canary "pässword" & <more>/'
NEW_PASSWORD = "canary of a new passw0rd+"
WRONG_PASSWORD = "canary of a wrong passw0rd"
HOOK_TOKEN = "CANARY0HOOK0TOKEN0CANARY"
SHOWN = b"(shown once)"


@dataclass
class CanarySite:
    """Asks as people and programs do. ``answers`` keeps what came back, less what is shown this once."""

    server: ServerProcess
    store: SampleStore
    deaf_store: SampleStore
    directory: Path
    canaries: Canaries
    processes: SeenProcesses
    hook: WebhookReceiver
    mail: MailServer
    database: DatabaseDump | None
    archives: dict[str, dict[str, bytes]] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    agents: list[AgentProcess] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    cookie: str = field(default="", repr=False)
    csrf: str = field(default="", repr=False)

    @property
    def panel_port(self) -> int:
        """The port of panel and API."""
        port: int = self.server.ready["panel"]["port"]
        return port

    def url(self, store: SampleStore | None = None) -> str:
        """Webservice address of a store."""
        return f"http://127.0.0.1:{(store or self.store).port}/api/"

    def learn(self, name: str, secret: str) -> str:
        """A secret that the server has made is looked for, too."""
        self.canaries.add(name, secret)
        self.secrets[name] = secret
        return secret

    async def ask(
        self, port: int, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request; status, fields, body. What comes back is not kept."""
        return await asyncio.to_thread(_ask, port, method, path, dict(fields or {}), body)

    def keep(self, what: str, fields: Mapping[str, str], body: bytes, once: tuple[str, ...] = ()) -> None:
        """An answer that is scanned, but for ``once``, which must be in it."""
        whole = "\n".join(f"{name}: {value}" for name, value in fields.items()).encode() + b"\n\n" + body
        for secret in once:
            assert secret.encode() in whole, what
            whole = whole.replace(secret.encode(), SHOWN)
        self.answers[f"answer {len(self.answers)} to {what}"] = whole

    async def api(self, method: str, path: str, body: object = None, *, status: int, once: str = "") -> Any:
        """Ask ``/v1`` as a program, with the API token; ``once`` is the field that shows a new secret."""
        fields = {"Authorization": f"Bearer {self.secrets['API token']}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        got, answered, text = await self.ask(self.panel_port, method, f"/v1/{path}", fields, content)
        assert got == status, (method, path.partition("?")[0], got, text.decode()[:300])
        found: Any = json.loads(text) if text else None
        self.keep(f"{method} /v1", answered, text, (found[once],) if once else ())
        return found

    async def page(
        self, path: str, form: Mapping[str, object] | None = None, *, status: int = 200, cookie: str | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Ask for a page, or post a form, as the person that is logged in; nothing is kept yet."""
        fields = {"Accept": "text/html", "Cookie": f"{SESSION_COOKIE}={self.cookie if cookie is None else cookie}"}
        body = None
        if form is not None:
            fields |= {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
            body = urlencode({"csrf_token": self.csrf, **form}, doseq=True).encode()
        got, answered, text = await self.ask(self.panel_port, "GET" if form is None else "POST", path, fields, body)
        assert got == status, (got, text.decode()[:2000])
        return answered, text

    async def looked_at(self, path: str, form: Mapping[str, object] | None = None, *, status: int = 200) -> bytes:
        """A page that shows no secret."""
        answered, text = await self.page(path, form, status=status)
        self.keep(f"page {path.partition('?')[0][:30]}", answered, text)
        return text

    async def gateway(self, target: str, fields: Mapping[str, str], *, status: int) -> None:
        """A request of an integration."""
        got, answered, text = await self.ask(self.server.gateway_port, "GET", target, fields)
        assert got == status, (got, text.decode()[:300])
        self.keep("gateway", answered, text)

    async def command(self, *arguments: str, stdin: str = "", code: int = 0, once: str = "") -> Outcome:
        """A command of the server, with all that it prints; ``once`` is the field of JSON that shows a new secret."""
        done = await self.server.command(*arguments, stdin=stdin)
        assert done.code == code, (done.code, done.err)
        self.keep(f"command {arguments[0]}", {}, (done.out + done.err).encode(), (done.json[once],) if once else ())
        return done

    @contextlib.asynccontextmanager
    async def agent(self, name: str, token: str, *urls: str) -> AsyncIterator[AgentProcess]:
        """An agent that logs all it can."""
        self.learn(f"access token of {name}", parse_token(token).secret)
        self.learn(f"access token of {name}, whole", token)
        toml = "".join(f'[[stores]]\nurl = "{url}"\n' for url in urls)
        process = AgentProcess(self.directory / name, toml, token, ("--verbose",))
        self.agents.append(process)
        async with process:
            yield process

    def sources(self) -> dict[str, bytes]:
        """All that has come out by now, whole."""
        found = dict(self.answers)
        link = self.secrets["one-time link"]
        assert self.server.out.count(link) == 1, "the first link is printed, once"
        found["standard output of the server"] = self.server.out.replace(link, SHOWN.decode()).encode()
        found["log of the server"] = self.server.err.encode()
        for number, agent in enumerate(self.agents):
            found[f"log of agent {number}"] = agent.log.encode()
            found |= files_below(agent.directory, but=["token"])
        for archive, members in self.archives.items():
            found |= {f"{archive}: {name}": content for name, content in members.items()}
        if self.database is not None:
            found |= self.database.sources()
        return found | files_below(self.server.data_dir) | self.processes.seen


def _ask(
    port: int, method: str, path: str, fields: dict[str, str], body: bytes | None
) -> tuple[int, dict[str, str], bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.request(method, path, body, fields)
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@contextlib.asynccontextmanager
async def canary_site(directory: Path, database_url: str | None) -> AsyncIterator[CanarySite]:
    """Started, nobody known yet; on SQLite, or the PostgreSQL at ``database_url``."""
    keys = (ApiKey(API_KEY), ApiKey(POOR_KEY, {}), ApiKey(WRONG_KEY[::-1], {"products": READ}))
    canaries = Canaries(
        {
            "API key": API_KEY,
            "API key without permissions": POOR_KEY,
            "wrong API key": WRONG_KEY,
            "password": PASSWORD,
            "new password": NEW_PASSWORD,
            "wrong password": WRONG_PASSWORD,
            "token of a webhook": HOOK_TOKEN,
            "SMTP password": SMTP_PASSWORD,
        }
    )
    async with (
        running(StoreConfig(keys=keys)) as store,
        running(StoreConfig(keys=keys, front=Front(style="fcgi"))) as deaf,
        webhook_receiver(_made(directory / "hook")) as hook,
        mail_server(_made(directory / "mail")) as mail,
        SeenProcesses() as processes,
        ServerProcess(
            directory / "data",
            ("--log-level", "debug", "--allow-private-origin", "127.0.0.0/8"),
            _environment(directory, hook, mail, database_url),
        ) as server,
    ):
        database = DatabaseDump(database_url) if database_url is not None else None
        yield CanarySite(server, store, deaf, directory, canaries, processes, hook, mail, database)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _environment(directory: Path, hook: WebhookReceiver, mail: MailServer, database_url: str | None) -> dict[str, str]:
    password = directory / "smtp-password"
    password.write_text(SMTP_PASSWORD)
    password.chmod(0o600)
    settings = {
        "SMTP__HOST": "127.0.0.1",
        "SMTP__PORT": str(mail.port),
        "SMTP__SENDER": "server@example.com",
        "SMTP__USER": SMTP_USER,
        "SMTP__PASSWORD_FILE": str(password),
        "SMTP__CA_FILE": str(mail.ca_file),
        "METRICS__LISTEN": "127.0.0.1:0",
        "NOTICES__CA_FILE": str(hook.ca_file),
        "NOTICES__ALLOW_PRIVATE_TARGETS": '["127.0.0.0/8"]',
        **({"DATABASE_URL": database_url} if database_url is not None else {}),
    }
    return {f"INTEGRATION_SERVER_{name}": value for name, value in settings.items()}
