"""The overview: what runs, what needs attention, what a new installation still lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from agent.server.operations.agents import list_agents
from agent.server.operations.client_keys import list_client_keys
from agent.server.operations.connections import list_connections
from agent.server.operations.open_notices import open_notices
from agent.server.operations.principal import Permission
from agent.server.operations.test_history import newest_tests
from agent.server.panel.live import live_fragment
from agent.server.panel.visitor import Sees, Visitor
from agent.server.traffic import Minute

router = APIRouter()

_SEES = Depends(Sees(Permission.STATUS_READ))
_BAR_HEIGHT = 100
_NOTICES_MAX = 5


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step of a new installation."""

    title: str
    text: str
    done: bool
    href: str
    label: str


@router.get("/")
async def overview(visitor: Visitor = _SEES) -> Response:
    """The page."""
    return visitor.page("overview.html", **await _facts(visitor))


@router.get("/overview/live")
async def overview_live(visitor: Visitor = _SEES) -> Response:
    """The same, again and again."""

    async def render() -> str:
        return visitor.text("parts/overview.html", **await _facts(visitor))

    return live_fragment(visitor, render)


async def _facts(visitor: Visitor) -> dict[str, Any]:
    plane = visitor.plane
    agents = [agent for agent in (await list_agents(plane)).items if agent.state != "revoked"]
    connections = (await list_connections(plane)).items
    tests = await newest_tests(plane)
    keys = (await list_client_keys(plane, state="active")).items
    failing = [each for each in connections if each.enabled and each.id in tests and not tests[each.id].report.ok]
    subjects = {f"agent/{each.id}" for each in agents if each.enabled}
    subjects |= {f"connection/{each.id}" for each in connections if each.enabled}
    traffic = plane.traffic
    minutes = traffic.minutes() if traffic is not None else []
    return {
        "agents": agents,
        "online": [agent for agent in agents if agent.state in ("online", "draining")],
        "offline": [agent for agent in agents if agent.state == "offline"],
        "connections": connections,
        "failing": failing,
        "tests": tests,
        "notices": (await open_notices(plane, subjects, tests))[:_NOTICES_MAX],
        "needing_key": [each for each in connections if each.needs_key],
        "lately": traffic.lately() if traffic is not None else None,
        "bars": _bars(minutes),
        "setup": _setup(
            has_agent=bool(agents),
            has_installed=any(agent.last_heartbeat_at for agent in agents),
            has_connection=bool(connections),
            has_tested=any(tests[each.id].report.ok for each in connections if each.id in tests),
            has_key=bool(keys),
        ),
    }


def _setup(
    *, has_agent: bool, has_installed: bool, has_connection: bool, has_tested: bool, has_key: bool
) -> list[SetupStep]:
    steps = [
        SetupStep(
            "Create an agent",
            "It will run on the shop's network. A shop that this server reaches by itself needs none.",
            has_agent or has_connection,
            "/agents/new",
            "Create an agent",
        ),
        SetupStep(
            "Install it with its access token",
            "The page of the agent shows the commands; it comes online here by itself.",
            has_installed or (has_connection and not has_agent),
            "/agents",
            "To the agents",
        ),
        SetupStep(
            "Create a connection",
            "Name, address of the shop's back office, and its webservice key.",
            has_connection,
            "/connections/new",
            "Create a connection",
        ),
        SetupStep(
            "Test it",
            "Layer by layer, from the agent to the permissions of the key.",
            has_tested,
            "/connections",
            "To the connections",
        ),
        SetupStep(
            "Give an integration a client key",
            "It uses the gateway URL and this key in place of the shop's own.",
            has_key,
            "/client-keys/new",
            "Create a client key",
        ),
    ]
    return [] if all(step.done for step in steps) else steps


def _bars(minutes: list[Minute]) -> list[dict[str, float]]:
    """Heights of the chart, in hundredths of its own."""
    most = max((minute.requests for minute in minutes), default=0)
    if not most:
        return []
    return [
        {
            "x": index * 10.0,
            "height": round(minute.requests / most * _BAR_HEIGHT, 2),
            "failed": round(minute.errors / most * _BAR_HEIGHT, 2),
        }
        for index, minute in enumerate(minutes)
    ]
