"""Mode Cloud: the agent's forwarder and policy inside the server, dialing public stores only.

Whoever may create a connection could otherwise make this server fetch from its own network (server-side request
forgery): every address is resolved once, checked, and then dialed as the number that was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from agent.checkup.plan import CheckPlan
from agent.errors import ExchangeError, StoreUnreachable
from agent.forward.context import ExchangeRecord, ForwardContext
from agent.forward.dialer import TcpDialer, dial_failure
from agent.forward.lookup import resolve
from agent.forward.pool import OriginPool
from agent.forward.session import ForwardSession
from agent.forward.target import ForwardTimeouts, StoreTable, StoreTarget, tls_context
from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.pipe import make_pipe
from agent.server.routes import Route
from agent.streams import ByteSession

P = TypeVar("P", bound=asyncio.Protocol)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_PROTOCOL_ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")  # only newer Pythons know all of it as not global


def is_public(address: Address) -> bool:
    """May the server connect there? Not to itself, a private or link-local network, multicast or reserved space.

    IPv4 inside IPv6 (mapped, 6to4, NAT64) is judged by the IPv4 address that will really be reached.
    """
    address = _reached(address)
    if isinstance(address, ipaddress.IPv6Address):
        if address not in _GLOBAL_UNICAST:
            return False  # is_global knows no site-local (fec0::/10) and no IPv4-compatible (::a.b.c.d) addresses
    elif address in _PROTOCOL_ASSIGNMENTS:
        return False
    return address.is_global and not address.is_multicast


def _reached(address: Address) -> Address:
    """The address that is reached in the end: the IPv4 address inside an IPv6 one, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


