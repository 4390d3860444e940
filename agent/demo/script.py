"""The steps of the demo: what is sent through gateway and tunnel, and what must come of it."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

# expat has its own limits on entity expansion since 2.4.1, and what is parsed here comes from the sample store.
from xml.etree import ElementTree as ET

from agent.demo.client import Answer, Request
from agent.demo.failure import DemoError
from agent.demo.step import Step
from agent.demo.trail import Exchange, Trail

HOPS: Final = {"store": ("gateway", "agent", "store"), "agent": ("gateway", "agent"), "gateway": ("gateway",)}

_ENGLISH: Final = "1"
_WRONG_KEY: Final = "0" * 32
_BOUNDARY: Final = "picture-of-the-demo"
_PRODUCT: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<prestashop><product>
<price>19.90</price><active>1</active><state>1</state><id_category_default>2</id_category_default>
<name><language id="1">{name}</language></name>
<link_rewrite><language id="1">{link}</language></link_rewrite>
</product></prestashop>
"""

Send = Callable[[Request], Awaitable[Answer]]


class Audience(Protocol):
    """Who is shown the steps."""

    def step_begins(self, title: str, sent: str) -> None:
        """A step has begun."""

    def step_done(self, step: Step) -> None:
        """It went well."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the script left in the store."""

    product_id: int
    product_name: str
    refused_ids: tuple[str, ...]


