"""What all SSH connections of one endpoint share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.server.agent_record import AgentRecord
from agent.server.doorkeeper import Doorkeeper
from agent.server.registry import Registry
from agent.server.ssh_config import SshConfig
from agent.tunnel.messages import Goodbye

if TYPE_CHECKING:  # the connection knows its context, not the other way round
    from agent.server.link import AgentLink


@dataclass(frozen=True, slots=True)
class LinkContext:
    """``links`` holds every connection that was let in, logged in or not.

    ``turned_away`` counts those that were sent off after their login, by ``Goodbye``.
    """

    authenticate: Callable[[str, str], AgentRecord | None]
    registry: Registry
    config: SshConfig
    doorkeeper: Doorkeeper
    version: str
    links: set[AgentLink] = field(default_factory=set)
    turned_away: Counter[Goodbye] = field(default_factory=Counter)
