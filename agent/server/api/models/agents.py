"""Agents, as the API takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agent.server.addresses import PublicUrl
from agent.server.api.models.fields import Asked, Description, Name
from agent.server.operations.agents import INSTANCES_MAX, NewAgent
from agent.server.operations.records import Agent

Instances = Annotated[int, Field(ge=1, le=INSTANCES_MAX)]


class AgentAsked(Asked):
    """A new agent."""

    name: Name
    description: Description = ""
    max_instances: Instances = 1
    plain_store_url: Annotated[str, Field(max_length=4096)] | None = None
    public_ssh_address: Annotated[str, Field(max_length=1000)] | None = None
    public_gateway_url: PublicUrl | None = None


class AgentEdited(Asked):
    """What changes of an agent: what is left out stays as it is."""

    description: Description = ""
    max_instances: Instances = 1

    def changes(self) -> dict[str, Any]:
        """What was given; no default of a field is in it."""
        return self.model_dump(exclude_unset=True)


class AgentShown(BaseModel):
    """An agent."""

    id: str
    name: str
    description: str
    state: Literal["awaiting_install", "online", "offline", "revoked"]
    tunnels: int
    max_instances: int
    plain_store: str | None
    version: str | None
    host: str | None
    grants: list[dict[str, Any]] | None
    last_heartbeat_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, agent: Agent) -> AgentShown:
        """As shown."""
        return cls(
            **{
                **asdict(agent),
                "state": agent.state,
                "plain_store": str(agent.plain_store) if agent.plain_store else None,
            }
        )


class AgentCreated(BaseModel):
    """The only time that the token is shown. For a stock ssh client, ``secret`` and the host key's line instead."""

    agent: AgentShown
    access_token: str | None
    ssh_address: str
    secret: str | None
    known_hosts_line: str | None

    @classmethod
    def of(cls, new: NewAgent) -> AgentCreated:
        """As shown once."""
        plain = new.agent.plain_store is not None
        return cls(
            agent=AgentShown.of(new.agent),
            access_token=None if plain else new.access_token,
            ssh_address=new.ssh_address,
            secret=new.secret if plain else None,
            known_hosts_line=new.known_hosts_line if plain else None,
        )
