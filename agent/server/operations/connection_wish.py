"""What a person asks of a connection, and what of it goes into the record once it is checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import RowMapping

from agent.doctor.diagnosis import Diagnosis
from agent.policy import METHODS, Rule
from agent.server.operations.agents import find_agent
from agent.server.operations.checks import check_store
from agent.server.operations.connection_extras import (
    TEST_PATH_DEFAULT,
    check_verification,
    clean_ca,
    clean_headers,
    clean_response_timeout,
    clean_test_path,
)
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import InvalidError
from agent.server.operations.methods import clean_methods, clean_resources
from agent.server.operations.names import clean_name
from agent.server.operations.records import KeyPlace, Mode, store_columns, store_of
from agent.server.operations.shop_host import clean_shop_host
from agent.server.operations.store_choice import choose_store_by_asking
from agent.server.routes import Route
from agent.store_url import Store

CONCURRENCY_MAX: Final = 100  # as many store connections as an agent makes without a setting of its own
API_KEY_LENGTH: Final = 32  # the column in PrestaShop is varchar(32), and it answers code 18 to any other length


@dataclass(frozen=True, slots=True)
class ConnectionWish:
    """What a person asks for; everything but the API key. ``resources`` None = every resource."""

    name: str
    mode: Mode
    store_url: str
    agent: str | None = None
    key_in: KeyPlace = "basic"
    methods: Collection[str] = METHODS
    resources: Collection[str] | None = None
    concurrency: int = 8
    id_shop: str = ""
    virtual_uri: str = ""
    shop_host: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    response_timeout_s: float | None = None
    test_path: str = TEST_PATH_DEFAULT
    test_method: Literal["GET", "HEAD"] = "GET"
    ca_pem: str | None = field(default=None, repr=False)
    verify_tls: bool = True


async def settle_wish(
    plane: ControlPlane,
    wish: ConnectionWish,
    api_key: str,
    candidates: tuple[Store, ...],
    *,
    kept_agent_id: str | None = None,
) -> dict[str, Any]:
    """The columns of a connection for ``wish``, all but its key and what the server gives; nothing is written.

    ``candidates`` are the stores that are meant; when there are several, each is asked, with a key that is none.
    ``kept_agent_id`` is the agent that the connection has already: it may have been revoked since.
    Raises InvalidError for what cannot be, also when no candidate answers or no server runs that could ask them;
    NotFoundError for an unknown agent.
    """
    values, agent, store = await _settled(plane, wish, api_key, candidates, kept_agent_id)
    test_path = clean_test_path(wish.test_path, wish.test_method, store)
    return {**values, **store_columns(store), "agent_id": agent["id"] if agent else None, "test_path": test_path}


async def probe_wish(plane: ControlPlane, wish: ConnectionWish, api_key: str, candidates: tuple[Store, ...]) -> Route:
    """The route of a connection that is not saved, without its key. Raises what ``settle_wish`` raises."""
    values, agent, store = await _settled(plane, wish, api_key, candidates, None)
    return _probe_route(wish, agent, values, store)


async def check_wish(plane: ControlPlane, wish: ConnectionWish, store: Store, coming: Collection[str] = ()) -> None:
    """Raises what ``settle_wish`` would for this store, without a key; ``coming`` are agents that will be there."""
    _checked(wish)
    if wish.mode == "cloud" or wish.agent not in coming:
        _check_plain(await _agent_of(plane, wish, None), store)
    clean_test_path(wish.test_path, wish.test_method, store)


async def _settled(
    plane: ControlPlane,
    wish: ConnectionWish,
    api_key: str,
    candidates: tuple[Store, ...],
    kept_agent_id: str | None,
) -> tuple[dict[str, Any], RowMapping | None, Store]:
    values = _checked(wish)
    _check_api_key(api_key)
    agent = await _agent_of(plane, wish, kept_agent_id)

    async def check(store: Store) -> Diagnosis:
        return await check_store(plane, _probe_route(wish, agent, values, store))

    store = await choose_store_by_asking(candidates, check if plane.exchange is not None else None)
    _check_plain(agent, store)
    return values, agent, store


def _checked(wish: ConnectionWish) -> dict[str, Any]:
    check_verification(wish.verify_tls, wish.mode)
    if not 1 <= wish.concurrency <= CONCURRENCY_MAX:
        raise InvalidError(f"The concurrency must be 1 to {CONCURRENCY_MAX}.", field="concurrency")
    return {
        "name": clean_name(wish.name),
        "mode": wish.mode,
        "key_in": wish.key_in,
        "methods": clean_methods(wish.methods),
        "resources": clean_resources(wish.resources) if wish.resources is not None else None,
        "concurrency": wish.concurrency,
        "shop_host": clean_shop_host(wish.shop_host, wish.mode) if wish.shop_host else None,
        "headers": [list(pair) for pair in clean_headers(wish.headers)],
        "response_timeout_s": clean_response_timeout(wish.response_timeout_s),
        "test_method": wish.test_method,
        "ca_pem": clean_ca(wish.ca_pem, wish.mode),
        "verify_tls": wish.verify_tls,
    }


def _check_api_key(api_key: str) -> None:
    if len(api_key) != API_KEY_LENGTH:
        raise InvalidError(
            f"A webservice key of PrestaShop has {API_KEY_LENGTH} characters, this one has {len(api_key)}: copy it "
            "again from Advanced parameters > Webservice in the back office.",
            field="api_key",
        )
    if not (api_key.isascii() and api_key.isprintable()) or ":" in api_key or " " in api_key:
        raise InvalidError(
            "The webservice key contains a character that cannot be sent as a key (blank, colon, accent): generate "
            "one in the back office.",
            field="api_key",
        )


async def _agent_of(plane: ControlPlane, wish: ConnectionWish, kept_id: str | None) -> RowMapping | None:
    if wish.mode == "cloud":
        if wish.agent is not None:
            raise InvalidError(
                "Mode cloud reaches the store directly and uses no agent: leave the agent out, or choose on-premise.",
                field="agent",
            )
        return None
    if wish.agent is None:
        raise InvalidError(
            "Mode on-premise needs the agent through which the store is reached: give --agent NAME "
            "(integration-server agents list shows them).",
            field="agent",
        )
    async with plane.read() as connection:
        agent = await find_agent(connection, wish.agent)
    if agent["revoked_at"] is not None and agent["id"] != kept_id:
        raise InvalidError(f'The agent "{agent["name"]}" is revoked: choose another one.', field="agent")
    return agent


def _check_plain(agent: RowMapping | None, store: Store) -> None:
    plain = agent["plain_store"] if agent else None
    if agent and plain and store_of(plain) != store:
        raise InvalidError(
            f'The agent "{agent["name"]}" is a stock ssh tunnel to {store_of(plain)} and cannot reach {store}.',
            field="store_url",
        )


def _probe_route(wish: ConnectionWish, agent: RowMapping | None, values: Mapping[str, Any], store: Store) -> Route:
    """How ``store`` is asked before anything is saved; the key is filled in by whoever may use it."""
    resources = frozenset(values["resources"]) if values["resources"] is not None else None
    return Route(
        connection_id="",
        slug="",
        name=wish.name,
        mode=wish.mode,
        agent_id=agent["id"] if agent else None,
        store=store,
        enabled=True,
        api_key="",
        key_in=wish.key_in,
        rule=Rule(store, frozenset(values["methods"]), resources),
        concurrency=1,
        shop_host=values["shop_host"],
        headers=tuple((name, value) for name, value in values["headers"]),
        response_timeout_s=values["response_timeout_s"],
        test_path=clean_test_path(wish.test_path, wish.test_method, store),
        test_method=wish.test_method,
        ca_pem=values["ca_pem"],
        verify_tls=values["verify_tls"],
    )
