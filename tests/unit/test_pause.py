"""Pauses: what they say, how they are kept, and what the running agent's switch does with commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import AgentError, StartError
from agent.forward.gate import StorePaused
from agent.opened_stores import OpenedStores
from agent.pause import Pause, Pauses, one_line
from agent.pause_file import PauseFile
from agent.pause_switch import PauseSwitch, named_stores
from agent.policy import Rule
from agent.store_url import Store
from agent.tunnel.messages import LINE_MAX_BYTES

NOW = 1_795_687_200.0  # 2026-11-26 10:00 UTC
SHOP = Store("https", "shop.example.com", 443, "/")
OTHER = Store("https", "other.example.com", 443, "/shop/")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def switch_in(directory: Path, clock: Clock) -> PauseSwitch:
    switch = PauseSwitch(PauseFile(directory, clock))
    switch.open({SHOP: None, OTHER: None})
    return switch


def paused(switch: PauseSwitch) -> tuple[bool, bool]:
    """What the gates of both stores do."""
    gates = switch.open({SHOP: None, OTHER: None})
    return tuple(gates[store].refuse is not None for store in (SHOP, OTHER))  # type: ignore[return-value]


def test_a_pause_says_since_when_until_when_and_why() -> None:
    assert Pause(NOW, NOW + 1800, "stocktaking").sentence == (
        "The shop's administrator has paused this store since 2026-11-26 10:00 UTC, until 2026-11-26 10:30 UTC "
        "(stocktaking)."
    )
    message = StorePaused(Pause(NOW).sentence).message
    assert message.startswith("policy_denied: The store is paused; nothing more is sent to it.")
    assert "since 2026-11-26 10:00 UTC. Nobody else can end that: `prestashop-agent resume`" in message


def test_what_is_kept_is_what_is_read(tmp_path: Path, clock: Clock) -> None:
    pauses = Pauses(Pause(NOW, None, "é"), {str(SHOP): Pause(NOW - 5, NOW + 5)})
    file = PauseFile(tmp_path, clock)
    file.write(pauses)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.read() == pauses
    clock.now = NOW + 5
    assert file.read() == Pauses(pauses.everything)
    file.write(Pauses())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 2, "everything": null, "stores": {}}',
        b'{"format": 1, "everything": null}',
        b'{"format": 1, "everything": {"since": 1e300, "until": null, "reason": ""}, "stores": {}}',
        b'{"format": 1, "everything": {"since": NaN, "until": null, "reason": ""}, "stores": {}}',
        b'{"format": 1, "everything": {"since": 1, "until": null, "reason": "a\\nb"}, "stores": {}}',
        b'{"format": 1, "everything": null, "stores": {"https://shop.example.com/": 1}}',
    ],
)
def test_a_file_that_says_nothing_closes_everything(content: bytes, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "pause.json").write_bytes(content)
    (tmp_path / "pause.json").chmod(0o600)
    with pytest.raises(StartError, match="prestashop-agent resume"):
        PauseFile(tmp_path).read()


async def test_an_unreadable_file_closes_until_resume(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "pause.json").write_text("{")
    (tmp_path / "pause.json").chmod(0o600)
    switch = switch_in(tmp_path, clock)
    assert paused(switch) == (True, True)
    assert switch.resume({})["ended"] == ["all"]
    assert paused(switch) == (False, False)
    assert paused(switch_in(tmp_path, clock)) == (False, False)


async def test_one_store_and_everything(tmp_path: Path, clock: Clock) -> None:
    switch = switch_in(tmp_path, clock)
    answer = switch.pause({"stores": ["https://shop.example.com/admin123/"], "reason": " two\n lines", "by": "ann"})
    assert answer["paused"] == [{"store": str(SHOP), "since": NOW, "until": None, "reason": "two lines"}]
    assert paused(switch) == (True, False)
    assert paused(switch_in(tmp_path, clock)) == (True, False), "kept over a restart"
    clock.now += 60
    assert switch.pause({"stores": [str(SHOP)]})["paused"][0]["since"] == NOW, "paused twice is paused since the first"
    switch.pause({})
    assert paused(switch) == (True, True)
    with pytest.raises(AgentError, match="without --store"):
        switch.resume({"stores": [str(SHOP)]})
    assert switch.resume({})["ended"] == ["all", str(SHOP)]
    assert paused(switch) == (False, False)


async def test_a_store_that_is_opened_later_is_paused_from_its_first_exchange_on(tmp_path: Path, clock: Clock) -> None:
    switch = switch_in(tmp_path, clock)
    switch.pause({})
    late = Store("https", "late.example.com", 443, "/")
    assert switch.open({late: None})[late].pause == Pause(NOW)


async def test_a_pause_ends_by_its_time(tmp_path: Path, clock: Clock) -> None:
    switch = switch_in(tmp_path, clock)
    switch.pause({"for_s": 60})
    switch.pause({"stores": [str(OTHER)]})
    clock.now += 60
    switch._look()
    assert paused(switch) == (False, True)
    assert json.loads((tmp_path / "pause.json").read_text())["everything"] is None
    switch.close()


@pytest.mark.parametrize(
    "request_",
    [
        {"stores": "https://shop.example.com"},
        {"stores": ["https://nowhere.example.com"]},
        {"stores": ["nonsense://"]},
        {"stores": [1]},
        {"for_s": 0},
        {"for_s": True},
        {"for_s": float("nan")},
        {"for_s": 1e12},
        {"for_s": "30m"},
        {"reason": 5},
    ],
)
async def test_what_cannot_be_understood_changes_nothing(
    request_: dict[str, Any], tmp_path: Path, clock: Clock
) -> None:
    switch = switch_in(tmp_path, clock)
    with pytest.raises(AgentError):
        switch.pause(request_)
    assert paused(switch) == (False, False)
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_in_the_place_of_the_file(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "pause.json").mkdir()
    switch = switch_in(tmp_path, clock)
    assert "a restart of the agent ends this pause" in switch.pause({})["unkept"]
    with pytest.raises(StartError, match="cannot be written"):
        switch.resume({})
    assert paused(switch) == (True, True)


def test_an_address_without_a_shop_number_means_all_shops_there() -> None:
    known = (
        "https://shop.example.com/?id_shop=1",
        "https://shop.example.com/?id_shop=2",
        "https://shop.example.com/b/",
    )
    assert named_stores(["https://shop.example.com/api/"], known) == known[:2]
    assert named_stores(["https://shop.example.com/?id_shop=2"], known) == known[1:2]
    with pytest.raises(AgentError, match="there is https://shop"):
        named_stores(["https://else.example.com/"], known[2:])


def test_a_reason_is_one_line() -> None:
    assert one_line("a\r\n b\x1b[31m\u202e c") == "a b[31m c"
    assert len(one_line("x" * 999)) == 200


@pytest.mark.parametrize(("count", "reason"), [(3, "x" * 200), (400, ""), (512, None)])
async def test_as_much_of_the_pauses_as_fits_is_told(
    count: int, reason: str | None, tmp_path: Path, clock: Clock
) -> None:
    """512 stores fill a hello nearly; whatever is paused, it must still be one."""
    opened = OpenedStores("i" * 36, PauseSwitch(PauseFile(tmp_path, clock)))
    stores = [Store("https", f"shop-{number:03}.example.com", 443, "/shop/") for number in range(count)]
    opened._rules = tuple(Rule(store, frozenset({"GET", "HEAD"})) for store in stores)
    assert opened.hello(0).paused == {}
    opened._pauses.pause({"reason": "x" * 200})
    hello = opened.hello(0)
    assert len(hello.encode()) <= LINE_MAX_BYTES
    assert {pause.reason for pause in hello.paused.values()} == ({reason} if reason is not None else set())
