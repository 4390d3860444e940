"""Connections, as the API takes and gives them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr

from agent.server.api.models.fields import Asked, Method, Name
from agent.server.operations.connection_extras import CA_PEM_MAX, HEADERS_MAX
from agent.server.operations.connection_wish import CONCURRENCY_MAX, ConnectionWish
from agent.server.operations.records import Connection, KeyPlace, Mode
from agent.server.operations.store_preview import StorePreview

Resource = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
StoreUrl = Annotated[str, Field(min_length=1, max_length=4096, repr=False)]
IdShop = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,9}|all)?$")]
ApiKey = Annotated[SecretStr, Field(json_schema_extra={"writeOnly": True}, description="never given back")]


def _every_method() -> list[Method]:
    return ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class HeaderField(BaseModel):
    """A field that goes with every request to the store; no place for secrets: it is shown with the connection."""

    model_config = {"extra": "forbid", "hide_input_in_errors": True}

    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[str, Field(min_length=1, max_length=1024)]


class ConnectionOptions(Asked):
    """What can be set of a connection beyond name, mode, store and key."""

    agent: Annotated[str, Field(max_length=100)] | None = None
    key_in: KeyPlace = "basic"
    methods: list[Method] = Field(default_factory=_every_method)
    resources: list[Resource] | None = None
    concurrency: Annotated[int, Field(ge=1, le=CONCURRENCY_MAX)] = 8
    id_shop: IdShop = ""
    virtual_uri: Annotated[str, Field(max_length=255)] = ""
    shop_host: Annotated[str, Field(max_length=300)] | None = None
    headers: Annotated[list[HeaderField], Field(max_length=HEADERS_MAX)] = Field(default_factory=list)
    response_timeout_s: Annotated[float, Field(ge=1, le=600, allow_inf_nan=False)] | None = None
    test_path: Annotated[str, Field(max_length=300)] = "/api/"
    test_method: Literal["GET", "HEAD"] = "GET"
    ca_pem: Annotated[str, Field(max_length=CA_PEM_MAX)] | None = None
    verify_tls: bool = True

    def settings(self, *, given_only: bool) -> dict[str, Any]:
        """Everything but the key, with names of ConnectionWish."""
        found = self.model_dump(exclude={"api_key"}, exclude_unset=given_only)
        if "headers" in found:
            found["headers"] = [(each["name"], each["value"]) for each in found["headers"]]
        return found


class ConnectionAsked(ConnectionOptions):
    """A new connection."""

    name: Name
    mode: Mode
    store_url: StoreUrl
    api_key: ApiKey

    def wish(self) -> ConnectionWish:
        """Everything but the key."""
        return ConnectionWish(**self.settings(given_only=False))


class ConnectionEdited(ConnectionOptions):
    """What changes of a connection: what is left out stays as it is. The key is needed at every edit."""

    name: Name = ""
    mode: Mode = "on-premise"
    store_url: StoreUrl = ""
    api_key: ApiKey = SecretStr("")


class ConnectionReplaced(ConnectionOptions):
    """A connection as it shall be: what is left out gets its default. The key is needed at every edit."""

    name: Name
    mode: Mode
    store_url: StoreUrl
    api_key: ApiKey = SecretStr("")


class ConnectionCloned(Asked):
    """A copy: its name, and its API key, which is never read out of the other one."""

    name: Name
    api_key: ApiKey = SecretStr("")


class PreviewAsked(Asked):
    """An address that a person pasted."""

    store_url: StoreUrl
    id_shop: IdShop = ""
    virtual_uri: Annotated[str, Field(max_length=255)] = ""
    name: Annotated[str, Field(max_length=100)] = ""


class PreviewShown(BaseModel):
    """What an address means; nobody was asked for it."""

    shop_urls: list[str] = Field(description="the shop's addresses that it can mean, likeliest first")
    webservice_urls: list[str] = Field(description="the same for the webservice")
    left_out: list[str] = Field(description="what of the address is not kept, in words; no value is repeated")
    slug: str = Field(
        description="the path that the gateway would give to a connection of this name; empty without one"
    )
    gateway_url: str

    @classmethod
    def of(cls, preview: StorePreview) -> PreviewShown:
        """As shown."""
        return cls(**asdict(preview))


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
    headers: list[HeaderField]
    response_timeout_s: float | None = Field(description="null = as the settings of the server say")
    test_path: str
    test_method: Literal["GET", "HEAD"]
    ca_pem: str | None
    verify_tls: bool
    enabled: bool
    needs_key: bool = Field(description="true after an import, until the API key is entered")
    client_keys: int = Field(description="living client keys that open it")
    warnings: list[str]
    created_at: datetime
    updated_at: datetime
    version: str = Field(description="changes with every edit; for If-Match")

    @classmethod
    def of(cls, connection: Connection) -> ConnectionShown:
        """As shown."""
        store = connection.store
        return cls(
            **{
                **asdict(connection),
                "headers": [HeaderField(name=name, value=value) for name, value in connection.headers],
                "store_url": f"{store.origin}{store.shop_path}",
                "webservice_url": store.webservice_url,
                "id_shop": store.id_shop,
                "virtual_uri": store.virtual_uri,
                "version": repr(connection.updated_at),
            }
        )
