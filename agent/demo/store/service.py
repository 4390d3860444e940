"""The webservice: one call of it, from its parameters to its answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.demo.store import images, json_output, reads, writes, xml_output
from agent.demo.store.access import ShopContext, authenticate, check_shop_right, permissions
from agent.demo.store.answer import PHP, SERVICE, Answer
from agent.demo.store.call import Call, Content
from agent.demo.store.config import METHODS, StoreConfig
from agent.demo.store.database import Database
from agent.demo.store.faults import Missing, WebserviceFault, did_you_mean
from agent.demo.store.languages import chosen_languages
from agent.demo.store.php import RequestVars
from agent.demo.store.schema import load_schema
from agent.demo.store.session import session_cookie

VERSION = "8.2.4"
CHALLENGE = (
    "WWW-Authenticate",
    (
        'Basic realm="Welcome to PrestaShop Webservice, please enter the authentication key as the login.'
        ' No password required."'
    ),
)
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Executed:
    """One call that passed every check and was really carried out: effective method, resource and ids."""

    method: str
    resource: str
    ids: tuple[int, ...]
    id_shop: int


@dataclass(slots=True)
class Invocation:
    """What the dispatcher hands to the webservice. ``method`` is the effective one, ``raw_body`` php://input."""

    method: str
    url: str
    variables: RequestVars
    raw_body: bytes
    key: str
    context: ShopContext
    output_format: str
    local_sha1: str | None = None


@dataclass(slots=True)
class Webservice:
    """The webservice of one store."""

    config: StoreConfig
    database: Database
    clock: Callable[[], float] = time.time
    executed: list[Executed] = field(default_factory=list)

    def fetch(self, invocation: Invocation) -> Answer:
        """Answer one call. Writes are committed before this returns."""
        started = self.clock()
        call = Call(
            method=invocation.method,
            segments=invocation.url.split("/"),
            params={name: value for name, value in invocation.variables.get.items() if name != "url"},
            context=invocation.context,
            database=self.database,
            schema=load_schema(),
            config=self.config,
            body=invocation.raw_body,
            files=invocation.variables.files,
            json=invocation.output_format.upper() == "JSON",
            now=self.clock,
        )
        try:
            content = self._content(call, invocation)
        except Missing:
            content = Content(404, None, None)
        except WebserviceFault as fault:
            content = self._failed(call, fault)
        finally:
            self.database.commit()
        return self._answer(call, content, invocation, self.clock() - started)

    def _content(self, call: Call, invocation: Invocation) -> Content:
        if not self.config.webservice:
            message = "The PrestaShop webservice is disabled. Please activate it in the PrestaShop Back Office"
            raise WebserviceFault(503, (22, message))
        call.authenticated = False
        key = authenticate(self.config, invocation.key)
        call.authenticated = True
        check_shop_right(self.config, key, call.context, call.params)
        call.languages = chosen_languages(call.params, [str(one) for one in self.database.ids("languages")])
        call.permissions = permissions(key, call.schema)
        name = call.segments[0]
        _check_resource(call, name)
        _check_method(call, name)
        if name == "":
            self._note(call)
            return reads.resources_list(call)
        if name == "images":
            content = images.manage(call)
        elif name == "search":
            content = reads.search(call)
        elif call.method in ("GET", "HEAD"):
            content = reads.read(call)
        elif call.method == "DELETE":
            content = writes.delete(call)
        else:
            content = writes.save(call)
        self._note(call)
        return content

    def _note(self, call: Call) -> None:
        self.executed.append(Executed(call.method, call.segments[0], tuple(call.touched), call.context.id_shop))

    def _failed(self, call: Call, fault: WebserviceFault) -> Content:
        """The error body; a write that had begun before the fault stays written, as in PrestaShop."""
        if call.touched and call.method in _WRITES:
            self._note(call)
        renderer = json_output if call.json else xml_output
        content = Content(fault.status, renderer.errors(fault.errors), renderer.CONTENT_TYPE)
        if call.managed:
            content.sha1_of = b"" if call.segments[0] == "images" else xml_output.document("")
        content.challenge = not call.authenticated and fault.status == 401
        return content

    def _answer(self, call: Call, content: Content, invocation: Invocation, took_s: float) -> Answer:
        if content.crashed:
            return crash()
        status, body = content.status, content.body
        sha1 = None
        if body and status < 400:
            sha1 = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        elif content.sha1_of is not None:
            sha1 = hashlib.sha1(content.sha1_of, usedforsecurity=False).hexdigest()
        if sha1 is not None and invocation.local_sha1 == sha1:
            status, body = 304, None
        fields = [("X-Powered-By", SERVICE)]
        if content.challenge:
            fields.append(CHALLENGE)
        fields.append(("Access-Time", str(int(self.clock()))))
        fields.append(("PSWS-Version", VERSION if call.authenticated else "0"))
        fields.append(("Execution-Time", f"{took_s:.3f}".rstrip("0").rstrip(".")))
        if sha1 is not None:
            fields.append(("Content-Sha1", sha1))
        if not body:
            fields.append(session_cookie(self.clock()))
        return Answer(status, fields, body or b"", content.content_type if body else None)


def no_credentials(now: float) -> Answer:
    """The plain answer to a request without any credentials."""
    fields = [("X-Powered-By", PHP), CHALLENGE, session_cookie(now)]
    return Answer(401, fields, b"401 Unauthorized", "text/html; charset=utf-8")


def crash() -> Answer:
    """An uncaught PHP error with display_errors off."""
    fields = [("X-Powered-By", PHP), session_cookie(time.time())]
    return Answer(500, fields, b"", "text/html; charset=utf-8", old_status_line=True)


def _check_resource(call: Call, name: str) -> None:
    if name != "" and name not in call.schema:
        message = f'Resource of type "{name}" does not exists'
        raise WebserviceFault(400, (27, did_you_mean(message, name, list(call.schema))))
    if name != "" and name not in call.permissions:
        message = f'Resource of type "{name}" is not allowed with this authentication key'
        raise WebserviceFault(401, (26, message))


def _check_method(call: Call, name: str) -> None:
    method = call.method
    if method not in METHODS:
        raise WebserviceFault(405, (23, f"Method {method} is not valid"))
    if name and method not in call.schema[name].methods:
        raise WebserviceFault(405, (101, f"Method {method} is not allowed for the resource {name}"))
    if name and method not in call.permissions[name]:
        message = f"Method {method} is not allowed for the resource {name} with this authentication key"
        raise WebserviceFault(405, (25, message))
