"""Restarts under load cost latency and no error: 50 requests a second, a long export at each, agent and server."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

import pytest

from tests.e2e.restarts import Installation, Load

PER_S = 50.0


@pytest.mark.parametrize(
    ("restarts", "export_s"),
    [(1, 3.0), pytest.param(3, 20.0, marks=[pytest.mark.long, pytest.mark.timeout(400)])],
)
async def test_agent_and_server_are_restarted_and_no_request_fails(
    tmp_path: Path, restarts: int, export_s: float
) -> None:
    over = asyncio.Event()
    took_s: list[float] = []
    loop = asyncio.get_running_loop()
    async with Installation(tmp_path, export_s) as place:
        load = Load(place.port, place.key)
        running = asyncio.create_task(load.run(PER_S, over), name="load")
        try:
            for _ in range(restarts):
                for restart in (place.restart_agent, place.restart_server):
                    place.shop.exporting.clear()
                    export = asyncio.create_task(load.export(), name="export")
                    await place.shop.exporting.wait()
                    began_at = loop.time()
                    await restart()
                    took_s.append(loop.time() - began_at)
                    assert took_s[-1] > 0.8 * export_s, "it waited for the export"
                    await export
        finally:
            over.set()
            await running
        assert load.failures == []
        assert place.exit_codes == [0] * 2 * restarts
        assert dict(place.shop.written) == dict.fromkeys(load.nonces, 1), "each write was executed once"
        print(
            f"\n{load.sent} requests and {2 * restarts} exports of {export_s:g} s during {2 * restarts} restarts:"
            f" 0 failed, longest wait {max(load.waits_s):.1f} s, median {statistics.median(load.waits_s):.4f} s;"
            f" restarts took {' '.join(f'{each:.1f}' for each in took_s)} s"
        )
