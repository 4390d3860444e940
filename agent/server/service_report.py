"""What the running server tells its service manager: one line for ``systemctl status``, and what is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.server.gateway import Gateway
from agent.server.registry import Registry
from agent.service_life import first_dead


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """``listeners`` say by name whether they still accept; ``tasks`` run as long as the server does."""

    registry: Registry
    gateway: Gateway
    listeners: Mapping[str, Callable[[], bool]]
    tasks: Sequence[asyncio.Task[None]]

    def sentence(self) -> str:
        """``12 agents online, 24 tunnels, 3 in flight``."""
        in_flight = self.gateway.context.active
        if self.gateway.context.leaving:
            return f"draining, {in_flight} in flight"
        agents, tunnels = self.registry.counts()
        return f"{_counted(agents, 'agent')} online, {_counted(tunnels, 'tunnel')}, {in_flight} in flight"

    def stuck(self) -> str:
        """A listener that accepts nobody, or a task that has died, by name; "" when all is well."""
        deaf = next((name for name, is_serving in self.listeners.items() if not is_serving()), "")
        return deaf or first_dead(self.tasks)


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"
