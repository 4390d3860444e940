"""Fills the database with a catalogue: the one shipped here, or a file of the same shape."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from agent.demo.store.config import StoreConfig
from agent.demo.store.database import Database, Record
from agent.demo.store.schema import Resource

_RENAMED = {"countries_active": "countries"}
_FIRST_CATEGORY_WITH_PICTURE = 3
"""Categories 1 and 2 are PrestaShop's root and home; neither has a picture of its own."""


def load_catalogue(path: Path | None) -> dict[str, list[dict[str, Any]]]:
    """The lists of records by resource.

    Raises OSError when the file cannot be read and ValueError when it has another shape.
    """
    if path is None:
        text = resources.files("agent.demo.store").joinpath("catalogue.json").read_text(encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    records = content.get("data") if isinstance(content, dict) else None
    if not isinstance(records, dict) or not isinstance(records.get("products"), list):
        # A file with other content is a wrong value of the option, not a wrong type of a call.
        raise ValueError(f"{path or 'catalogue.json'} is no catalogue: it has no list data.products")  # noqa: TRY004 - the file is wrong, not a type
    return {_RENAMED.get(str(name), str(name)): items for name, items in records.items()}


def fill(database: Database, schema: dict[str, Resource], config: StoreConfig) -> None:
    """Put the catalogue and what follows from ``config`` (shops and their addresses) into an empty database."""
    catalogue = load_catalogue(config.seed)
    for name, items in catalogue.items():
        resource = schema.get(name)
        if resource is not None and resource.node is not None:
            for item in items:
                database.insert(name, _record(item), as_it_is=True)
    _add_shops(database, config)
    _add_pictures(database, catalogue)
    database.commit()


def _record(item: dict[str, Any]) -> Record:
    record = dict(item)
    record["associations"] = {name: association["items"] for name, association in item.get("associations", {}).items()}
    return record


def _add_shops(database: Database, config: StoreConfig) -> None:
    first = database.read("shops", 1) or {"name": "Shop", "id_category": "2", "theme_name": "classic"}
    known = set(database.ids("shops"))
    for shop in config.shops:
        if shop.id not in known:
            row = {**first, "id": str(shop.id), "id_shop_group": str(shop.id_group), "active": "1", "deleted": "0"}
            database.insert("shops", {**row, "name": shop.name or first["name"]})
    if not database.ids("shop_groups"):
        for group in sorted({shop.id_group for shop in config.shops}):
            database.insert("shop_groups", {"id": str(group), "name": "Default", "active": "1", "deleted": "0"})
    for number, url in enumerate(config.urls, start=1):
        database.insert(
            "shop_urls",
            {
                "id": str(number),
                "id_shop": str(url.id_shop),
                "active": "1",
                "main": "1" if url.main else "0",
                "domain": url.domain,
                "domain_ssl": url.domain,
                "physical_uri": url.physical_uri,
                "virtual_uri": url.virtual_uri,
            },
        )


def _add_pictures(database: Database, catalogue: dict[str, list[dict[str, Any]]]) -> None:
    """Note which pictures there are; they are drawn when they are asked for."""
    sql = "INSERT INTO pictures (kind, owner, id, position) VALUES (?, ?, ?, ?)"
    for item in catalogue.get("images_products", []):
        for position, number in enumerate(item["ids"], start=1):
            database.execute(sql, ("products", int(item["id_product"]), int(number), position))
            database.note_picture_id(int(number))
    for name in ("categories", "manufacturers", "suppliers"):
        for number in database.ids(name):
            if name != "categories" or number >= _FIRST_CATEGORY_WITH_PICTURE:
                database.execute(sql, (name, number, number, 1))
