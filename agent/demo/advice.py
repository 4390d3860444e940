"""What to try while the demo is up: commands that work as they stand."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.demo.actor import Actor
from agent.demo.place import Place
from agent.demo.script import Outcome


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading and lines: what it does, and the command in parts between which a line may be broken."""

    heading: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def label_width(self) -> int:
        """Characters of the longest first part of a line."""
        return max(len(what) for what, _ in self.lines)


def advise(
    place: Place, gateway_url: str, key: str, outcome: Outcome, actors: tuple[Actor, Actor, Actor]
) -> tuple[Chapter, ...]:
    """All chapters. ``gateway_url`` ends in the connection's slug; ``actors`` are server, agent and store."""
    server, agent, store = actors
    return (
        Chapter("Try it, in another terminal", _requests(f"{gateway_url}/api", key, outcome.product_id)),
        Chapter("Or with any PrestaShop client library", (("shop URL", (gateway_url,)), ("webservice key", (key,)))),
        Chapter("Look inside", _insights(place, gateway_url.rpartition("/")[2], outcome.product_id, actors)),
        Chapter(
            "Break it: the demo says what it sees, and ends",
            tuple((f"without the {actor.title}", (f"kill {actor.process.pid}",)) for actor in (agent, server, store)),
        ),
    )


def _requests(api: str, key: str, product_id: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    curl = f"curl -u {key}:"
    product = f"'{api}/products/{product_id}'"
    change = f"<prestashop><product><id>{product_id}</id><price>9</price></product></prestashop>"
    return (
        ("Read the new product", (curl, f"'{api}/products/{product_id}?output_format=JSON'")),
        ("Change its price", (f"{curl} -X PATCH", product, f"-d '{change}'")),
        ("Search by name", (f"{curl} -g", f"'{api}/products?filter[name]=[Demo]%&limit=3'")),
        ("Fetch a picture", (f"{curl} -o cup.jpg", f"'{api}/images/products/1/1'")),
        ("Meet a refusal", (f"{curl} -i", f"'{api}/customers'")),
    )


def _insights(
    place: Place, slug: str, product_id: int, actors: tuple[Actor, Actor, Actor]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    server = f"{_command('integration-server')} --config"
    sql = f'"SELECT name, price FROM products WHERE id = {product_id}"'  # noqa: S608 - a number, shown to a person
    lines = [
        ("The agent, as the server sees it", (server, f"{place.server_config} agents list")),
        ("The way to the store, tested", (server, f"{place.server_config} connections test {slug}")),
        *((f"Log of the {actor.title}", (f"tail -f {actor.process.log.path}",)) for actor in actors),
    ]
    if shutil.which("sqlite3"):
        lines.append(("The store's own database", (f"sqlite3 -readonly {place.store_database}", sql)))
    return tuple(lines)


def _command(name: str) -> str:
    """The console script by its shortest name that works in another terminal."""
    beside = Path(sys.executable).parent / name
    found = shutil.which(name)
    return name if found is not None and Path(found) == beside else str(beside)
