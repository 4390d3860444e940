"""The document of an export, as the API gives and takes it; no secret is in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from agent.server.api.models.agents import AgentCreated, Instances
from agent.server.api.models.client_keys import ClientKeyCreated
from agent.server.api.models.connections import ConnectionOptions, StoreUrl
from agent.server.api.models.fields import Asked, Description, Method, Name
from agent.server.operations.connection_wish import ConnectionWish
from agent.server.operations.records import Mode
from agent.server.operations.transfer import FORMAT, Imported
from agent.server.operations.transfer_keys import KeyWish

LENGTH_MAX = 5000


class AgentExported(Asked):
    """An agent, without its tokens."""

    name: Name
    description: Description = ""
    max_instances: Instances = 1
    plain_store_url: Annotated[str, Field(max_length=4096)] | None = None


class ConnectionExported(ConnectionOptions):
    """A connection, without its key."""

    slug: Annotated[str, Field(max_length=60)] = ""
    name: Name
    mode: Mode
    store_url: StoreUrl

    def wish(self) -> ConnectionWish:
        """Everything but the slug."""
        found = self.settings(given_only=False)
        del found["slug"]
        return ConnectionWish(**found)


class ClientKeyExported(Asked):
    """A client key, without the key; whoever imports it gets a new one."""

    name: Name
    connections: list[str] | None = Field(description="names; null = every connection")
    methods: list[Method] | None = Field(description="null = whatever the connection allows")
    expires_at: AwareDatetime | None = None
    enabled: bool = True

    def wish(self) -> KeyWish:
        """As the operations take it."""
        return KeyWish(
            name=self.name,
            connections=tuple(self.connections) if self.connections is not None else None,
            methods=tuple(self.methods) if self.methods is not None else None,
            expires_at=self.expires_at.timestamp() if self.expires_at is not None else None,
            enabled=self.enabled,
        )


class TransferDocument(Asked):
    """Agents, connections and client keys of a server."""

    format: Literal["integration-server/1"] = FORMAT
    agents: Annotated[list[AgentExported], Field(max_length=LENGTH_MAX)] = Field(default_factory=list)
    connections: Annotated[list[ConnectionExported], Field(max_length=LENGTH_MAX)] = Field(default_factory=list)
    client_keys: Annotated[list[ClientKeyExported], Field(max_length=LENGTH_MAX)] = Field(default_factory=list)


class ImportShown(BaseModel):
    """What was made. Tokens and client keys are shown this once; connections are off until their API key is entered."""

    agents: list[AgentCreated]
    connections: list[str] = Field(description="slugs")
    client_keys: list[ClientKeyCreated]
    skipped: list[str] = Field(description="what was left out, and why")

    @classmethod
    def of(cls, imported: Imported) -> ImportShown:
        """As shown once."""
        return cls(
            agents=[AgentCreated.of(new) for new in imported.agents],
            connections=list(imported.connections),
            client_keys=[ClientKeyCreated.of(new) for new in imported.client_keys],
            skipped=list(imported.skipped),
        )


def document_of(content: dict[str, Any]) -> TransferDocument:
    """What an export holds."""
    return TransferDocument.model_validate(content)
