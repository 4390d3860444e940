"""What the server keeps in memory of one registered agent, as far as its tunnels are concerned."""

from __future__ import annotations

from dataclasses import dataclass

from agent.store_url import Store


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent that may log in.

    ``max_instances`` is how many instances may be alive at once. ``plain_store`` is set for an agent made with
    ``--plain-ssh``: it has no control channel and serves exactly this store, over http. One that is not ``enabled`` is
    told so and sent away. ``secret_id`` is the record of the secret that was given at this login.
    """

    agent_id: str
    name: str
    max_instances: int = 1
    plain_store: Store | None = None
    enabled: bool = True
    secret_id: str = ""
