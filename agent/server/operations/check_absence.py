"""Why an agent is not there, as far as the records say."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.doctor.report import Layer, Step, StepState
from agent.server.operations.agents import get_agent
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.records import Agent


def why_absent(agent: Agent) -> tuple[str, str, str]:
    """Verdict, finding and remedy."""
    name = agent.name
    if agent.revoked_at is not None:
        return (
            "agent_revoked",
            f'The agent "{name}" is revoked: its access token opens nothing any more.',
            "Create a new agent in the panel (Agents > Create agent), install it, and choose it in this connection.",
        )
    if not agent.enabled:
        return (
            "agent_disabled",
            f'The agent "{name}" is disabled, and turned away.',
            f'Enable it on its page in the panel, or by integration-server agents enable "{name}".',
        )
    if agent.last_heartbeat_at is None:
        return (
            "agent_offline",
            f'The agent "{name}" has never connected.',
            (
                "Install it on the store's network: its page in the panel shows the commands; if its access token is "
                "lost, replace it there."
            ),
        )
    last_seen = datetime.fromtimestamp(agent.last_heartbeat_at, UTC)
    where = "systemctl status prestashop-agent, or prestashop-agent status, says why it is not connected"
    if agent.plain_store is not None:
        where = "see whether ssh -N -R still runs, and what it prints with -v"
    return (
        "agent_offline",
        f'The agent "{name}" was last heard of on {last_seen:%Y-%m-%d at %H:%M:%S} UTC.',
        f"On its machine: {where}.",
    )


async def absence_step(plane: ControlPlane, agent_id: str) -> Step:
    """The step of a test that ends there."""
    verdict, finding, remedy = why_absent(await get_agent(plane, agent_id))
    return Step(Layer.AGENT, StepState.FAILED, finding, remedy, verdict)
