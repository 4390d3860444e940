"""A cluster whose agents can be asked to check a store, and a control plane that tests connections through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.checkup.plan import CheckPlan
from agent.checkup.service import CheckService
from agent.doctor.answer import ProbeAnswer
from agent.forward.dialer import TcpDialer
from agent.server.internal import ask
from agent.server.operations.control_plane import ControlPlane
from agent.server.routes import Route
from agent.tunnel.check_messages import CHECK_FEATURE
from agent.tunnel.messages import Hello
from tests.kit.cluster import Cluster, ClusterAgent, Link
from tests.kit.control_plane import control_api


class CheckingAgent(ClusterAgent):
    """Says in its hello that it can check."""

    def _hello(self, index: int) -> Hello:
        return super()._hello(index).model_copy(update={"features": [CHECK_FEATURE]})


@dataclass
class CheckingCluster(Cluster):
    """``answer_timeout_s`` is how long a check waits for one answer of a store."""

    answer_timeout_s: float = 2.0
    checks: CheckService = field(default_factory=CheckService)

    def start_agent(self, links: Sequence[Link] | None = None) -> ClusterAgent:
        """Start one more instance, which checks as its exchanges go."""
        opened = [link for link in (self.links if links is None else links) if link.on_agent]
        self.checks.plans = {link.store: self._plan(link) for link in opened}
        config = replace(self.tunnel, on_check=self.checks.take)
        agent = CheckingAgent(self.token, opened, self.timeouts, config)
        self.running.append(agent)
        agent.start()
        return agent

    def _plan(self, link: Link) -> CheckPlan:
        target = link.target(self.timeouts)
        dialer = link.dialer or TcpDialer(link.store.host, link.store.port)
        return CheckPlan(
            rule=target.rule,
            address=dialer.host,
            port=dialer.port,
            host=target.host.decode(),
            tls=dialer.tls,
            server_name=dialer.server_name or link.store.host,
            answer_timeout_s=self.answer_timeout_s,
        )


@asynccontextmanager
async def plane_over(cluster: Cluster, data_dir: Path) -> AsyncIterator[ControlPlane]:
    """The control plane of a server with this gateway and these tunnels, on a database of its own."""

    async def exchange(route: Route, rest: bytes) -> ProbeAnswer:
        return await ask(cluster.gateway.context, route, b"GET", rest)

    async with control_api(data_dir, registry=cluster.registry, exchange=exchange) as api:
        api.plane.cloud_plan = cluster.gateway.cloud.check_plan
        yield api.plane
