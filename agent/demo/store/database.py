"""The store's records in one SQLite file: a table for each resource, one text column for each field.

Translated fields are JSON objects keyed by language id, lists of associated records JSON in ``associations``.
Another process may read the file at any time: ``SELECT id, reference, name FROM products WHERE id = 13``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from agent.demo.store.schema import Resource

Item: TypeAlias = "dict[str, str]"
Record: TypeAlias = "dict[str, Any]"
"""``id`` and fields: text, a dict of text for translated ones, None where nothing was ever given.

``associations`` is a dict of lists of items.
"""

DERIVED = {"products": frozenset({"images", "stock_availables"})}
"""Associations that are not kept with the record but follow from other tables."""


class Database:
    """All records. Every method is synchronous and quick; ``commit`` makes what a request wrote visible to others."""

    def __init__(self, path: Path | None, schema: dict[str, Resource]) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(str(path) if path is not None else ":memory:", isolation_level=None)
        # A demo's data need not survive a power cut: without this each write waits for the disk.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._schema = {name: resource for name, resource in schema.items() if resource.node is not None}
        self._connection.execute("BEGIN")
        for resource in self._schema.values():
            columns = "".join(f', "{field.name}" TEXT' for field in resource.fields)
            self._connection.execute(
                f'CREATE TABLE "{resource.name}" '
                f"(seq INTEGER PRIMARY KEY, id INTEGER UNIQUE NOT NULL{columns}, associations TEXT)"
            )
        self._connection.execute("CREATE TABLE last_ids (resource TEXT PRIMARY KEY, id INTEGER NOT NULL)")
        self._connection.execute(
            "CREATE TABLE pictures (kind TEXT NOT NULL, owner INTEGER NOT NULL, id INTEGER NOT NULL, position INTEGER"
            " NOT NULL, content_type TEXT, content BLOB, PRIMARY KEY (kind, owner, id))"
        )
        self._connection.execute("CREATE INDEX stock_by_product ON stock_availables (id_product)")
        self.commit()

    def commit(self) -> None:
        """End the open transaction, if any."""
        if self._connection.in_transaction:
            self._connection.commit()

    def close(self) -> None:
        """Close the file."""
        self.commit()
        self._connection.close()

    def execute(self, sql: str, arguments: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in the open transaction (begun here for the first write) and return its rows."""
        if not sql.startswith("SELECT") and not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        return self._connection.execute(sql, tuple(arguments)).fetchall()

    def next_id(self, name: str) -> int:
        """A new id as auto_increment gives it: ids of deleted records are not used again."""
        rows = self.execute("SELECT id FROM last_ids WHERE resource = ?", (name,))
        number = int(rows[0][0]) + 1 if rows else 1
        self._note_id(name, number)
        return number

    def note_picture_id(self, number: int) -> None:
        """Say that this id of a product picture is taken."""
        self._note_id("pictures", number)

    def _note_id(self, name: str, number: int) -> None:
        self.execute(
            "INSERT INTO last_ids VALUES (?, ?) ON CONFLICT (resource) DO UPDATE SET id = max(id, excluded.id)",
            (name, number),
        )

    def insert(self, name: str, record: Record, *, as_it_is: bool = False) -> int:
        """Add a record, with its own id or the next one.

        Fields that are None or missing get their stored default, prices six decimals, unless it goes in ``as_it_is``.
        """
        resource = self._schema[name]
        number = int(record["id"]) if record.get("id") else self.next_id(name)
        self._note_id(name, number)
        names = ", ".join(f'"{field.name}"' for field in resource.fields)
        marks = ", ".join("?" for _ in range(len(resource.fields) + 2))
        self.execute(
            f'INSERT INTO "{name}" (id, {names}, associations) VALUES ({marks})',  # noqa: S608 - names of schema.txt
            (number, *_columns(resource, record, as_it_is=as_it_is), _associations(name, record)),
        )
        return number

    def update(self, name: str, record: Record) -> None:
        """Write all fields of a record that is there."""
        resource = self._schema[name]
        names = ", ".join(f'"{field.name}" = ?' for field in resource.fields)
        self.execute(
            f'UPDATE "{name}" SET {names}, associations = ? WHERE id = ?',  # noqa: S608 - names of schema.txt
            (*_columns(resource, record), _associations(name, record), int(record["id"])),
        )

    def delete(self, name: str, number: int) -> None:
        """Remove a record."""
        self.execute(f'DELETE FROM "{name}" WHERE id = ?', (number,))  # noqa: S608 - name of schema.txt

    def read(self, name: str, number: int) -> Record | None:
        """One record, or None."""
        found = self.read_many(name, [number])
        return found[0] if found else None

    def read_many(self, name: str, numbers: Sequence[int]) -> list[Record]:
        """The records with these ids, in this order; missing ones are left out."""
        resource = self._schema[name]
        names = ", ".join(f'"{field.name}"' for field in resource.fields)
        sql = f'SELECT id, {names}, associations FROM "{name}" WHERE id = ?'  # noqa: S608 - names of schema.txt
        possible = (number for number in numbers if -(2**63) <= number < 2**63)
        return [self._record(resource, rows[0]) for number in possible if (rows := self.execute(sql, (number,)))]

    def ids(self, name: str, where: str = "1", arguments: Iterable[object] = (), tail: str = "") -> list[int]:
        """Ids of the records that fulfil ``where`` (SQL without values), in the order of ``tail`` or of insertion."""
        sql = f'SELECT id FROM "{name}" WHERE {where} {tail or "ORDER BY seq"}'  # noqa: S608 - built by filters.py
        return [int(row[0]) for row in self.execute(sql, arguments)]

    def _record(self, resource: Resource, row: tuple[Any, ...]) -> Record:
        record: Record = {"id": str(row[0])}
        for field, value in zip(resource.fields, row[1:-1], strict=True):
            record[field.name] = json.loads(value) if field.translated else (value or "")
        record["associations"] = json.loads(row[-1])
        if resource.name == "products":
            self._derive(record, int(row[0]))
        return record

    def _derive(self, product: Record, number: int) -> None:
        images = self.execute(
            "SELECT id FROM pictures WHERE kind = 'products' AND owner = ? ORDER BY position, id", (number,)
        )
        stocks = self.execute(
            "SELECT id, id_product_attribute FROM stock_availables WHERE id_product = ? ORDER BY seq", (str(number),)
        )
        product["associations"]["images"] = [{"id": str(row[0])} for row in images]
        product["associations"]["stock_availables"] = [
            {"id": str(row[0]), "id_product_attribute": row[1]} for row in stocks
        ]
        known = {str(row[0]) for row in images}
        if product["id_default_image"] not in known:
            product["id_default_image"] = str(images[0][0]) if images else ""


def _columns(resource: Resource, record: Record, *, as_it_is: bool = False) -> list[str]:
    columns: list[str] = []
    for field in resource.fields:
        value = record.get(field.name)
        if field.translated:
            columns.append(json.dumps(value if isinstance(value, dict) else {}, ensure_ascii=False))
        elif as_it_is:
            columns.append(str(value or ""))
        elif value is None or value == "":
            columns.append(field.default)
        else:
            columns.append(_decimal(str(value), field.decimals) if field.decimals is not None else str(value))
    return columns


def _associations(name: str, record: Record) -> str:
    derived = DERIVED.get(name, frozenset())
    kept = {key: items for key, items in record.get("associations", {}).items() if key not in derived}
    return json.dumps(kept, ensure_ascii=False)


def _decimal(text: str, places: int) -> str:
    """The number as a DECIMAL column keeps it."""
    try:
        return f"{float(text):.{places}f}"
    except ValueError:
        return f"{0:.{places}f}"