@dataclass(frozen=True, slots=True)
class CheckedDialer:
    """Dials by name after checking each address against ``is_public``, ``allowed`` and ``own`` addresses.

    ``way_out`` is what a refusal tells people to do.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    allowed: tuple[Network, ...] = ()
    own: frozenset[Address] = frozenset()
    connect_timeout_s: float = 5.0
    tls_timeout_s: float = 5.0
    way_out: str = "list it in cloud.allow_private_origins, or use an agent on the store's network"

    async def dial(self, protocol: Callable[[], P]) -> P:
        """Open one connection. Raises ``StoreUnreachable`` when no address is allowed or answers."""
        where = f"{self.host}:{self.port}"
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                found = await resolve(self.host, self.port)
        except (OSError, TimeoutError, ValueError) as error:
            raise dial_failure(error, where) from None
        refusal = self.refusal(found)
        if refusal:
            raise StoreUnreachable(refusal, proxy_error="destination_ip_prohibited")
        failure: ExchangeError = StoreUnreachable()
        for address in found:
            dialer = TcpDialer(
                address.partition("%")[0], self.port, self.tls, self.host, self.connect_timeout_s, self.tls_timeout_s
            )
            try:
                return await dialer.dial(protocol)
            except ExchangeError as error:
                failure = error
        raise failure

    def refusal(self, found: Sequence[str]) -> str:
        """Why a store with these addresses is not dialed, "" when it may be.

        One private address among public ones is refused as a whole: that is how rebinding looks.
        """
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        if addresses and all(self._may_dial(address) for address in addresses):
            return ""
        return (
            f"{self.host}:{self.port} has an address that this server does not connect to (private, loopback, "
            f"link-local or its own); {self.way_out}."
        )

    def _may_dial(self, address: Address) -> bool:
        address = _reached(address)  # an own address stays one in disguise
        if any(address in network for network in self.allowed if network.version == address.version):
            return True
        return address not in self.own and is_public(address)


@dataclass(frozen=True, slots=True)
class CloudLoad:
    """How much of mode Cloud is open; a connection that is being opened counts as busy."""

    channels_idle: int
    channels_busy: int
    store_connections_idle: int
    store_connections_busy: int


class CloudForwarder:
    """Makes the channels of Cloud connections: pipes to forwarding sessions of this process, one table per route."""

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        allowed: Iterable[Network] = (),
        own: Iterable[Address] = (),
        timeouts: ForwardTimeouts | None = None,
        record: Callable[[ExchangeRecord], None] | None = None,
    ) -> None:
        self._spawn = spawn
        self._allowed = tuple(allowed)
        self._own = frozenset(own)
        self._timeouts = timeouts or ForwardTimeouts()
        self._record = record
        self._routes: dict[str, tuple[tuple[object, ...], ChannelPool, ForwardContext]] = {}

    def pool(self, route: Route) -> ChannelPool:
        """The channels of this connection; made anew when the connection was edited."""
        known = self._routes.get(route.connection_id)
        way = (
            (route.rule, route.host, route.ca_pem, route.verify_tls),
            (route.response_timeout_s, frozenset(name.lower().encode() for name, _ in route.headers)),
        )
        if known is not None and known[0] == way:
            return known[1]
        if known is not None:
            known[1].close()
            known[2].table.close()  # what runs goes on, with the target it began with
        context = ForwardContext(
            StoreTable([self.target(route)]),
            timeouts=self._timeouts_of(route),
            proxy="integration-server",
            record=self._record,
        )
        nonce = secrets.token_hex(16).encode()
        loop = asyncio.get_running_loop()

        async def open_channel(session: ByteSession) -> None:
            make_pipe(loop, session, ForwardSession(context, nonce))

        limits = ChannelLimits(warm_min=0)
        pool = ChannelPool(open_channel, self._spawn, nonce=nonce, limits=limits, round_trip=lambda: 0.0)
        self._routes[route.connection_id] = (way, pool, context)
        return pool

    def keep(self, exists: Callable[[str], bool]) -> None:
        """Let go of connections whose id does not exist any more; what runs ends by itself."""
        for connection_id in [known for known in self._routes if not exists(known)]:
            _, pool, context = self._routes.pop(connection_id)
            pool.close()
            context.table.close()

    def load(self) -> CloudLoad:
        """What is open now."""
        targets = [target for _, _, context in self._routes.values() for target in context.table.targets]
        return CloudLoad(
            channels_idle=sum(pool.idle_count for _, pool, _ in self._routes.values()),
            channels_busy=sum(pool.busy_count for _, pool, _ in self._routes.values()),
            store_connections_idle=sum(target.pool.idle_count for target in targets),
            store_connections_busy=sum(target.pool.open_count - target.pool.idle_count for target in targets),
        )

    async def close(self) -> None:
        """Close all channels and store connections."""
        for _, pool, context in self._routes.values():
            pool.close()
            await context.close()
        self._routes.clear()

    def target(self, route: Route) -> StoreTarget:
        """The store of a connection, and the way to it."""
        extra = frozenset(name.lower().encode() for name, _ in route.headers)
        return StoreTarget(route.rule, route.host, OriginPool(self.dialer(route)), extra)

    def dialer(self, route: Route) -> CheckedDialer:
        """The way to the store of a connection, which looks at each address before it is dialed."""
        store, timeouts = route.store, self._timeouts
        return CheckedDialer(
            store.host,
            store.port,
            tls_context(store, None, verify=route.verify_tls, ca_pem=route.ca_pem),
            self._allowed,
            self._own,
            timeouts.connect_s,
            timeouts.tls_s,
        )

    def check_plan(self, route: Route) -> CheckPlan:
        """How the store of a connection is checked, saved or not."""
        dialer = self.dialer(route)
        return CheckPlan(
            rule=route.rule,
            address=dialer.host,
            port=dialer.port,
            host=route.host.decode(),
            tls=dialer.tls,
            server_name=dialer.host,
            mode="cloud",
            shop_host=route.shop_host,
            api_key=route.api_key,
            key_in=route.key_in,
            test_path=route.test_path,
            test_method=route.test_method,
            headers=route.headers,
            refuse_addresses=dialer.refusal,
            connect_timeout_s=dialer.connect_timeout_s,
            tls_timeout_s=dialer.tls_timeout_s,
        )

    def _timeouts_of(self, route: Route) -> ForwardTimeouts:
        limit_s = route.response_timeout_s
        return self._timeouts if limit_s is None else replace(self._timeouts, first_byte_s=limit_s, stall_s=limit_s)
