"""What the control API takes and gives. An API key can be written, never read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from agent.server.addresses import PublicUrl
from agent.server.operations.agents import INSTANCES_MAX, NewAgent
from agent.server.operations.checks import ConnectionTest
from agent.server.operations.client_keys import NewClientKey
from agent.server.operations.connection_wish import CONCURRENCY_MAX, ConnectionWish
from agent.server.operations.names import NAME_MAX_CHARS
from agent.server.operations.records import Agent, AuditEntry, ClientKey, Connection, KeyPlace, Mode


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
Method = Annotated[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_upper)]
Resource = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
Description = Annotated[str, Field(max_length=1000)]
Instances = Annotated[int, Field(ge=1, le=INSTANCES_MAX)]
StoreUrl = Annotated[str, Field(min_length=1, max_length=4096, repr=False)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AgentAsked(_Asked):
    """A new agent."""

    name: Name
    description: Description = ""
    max_instances: Instances = 1
    plain_store_url: Annotated[str, Field(max_length=4096)] | None = None
    public_ssh_address: Annotated[str, Field(max_length=1000)] | None = None
    public_gateway_url: PublicUrl | None = None


class AgentEdited(_Asked):
    """What changes of an agent: what is left out stays as it is."""

    description: Description = ""
    max_instances: Instances = 1

    def changes(self) -> dict[str, Any]:
        """What was given; no default of a field is in it."""
        return self.model_dump(exclude_unset=True)


class _ConnectionOptions(_Asked):
    agent: str | None = None
    key_in: KeyPlace = "basic"
    methods: list[Method] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
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


class ClientKeyAsked(_Asked):
    """A new client key."""

    name: Name | None = None
    connections: list[str] = []
    all_connections: bool = False
    methods: list[Method] | None = None
    expires_at: AwareDatetime | None = None


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


class ClientKeyShown(BaseModel):
    """A client key, without the key."""

    id: str
    name: str
    connections: list[str] | None = Field(description="slugs; null = every connection")
    methods: list[str] | None = Field(description="null = whatever the connection allows")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, client_key: ClientKey) -> ClientKeyShown:
        """As shown."""
        return cls(**asdict(client_key))


class ClientKeyCreated(BaseModel):
    """The only time that the key is shown."""

    client_key: ClientKeyShown
    key: str
    urls: list[str]

    @classmethod
    def of(cls, new: NewClientKey) -> ClientKeyCreated:
        """As shown once."""
        return cls(client_key=ClientKeyShown.of(new.client_key), key=new.key, urls=list(new.urls))


class AuditShown(BaseModel):
    """One line of the audit trail."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditShown:
        """As shown."""
        return cls(
            at=datetime.fromtimestamp(entry.at, UTC),
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=dict(entry.detail),
        )
