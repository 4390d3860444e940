"""Agents, as the API takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agent.server.addresses import PublicUrl
from agent.server.api.models.fields import Asked, Description, Name
from agent.server.operations.agent_changes import INSTANCES_MAX
from agent.server.operations.agent_tokens import GRACE_DEFAULT_S, GRACE_MAX_S, NewAgent
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


class AgentNamed(Asked):
    """The name of a copy."""

    name: Name


class TokenRotation(Asked):
    """For how long the old token works beside the new one."""

    grace_period_s: Annotated[float, Field(ge=0, le=GRACE_MAX_S, allow_inf_nan=False)] = GRACE_DEFAULT_S


class AgentEdited(Asked):
    """What changes of an agent: what is left out stays as it is."""

    name: Name = ""
    description: Description = ""
    max_instances: Instances = 1

    def changes(self) -> dict[str, Any]:
        """What was given; no default of a field is in it."""
        return self.model_dump(exclude_unset=True)


State = Literal["awaiting_install", "online", "draining", "offline", "disabled", "revoked"]


class InstanceShown(BaseModel):
    """One running process of an agent."""

    id: str = Field(description="the beginning of its instance id")
    host: str
    version: str
    peer: str
    tunnels: int
    draining: bool
    connected_at: datetime
    last_heartbeat_at: datetime
    round_trip_ms: float | None


class ClientDetails(BaseModel):
    """Where an agent runs, as it says, and where its tunnels come from."""

    host: str | None
    peer: str | None
    instances: list[InstanceShown]


class AgentShown(BaseModel):
    """An agent."""

    id: str
    name: str
    description: str
    state: State
    enabled: bool
    offline: bool = Field(description="true while it has no tunnel")
    tunnels: int
    max_instances: int
    plain_store: str | None
    version: str | None
    host: str | None
    client_details: ClientDetails
    grants: list[dict[str, Any]] | None = Field(
        description="stores, methods and resources that its own policy opens; `paused` by the shop, since when"
    )
    connections_count: int
    old_token_until: datetime | None = Field(description="a token that was replaced works until then")
    last_heartbeat_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, agent: Agent) -> AgentShown:
        """As shown."""
        instances = [
            InstanceShown(
                **{name: value for name, value in asdict(each).items() if name != "round_trip_s"},
                round_trip_ms=round(each.round_trip_s * 1000, 3) if each.round_trip_s is not None else None,
            )
            for each in agent.instances
        ]
        return cls(
            **{
                **asdict(agent),
                "state": agent.state,
                "offline": not agent.tunnels,
                "client_details": ClientDetails(host=agent.host, peer=agent.peer, instances=instances),
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
