"""Connections, as the API takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from agent.server.api.models.fields import Asked, Method, Name
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.connection_wish import CONCURRENCY_MAX, ConnectionWish
from agent.server.operations.records import Connection, KeyPlace, Mode

Resource = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
StoreUrl = Annotated[str, Field(min_length=1, max_length=4096, repr=False)]


def _every_method() -> list[Method]:
    return ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class _ConnectionOptions(Asked):
    agent: str | None = None
    key_in: KeyPlace = "basic"
    methods: list[Method] = Field(default_factory=_every_method)
    resources: list[Resource] | None = None
    concurrency: Annotated[int, Field(ge=1, le=CONCURRENCY_MAX)] = 8
    id_shop: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,9}|all)?$")] = ""
    virtual_uri: Annotated[str, Field(max_length=255)] = ""
    shop_host: Annotated[str, Field(max_length=300)] | None = None


class ConnectionAsked(_ConnectionOptions):
    """A new connection."""

    name: Name
    mode: Mode
    store_url: StoreUrl
    api_key: SecretStr

    def wish(self) -> ConnectionWish:
        """Everything but the key."""
        return ConnectionWish(**self.model_dump(exclude={"api_key"}))


class ConnectionEdited(_ConnectionOptions):
    """What changes of a connection: what is left out stays as it is. The key is needed at every edit."""

    name: Name = ""
    mode: Mode = "on-premise"
    store_url: StoreUrl = ""
    api_key: SecretStr = SecretStr("")

    def changes(self) -> dict[str, Any]:
        """What was given, but the key; no default of a field is in it."""
        return self.model_dump(exclude={"api_key"}, exclude_unset=True)


class ConnectionShown(BaseModel):
    """A connection, without its key."""

    id: str
    name: str
    slug: str
    gateway_url: str
    mode: Mode
    agent_id: str | None
    agent_name: str | None
    store_url: str
    webservice_url: str
    id_shop: str
    virtual_uri: str
    shop_host: str | None
    key_in: KeyPlace
    methods: list[str]
    resources: list[str] | None
    concurrency: int
    enabled: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, connection: Connection) -> ConnectionShown:
        """As shown."""
        store = connection.store
        return cls(
            **{
                **asdict(connection),
                "store_url": f"{store.origin}{store.shop_path}",
                "webservice_url": store.webservice_url,
                "id_shop": store.id_shop,
                "virtual_uri": store.virtual_uri,
            }
        )


class ConnectionTested(BaseModel):
    """The outcome of a connection test; ``verdict`` is a stable name."""

    connection_id: str
    slug: str
    ok: bool
    verdict: str
    finding: str
    remedy: str
    status: int
    prestashop_version: str | None
    resource_count: int | None
    elapsed_ms: float

    @classmethod
    def of(cls, test: ConnectionTest) -> ConnectionTested:
        """As shown."""
        diagnosis = test.diagnosis
        return cls(
            connection_id=test.connection_id,
            slug=test.slug,
            ok=diagnosis.ok,
            verdict=diagnosis.verdict,
            finding=diagnosis.finding,
            remedy=diagnosis.remedy,
            status=diagnosis.status,
            prestashop_version=diagnosis.version,
            resource_count=diagnosis.resource_count,
            elapsed_ms=round(test.elapsed_s * 1000, 1),
        )
