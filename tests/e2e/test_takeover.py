"""Real processes: an agent comes back while the server still believes in its old connection; copies; a taken place."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from tests.kit.counting_store import CountingStore
from tests.kit.cutting_relay import CuttingRelay
from tests.kit.real_site import RealSite, real_site
from tests.kit.until import until

SERVED_WITHIN_S = 2.0
NOTICES_SOON = "[heartbeat]\ninterval_s = 1\nsilence_s = 3\n"
ONE_TUNNEL = "tunnels = 1\n"
PATIENCE_S = 30
SLOW_LANE_S = 2  # the slow lane waits between half of it and all of it


async def _served_after(site: RealSite, door: CuttingRelay, known: int) -> float:
    """Seconds from the first connection after the ``known`` ones to the first answer after that."""
    loop = asyncio.get_running_loop()
    while True:
        assert await site.answer("get") == "200"  # one that met the dead link is asked again through the new one
        if door.connections > known:
            return loop.time() - door.accepted_at_s[known]


@pytest.mark.parametrize("died", [False, True], ids=["link-died", "machine-died"])
async def test_who_comes_back_is_served_at_once(tmp_path: Path, died: bool) -> None:
    """The server has heard nothing of the end of the old connections, and its own limit (25 s) is far away."""
    async with (
        CountingStore() as store,
        CuttingRelay() as door,
        real_site(tmp_path, {"one": store}, door=door) as site,
        site.agent("a", toml=NOTICES_SOON) as agent,
    ):
        await agent.event("tunnel.ready", 2)
        assert await site.answer("post") == "200"
        door.freeze()
        known = door.connections
        if died:
            agent.signal(signal.SIGKILL)
            await agent.ended()
            assert not site.logged("tunnel.closed"), "the server has not noticed"
            async with site.agent("a", toml=NOTICES_SOON) as returned:
                assert await _served_after(site, door, known) < SERVED_WITHIN_S
                await returned.event("tunnel.ready", 2)
                assert await site.answer("post") == "200"
        else:
            assert await _served_after(site, door, known) < SERVED_WITHIN_S
            await agent.event("tunnel.ready", 4)
            assert await site.answer("post") == "200"
        assert not site.logged("agent.place_taken"), "it is the same instance, whatever its address"
        assert not site.logged("tunnel.silent"), "it did not have to wait until the server noticed"


async def test_a_copy_of_the_state_directory_is_told_and_the_two_do_not_fight(tmp_path: Path) -> None:
    """A cloned virtual machine: same identity, two places."""
    async with (
        CountingStore() as store,
        real_site(tmp_path, {"one": store}) as site,
        site.agent("a", toml=ONE_TUNNEL) as original,
    ):
        await original.event("tunnel.ready")
        copied = site.agent("b", toml=ONE_TUNNEL)
        shutil.copytree(tmp_path / "a" / "state", copied.directory / "state")
        async with copied:
            both = (original, copied)
            waits = [asyncio.create_task(agent.event("tunnel.refused")) for agent in both]
            done, pending = await asyncio.wait(waits, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            for wait in pending:
                wait.cancel()
            assert done, f"they fight: {len(site.logged('tunnel.ready'))} tunnels so far"
            refused = done.pop().result()
            assert (refused["level"], refused["reason"]) == ("error", "replaced")
            assert "copy" in refused["detail"]
            assert refused["retry_in_s"] >= 30, "the slow lane"
            ready = len(site.logged("tunnel.ready"))
            assert ready <= 4, "each was evicted twice at most"
            loop = asyncio.get_running_loop()
            watched_until = loop.time() + 3
            while loop.time() < watched_until:
                assert await site.answer("get") == "200"
            assert len(site.logged("tunnel.ready")) == ready, "nobody was evicted any more"
            errors = [event for agent in both for event in agent.events if event["level"] == "error"]
            assert errors == [refused]


async def test_a_second_instance_is_told_who_is_there_and_comes_in_when_it_has_left(tmp_path: Path) -> None:
    slow_lane = f"{ONE_TUNNEL}[reconnect]\nmax_s = {SLOW_LANE_S}\n"
    async with (
        CountingStore() as store,
        real_site(tmp_path, {"one": store}) as site,
        site.agent("a", toml=ONE_TUNNEL) as first,
    ):
        await first.event("tunnel.ready")
        holder = (await first.event("agent.starting"))["instance_id"]
        async with site.agent("b", toml=slow_lane) as second:
            async with asyncio.timeout(PATIENCE_S):
                refused = await second.event("tunnel.refused")
            newcomer = (await second.event("agent.starting"))["instance_id"]
            assert (refused["level"], refused["reason"]) == ("error", "place_taken")
            assert holder[:8] in refused["detail"]
            assert holder not in refused["detail"], "who knows it all could join as one of its tunnels"
            assert "--max-instances 2" in refused["detail"], "what to do"
            await until(lambda: len(site.logged("agent.place_taken")) >= 2)  # it goes on asking, and is audited
            for audited in site.logged("agent.place_taken"):
                assert audited["level"] == "warning"
                assert (audited["instance_id"], audited["holder_instance_id"]) == (newcomer, holder)
            trail = [entry for entry in await site.server.api("get", "audit") if entry["action"] == "agent.place_taken"]
            assert [entry["detail"]["instance_id"] for entry in trail] == [newcomer], "once, however often it asks"
            assert [event for event in second.events if event["level"] == "error"] == [refused], "said once"
            assert await site.answer("post") == "200"
            assert not any(event["event"] == "exchange" for event in second.events)

            loop = asyncio.get_running_loop()
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0
            left_at = loop.time()
            assert await site.answer("post") == "200", "it was parked until then"
            assert loop.time() - left_at < SLOW_LANE_S + SERVED_WITHIN_S
            await second.event("tunnel.ready")
