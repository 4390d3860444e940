"""Runs a sample store as a process of its own: ``python -m agent.demo.store --port 0 --key KEY``.

Prints one JSON line when it is ready: {"event": "ready", "port": ..., "domain": ...}. SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

from agent.demo.store.config import METHODS, ApiKey, Front, Shop, ShopUrl, StoreConfig
from agent.demo.store.store import SampleStore

_KEY_LENGTH = 32


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal comes; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = _config(options)
    except ValueError as error:
        sys.stderr.write(f"sample store: {error}\n")
        return 78
    try:
        asyncio.run(_run(config))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sample store: cannot start on {config.host}:{config.port}: {error}\n")
        return 1
    return 0


async def _run(config: StoreConfig) -> None:
    store = SampleStore(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await store.start()
        ready = {"event": "ready", "port": store.port, "domain": store.domain}
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
        await stop.wait()
    finally:
        await store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent.demo.store",
        description="Imitates the webservice of PrestaShop 8.2.4. @FILE stands for the arguments in FILE.",
        fromfile_prefix_chars="@",  # keys need not stand in the list of processes
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    add("--seed", type=Path, help="catalogue to start with, in the shape of the one shipped here")
    add("--database", type=Path, help="SQLite file for the records, made anew (default: in memory)")
    add("--domain", default="", help="the shop's domain, host[:port] (default: the address it listens on)")
    add("--second-domain", action="append", default=[], help="a further domain of the shop")
    add("--physical-uri", default="/", help="the shop's folder, with slashes")
    add("--second-shop", metavar="VIRTUAL_URI", help="a second shop in this virtual folder, e.g. b2b/")
    add(
        "--key",
        action="append",
        default=[],
        metavar="KEY[:GRANTS]",
        help="a key of 32 characters; GRANTS like products=GET+HEAD,orders=GET, * or nothing for everything",
    )
    add("--webservice", choices=("on", "off"), default="on")
    add("--maintenance", action="store_true", help="the shop itself is closed, the webservice answers")
    add("--ssl-enabled", action="store_true", help="PS_SSL_ENABLED: links begin with https")
    add("--canonical-redirect", type=int, choices=(0, 1, 2), default=1, help="PS_CANONICAL_REDIRECT")
    add("--tls-certificate", type=Path, help="PEM file; the store speaks TLS then")
    add("--tls-key", type=Path, help="PEM file with the certificate's key")
    add("--server", choices=("apache", "nginx", "fcgi"), default="apache", help="whose manners to imitate")
    add("--cookies-in-request", action="store_true", help="a PHP that takes overrides from cookies, too")
    add("--delay-seconds", type=float, default=0.0, help="silence before each answer")
    add("--idle-seconds", type=float, help="close kept connections after this (default 5, nginx 75)")
    return parser


def _config(options: argparse.Namespace) -> StoreConfig:
    """Raises ValueError for options that do not fit."""
    if not options.physical_uri.startswith("/") or not options.physical_uri.endswith("/"):
        raise ValueError(f"--physical-uri {options.physical_uri} needs a slash at both ends, e.g. /shop/")
    urls = [ShopUrl(domain=options.domain, physical_uri=options.physical_uri)]
    urls += [ShopUrl(one, options.physical_uri, main=False) for one in options.second_domain]
    shops = [Shop()]
    if options.second_shop:
        shops.append(Shop(id=2, name="Second shop"))
        urls.append(ShopUrl(options.domain, options.physical_uri, options.second_shop, id_shop=2))
    return StoreConfig(
        keys=tuple(_key(text, len(shops)) for text in options.key),
        urls=tuple(urls),
        shops=tuple(shops),
        seed=options.seed,
        database=options.database,
        host=options.host,
        port=options.port,
        front=Front(
            style=options.server,
            certificate=options.tls_certificate,
            certificate_key=options.tls_key,
            idle_timeout_s=options.idle_seconds,
            cookies_in_request=options.cookies_in_request,
        ),
        webservice=options.webservice == "on",
        ssl_enabled=options.ssl_enabled,
        maintenance=options.maintenance,
        canonical_redirect=options.canonical_redirect,
        delay_s=options.delay_seconds,
    )


def _key(text: str, shops: int) -> ApiKey:
    key, _, grants = text.partition(":")
    if len(key) != _KEY_LENGTH:
        raise ValueError(f"--key needs a key of {_KEY_LENGTH} characters, this one has {len(key)}")
    tied = frozenset(range(1, shops + 1))
    if grants in ("", "*"):
        return ApiKey(key, shops=tied)
    granted = {}
    for part in grants.split(","):
        resource, _, methods = part.partition("=")
        chosen = frozenset(methods.upper().split("+")) if methods else METHODS
        if unknown := chosen - METHODS:
            raise ValueError(f"--key: {', '.join(sorted(unknown))} is no method of the webservice")
        granted[resource] = chosen
    return ApiKey(key, granted, shops=tied)


if __name__ == "__main__":
    sys.exit(main())
