"""The running sample store: opens its sockets, counts what comes in, and says what was really executed."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from agent.demo.store.catalogue import fill
from agent.demo.store.config import Front, StoreConfig
from agent.demo.store.connection import Connection, Service, Traffic
from agent.demo.store.database import Database
from agent.demo.store.schema import load_schema
from agent.demo.store.service import Executed
from agent.demo.store.site import Site


class SampleStore:
    """An imitation of PrestaShop's webservice on a loopback port.

    Use: ``store = SampleStore(config); await store.start(); ... store.port ...; await store.close()``.
    ``delay_s`` may be changed at any time; ``request_arrived`` is set when a complete request has come. Raises OSError
    when it cannot listen or read its seed.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.delay_s = config.delay_s
        self.traffic = Traffic()
        self.request_arrived = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._database: Database | None = None
        self._site: Site | None = None

    async def start(self) -> None:
        """Fill the database and listen."""
        if self._site is not None:
            raise RuntimeError("the sample store runs already")
        loop = asyncio.get_running_loop()
        main = await loop.create_server(
            lambda: Connection(self._service(), self.config.front),
            self.config.host,
            self.config.port,
            ssl=_tls(self.config.front),
        )
        self._servers.append(main)
        try:
            self._open()
        except BaseException:  # a start that is cancelled leaves no listener
            await self.close()
            raise

    def _open(self) -> None:
        """Fill the database; the shop's own domain may follow from the port."""
        own = f"{self.config.host}:{self.port}"
        urls = tuple(replace(url, domain=url.domain or own) for url in self.config.urls)
        self._database = Database(self.config.database, load_schema())
        fill(self._database, load_schema(), replace(self.config, urls=urls))
        self._site = Site(self.config, urls, self._database)

    async def listen(self, front: Front) -> int:
        """Open one more socket on the same shop, with its own behaviour; returns its port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self._service(), front), self.config.host, 0, ssl=_tls(front)
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    @property
    def port(self) -> int:
        """Port of the first socket; only while it listens."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def domain(self) -> str:
        """The main domain of the shop, as its Host must name it."""
        return self._running().urls[0].domain

    @property
    def executed(self) -> list[Executed]:
        """Every call that passed all checks and was carried out, in order; tests may clear it."""
        return self._running().webservice.executed

    @property
    def database(self) -> Database:
        """The records, for tests that look behind the scenes."""
        return self._running().database

    @property
    def open_connections(self) -> int:
        """Client connections that are open now."""
        return len(self._connections)

    async def close(self) -> None:
        """Stop listening, end all connections, close the database. May be called twice."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _running(self) -> Site:
        if self._site is None:
            raise RuntimeError("the sample store was not started")
        return self._site

    def _service(self) -> Service:
        return Service(
            answer=self._running().answer,
            traffic=self.traffic,
            body_max_bytes=self.config.upload_max_bytes,
            delay_s=lambda: self.delay_s,
            arrived=self.request_arrived.set,
            opened=self._connections.add,
            closed=self._connections.discard,
        )


def _tls(front: Front) -> ssl.SSLContext | None:
    if front.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(front.certificate, front.certificate_key)
    return context
