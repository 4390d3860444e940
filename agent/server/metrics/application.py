"""``/metrics``, ``/livez`` and ``/readyz``: on the admin socket, and on a port of their own where one is set."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.server.metrics.collector import Monitored, ServerCollector
from agent.server.metrics.stored import is_usable, read_stored


@dataclass(frozen=True, slots=True)
class Readiness:
    """May traffic be sent here? ``checks`` holds "ok" or what is wrong and what to do, in order."""

    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """True when nothing is wrong."""
        return all(found == "ok" for found in self.checks.values())


def readiness(*, listening: bool, usable: bool, leaving: bool) -> Readiness:
    """Judge it: the gateway takes connections, the database answers, and this server is not on its way out."""
    return Readiness(
        {
            "gateway": "ok" if listening else "it takes no connections: see the log of integration-server",
            "database": "ok" if usable else "it does not answer within 2 s: look at its disk, or at PostgreSQL",
            "draining": "this server was told to stop and finishes what runs" if leaving else "ok",
        }
    )


def watch_routes(parts: Monitored) -> list[Route]:
    """The three paths, which only tell."""

    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        stored = await read_stored(parts.plane)
        # Read in the loop, to which the numbers belong; written beside it: with 1000 connections that takes 20 ms.
        told = _Told(tuple(ServerCollector(parts, stored).collect()))
        content = await asyncio.to_thread(lambda: encode(registry_of(told)))
        return Response(content, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    async def livez(_request: Request) -> Response:
        """The event loop turns: that is what the answer says."""
        return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})

    async def readyz(_request: Request) -> Response:
        context = parts.gateway.context
        usable = await is_usable(parts.plane)
        found = readiness(listening=parts.gateway.accepts, usable=usable, leaving=context.leaving)
        answer = {"ready": found.ready, "checks": found.checks}
        return JSONResponse(answer, 200 if found.ready else 503, headers={"Cache-Control": "no-store"})

    return [Route("/metrics", metrics), Route("/livez", livez), Route("/readyz", readyz)]


def registry_of(told: Collector) -> CollectorRegistry:
    """What is told at one scrape: of the server, and of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(told)
    ProcessCollector(registry=registry)
    return registry


@dataclass(frozen=True, slots=True, eq=False)
class _Told(Collector):
    """What was read, as a collector, which is what an encoder takes."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """It."""
        return self.families
