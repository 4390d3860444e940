"""The agent's side of a check: what a lying server cannot make it do. The store is a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from agent.checkup.plan import CheckPlan
from agent.checkup.service import AT_ONCE_MAX, PER_MINUTE_MAX, CheckService
from agent.pause import Pause
from agent.policy import METHODS, Rule
from agent.store_url import Store
from agent.tunnel.check_messages import Check, CheckDone, CheckStep
from agent.tunnel.messages import ControlError, Message, decode
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

KEY = "CANARY0API0KEY0CANARY0API0KEY012"
PROMPT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def at_once(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    return PROMPT


async def never(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    await connection.until_gone()
    return None


class Told:
    """The way back to the server: keeps what is told; ``broken`` once the tunnel is gone."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.broken = False
        self._changed = asyncio.Event()

    def __call__(self, message: Message) -> bool:
        if self.broken:
            return False
        self.messages.append(message)
        self._changed.set()
        return True

    @property
    def done(self) -> list[CheckDone]:
        return [each for each in self.messages if isinstance(each, CheckDone)]

    @property
    def steps(self) -> list[CheckStep]:
        return [each for each in self.messages if isinstance(each, CheckStep)]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not reached():
                self._changed.clear()
                await self._changed.wait()


def service_for(port: int, *, methods: frozenset[str] = frozenset(METHODS), clock: float = 0.0) -> CheckService:
    store = Store("http", "127.0.0.1", port, "/", "", "")
    service = CheckService(lambda: clock)
    plan = CheckPlan(Rule(store, methods), store.host, port, store.authority, None, store.host, answer_timeout_s=3.0)
    service.plans = {store: plan}
    return service


def check(to_port: int, /, **more: object) -> Check:
    asked = {"type": "check", "id": "c1", "scheme": "http", "host": "127.0.0.1", "port": to_port, "base_path": "/"}
    message = decode(json.dumps(asked | {"api_key": KEY} | more).encode())
    assert isinstance(message, Check)
    return message


async def test_a_check_is_told_step_by_step_and_ends() -> None:
    told = Told()
    async with ScriptedStore(at_once) as store:
        service = service_for(store.port)
        service.take(check(store.port), told)
        await told.until(lambda: bool(told.done))
    assert [step.layer for step in told.steps] == ["dns", "tcp", "tls", "http", "webservice"]
    assert told.steps[-1].verdict == "wrong_folder"
    assert KEY not in repr(told.messages)


async def test_a_store_that_is_not_open_is_not_asked() -> None:
    told = Told()
    async with ScriptedStore(at_once) as store:
        service = service_for(store.port)
        for other in ({"base_path": "/other/"}, {"port": 1}, {"host": "localhost"}, {"base_path": "/../"}):
            service.take(check(store.port, **other), told)
        assert len(told.done) == 4
        assert all("do not open this store" in each.refusal for each in told.done)
        opened = len(store.connections)
    assert opened == 0


async def test_a_method_that_is_not_open_is_not_sent() -> None:
    told = Told()
    async with ScriptedStore(at_once) as store:
        service_for(store.port, methods=frozenset({"POST"})).take(check(store.port), told)
        await told.until(lambda: bool(told.done))
        assert (told.steps[-1].layer, told.steps[-1].verdict) == ("policy", "policy_denied")
        opened = len(store.connections)
    assert opened == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": [["Accept", "a\r\nX-Evil: 1\r\n\r\nDELETE /api/products/1 HTTP/1.1"]]},
        {"headers": [["Accept", "a\nb"]]},
        {"headers": [["Accept\r\nX-Evil", "1"]]},
        {"headers": [["Accept", "\u00e9"]]},
        {"headers": [["Accept", "a\n"]]},
        {"test_path": "/api/ HTTP/1.1\r\nX-Evil: 1"},
        {"test_path": "/api/\n"},
        {"test_method": "DELETE"},
        {"api_key": "a\r\nb"},
        {"api_key": "user:other"},
        {"key_in": "cookie"},
    ],
)
def test_a_check_that_would_write_its_own_request_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ControlError):
        check(80, **wrong)


async def test_fields_that_frame_or_authorise_a_request_are_not_the_servers_to_send() -> None:
    told = Told()
    forbidden = ["Content-Length", "Transfer-Encoding", "Authorization", "Expect", "Host", "Cookie", "X-Forwarded-Host"]
    headers = [[name, "7"] for name in forbidden] + [["Cache-Control", "no-cache"]]
    async with ScriptedStore(at_once) as store:
        service_for(store.port).take(check(store.port, headers=headers), told)
        await told.until(lambda: bool(told.done))
        (request,) = store.requests
    assert b"Cache-Control: no-cache\r\n" in request.raw_head
    assert b": 7\r\n" not in request.raw_head


async def test_few_at_once_and_few_in_a_minute() -> None:
    told = Told()
    async with ScriptedStore(never) as store:
        service = service_for(store.port)
        for _ in range(AT_ONCE_MAX + 1):
            service.take(check(store.port), told)
        assert ["other checks" in each.refusal for each in told.done] == [True]
        await service.close()
    told = Told()
    async with ScriptedStore(at_once) as store:
        service = service_for(store.port)
        for count in range(1, PER_MINUTE_MAX + 1):
            service.take(check(store.port), told)
            await told.until(lambda count=count: len(told.done) == count)  # type: ignore[misc]
        service.take(check(store.port), told)
        assert "a minute" in told.done[-1].refusal
        opened = len(store.connections)  # outside of the assertion: a failure would print what refers to itself
    assert opened == PER_MINUTE_MAX == 20


async def test_a_check_ends_with_its_tunnel() -> None:
    told = Told()
    async with ScriptedStore(at_once) as store:
        service = service_for(store.port)
        told.broken = True
        service.take(check(store.port), told)
        (task,) = service._tasks
        async with asyncio.timeout(5):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        asked = len(store.requests)
    assert asked == 0


async def test_a_paused_store_is_not_checked() -> None:
    told = Told()
    async with ScriptedStore(at_once) as store:
        service = service_for(store.port)
        service._pause_of = lambda _: Pause(1_795_687_200.0, None, "stocktaking")
        service.take(check(store.port), told)
        ((step,), (done,)) = told.steps, told.done
        assert (step.layer, step.state, step.verdict) == ("policy", "failed", "policy_denied")
        assert "paused this store since 2026-11-26 10:00 UTC (stocktaking)" in step.finding
        assert "prestashop-agent resume" in step.remedy
        assert done.refusal == ""
        assert store.connections == []
