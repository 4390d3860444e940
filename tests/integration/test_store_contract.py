"""The sample store against recordings of a real PrestaShop 8.2.4, and against exchanges of our own writing.

Every recorded request is replayed to a store with the same data and settings; what comes back must be the same but
for what differs on every run (tests/kit/likeness.py) and what store_differences.py lists with a reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from agent.demo.store import Front, SampleStore
from tests.integration.store_differences import MEANT
from tests.integration.store_preludes import prelude
from tests.kit.certificates import CertificateAuthority
from tests.kit.likeness import differences
from tests.kit.recordings import NOT_THERE, Exchange, load_own_exchanges, load_recordings, recordings_folder
from tests.kit.store_setups import config_of
from tests.kit.tools import missing
from tests.kit.wire_client import WireClient

CLOSED_SOON_S = 2.0
STAYS_OPEN_S = 0.005


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody checks, for the front that speaks TLS."""
    return CertificateAuthority(tmp_path_factory.mktemp("tls")).issue("127.0.0.1")


class Replay:
    """A store in one setup, with the fronts that its exchanges need, and the connections that some of them share."""

    def __init__(self, store: SampleStore, ports: dict[str, int]) -> None:
        self.store = store
        self._ports = ports
        self._shared: dict[str, WireClient] = {}

    async def differences(self, exchange: Exchange) -> dict[str, str]:
        """Replay one exchange; what differs, by aspect."""
        shared = exchange.connection[0] if exchange.connection else None
        client = self._shared.get(shared or "")
        if client is None:
            client = await WireClient.connect(self._ports[exchange.front], tls=exchange.tls)
        if shared is not None:
            self._shared[shared] = client
        try:
            found = differences(exchange, await client.exchange(exchange.request))
            closed = await client.closed_within(CLOSED_SOON_S if exchange.closed_after else STAYS_OPEN_S)
            if closed != exchange.closed_after:
                found["connection"] = f"closed afterwards: {exchange.closed_after} became {closed}"
            return found
        finally:
            if shared is None:
                await client.close()

    async def close(self) -> None:
        """Close the shared connections."""
        for client in self._shared.values():
            await client.close()


@asynccontextmanager
async def replaying(
    exchanges: list[Exchange], seed: Path | None, certificate: tuple[Path, Path]
) -> AsyncIterator[Replay]:
    """A store for exchanges of one setup."""
    config = replace(config_of(exchanges[0].setup), seed=seed)
    store = SampleStore(config)
    await store.start()
    ports = {"apache": store.port, "subfolder": store.port}
    fronts = {
        "nginx": Front("nginx"),
        "fcgi": Front("fcgi"),
        "tls": Front(certificate=certificate[0], certificate_key=certificate[1]),
    }
    if config.urls[0].physical_uri == "/shop/":
        # In the recordings the Apache on 8081 has the shop's files at its root, whatever the shop believes.
        fronts["apache"] = Front(files_uri="/")
    for name in {exchange.front for exchange in exchanges} & fronts.keys():
        ports[name] = await store.listen(fronts[name])
    replay = Replay(store, ports)
    try:
        yield replay
    finally:
        await replay.close()
        await store.close()


def series(exchanges: list[Exchange]) -> Iterator[tuple[str, list[Exchange]]]:
    """Exchanges by setup, each in the order in which they ran."""
    ordered = sorted(exchanges, key=lambda exchange: exchange.setup)
    for setup, group in groupby(ordered, key=lambda exchange: exchange.setup):
        yield setup, sorted(group, key=lambda exchange: exchange.run_order)


async def replay_all(
    exchanges: list[Exchange],
    seed: Path | None,
    certificate: tuple[Path, Path],
    before: Callable[[SampleStore, Exchange], Awaitable[None]],
) -> dict[str, dict[str, str]]:
    """Replay everything; the differences by id of the exchange."""
    found: dict[str, dict[str, str]] = {}
    for _, group in series(exchanges):
        async with replaying(group, seed, certificate) as replay:
            for exchange in group:
                await before(replay.store, exchange)
                if different := await replay.differences(exchange):
                    found[exchange.id] = different
    return found


def report(found: dict[str, dict[str, str]]) -> str:
    """Differences that are not listed, and listed ones that are gone, one per line."""
    lines = []
    for identifier in sorted(found.keys() | MEANT.keys()):
        aspects = found.get(identifier, {})
        meant = MEANT[identifier].aspects if identifier in MEANT else frozenset()
        lines += [f"{identifier}: {aspects[one]}" for one in sorted(aspects.keys() - meant)]
        lines += [
            f"{identifier}: listed as different in its {one}, but is not" for one in sorted(meant - aspects.keys())
        ]
    return "\n".join(lines)


async def _nothing_before(store: SampleStore, exchange: Exchange) -> None:
    pass


async def test_answers_like_the_recorded_prestashop(certificate: tuple[Path, Path]) -> None:
    recorded, folder = load_recordings(), recordings_folder()
    if recorded is None or folder is None:
        missing(NOT_THERE)
        return
    found = await replay_all(recorded, folder / "seed.json", certificate, prelude)
    assert report(found) == ""


async def test_answers_our_own_exchanges(certificate: tuple[Path, Path]) -> None:
    own = load_own_exchanges()
    assert len(own) >= 40
    found = await replay_all(own, None, certificate, _nothing_before)
    assert found == {}


def test_every_meant_difference_has_a_reason_and_an_exchange() -> None:
    recorded = load_recordings()
    if recorded is None:
        missing(NOT_THERE)
        return
    assert MEANT.keys() <= {exchange.id for exchange in recorded}
    assert all(meant.reason and meant.aspects for meant in MEANT.values())


def test_report_names_what_is_not_listed_and_what_is_gone() -> None:
    meant = {identifier: dict.fromkeys(one.aspects, "as listed") for identifier, one in MEANT.items()}
    assert report(meant) == ""
    assert report({**meant, "read-orders-1": {"codes": "[1] became [2]"}}) == "read-orders-1: [1] became [2]"
    first = min(MEANT)
    assert report({**meant, first: {}}) == f"{first}: listed as different in its body, but is not"
    assert "another status" in report({**meant, first: {**meant[first], "status": "another status"}})
