"""Client keys, as the API takes and gives them."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from agent.server.api.models.fields import Asked, Method, Moment, Name
from agent.server.operations.client_keys import NewClientKey
from agent.server.operations.records import ClientKey


class ClientKeyAsked(Asked):
    """A new client key."""

    name: Name | None = None
    connections: list[str] = Field(default_factory=list)
    all_connections: bool = False
    methods: list[Method] | None = None
    expires_at: AwareDatetime | None = None


class ClientKeyEdited(Asked):
    """What changes of a client key: what is left out stays as it is."""

    name: Name = ""
    connections: list[str] = Field(default_factory=list)
    all_connections: bool = False
    methods: list[Method] | None = None
    expires_at: AwareDatetime | None = None

    def changes(self) -> dict[str, Any]:
        """What was given; no default of a field is in it."""
        given = self.model_dump(exclude_unset=True)
        if given.get("expires_at") is not None:
            given["expires_at"] = given["expires_at"].timestamp()
        return given


class ClientKeyNamed(Asked):
    """The name of a copy."""

    name: Name


KeyState = Literal["active", "disabled", "expired", "revoked"]


class ClientKeyShown(BaseModel):
    """A client key, without the key."""

    id: str
    name: str
    connections: list[str] | None = Field(description="slugs; null = every connection")
    methods: list[str] | None = Field(description="null = whatever the connection allows")
    state: KeyState
    enabled: bool
    created_at: datetime
    expires_at: Moment | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, client_key: ClientKey) -> ClientKeyShown:
        """As shown."""
        return cls(**{**asdict(client_key), "state": client_key.state(time.time())})


class ClientKeyCreated(BaseModel):
    """The only time that the key is shown."""

    client_key: ClientKeyShown
    key: str
    urls: list[str]

    @classmethod
    def of(cls, new: NewClientKey) -> ClientKeyCreated:
        """As shown once."""
        return cls(client_key=ClientKeyShown.of(new.client_key), key=new.key, urls=list(new.urls))