class Script:
    """Sends the requests one after another; every step checks what came and says it.

    ``slug`` is the connection's path on the gateway, ``database`` the store's own SQLite file.
    """

    def __init__(self, send: Send, slug: str, database: Path, trail: Trail, audience: Audience) -> None:
        self._send = send
        self._base = f"/{slug}/api"
        self._database = database
        self._trail = trail
        self._audience = audience
        self._number = 0
        self._stopped_at_gateway: list[str] = []

    async def run(self) -> Outcome:
        """All steps. Raises DemoError, naming the step and what came, at the first one that does not go well."""
        await self._permissions()
        await self._listing()
        name, product_id = await self._read_and_write()
        await self._pictures(product_id)
        await self._refusals(product_id, name)
        return Outcome(product_id, name, tuple(self._stopped_at_gateway))

    # -- the steps ---------------------------------------------------------------------------------------------------

    async def _permissions(self) -> None:
        def finding(answer: Answer) -> str:
            return str(len(_found(_xml(answer), "./api")))

        await self._request("The store's list of resources", Request("GET", f"{self._base}/"), finding)

    async def _listing(self) -> None:
        def finding(answer: Answer) -> str:
            products = _xml(answer).findall("./products/product")
            return f"{len(products)} of them"

        target = f"{self._base}/products?display=full&limit=5"
        await self._request("A page of products", Request("GET", target), finding)

    async def _read_and_write(self) -> tuple[str, int]:
        def one(answer: Answer) -> str:
            return _name(_found(_xml(answer), "./product"))

        def one_as_json(answer: Answer) -> str:
            return str(json.loads(answer.body)["product"]["name"][0]["value"])

        target = f"{self._base}/products/1"
        await self._request("One product, as XML", Request("GET", target), one)
        await self._request("The same, as JSON", Request("GET", f"{target}?output_format=JSON"), one_as_json)

        name = f"Demo jug {secrets.token_hex(4)}"
        body = _PRODUCT.format(name=name, link=name.lower().replace(" ", "-")).encode()
        request = Request("POST", f"{self._base}/products", body, "text/xml")

        def written(answer: Answer) -> str:
            return f"product {_found(_xml(answer), './product/id').text}"

        answer = await self._request(
            "A new product is written", request, written, status=201, notes=(("name sent", name, ""),)
        )
        product_id = int(_found(_xml(answer), "./product/id").text or 0)
        self._look_into_database(product_id, name)
        return name, product_id

    def _look_into_database(self, product_id: int, name: str) -> None:
        sql = f"SELECT name FROM products WHERE id = {product_id}"  # noqa: S608 - a number that we parsed
        title = "Read from the store's own database"
        self._begin(title, sql)
        rows = self._query(sql)
        found = json.loads(rows[0][0])[_ENGLISH] if rows else "nothing"
        if found != name:
            raise self._failed(title, f"found {found!r} instead of {name!r}")
        self._done(Step(self._number, title, self._database.name, sql, notes=(("name found", found, "the same"),)))

    async def _pictures(self, product_id: int) -> None:
        def kind(answer: Answer) -> str:
            if not answer.body.startswith(b"\xff\xd8\xff"):
                raise ValueError("no JPEG")
            return answer.content_type

        request = Request("GET", f"{self._base}/images/products/1/1")
        picture = (await self._request("A picture comes down", request, kind)).body
        upload = (
            (
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="jug.jpg"\r\n'
                "Content-Type: image/jpeg\r\n\r\n"
            ).encode()
            + picture
            + f"\r\n--{_BOUNDARY}--\r\n".encode()
        )
        request = Request(
            "POST",
            f"{self._base}/images/products/{product_id}",
            upload,
            f"multipart/form-data; boundary={_BOUNDARY}",
        )

        def stored(_answer: Answer) -> str:
            sql = "SELECT content FROM pictures WHERE kind = 'products' AND owner = ?"
            found = [bytes(row[0]) for row in self._query(sql, product_id)]
            if found != [picture]:
                raise ValueError("another picture in the store's database")
            return "found in the database"

        await self._request("The picture goes up", request, stored)

    async def _refusals(self, product_id: int, name: str) -> None:
        def still_there(_answer: Answer) -> str:
            rows = self._query("SELECT name FROM products WHERE id = ?", product_id)
            if not rows or json.loads(rows[0][0])[_ENGLISH] != name:
                raise ValueError("the product is gone")
            return "nothing deleted"

        await self._request(
            "Customers, which the agent keeps closed",
            Request("GET", f"{self._base}/customers"),
            lambda _: "",
            status=403,
            error="policy_denied",
        )
        await self._request(
            "A DELETE hidden in a GET",
            Request("GET", f"{self._base}/products/{product_id}?ps_method=DELETE"),
            still_there,
            status=403,
            error="policy_denied",
        )
        await self._request(
            "A wrong key",
            Request("GET", f"{self._base}/products", key=_WRONG_KEY),
            lambda _: "",
            status=401,
            error="client_key_invalid",
        )

    # -- how a step is done ------------------------------------------------------------------------------------------

    async def _request(
        self,
        title: str,
        request: Request,
        finding: Callable[[Answer], str],
        *,
        status: int = 200,
        error: str = "",
        notes: tuple[tuple[str, str, str], ...] = (),
    ) -> Answer:
        """Send, check status and error name, follow it through the logs, and say what ``finding`` makes of it."""
        sent = f"{request.method} {quote(request.target, safe='/?&=[],')}"
        self._begin(title, sent)
        try:
            answer = await self._send(request)
        except DemoError as failure:
            raise self._failed(title, str(failure)) from None
        if (answer.status, answer.error_name) != (status, error):
            expected = f"{status} {error}".strip()
            by = f" from {answer.refused_by}" if answer.refused_by else " from the store"
            raise self._failed(title, f"{f'{answer.status} {answer.error_name}'.strip()}{by} instead of {expected}")
        try:
            found = finding(answer)
            exchange = await self._trail.find(answer.request_id)
        except (ValueError, LookupError, ET.ParseError, sqlite3.Error, DemoError) as wrong:
            raise self._failed(title, f"status {answer.status}, but {wrong}") from None
        if exchange.answered_by == "gateway":
            self._stopped_at_gateway.append(exchange.request_id)
        self._done(
            Step(
                self._number,
                title,
                found,
                sent,
                _hops(exchange),
                error,
                answer.status,
                size_bytes=len(answer.body),
                elapsed_ms=answer.elapsed_ms,
                notes=notes,
            )
        )
        return answer

    def _query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Read the store's database beside the store, as any other program could."""
        connection = sqlite3.connect(f"file:{quote(str(self._database))}?mode=ro", uri=True)
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()

    def _begin(self, title: str, sent: str) -> None:
        self._number += 1
        self._audience.step_begins(title, sent)

    def _done(self, step: Step) -> None:
        self._audience.step_done(step)

    def _failed(self, title: str, what: str) -> DemoError:
        return DemoError(f"Step {self._number} ({title}) went wrong: {what}.")


def _hops(exchange: Exchange) -> tuple[str, ...]:
    return HOPS.get(exchange.answered_by, ("gateway",))


def _xml(answer: Answer) -> ET.Element:
    return ET.fromstring(answer.body)  # noqa: S314 - see the import


def _found(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    if found is None:
        raise LookupError(f"there is no {path} in the answer")
    return found


def _name(product: ET.Element) -> str:
    return (product.findtext(f"name/language[@id='{_ENGLISH}']") or "").strip()
