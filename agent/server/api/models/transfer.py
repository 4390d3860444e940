"""The document of an export, as the API gives and takes it; no secret is in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agent.server.api.models.agents import AgentCreated, Instances
from agent.server.api.models.connections import ConnectionOptions, StoreUrl
from agent.server.api.models.fields import Asked, Description, Name
from agent.server.operations.connection_wish import ConnectionWish
from agent.server.operations.records import Mode
from agent.server.operations.transfer import FORMAT, Imported

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


class TransferDocument(Asked):
    """Agents and connections of a server."""

    format: Literal["integration-server/1"] = FORMAT
    agents: Annotated[list[AgentExported], Field(max_length=LENGTH_MAX)] = Field(default_factory=list)
    connections: Annotated[list[ConnectionExported], Field(max_length=LENGTH_MAX)] = Field(default_factory=list)


class ImportShown(BaseModel):
    """What was made. Tokens of new agents are shown this once; connections are off until their API key is entered."""

    agents: list[AgentCreated]
    connections: list[str] = Field(description="slugs")
    skipped: list[str] = Field(description="what was left out, and why")

    @classmethod
    def of(cls, imported: Imported) -> ImportShown:
        """As shown once."""
        return cls(
            agents=[AgentCreated.of(new) for new in imported.agents],
            connections=list(imported.connections),
            skipped=list(imported.skipped),
        )


def document_of(content: dict[str, Any]) -> TransferDocument:
    """What an export holds."""
    return TransferDocument.model_validate(content)
