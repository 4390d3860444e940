"""From one store's settings to what is opened: its readings, its rule, the way to it, what to warn of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.checkup.plan import CheckPlan
from agent.errors import SettingsError
from agent.forward.dialer import TcpDialer
from agent.forward.gate import StoreGate
from agent.forward.pool import OriginPool, PoolLimits
from agent.forward.target import StoreTarget, tls_context
from agent.policy import METHODS, Rule
from agent.settings import StoreSettings, TimeoutSettings, split_address
from agent.store_url import Store, make_store, read_store_url
from agent.tunnel.messages import LINE_MAX_BYTES, STORES_MAX, Grant, hello_size_bytes

WRITES: Final = frozenset(METHODS) - {"GET", "HEAD"}


@dataclass(frozen=True, slots=True)
class Opening:
    """One store as the settings open it. ``candidates`` are the readings of its address, likeliest first."""

    settings: StoreSettings
    candidates: tuple[Store, ...]

    @classmethod
    def of(cls, settings: StoreSettings) -> Opening:
        """Read the address; an explicit ``virtual_uri`` or ``id_shop`` is put into every reading.

        Raises:
            SettingsError: the address and these two do not make a store.
        """
        return cls(
            settings,
            tuple(dict.fromkeys(_placed(store, settings) for store in read_store_url(settings.url).candidates)),
        )

    @property
    def store(self) -> Store:
        """The reading that counts: the only one, or the likeliest."""
        return self.candidates[0]

    @property
    def certain(self) -> bool:
        """True when there is one reading."""
        return len(self.candidates) == 1

    def decided(self, store: Store) -> Opening:
        """The same opening with one of its readings chosen."""
        return replace(self, candidates=(store,))

    def rule(self) -> Rule:
        """What is open, as the policy judges it."""
        resources = self.settings.resources
        return Rule(
            self.store,
            frozenset(self.settings.methods),
            frozenset(resources) if resources is not None else None,
        )

    def host(self, store: Store) -> str:
        """What ``store`` sees in ``Host``."""
        return self.settings.shop_host or store.authority

    def dialer(self, store: Store, timeouts: TimeoutSettings) -> TcpDialer:
        """The way to ``store``.

        Raises:
            SettingsError: the CA file cannot be used.
        """
        host, port = (
            split_address(self.settings.connect, store.port) if self.settings.connect else (store.host, store.port)
        )
        return TcpDialer(
            host,
            port,
            tls=tls_context(store, self.settings.ca_file, verify=self.settings.verify),
            server_name=self.settings.server_name or store.host,
            connect_timeout_s=timeouts.store_connect_s,
            tls_timeout_s=timeouts.store_tls_s,
        )

    def check_plan(self, timeouts: TimeoutSettings) -> CheckPlan:
        """How this store is checked; its key is given with each check.

        Raises:
            SettingsError: the CA file cannot be used.
        """
        dialer = self.dialer(self.store, timeouts)
        return CheckPlan(
            rule=self.rule(),
            address=dialer.host,
            port=dialer.port,
            host=self.host(self.store),
            tls=dialer.tls,
            server_name=dialer.server_name,
            connect_timeout_s=timeouts.store_connect_s,
            tls_timeout_s=timeouts.store_tls_s,
        )

    def target(self, timeouts: TimeoutSettings, gate: StoreGate | None = None) -> StoreTarget:
        """What the forwarder needs; ``gate`` holds back what the rule alone would let pass.

        Raises:
            SettingsError: the CA file cannot be used.
        """
        return StoreTarget(
            rule=self.rule(),
            host=self.host(self.store).encode("ascii"),
            pool=OriginPool(
                self.dialer(self.store, timeouts), PoolLimits(connections_max=self.settings.max_connections)
            ),
            extra_fields=frozenset(name.encode() for name in self.settings.forward_fields),
            gate=gate or StoreGate(),
        )

    def warnings(self) -> list[str]:
        """What works and should be known, a sentence each."""
        found = []
        settings = self.settings
        if self.store.scheme == "https" and not settings.verify:
            found.append(
                f"The certificate of {self.store} is not checked: anyone on the way can read and change everything; "
                "set ca_file or server_name and remove verify = false."
            )
        if self.store.scheme == "http" and not settings.verify:
            found.append(f"verify = false means nothing for {self.store}, which is reached without TLS; remove it.")
        if self.store.scheme == "http" and (settings.ca_file or settings.server_name):
            found.append(f"ca_file and server_name mean nothing for {self.store}, which is reached without TLS.")
        return found


def read_openings(stores: Sequence[StoreSettings]) -> tuple[Opening, ...]:
    """All openings, in the order of the settings.

    Raises:
        SettingsError: an address cannot be read, two tables open the same store, or there are more stores than an
            agent can tell its server of.
    """
    openings = tuple(_opening(index, settings) for index, settings in enumerate(stores))
    refuse_doubles(openings)
    _refuse_too_many(openings)
    return openings


def refuse_doubles(openings: Sequence[Opening]) -> None:
    """Check that no store is opened twice.

    Raises:
        SettingsError: two tables open the same store, so that it is not clear which rule counts.
    """
    seen: dict[Store, int] = {}
    for index, opening in enumerate(openings):
        first = seen.setdefault(opening.store, index)
        if first != index:
            raise SettingsError(
                f"stores[{first}] and stores[{index}] both open {opening.store}: "
                "put what is open into one [[stores]] table."
            )


def _refuse_too_many(openings: Sequence[Opening]) -> None:
    """Hello names every store in one message. The longest reading of each counts: the probe may choose any."""
    if len(openings) > STORES_MAX:
        raise SettingsError(
            f"The settings open {len(openings)} stores, and one agent can serve {STORES_MAX} at most: take some "
            "[[stores]] tables out and give them to a further agent."
        )
    size = hello_size_bytes([_longest_grant(index, opening) for index, opening in enumerate(openings)])
    if size > LINE_MAX_BYTES:
        raise SettingsError(
            f"The {len(openings)} stores of the settings make a message of {size} bytes to the server, over the limit "
            f"of {LINE_MAX_BYTES}: list fewer resources (none at all opens every one), or give some of the stores to a "
            "further agent."
        )


def _longest_grant(index: int, opening: Opening) -> Grant:
    rules = (opening.decided(store).rule() for store in opening.candidates)
    rule = max(rules, key=lambda each: len(str(each.store)) + len(each.store.virtual_uri))
    try:
        return Grant.from_rule(rule)
    except ValueError:  # a bound of the message
        raise SettingsError(
            f"stores[{index}] in the settings opens {str(rule.store)[:200]}, whose path or list of resources is too "
            "long to tell the server: no list of resources opens every one."
        ) from None


def _opening(index: int, settings: StoreSettings) -> Opening:
    try:
        return Opening.of(settings)
    except SettingsError as error:
        raise SettingsError(f"stores[{index}] in the settings: {error}") from None


def _placed(store: Store, settings: StoreSettings) -> Store:
    """``store`` with the virtual folder and shop number of the settings; the folder may stand in the address too."""
    base_path, virtual_uri = store.base_path, store.virtual_uri
    if settings.virtual_uri is not None:
        virtual_uri = settings.virtual_uri.strip("/") + "/"
        if base_path.endswith("/" + virtual_uri):
            base_path = base_path[: -len(virtual_uri)]
    id_shop = settings.id_shop if settings.id_shop is not None else store.id_shop
    return make_store(store.scheme, store.host, store.port, base_path, virtual_uri, id_shop)
