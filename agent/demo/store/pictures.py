"""The pictures of a store: kept in the database when they were uploaded, drawn when they came with the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from agent.demo.store.database import Database
from agent.demo.store.drawing import draw_jpeg, draw_logo

_ORIGINAL = (800, 800)
_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is sent."""

    content_type: str
    content: bytes


def picture_type(content: bytes) -> str | None:
    """The type that the first bytes say; None for what is no picture."""
    return next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)


def read_picture(database: Database, kind: str, owner: int, number: int, size: str | None) -> Picture | None:
    """A picture in a named size or in its own; None when there is no such picture.

    Uploaded pictures come back as they were sent, in any size: this store does not scale.
    """
    rows = database.execute(
        "SELECT content_type, content FROM pictures WHERE kind = ? AND owner = ? AND id = ?", (kind, owner, number)
    )
    if not rows:
        return None
    content_type, content = rows[0]
    if content is not None:
        return Picture(content_type, content)
    width, height = _ORIGINAL if size is None else sizes(database, kind).get(size, _ORIGINAL)
    return Picture("image/jpeg", draw_jpeg(width, height, f"{kind} {owner} {number}"))


def general_picture(database: Database, name: str) -> Picture:
    """One of the shop's own pictures; the same logo unless another was uploaded."""
    rows = database.execute("SELECT content_type, content FROM pictures WHERE kind = ?", (f"general/{name}",))
    return Picture(*rows[0]) if rows else Picture("image/png", draw_logo())


def write_general(database: Database, name: str, picture: Picture) -> None:
    """Replace one of the shop's own pictures."""
    write_picture(database, f"general/{name}", 0, 0, picture)


def write_picture(database: Database, kind: str, owner: int, number: int, picture: Picture) -> None:
    """Add or replace a picture; a new one comes last."""
    database.execute(
        "INSERT INTO pictures VALUES (?, ?, ?, (SELECT coalesce(max(position), 0) + 1 FROM pictures WHERE kind = ?"
        " AND owner = ?), ?, ?) ON CONFLICT (kind, owner, id) DO UPDATE SET content_type = excluded.content_type,"
        " content = excluded.content",
        (kind, owner, number, kind, owner, picture.content_type, picture.content),
    )


def delete_picture(database: Database, kind: str, owner: int, number: int) -> None:
    """Remove a picture."""
    database.execute("DELETE FROM pictures WHERE kind = ? AND owner = ? AND id = ?", (kind, owner, number))


def picture_ids(database: Database, kind: str, owner: int) -> list[int]:
    """Ids of the pictures of one record, in their order."""
    rows = database.execute("SELECT id FROM pictures WHERE kind = ? AND owner = ? ORDER BY position, id", (kind, owner))
    return [int(row[0]) for row in rows]


def owners(database: Database, kind: str) -> list[int]:
    """Ids of the records that have pictures."""
    rows = database.execute("SELECT DISTINCT owner FROM pictures WHERE kind = ? ORDER BY owner", (kind,))
    return [int(row[0]) for row in rows]


def sizes(database: Database, kind: str) -> dict[str, tuple[int, int]]:
    """Names of the sizes for pictures of this kind, with width and height in pixels."""
    if kind not in ("products", "categories", "manufacturers", "suppliers", "stores"):
        return {}
    rows = database.execute(
        f"SELECT name, width, height FROM image_types WHERE \"{kind}\" = '1' ORDER BY name"  # noqa: S608 - names above
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}
